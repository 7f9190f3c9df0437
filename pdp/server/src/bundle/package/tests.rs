//! Packages, one a line.

use super::package;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(package(text).unwrap_or_default(), expected, "{text}");
}

#[test]
fn what_a_module_says() {
    check("package a", &["a"]);
    check("# a comment\n\n  package a.b.c_1\n\nallow := true", &["a", "b", "c_1"]);
    check("package a[\"b.c/d\"].e", &["a", "b.c/d", "e"]);
    check("package  a # and why", &["a"]);
    check("\u{feff}package a;import data.x", &["a"]);
}

#[test]
fn what_says_nothing() {
    for text in ["", "# package a", "packagea", "package ", "package [1]", "package a.", "package a[\"b\"", "allow := true"] {
        assert_eq!(package(text), None, "{text}");
    }
}
