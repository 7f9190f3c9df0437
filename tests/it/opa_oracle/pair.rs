//! One policy in two engines.

use std::fmt;
use std::time::Duration;

use countersign_pdp_engine::policy::{Policy, PolicyError, PolicySource};
use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::{Input, Verdict};
use countersign_tests::inputs;
use countersign_tests::oracle::{Answer, Opa, Question};
use proptest::strategy::Strategy;
use serde_json::Value;

use super::search::{Found, first_difference};

/// Longer than the product allows: a busy machine must not look like a difference.
const BUDGET: Duration = Duration::from_secs(20);
/// A policy in our engine and in OPA.
pub(super) struct Pair {
    name: String,
    package: String,
    ours: Policy,
    opa: Opa,
}

/// What one engine makes of one input.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// A verdict of the contract.
    Said(Verdict),
    /// Neither `decision` nor `allow` is defined.
    Undefined,
    /// They are defined, but not as the contract says, or they disagree.
    Unreadable,
    /// The evaluation failed.
    Failed,
    /// The time was up, or the evaluator panicked: never the same as anything.
    Broken,
}

/// An input on which the engines differ.
#[derive(Debug)]
pub(super) struct Difference {
    name: String,
    pub(super) ours: Outcome,
    pub(super) opa: Outcome,
    /// What OPA said, in its own words.
    said: String,
    input: Value,
    plainest: Value,
}

impl Pair {
    /// Gives one policy to our engine, and one to OPA.
    pub(super) fn load(name: &str, ours: &PolicySource, theirs: &PolicySource) -> Self {
        let served = theirs.files.iter().filter(|file| !file.path.ends_with("_test.rego"));
        let opa = Opa::load(served.map(|file| (file.path.as_str(), file.text.as_str())), &theirs.data);
        let opa = opa
            .unwrap_or_else(|error| panic!("OPA refuses `{name}`; a policy in the older Rego needs a twin in tests/oracle/twins: {error}"));
        let policy = Policy::compile(ours).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        Self { name: name.to_owned(), package: ours.package.clone(), ours: policy, opa }
    }

    /// Asks both engines about generated inputs. Gives the common outcomes, or the first difference.
    pub(super) fn compare(&mut self, strategy: &impl Strategy<Value = Input>, count: usize) -> Result<Vec<Outcome>, Box<Difference>> {
        let mut outcomes = Vec::with_capacity(count);
        let found = first_difference(strategy, count, |inputs| {
            let answered = self.both(inputs);
            outcomes.extend(answered.iter().map(|(ours, ..)| ours.clone()));
            answered.into_iter().map(|answer| (answer.0 != answer.1 || answer.0 == Outcome::Broken).then_some(answer)).collect()
        });
        let Some(Found { input, difference: (ours, opa, said), plainest }) = found else { return Ok(outcomes) };
        let [input, plainest] = [input, plainest].map(|input| serde_json::to_value(input).unwrap());
        Err(Box::new(Difference { name: self.name.clone(), ours, opa, said, input, plainest }))
    }

    fn both(&mut self, inputs: &[Input]) -> Vec<(Outcome, Outcome, String)> {
        let documents = ["decision", "allow"].map(|entry| format!("{}.{entry}", self.package));
        let questions = inputs.iter().flat_map(|input| {
            let input = serde_json::to_string(input).unwrap();
            documents.clone().map(|document| Question { document, input: input.clone() })
        });
        let questions: Vec<Question> = questions.collect();
        let answers = self.opa.ask_all(&questions);
        assert_eq!(answers.len(), inputs.len() * documents.len());
        let ours = inputs.iter().map(|input| Outcome::from(self.ours.evaluate_within(input, BUDGET)));
        ours.zip(answers.chunks(documents.len())).map(|(ours, theirs)| (ours, settle(theirs), format!("{theirs:?}"))).collect()
    }
}

/// OPA with a policy in it, its tests left out.
pub(super) fn load(name: &str, policy: &PolicySource) -> Opa {
    let served = policy.files.iter().filter(|file| !file.path.ends_with("_test.rego"));
    let opa = Opa::load(served.map(|file| (file.path.as_str(), file.text.as_str())), &policy.data);
    opa.unwrap_or_else(|error| panic!("OPA refuses `{name}`; a policy in the older Rego needs a twin in tests/oracle/twins: {error}"))
}

/// The contract's reading of `decision` and `allow`, said once more and in other words than the engine's.
fn settle(answers: &[Answer]) -> Outcome {
    let [decision, allow] = answers else { panic!("two documents are asked for") };
    let allow = match allow {
        Answer::Value(Value::Bool(allow)) => Some(*allow),
        Answer::Undefined => None,
        Answer::Value(_) | Answer::Beyond(_) => {
            return if matches!(decision, Answer::Failed(_)) { Outcome::Failed } else { Outcome::Unreadable };
        }
        Answer::Failed(_) => return Outcome::Failed,
    };
    match (decision, allow) {
        (Answer::Failed(_), _) => Outcome::Failed,
        (Answer::Beyond(_), _) => Outcome::Unreadable,
        (Answer::Undefined, None) => Outcome::Undefined,
        (Answer::Undefined, Some(allow)) => Outcome::plain(allow),
        (Answer::Value(document), allow) => match serde_json::from_value::<Verdict>(document.clone()) {
            Ok(verdict) if is_settled(&verdict, allow) => Outcome::Said(verdict),
            _ => Outcome::Unreadable,
        },
    }
}

/// `allow` says the same, and only a step-up names a level or an age.
fn is_settled(verdict: &Verdict, allow: Option<bool>) -> bool {
    let demands = verdict.acr.is_some() || verdict.max_age.is_some();
    allow.is_none_or(|allow| allow == (verdict.effect == Effect::Allow)) && (verdict.effect == Effect::StepUp || !demands)
}

impl Outcome {
    /// What an `allow` alone says.
    pub(super) const fn plain(allow: bool) -> Self {
        let effect = if allow { Effect::Allow } else { Effect::Deny };
        Self::Said(Verdict { effect, acr: None, max_age: None, reasons: Vec::new(), obligations: Vec::new(), is_final: false })
    }

    pub(super) fn allows(&self) -> bool {
        matches!(self, Self::Said(verdict) if verdict.effect == Effect::Allow)
    }
}

impl From<Result<Verdict, PolicyError>> for Outcome {
    fn from(answer: Result<Verdict, PolicyError>) -> Self {
        match answer {
            Ok(verdict) => Self::Said(verdict),
            Err(PolicyError::Undefined) => Self::Undefined,
            Err(PolicyError::Shape(_) | PolicyError::Conflict(_)) => Self::Unreadable,
            Err(PolicyError::Failed(_)) => Self::Failed,
            Err(PolicyError::Refused(_) | PolicyError::Budget | PolicyError::Panic) => Self::Broken,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "policy `{}`:\n  ours {:?}\n  OPA  {:?}", self.name, self.ours, self.opa)?;
        if matches!(self.opa, Outcome::Failed | Outcome::Unreadable) {
            writeln!(f, "  OPA's own words: {}", self.said)?;
        }
        writeln!(f, "for the plainest input, but")?;
        inputs::differing(&self.input, &self.plainest).iter().try_for_each(|(at, value)| writeln!(f, "  {at}: {value}"))
    }
}
