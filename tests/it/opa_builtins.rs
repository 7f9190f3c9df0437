//! A differential test of built-ins: each call of a table, with arguments at which implementations differ, in our library and in OPA.
//!
//! OPA is strict here and the library lenient: where OPA's call fails, ours is undefined. What differs still is listed, with a reason, and the
//! list only shrinks.

mod known;
mod pools;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use countersign_pdp_engine::policy::{Dialects, PolicyFile};
use countersign_pdp_engine::rego::{BuiltinErrors, Document, Library, Question};
use countersign_tests::inputs;
use countersign_tests::oracle::{self, Answer, Opa};
use countersign_tests::stage::now;
use serde_json::{Value, json};

use known::Known;
use table::{Row, TABLE};

/// How many combinations of arguments each call is compared with, besides those of a wrong type.
const COMBINATIONS: usize = 240;
/// How many differences of a call are shown.
const SHOWN: usize = 3;

/// Calls whose cost in OPA grows with a number: they get no large ones.
const UNBOUNDED: [&str; 3] = ["numbers.range($0, $1)", "numbers.range_step($0, $1, $2)", "bits.lsh($0, $1)"];

/// The arguments of the comparisons of one call: as many combinations as fit, and every argument once as something else.
fn cases((call, pools): &Row) -> Vec<Vec<Value>> {
    let pools: Vec<Vec<Value>> = pools.iter().map(|pool| pool.values()).collect();
    let all: usize = pools.iter().map(Vec::len).product();
    let taken = all.min(COMBINATIONS);
    let combination = |at: usize| {
        let mut at = at * all / taken;
        let pick = |pool: &Vec<Value>| {
            let value = pool[at % pool.len()].clone();
            at /= pool.len();
            value
        };
        pools.iter().map(pick).collect::<Vec<_>>()
    };
    let plain: Vec<Value> = pools.iter().map(|pool| pool[0].clone()).collect();
    let mut others = inputs::anything();
    others.retain(|value| !UNBOUNDED.contains(call) || value.as_f64().is_none_or(|number| number.abs() < 1000.0));
    let spoilt = (0..pools.len()).flat_map(|place| {
        let with = |other: &Value| [&plain[..place], std::slice::from_ref(other), &plain[place + 1..]].concat();
        others.iter().map(with).collect::<Vec<_>>()
    });
    (0..taken).map(combination).chain(spoilt).collect()
}

/// One module for one call. Arguments come from the input: what a compiler knows of constants is not compared here.
fn module(at: usize, (call, pools): &Row) -> PolicyFile {
    let expression =
        (0..pools.len()).fold((*call).to_owned(), |text, place| text.replace(&format!("${place}"), &format!("input[{place}]")));
    PolicyFile { path: format!("f{at}.rego"), text: format!("package f{at}\n\nimport rego.v1\n\nanswer := {expression}\n") }
}

fn ours(library: &Library, at: usize, arguments: &Value) -> Result<Option<Value>, String> {
    let question = Question {
        input: Some(Document::from(arguments.clone())),
        now: now(),
        seed: [7; 32],
        budget: Duration::from_secs(20),
        builtin_errors: BuiltinErrors::Undefined,
    };
    library.document(&[&format!("f{at}"), "answer"], &question).map_err(|error| error.to_string())
}

/// The same JSON, whatever its numbers look like.
fn same(ours: &Result<Option<Value>, String>, opa: &Answer) -> bool {
    match (ours, opa) {
        (Ok(Some(ours)), Answer::Value(theirs)) => inputs::same(ours, theirs),
        (Ok(None), Answer::Undefined | Answer::Failed(_)) => true,
        _ => false,
    }
}

/// A difference on one line: of two values only the members that differ, and of long texts their beginning and their end.
fn shown(arguments: &[Value], ours: &Result<Option<Value>, String>, theirs: &Answer) -> String {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(Some(ours)), Answer::Value(theirs)) if ours.is_array() || ours.is_object() => {
            (format!("{:?}", inputs::differing(ours, theirs)), format!("{:?}", inputs::differing(theirs, ours)))
        }
        (ours, theirs) => (format!("{ours:?}"), format!("{theirs:?}")),
    };
    let arguments = arguments.iter().map(|argument| shortened(&argument.to_string())).collect::<Vec<_>>().join(", ");
    format!("({arguments}) ours {}, OPA {}", shortened(&ours), shortened(&theirs))
}

fn shortened(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match characters.len() {
        0..=160 => text.to_owned(),
        length => characters[..100].iter().chain(&['…']).chain(&characters[length - 56..]).collect(),
    }
}

/// Compares one call. Gives how many cases there were, and the differences as text.
fn compare(opa: &mut Opa, at: usize, row: &Row) -> (usize, Vec<String>) {
    let cases = cases(row);
    let library = match Library::compile(&[module(at, row)], &json!({}), &Dialects::default()) {
        Ok(library) => library,
        // What is missing differs in every case, so that it can only become less.
        Err(problems) => return (cases.len(), vec![problems.to_string(); cases.len()]),
    };
    let question = |arguments: &Vec<Value>| oracle::Question { document: format!("f{at}.answer"), input: json!(arguments).to_string() };
    let answers = opa.ask_all(&cases.iter().map(question).collect::<Vec<_>>());
    assert_eq!(answers.len(), cases.len());
    let differing = cases.iter().zip(&answers).filter_map(|(arguments, theirs)| {
        let ours = ours(&library, at, &json!(arguments));
        (!same(&ours, theirs)).then(|| shown(arguments, &ours, theirs))
    });
    let differing = differing.collect();
    (cases.len(), differing)
}

#[test]
fn builtins_answer_as_opa_does() {
    let modules: Vec<PolicyFile> = TABLE.iter().enumerate().map(|(at, row)| module(at, row)).collect();
    let mut opa = Opa::load(modules.iter().map(|file| (file.path.as_str(), file.text.as_str())), &json!({})).unwrap();
    let known = Known::read();
    let (mut compared, mut found, mut examples) = (0, BTreeMap::<String, usize>::new(), String::new());
    for (at, row) in TABLE.iter().enumerate() {
        let (cases, differing) = compare(&mut opa, at, row);
        compared += cases;
        *found.entry(row.0.to_owned()).or_default() += differing.len();
        if !differing.is_empty() {
            let some: String = differing.iter().take(SHOWN).map(|text| format!("  {text}\n")).collect();
            writeln!(examples, "{}: {} differences of {cases}\n{some}", row.0, differing.len()).unwrap();
        }
    }
    let before: usize = found.values().sum();
    println!("{compared} calls of {} built-ins, {before} differences", TABLE.len());
    assert!(compared > 25_000, "{compared} comparisons only");
    if std::env::var_os("UPDATE").is_some() {
        known.shrink(&found);
    }
    let against = Known::read().against(&found);
    assert!(against.is_empty(), "{}\n\nexamples:\n{examples}", against.join("\n"));
}
