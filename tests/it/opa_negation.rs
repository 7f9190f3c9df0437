//! A differential test of negation: every form of a negated literal, over every pair of terms that may be undefined, wherever a body may stand, for
//! inputs in which members are missing, false, or of another type. There is no difference.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use countersign_pdp_engine::policy::{Dialects, PolicyFile};
use countersign_pdp_engine::rego::{BuiltinErrors, Document, Library, Question};
use countersign_tests::inputs;
use countersign_tests::oracle::{self, Answer, Opa};
use countersign_tests::stage::now;
use serde_json::{Value, json};

/// Terms of no certain type: a compiler has nothing to say against them.
const TERMS: &[&str] = &[
    "input.a",
    "input.b.c",
    "input.l",
    "input.l[0]",
    "input[input.a]",
    "data.w",
    "data.z",
    "data.w[input.a]",
    "r",
    "x",
    "g(input.a)",
    "g(g(data.z))",
];

/// Terms whose type is known: no sides of an equation.
const TYPED: &[&str] = &[
    "3",
    "\"a\"",
    "[input.a, r]",
    "{\"k\": input.a}",
    "[y | some y in input.l]",
    "count([y | some y in input.l; not y in data.w])",
    "(input.a > 1)",
    "object.get(input, \"a\", r)",
    "(\"\" in input.l)",
];

/// A negation over `$0` and `$1`, and what may stand for them.
const FORMS: &[(&str, &[&[&str]])] = &[
    ("not $0", &[TERMS, TYPED]),
    ("not $0 == $1", &[TERMS]),
    ("not $0 = $1", &[TERMS]),
    ("not data.w[$0] == $1", &[TERMS]),
    ("not {\"k\": $0}.k == $1", &[TERMS]),
    ("not [$0] == [$1]", &[TERMS]),
    ("not $0 != $1", &[TERMS, TYPED]),
    ("not $0 > $1", &[TERMS, TYPED]),
    ("not $0 in $1", &[TERMS, TYPED]),
    ("not $0, $1 in input.l", &[TERMS, TYPED]),
    ("not g($0)", &[TERMS, TYPED]),
    ("not same($0, $1)", &[TERMS, TYPED]),
    ("not same(\n    $0, # the first\n    $1,\n  )", &[TERMS, TYPED]),
    ("not same(g($0), [$1])", &[TERMS]),
    ("not data.w[$0][$1]", &[TERMS]),
    ("not $0 in $1 with input.a as 1", &[TERMS, TYPED]),
    ("not same($0, $1) with input as {\"a\": 3, \"l\": [3]} with data.z as 3", &[TERMS, TYPED]),
    ("not same($0, $1) with same as other", &[TERMS, TYPED]),
    ("not count([e | e := $0; not e in [$1]]) > 0", &[TERMS, TYPED]),
    ("some e in $0; not e > $1", &[TERMS]),
    ("every e in [1, 2] { not same(e, $0) }", &[TERMS, TYPED]),
];

/// Where a body may stand.
const PLACES: &[&str] = &[
    "p$n if { x := input.b; $body }\n",
    "p$n := [1 | x := input.b; $body]\n",
    "p$n if { false } else := 2 if { x := input.b\n  $body\n}\n",
    "f$n(x) if { $body }\np$n if f$n(input.b)\n",
];

const MODULE: &str = "import rego.v1

r := input.a if input.b != 3
g(y) := y
same(a, b) if a == b
other(a, b) if a != b
";

fn inputs() -> Vec<Value> {
    vec![
        json!({}),
        json!({"a": 1}),
        json!({"a": false, "b": 3}),
        json!({"a": null, "b": {"c": null}, "l": null}),
        json!({"a": 3, "b": {"c": 3}, "l": [3, false, 2]}),
        json!({"a": "l", "b": {}, "l": ["a", 3, 9]}),
        json!({"a": "k", "b": {"c": "a"}, "l": {"k": "a", "0": 2}}),
        json!({"b": true, "l": []}),
        json!({"a": [], "b": {"c": "k"}, "l": "text"}),
        json!({"a": 0, "b": false, "l": 5}),
    ]
}

