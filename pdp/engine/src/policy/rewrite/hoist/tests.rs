//! The text that each kind of negation becomes.

use super::*;
use crate::policy::load::LENGTHS;

#[track_caller]
fn check(body: &str, expected: &str) {
    let wrapped = |body: &str| format!("package a\np if {{\n{body}\n}}\n");
    let written = module("a.rego", &wrapped(body), false, &LENGTHS).expect("a module").into_owned();
    assert_eq!(written, wrapped(expected));
    let written_query = query(body, &LENGTHS).expect("a query").into_owned();
    assert_eq!(written_query, expected);
}

#[track_caller]
fn same(body: &str) {
    check(body, body);
}

#[test]
fn operands_of_negated_calls_come_before() {
    check("not startswith(input.a, \"x\")", "__operand_0 := input.a; not startswith(__operand_0, \"x\")");
    check("not f(input.a, r)", "__operand_0 := input.a; __operand_1 := [r][0]; not f(__operand_0, __operand_1)");
    check("not input.a in data.b", "__operand_0 := input.a; __operand_1 := data.b; not __operand_0 in __operand_1");
    check("not \"a\" in input.b", "__operand_0 := input.b; not \"a\" in __operand_0");
    check("not input.a > 3", "__operand_0 := input.a; not __operand_0 > 3");
    check("not (input.a != \"\")", "__operand_0 := input.a; not (__operand_0 != \"\")");
    check("not f(g(input.a), 1)", "__operand_0 := g(input.a); not f(__operand_0, 1)");
    check("not f(\"\" in input.a)", "__operand_0 := input.a; not f(\"\" in __operand_0)");
    check(
        "not startswith(input.a, $) # c".replace('$', "\"é\"").as_str(),
        "__operand_0 := input.a; not startswith(__operand_0, \"é\") # c",
    );
    check("not (input.a + 1) * 2 > 3", "__operand_0 := (input.a + 1) * 2; not __operand_0 > 3");
    check(
        "not f([input.a, {\"k\": input.b}])",
        "__operand_0 := input.a; __operand_1 := input.b; not f([__operand_0, {\"k\": __operand_1}])",
    );
}

#[test]
fn what_may_be_undefined_in_a_negation_stays() {
    for body in [
        "not input.a",
        "not r",
        "not input.a == 3",
        "not input.a == input.b",
        "not input.a[_] = 3",
        "not f(1, \"a\", [true, null], _)",
        "not [x | x := input.a]",
        "not f()",
        "not f(input.l[_])",
        "f(input.a)",
        "x := input.a > 3",
    ] {
        same(body);
    }
}

#[test]
fn equations_and_references_are_looked_into() {
    check("not count(input.a) == 1", "__operand_0 := count(input.a); not __operand_0 == 1");
    check("not [input.a] == [1]", "__operand_0 := input.a; not [__operand_0] == [1]");
    check("not {\"a\": input.n}.a == 1", "__operand_0 := input.n; not {\"a\": __operand_0}.a == 1");
    check("not data.q[input.n].x", "__operand_0 := input.n; not data.q[__operand_0].x");
    check("not input.a == input.b == true", "__operand_0 := input.a == input.b; not __operand_0 == true");
}

#[test]
fn modifiers_are_those_of_the_operands_too() {
    check(
        "not input.a > data.b with input.a as 1 with data.b as 2",
        "__operand_0 := input.a with input.a as 1 with data.b as 2; __operand_1 := data.b with input.a as 1 with data.b as 2; \
         not __operand_0 > __operand_1 with input.a as 1 with data.b as 2",
    );
}

#[test]
fn bodies_within_bodies_are_written_too() {
    check(
        "not count([x | some x in input.l; not x > 3]) > 1",
        "__operand_0 := count([x | some x in internal.members(input.l); __operand_1 := [x][0]; not __operand_1 > 3]); not __operand_0 > 1",
    );
    check("every x in input.l { not x > 3 }", "every x in input.l { __operand_0 := [x][0]; not __operand_0 > 3 }");
    check(
        "not f([x | x := 1; not g(input.b)], input.a)",
        "__operand_0 := input.a; not f([x | x := 1; __operand_1 := input.b; not g(__operand_1)], __operand_0)",
    );
}

#[test]
fn collections_are_asked_for_their_members() {
    check("some x in input.l", "some x in internal.members(input.l)");
    check("some k, v in object.get(input, \"l\", {})", "some k, v in internal.members(object.get(input, \"l\", {}))");
    same("some x in [1, 2]");
    same("some x in {y | y := 1}");
}

#[test]
fn remainders_are_calls() {
    check("x := input.a % 2", "x := internal.remainder(input.a , 2)");
    check("x := (1 + input.a) % (2 + 1)", "x := internal.remainder((1 + input.a) , (2 + 1))");
    check("x := 1 + \"%\" % 2 % 3", "x := 1 + internal.remainder(\"%\" % 2 , 3)");
    check("not input.a % 2 == 0", "__operand_0 := internal.remainder(input.a , 2); not __operand_0 == 0");
}

#[test]
fn a_body_of_one_expression_gets_braces() {
    let text = "package a\np if not f(input.a)\nq if not f(input.b) else := 3 if not input.c > 1\n";
    let written = module("a.rego", text, false, &LENGTHS).expect("a module");
    assert_eq!(
        written,
        "package a\np if { __operand_0 := input.a; not f(__operand_0) }\nq if { __operand_1 := input.b; not f(__operand_1) } else := 3 if { \
         __operand_2 := input.c; not __operand_2 > 1 }\n"
    );
    let old = module("a.rego", "package a\np { not f(input.a) }", true, &LENGTHS).expect("a module");
    assert_eq!(old, "package a\np { __operand_0 := input.a; not f(__operand_0) }");
}

/// Each of these would grow with its square, or with a power.
#[test]
fn hostile_text_has_an_end() {
    let arguments = format!("not f({}) with input as \"{}\"", vec!["x"; 40_000].join(","), "m".repeat(100_000));
    assert!(query(&arguments, &LENGTHS).is_err());
    let many = "not f(x)\n".repeat(20_000 - 1);
    assert!(query(&many, &LENGTHS).is_ok());
    let some = format!("{}1", "not f(x, ".repeat(6));
    assert!(query(&some, &LENGTHS).is_err(), "a parser's fault");
}
