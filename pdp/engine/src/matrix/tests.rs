//! The golden matrix of the starter policy, and what the maker takes.

use std::path::Path;

use super::*;
use crate::decide::tests::{policy, snapshot, starter};

#[test]
fn the_matrix_is_what_people_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/matrix.golden");
    let matrix = matrix(&starter(), &Plan::default()).expect("matrix");
    #[expect(clippy::disallowed_methods, reason = "a test rewrites its golden file only when it is told to")]
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(&path, &matrix).expect("golden file is written");
    }
    let golden = std::fs::read_to_string(&path).expect("golden file");
    assert!(golden == matrix, "the matrix changed; read it, then run with UPDATE=1\n{matrix}");
}

#[test]
fn an_address_that_changes_with_the_key_is_not_suspicious_and_without_one_is() {
    let (snapshot, plan, pasts) = (starter(), Plan::default(), Pasts::new().expect("pasts"));
    let table = Table { snapshot: &snapshot, plan: &plan, pasts: &pasts };
    let [home, city, abroad, keyless_city, keyless_abroad, stranger, missing, mismatched] =
        CARRIED.map(|carried| carried.decided(&table, "GET").expect("decided").trace.remaining.value());
    assert!(home <= city && city < 10 && abroad < 10, "{home} {city} {abroad}");
    assert!(keyless_city >= 30 && keyless_abroad >= 70 && stranger >= 70, "{keyless_city} {keyless_abroad} {stranger}");
    assert_eq!((missing, mismatched), (100, 100));
}

#[test]
fn a_matrix_says_by_which_plan_it_was_made() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let plan = Plan { roles: names(&["admin", "night shift"]), actions: names(&["read", "a longer action"]) };
    let anybody = snapshot(policy("package authz\nimport rego.v1\ndefault allow := false\nallow if input.user.role == \"night shift\""));
    let made = matrix(&anybody, &plan).expect("matrix");
    assert_eq!(Plan::of(&made), Some(plan));
    assert_eq!(Plan::of("# nothing"), None);
    let row = |start: &str| made.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}:\n{made}")).to_owned();
    assert!(row("admin        yes").ends_with("✘      ✘"));
    assert!(row("night shift  yes").ends_with("✔      ✔"));
    assert!(row("night shift  yes        none     0–100").ends_with("✔      ✔"), "{made}");
}

#[test]
fn the_bands_end_where_the_thresholds_are() {
    let made = matrix(&starter(), &Plan::default()).expect("matrix");
    for row in [
        "employee  yes        none     0–19     ✔      ✔      ✘",
        "employee  yes        none     20–29    ✔      ✘      ✘",
        "employee  yes        none     30–100   ✘      ✘      ✘",
        "employee  yes        passkey  0–19     ✔      ✔      ✔",
        "employee  no         passkey  0–29     ✔      ✘      ✘",
        "stranger  yes        none     0–100    ✘      ✘      ✘",
    ] {
        assert!(made.lines().any(|line| line == row), "{row}\n{made}");
    }
}

#[test]
fn odd_names_make_no_matrix() {
    for (roles, actions) in [
        (vec!["a,b"], vec!["GET"]),
        (vec![""], vec!["GET"]),
        (vec!["a"], vec![]),
        (vec!["a\nb"], vec!["GET"]),
        (vec!["a"; 17], vec!["GET"]),
    ] {
        let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let plan = Plan { roles: names(roles), actions: names(actions) };
        assert!(plan.fault().is_some() && matrix(&starter(), &plan).is_none(), "{plan:?}");
    }
}
