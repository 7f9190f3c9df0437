//! Documents and their forms, one a line.

use super::canonical;

#[track_caller]
fn check(document: &str, expected: &str) {
    assert_eq!(String::from_utf8(canonical(document.as_bytes()).unwrap()).unwrap(), expected);
}

#[test]
fn members_are_sorted_and_space_is_gone() {
    check(" { \"b\" : [ 1 , { } , [ ] ] , \"a\" : null } ", r#"{"a":null,"b":[1,{},[]]}"#);
    check("true", "true");
}

#[test]
fn numbers_are_as_written() {
    check("[1.0, 1e3, 1E+3, -0, 123456789012345678901234567890, 1.10]", "[1.0,1e3,1E+3,-0,123456789012345678901234567890,1.10]");
}

#[test]
fn texts_are_as_go_writes_them() {
    check(r#""\u003ca\u003e & \/ \u00e9 \n\u0001 \u2028""#, "\"<a> & / \u{e9} \\n\\u0001 \\u2028\"");
    check(r#"{"\u0061": 1}"#, r#"{"a":1}"#);
}
