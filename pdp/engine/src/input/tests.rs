//! The input document: the golden example, the schemas and the pessimistic defaults.

use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::Verdict;
use serde_json::Value;

use super::*;
use crate::decide::decide;
use crate::decide::tests::{From, at, facts, identified, seed};

const CLIENT: &str = "curl/8.5.0";

fn schema(text: &str) -> Value {
    serde_json::from_str(text).expect("schema")
}

fn input_schema() -> Value {
    schema(include_str!("../../../../policies/schema/input.schema.json"))
}

fn built(identified: &Identified, facts: &Facts) -> Input {
    let snapshot = seed();
    let decided = decide(identified, facts, &snapshot, at(9, 0));
    build(identified, facts, &decided.trace.sighting, &decided.trace.assessment, &snapshot.ladder, at(9, 0))
}

/// As much of JSON Schema as the two documents use.
fn conforms(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    if let Some(options) = schema["oneOf"].as_array() {
        let fits = options.iter().filter(|option| conforms(value, option, at).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{at}: fits {fits} forms")) };
    }
    if let Some(constant) = schema.get("const") {
        return if value == constant { Ok(()) } else { Err(format!("{at}: is not {constant}")) };
    }
    if let Some(options) = schema["enum"].as_array() {
        return if options.contains(value) { Ok(()) } else { Err(format!("{at}: {value} is not listed")) };
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.as_array().is_some(),
        Some("object") => value.is_object(),
        _ => false,
    };
    if !fits {
        return Err(format!("{at}: {value} is not a {}", schema["type"]));
    }
    let number = value.as_f64().unwrap_or(0.0);
    if schema["maximum"].as_f64().is_some_and(|most| number > most) || schema["minimum"].as_f64().is_some_and(|least| number < least) {
        return Err(format!("{at}: {number} is out of range"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        conforms(item, &schema["items"], &format!("{at}[{index}]"))?;
    }
    members(value, schema, at)
}

fn members(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        object.get(name).ok_or_else(|| format!("{at}: `{name}` is missing"))?;
    }
    for (name, member) in object {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(inner), _) => conforms(member, inner, &format!("{at}.{name}"))?,
            (None, Value::Bool(false)) => return Err(format!("{at}: `{name}` is not in the schema")),
            (None, inner @ Value::Object(_)) => conforms(member, inner, &format!("{at}.{name}"))?,
            (None, _) => {}
        }
    }
    Ok(())
}

#[test]
fn the_golden_example_is_the_type() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("golden");
    let typed: Input = serde_json::from_value(golden.clone()).expect("typed");
    assert_eq!(serde_json::to_value(&typed).expect("value"), golden);
    assert_eq!(conforms(&golden, &input_schema(), "input"), Ok(()));
}

#[test]
fn what_is_built_is_what_the_schema_says() {
    for from in [From::Paris, From::Singapore, From::Nowhere] {
        let input = built(&identified("GET", from, CLIENT, Some("laptop")), &facts("admin", from));
        assert_eq!(conforms(&serde_json::to_value(&input).expect("value"), &input_schema(), "input"), Ok(()));
    }
}

#[test]
fn the_schema_knows_every_member_of_the_type() {
    let mut golden: Value = serde_json::from_str(GOLDEN).expect("golden");
    golden["device"]["surprise"] = Value::Null;
    assert!(conforms(&golden, &input_schema(), "input").is_err());
    for (part, name) in [("user", "role"), ("device", "compliant"), ("context", "risk_score"), ("session", "acr_satisfied")] {
        let mut golden: Value = serde_json::from_str(GOLDEN).expect("golden");
        golden[part].as_object_mut().expect("object").remove(name);
        assert!(conforms(&golden, &input_schema(), "input").is_err(), "{part}.{name}");
        assert!(serde_json::from_value::<Input>(golden).is_err(), "{part}.{name}");
    }
}

