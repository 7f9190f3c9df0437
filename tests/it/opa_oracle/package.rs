//! One policy as OPA's clients see it: every rule of its package, in our library and in OPA, for input of any shape.
//!
//! OPA is strict about errors of built-ins here. Where it gives the package, the lenient library gives the same; where it fails, the strict one does.

use std::time::Duration;

use countersign_pdp_engine::policy::PolicySource;
use countersign_pdp_engine::rego::{BuiltinErrors, Document, Library, Question};
use countersign_tests::inputs;
use countersign_tests::oracle::{self, Answer, Opa};
use countersign_tests::stage::now;
use proptest::strategy::Strategy;
use serde_json::Value;

use super::pair;
use super::search::first_difference;

/// A package in two engines.
pub(super) struct Package {
    name: String,
    package: String,
    rego: Library,
    opa: Opa,
}

impl Package {
    pub(super) fn load(name: &str, ours: &PolicySource, theirs: &PolicySource) -> Self {
        let served: Vec<_> = ours.files.iter().filter(|file| !file.path.ends_with("_test.rego")).cloned().collect();
        let library = Library::compile(&served, &ours.data, &ours.dialects).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        Self { name: name.to_owned(), package: ours.package.clone(), rego: library, opa: pair::load(name, theirs) }
    }

    /// Compares generated inputs. Gives how many of them got a value, or the first difference as text.
    pub(super) fn compare(&mut self, strategy: &impl Strategy<Value = Value>, count: usize) -> Result<usize, String> {
        let mut valued = 0;
        let found = first_difference(strategy, count, |inputs| {
            let question = |input: &Value| oracle::Question { document: self.package.clone(), input: input.to_string() };
            let answers = self.opa.ask_all(&inputs.iter().map(question).collect::<Vec<_>>());
            valued += answers.iter().filter(|answer| matches!(answer, Answer::Value(_))).count();
            inputs.iter().zip(&answers).map(|(input, theirs)| self.difference(input, theirs)).collect()
        });
        let Some(found) = found else { return Ok(valued) };
        let differing: String =
            inputs::differing(&found.input, &found.plainest).iter().map(|(at, value)| format!("  {at}: {value}\n")).collect();
        Err(format!("package of `{}`:\n{}\nfor the plainest input, but\n{differing}", self.name, found.difference))
    }

    fn difference(&self, input: &Value, theirs: &Answer) -> Option<String> {
        let errors = if matches!(theirs, Answer::Failed(_)) { BuiltinErrors::Fatal } else { BuiltinErrors::Undefined };
        let question = Question {
            input: Some(Document::from(input.clone())),
            now: now(),
            seed: [7; 32],
            budget: Duration::from_secs(20),
            builtin_errors: errors,
        };
        match (self.rego.document(&[&self.package], &question), theirs) {
            (Ok(Some(ours)), Answer::Value(theirs)) if inputs::same(&ours, theirs) => None,
            (Ok(None), Answer::Undefined) | (Err(_), Answer::Failed(_)) => None,
            (Ok(Some(ours)), Answer::Value(theirs)) => Some(rules(&ours, theirs)),
            (ours, theirs) => Some(format!("  ours {ours:?}\n  OPA  {theirs:?}")),
        }
    }
}

/// The rules that differ.
fn rules(ours: &Value, theirs: &Value) -> String {
    let differing = [("ours", ours, theirs), ("OPA ", theirs, ours)].map(|(who, own, other)| {
        let members = inputs::differing(own, other);
        members.iter().map(|(at, value)| format!("  {who} {at}: {value}\n")).collect::<String>()
    });
    differing.concat()
}
