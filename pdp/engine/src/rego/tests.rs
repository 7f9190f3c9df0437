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

/// What has no end of brackets to count: each must be answered or refused, on the small stack of a test.
#[test]
fn long_chains_do_not_end_the_process() {
    let repeated = |first: &str, part: &str, last: &str| format!("package a\np := {first}{}{last}\n", part.repeat(5_000));
    let chains = [
        repeated("1", " + 1", ""),
        repeated("", "- ", "1"),
        repeated("input", ".a", ""),
        repeated("input", "[0]", ""),
        repeated("{1}", " | {1}", ""),
        repeated("1 if input.x", "\nelse := 1 if input.x", ""),
        repeated("1 if true", " with input.x as 1", ""),
        repeated("1 if ", "not ", "true"),
    ];
    for module in chains {
        if let Ok(library) = Library::compile(&files(&[&module]), &json!({}), &Dialects::default()) {
            let _ = library.document(&["a", "p"], &question(json!({"x": false})));
        }
    }
    let imports: String = (0..501).map(|at| format!("import data.x{at}\n")).collect();
    refused(&format!("package a\n{imports}p := 1\n"), Code::Compile, 1);
}

/// A query comes from whoever asks: no spelling of a name steps around a bound, and nothing grows without one.
#[test]
fn a_query_is_checked_like_a_module() {
    let library = library(&["package a\nsquare(x) := x * x\np := square(square(9))"], &json!({}));
    let asked = |query: &str| library.query(query, &question(json!({}))).map(|answers| answers.len());
    let failed = |query: &str| asked(query).expect_err(query).to_string();
    for range in ["numbers.range", "numbers[\"range\"]", "numbers[\"r\\u0061nge\"]"] {
        assert!(failed(&format!("x := {range}(1, 1000000000)")).contains("larger than"), "{range}");
    }
    assert!(failed("x := nowhere(1)").contains("is not defined"));
    for call in ["numbers[0].range(1, 1000000000)", "numbers[`range`](1, 1000000000)"] {
        assert!(asked(&format!("x := {call}")).is_err(), "{call}");
    }
    let chain =
        |step: &str| (1..=13).map(|at| step.replace("NEW", &format!("n{at}")).replace("OLD", &format!("n{}", at - 1))).collect::<String>();
    assert!(failed(&format!("n0 := 99; {}true", chain("NEW := OLD * OLD; "))).contains("multiplies"));
    assert!(failed(&format!("n0 := 99; {}true", chain("NEW := data.a.square(OLD); "))).contains("multiplies"));
    assert_eq!(asked("x := data.a.square(3); y := x * 2; y == 18"), Ok(1));
    assert_eq!(asked("count([1]) == 1 with count as 1"), Ok(1));
}

#[test]
fn values_that_hold_their_parts_many_times_are_not_written_out() {
    let doubled = (1..=60).map(|at| format!("v{at} := [v{0}, v{0}]\n", at - 1)).collect::<String>();
    for (end, because) in [
        ("w := v60", "answer is larger"),
        ("w := json.marshal(v60)", "would be larger"),
        ("w := sprintf(\"%v\", [v60])", "would be larger"),
    ] {
        let rule = format!("package a\np := w if {{\nv0 := [1]\n{doubled}{end}\n}}\n");
        let library = library(&[rule.as_str()], &json!({}));
        let error = library.document(&["a", "p"], &question(json!({}))).expect_err(end);
        assert!(error.to_string().contains(because), "{error}");
    }
}

#[test]
fn a_value_that_is_nested_too_deeply_is_not_written_out() {
    let nested = |depth: usize| (1..=depth).map(|at| format!("v{at} := [v{}]; ", at - 1)).collect::<String>();
    let asked = |depth: usize| library(&["package a"], &json!({})).query(&format!("v0 := 1; {}true", nested(depth)), &question(json!({})));
    assert_eq!(asked(100).map(|answers| answers.len()), Ok(1));
    assert!(asked(2_000).is_err());
}

/// Each of these took the process with it: a comparison of a comparison, and so on, is as many calls deep.
#[test]
fn a_long_query_does_not_end_the_process() {
    let library = library(&["package a"], &json!({}));
    let asked = |query: &str| library.query(query, &question(json!({}))).map(|answers| answers.len());
    for query in
        ["1 < ".repeat(60_000) + "1", "1 in ".repeat(50_000) + "[1]", "[1][_]; ".repeat(30_000) + "true", "1 == ".repeat(40_000) + "1"]
    {
        assert!(asked(&query).is_err());
    }
    assert_eq!(asked(&("true; ".repeat(40_000) + "true")), Ok(1));
    assert_eq!(asked(&("[1][_]; ".repeat(200) + "true")), Ok(1));
}

#[test]
fn a_document_may_have_a_keyword_in_its_path() {
    for (module, path) in [
        ("package a\nif.x := 1", ["a", "if", "x"]),
        ("package a.in\nx := 1", ["a", "in", "x"]),
        ("package a\nb.default := 1", ["a", "b", "default"]),
    ] {
        document(module, &path, json!(1));
    }
}
