//! One step gives what two steps through JSON gave, and never less than an error.

use countersign_sdk_types::contract::Input;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The way that it replaces.
fn through_json<T: Serialize>(document: &T) -> Value {
    Value::from(serde_json::to_value(document).unwrap())
}

#[test]
fn the_golden_input_is_the_same_document() {
    let golden: Input = serde_json::from_str(crate::input::GOLDEN).unwrap();
    assert_eq!(value(&golden).unwrap(), through_json(&golden));
}

#[test]
fn what_is_not_finite_or_not_named_once_is_an_error() {
    assert!(value(&f64::NAN).is_err() && value(&[f64::INFINITY]).is_err());
    assert!(value(&BTreeMap::from([(1, 2)])).is_err());
    #[derive(Serialize)]
    struct Twice {
        name: u8,
        #[serde(flatten)]
        more: BTreeMap<String, u8>,
    }
    let twice = Twice { name: 1, more: BTreeMap::from([("name".to_owned(), 2)]) };
    assert!(value(&twice).is_err());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        (-1e300..1e300).prop_map(|value| json!(value)),
        ".{0,12}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_the_same(document in any_json()) {
        prop_assert_eq!(value(&document).unwrap(), through_json(&document));
    }
}
