//! The library: documents, queries, problems and bounds.

use serde_json::json;

use super::*;

fn files(texts: &[&str]) -> Vec<PolicyFile> {
    let named = |(at, text): (usize, &&str)| PolicyFile { path: format!("m{at}.rego"), text: (*text).to_owned() };
    texts.iter().enumerate().map(named).collect()
}

fn library(texts: &[&str], data: &Json) -> Library {
    Library::compile(&files(texts), data, &Dialects::default()).expect("library compiles")
}

fn question(input: Json) -> Question {
    Question {
        input: Some(input.into()),
        now: Timestamp::from_secs(1_700_000_000),
        seed: [7; 32],
        budget: Duration::from_secs(1),
        builtin_errors: BuiltinErrors::Undefined,
    }
}

#[track_caller]
fn document(module: &str, path: &[&str], expected: impl Into<Option<Json>>) {
    let library = library(&[module], &json!({"base": {"x": [1, 2]}}));
    assert_eq!(library.document(path, &question(json!({"n": 1}))), Ok(expected.into()), "{path:?} of {module}");
}

#[track_caller]
fn refused(module: &str, code: Code, line: u32) {
    let problems = Library::compile(&files(&[module]), &json!({}), &Dialects::default()).expect_err("problems");
    assert!(problems.iter().any(|problem| (problem.code, problem.line) == (code, line)), "{problems:?}");
}

const MODULE: &str = "package a.b\np := input.n\ns contains x if some x in [3, 1, 2]\nf(x) := x\nnone if false\nb.c := 4\n";

#[test]
fn documents_are_rules_data_and_packages() {
    document(MODULE, &["a", "b", "p"], json!(1));
    document(MODULE, &["a", "b", "s"], json!([1, 2, 3]));
    document(MODULE, &["a", "b", "s", "2"], json!(2));
    document(MODULE, &["a", "b", "s", "02"], None);
    document(MODULE, &["a", "b", "none"], None);
    document(MODULE, &["a", "b", "nowhere"], None);
    document(MODULE, &["a", "b", "b", "c"], json!(4));
    document(MODULE, &["a", "b"], json!({"p": 1, "s": [1, 2, 3], "b": {"c": 4}}));
    document(MODULE, &["a"], json!({"b": {"p": 1, "s": [1, 2, 3], "b": {"c": 4}}}));
    document(MODULE, &[], json!({"a": {"b": {"p": 1, "s": [1, 2, 3], "b": {"c": 4}}}, "base": {"x": [1, 2]}}));
    document(MODULE, &["base", "x"], json!([1, 2]));
    document(MODULE, &["base", "x", "1"], json!(2));
}

#[test]
fn a_path_is_never_syntax() {
    for step in ["p\"]; x := 1 #", "..", "\0", "p\n", "\\", "]", "p == 1"] {
        document(MODULE, &["a", "b", step], None);
    }
}

#[test]
fn a_missing_input_is_undefined() {
    let library = library(&["package a\ndefined := input == input\n"], &json!({}));
    let unasked = Question { input: None, ..question(Json::Null) };
    assert_eq!(library.document(&["a", "defined"], &unasked), Ok(None));
    assert_eq!(library.document(&["a", "defined"], &question(Json::Null)), Ok(Some(json!(true))));
}

#[test]
fn errors_of_builtins_are_lenient_unless_asked() {
    let library = library(&["package a\np if not bad\nbad if 1 / input.zero > 1\n"], &json!({}));
    let lenient = question(json!({"zero": 0}));
    assert_eq!(library.document(&["a", "p"], &lenient), Ok(Some(json!(true))));
    let strict = Question { builtin_errors: BuiltinErrors::Fatal, ..lenient };
    assert!(library.document(&["a", "p"], &strict).is_err());
}

#[test]
fn queries_give_bindings() {
    let library = library(&[MODULE], &json!({"base": {"x": [1, 2]}}));
    let answers = library.query("data.base.x[i] = x; data.a.b.s[x]", &question(json!({"n": 1}))).expect("answers");
    let bindings: Vec<_> = answers.into_iter().map(|answer| Json::Object(answer.bindings)).collect();
    assert_eq!(bindings, [json!({"i": 0, "x": 1}), json!({"i": 1, "x": 2})]);
    assert!(library.query("x := [[[[[[[[[[[[1]]]]]]]]]]]]", &question(json!({}))).is_err());
    assert!(library.query("x := := 1", &question(json!({}))).is_err());
}

#[test]
fn problems_have_a_code_and_a_place() {
    refused("package a\np := ]\n", Code::Parse, 2);
    refused("package a\n\np := no_such_function(1)\n", Code::Type, 3);
    refused("package a\np if q\nq if p\n", Code::Recursion, 0);
    refused("package a\np := [[[[[[[[[1]]]]]]]]]\n", Code::Parse, 2);
    refused("package a\np if { x == 1 }\n", Code::Unsafe, 2);
}

#[test]
fn a_long_evaluation_is_stopped() {
    let text = "package a\np := [1 | some x in numbers.range(1, 9000); some y in numbers.range(1, 9000); x * y == -1]\n";
    let hurried = Question { budget: Duration::from_millis(20), ..question(json!({})) };
    assert_eq!(library(&[text], &json!({})).document(&["a", "p"], &hurried), Err(EvalError::Budget));
}

#[test]
fn both_dialects_load() {
    let library = library(&["package a\np { input.n == 1 }\n", "package b\np if data.a.p\n"], &json!({}));
    assert_eq!(library.document(&["b", "p"], &question(json!({"n": 1}))), Ok(Some(json!(true))));
}

#[test]
fn a_term_may_hold_sets() {
    let library = library(&["package a\np if 2 in input.s\n"], &json!({}));
    let asked = Question { input: Some(Document::term("{\"s\": {1, 2}}").expect("term")), ..question(json!({})) };
    assert_eq!(library.document(&["a", "p"], &asked), Ok(Some(json!(true))));
    assert!(Document::term("1; 2").is_err());
    assert!(Document::term("http.send({})").is_err());
}
