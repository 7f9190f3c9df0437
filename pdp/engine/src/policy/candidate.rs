//! Everything that a candidate policy must pass before it may serve. Meant to run in a jailed process: a parser or an evaluator that is made to
//! loop, to fill the memory or to abort must take nothing with it.

use countersign_sdk_types::contract::Input;
use countersign_sdk_types::{Acr, Effect, RiskScore};
use serde::{Deserialize, Serialize};

use super::check::Finding;
use super::testing::{TestOptions, TestReport, TestResult, run_tests};
use super::{Policy, PolicyError, PolicySource};

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file, where one is known.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// One sentence.
    pub text: String,
}

impl Problem {
    /// A problem of the policy as a whole.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self { file: None, line: None, text }
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        let (file, line) = finding.place.map_or((None, None), |(file, line, _)| (Some(file), Some(line as usize)));
        Self { file, line, text: finding.text }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {}", self.text),
            (Some(file), None) => write!(f, "{file}: {}", self.text),
            (None, _) => f.write_str(&self.text),
        }
    }
}

/// What the checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// What stands against the candidate.
    pub problems: Vec<Problem>,
    /// Its own tests, those in Rego and the cases.
    pub tests: Vec<TestResult>,
}

impl CandidateReport {
    /// Whether the candidate may be activated.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.problems.is_empty() && !self.tests.iter().any(|test| test.outcome.is_against())
    }

    /// Whether nothing stands against it but that time ran out, each time it was tried: on a busy machine that may not be its fault.
    #[must_use]
    pub fn ran_out(&self) -> bool {
        let budget = PolicyError::Budget.to_string();
        !self.problems.is_empty() && self.problems.iter().all(|problem| problem.text.ends_with(&budget))
    }
}

/// Scans, parses, checks, tests and tries a candidate.
#[must_use]
pub fn check_candidate(source: &PolicySource) -> CandidateReport {
    let policy = match Policy::compile(source) {
        Ok(policy) => policy,
        Err(error) => return CandidateReport { problems: problems(error), tests: Vec::new() },
    };
    // Nothing is measured here: what a test took is no part of the answer.
    let TestReport { mut problems, tests, .. } = run_tests(source, &TestOptions::default(), &|| 0);
    problems.extend(tests.iter().filter(|test| test.outcome.is_against()).map(TestResult::problem));
    problems.extend(smoke(&policy));
    CandidateReport { problems, tests }
}

pub(super) fn problems(error: PolicyError) -> Vec<Problem> {
    match error {
        PolicyError::Refused(problems) => problems,
        other => vec![Problem::new(other.to_string())],
    }
}

/// How often an example is asked about that used up its time: on a busy machine the time was not the policy's, and it is short.
const TRIES: usize = 16;

/// Asks until there is an answer within the time, and not for ever.
pub(super) fn patiently<T>(tries: usize, ask: impl Fn() -> Result<T, PolicyError>) -> Result<T, PolicyError> {
    let mut answers = (0..tries).map(|_| ask());
    answers.find(|answer| !matches!(answer, Err(PolicyError::Budget))).unwrap_or(Err(PolicyError::Budget))
}

/// Asks the policy about variants of the golden example: it must answer, and more assurance must never remove an allow.
fn smoke(policy: &Policy) -> Vec<Problem> {
    let Ok(golden) = serde_json::from_str::<Input>(crate::input::GOLDEN) else {
        return vec![Problem::new("golden example of the input cannot be read".to_owned())];
    };
    let mut problems = Vec::new();
    for score in [0, 20, 45, 75, 100] {
        let mut allowed = false;
        for levels in [&[][..], &[Acr::phr()], &[Acr::phr(), Acr::phrh()]] {
            let mut input = golden.clone();
            input.context.risk_score = RiskScore::new(score).unwrap_or(RiskScore::MAX);
            input.context.risk.level = input.context.risk_score.level();
            input.session.acr_satisfied = levels.iter().cloned().collect();
            let answer = patiently(TRIES, || policy.evaluate(&input));
            let allows = matches!(&answer, Ok(verdict) if verdict.effect == Effect::Allow);
            match &answer {
                Ok(_) | Err(PolicyError::Undefined) => {}
                Err(error) => problems.push(Problem::new(format!("asked about an example with risk {score}: {error}"))),
            }
            if answer == Err(PolicyError::Budget) {
                // Other examples would take as long.
                return problems;
            }
            if allowed && !allows {
                problems.push(Problem::new(format!("more assurance removes an allow (risk {score})")));
            }
            allowed = allows;
        }
    }
    problems.truncate(8);
    problems
}