#[test]
fn the_verdict_schema_is_the_type() {
    let schema = schema(include_str!("../../../../policies/schema/verdict.schema.json"));
    for effect in [Effect::Allow, Effect::StepUp, Effect::Deny] {
        let verdict = Verdict {
            effect,
            acr: (effect == Effect::StepUp).then(Acr::phr),
            max_age: (effect == Effect::StepUp).then_some(60),
            reasons: vec!["because".to_owned()],
            obligations: Vec::new(),
            is_final: false,
        };
        assert_eq!(conforms(&serde_json::to_value(&verdict).expect("value"), &schema, "verdict"), Ok(()));
    }
}

#[test]
fn what_is_unknown_takes_its_pessimistic_value() {
    let unknown = Facts::unknown(crate::decide::tests::salts(), From::Nowhere.place());
    let input = built(&identified("GET", From::Nowhere, CLIENT, None), &unknown);
    assert_eq!((input.user.role.as_str(), input.user.roles.len()), ("", 0));
    assert_eq!((input.device.compliant, input.device.managed, input.device.known, input.device.bound), (false, false, false, false));
    assert_eq!((input.session.acr_satisfied.len(), input.session.auth_time), (0, 0));
    assert_eq!(input.context.ip, "");
    assert!(input.context.known.values().all(|known| !known), "{:?}", input.context.known);
}

#[test]
fn a_caller_never_states_what_is_computed_here() {
    let mut who = identified("GET", From::Paris, CLIENT, None);
    who.request.caller.insert("risk_score".to_owned(), Value::from(0));
    who.request.caller.insert("ticket".to_owned(), Value::from("T-1"));
    let input = built(&who, &facts("admin", From::Singapore));
    assert_eq!(input.context.asserted.keys().collect::<Vec<_>>(), ["ticket"]);
    let text = serde_json::to_string(&input.context).expect("text");
    assert_eq!(text.matches("\"risk_score\":").count(), 2, "the computed score, and the caller's word under `caller`: {text}");
}

#[test]
fn expired_grants_prove_and_answer_nothing() {
    let (who, mut known) = (identified("GET", From::Singapore, CLIENT, None), facts("admin", From::Singapore));
    let snapshot = seed();
    let decided = decide(&who, &known, &snapshot, at(8, 0));
    known.grants = vec![crate::decide::tests::grant(&decided, &snapshot.ladder, &Acr::phr(), at(8, 0))];
    let input = built(&who, &known);
    assert!(input.session.acr_satisfied.is_empty());
    assert_eq!(input.context.risk_score, input.context.risk.inherent);
}

#[test]
fn the_one_role_is_one_of_all_wherever_it_was_said() {
    let user = crate::facts::DirectoryUser::new(Some("clerk".to_owned()), ["guest".to_owned()]);
    assert_eq!((user.role.as_str(), user.roles.into_iter().collect::<Vec<_>>()), ("clerk", vec!["clerk".to_owned(), "guest".to_owned()]));
    let nobody = crate::facts::DirectoryUser::new(None, ["guest".to_owned()]);
    assert_eq!((nobody.role.as_str(), nobody.roles.len()), ("", 1), "no role is not a role without a name");
}

#[test]
fn the_directory_schema_is_the_type() {
    let schema = schema(include_str!("../../../../policies/schema/entities.schema.json"));
    let example: Value = serde_json::from_str(include_str!("../../../../policies/examples/authzen/entities/data.json")).expect("example");
    assert_eq!(conforms(&example, &schema, "entities"), Ok(()));
    assert!(crate::entities::Entities::of(&serde_json::json!({"entities": example})).is_ok());
    for wrong in [serde_json::json!({"people": {}}), serde_json::json!({"actions": {"record": {"read": {}}}}), serde_json::json!([])] {
        assert!(conforms(&wrong, &schema, "entities").is_err(), "{wrong}");
        assert!(crate::entities::Entities::of(&serde_json::json!({"entities": wrong})).is_err(), "{wrong}");
    }
}

#[test]
fn a_stated_subject_keeps_its_type() {
    let mut identified = identified("GET", From::Paris, CLIENT, None);
    let stated = Entity { kind: "identity".to_owned(), id: "svc".to_owned(), properties: serde_json::Map::new() };
    identified.request.asserted_subject = Some(stated.clone());
    assert_eq!(built(&identified, &facts("admin", From::Paris)).subject, stated);
}