/// A body with places for terms, and the pools that the terms come from.
type Form<'a> = (&'a str, &'a [&'a [&'a str]]);

/// All bodies of a form: each term in each place, beside one of the other's, so that they grow with the number of terms and not with its square.
fn bodies((form, pools): &Form<'_>) -> BTreeSet<String> {
    let terms: Vec<&str> = pools.concat();
    let pair = |first: usize, step: usize| {
        let second = terms[(first * step + step) % terms.len()];
        form.replace("$0", terms[first]).replace("$1", second)
    };
    (0..terms.len()).flat_map(|first| [1, 4].map(|step| pair(first, step))).collect()
}

/// One module a form and a place; `p1`, `p2`, … are its bodies.
fn modules() -> Vec<PolicyFile> {
    let cases = FORMS.iter().flat_map(|form| PLACES.iter().map(move |place| (form, place)));
    let module = |(at, (form, place)): (usize, (&Form<'_>, &&str))| {
        let mut text = format!("package n{at}\n\n{MODULE}\n");
        for (number, body) in bodies(form).iter().enumerate() {
            writeln!(text, "{}", place.replace("$n", &number.to_string()).replace("$body", body)).unwrap();
        }
        PolicyFile { path: format!("n{at}.rego"), text }
    };
    cases.enumerate().map(module).collect()
}

fn ours(library: &Library, at: usize, input: &Value) -> Result<Option<Value>, String> {
    let question = Question {
        input: Some(Document::from(input.clone())),
        now: now(),
        seed: [7; 32],
        budget: Duration::from_secs(20),
        builtin_errors: BuiltinErrors::Undefined,
    };
    library.document(&[&format!("n{at}")], &question).map_err(|error| error.to_string())
}

#[test]
fn negations_answer_as_in_opa() {
    let (modules, data) = (modules(), json!({"w": ["a", 3, false, {"c": 3}]}));
    let (mut compared, mut differing) = (0, Vec::new());
    for (at, module) in modules.iter().enumerate() {
        // OPA prepares all it holds for each document that it is asked for: it holds little.
        let mut opa = Opa::load([(module.path.as_str(), module.text.as_str())], &data).unwrap();
        let library = Library::compile(std::slice::from_ref(module), &data, &Dialects::default())
            .unwrap_or_else(|problems| panic!("{problems}\n{}", module.text));
        let question = |input: &Value| oracle::Question { document: format!("n{at}"), input: input.to_string() };
        let answers = opa.ask_all(&inputs().iter().map(question).collect::<Vec<_>>());
        for (input, theirs) in inputs().iter().zip(answers) {
            compared += module.text.matches("\np").count();
            match (ours(&library, at, input), theirs) {
                (Ok(Some(ours)), Answer::Value(theirs)) if inputs::same(&ours, &theirs) => {}
                (Ok(Some(ours)), Answer::Value(theirs)) => {
                    let rules: BTreeSet<String> = [inputs::differing(&ours, &theirs), inputs::differing(&theirs, &ours)]
                        .into_iter()
                        .flatten()
                        .map(|(rule, _)| rule)
                        .collect();
                    differing.extend(rules.iter().map(|rule| shown(&module.text, rule, input, &ours, &theirs)));
                }
                (ours, theirs) => differing.push(format!("n{at} for {input}: ours {ours:?}, OPA {theirs:?}")),
            }
        }
    }
    println!("{compared} negations");
    assert!(compared > 10_000, "{compared} comparisons only");
    assert!(differing.is_empty(), "{} of {compared} differ:\n{}", differing.len(), differing[..differing.len().min(40)].join("\n"));
}

fn shown(text: &str, rule: &str, input: &Value, ours: &Value, theirs: &Value) -> String {
    let name = rule.trim_start_matches('/').split('/').next().unwrap();
    let line = text.split("\n\n").find(|part| part.contains(&format!("{name} "))).unwrap_or_default();
    format!("{line}  for {input}: ours {:?}, OPA {:?}", ours.get(name), theirs.get(name))
}
