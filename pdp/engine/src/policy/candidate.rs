//! Everything that a candidate policy must pass before it may serve. Meant to run in a jailed process: a parser or an evaluator that is made to
//! loop, to fill the memory or to abort must take nothing with it.

use std::time::Duration;

use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::{Acr, Effect, RiskScore, Timestamp};
use regorus::Value;
use serde::{Deserialize, Serialize};

use super::check::Finding;
use super::load::{Loaded, load};
use super::{BuiltinErrors, Moment, Policy, PolicyError, PolicySource, guarded};

/// The time that one test may take. Tests are run apart from traffic.
const TEST_BUDGET: Duration = Duration::from_secs(1);
const MAX_TESTS: usize = 10_000;

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

/// How one `test_…` rule came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The full path of the rule.
    pub name: String,
    /// True only when the rule is exactly `true`.
    pub passed: bool,
}

/// What the checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// What stands against the candidate.
    pub problems: Vec<Problem>,
    /// Its own tests.
    pub tests: Vec<TestResult>,
}

impl CandidateReport {
    /// Whether the candidate may be activated.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.problems.is_empty() && self.tests.iter().all(|test| test.passed)
    }
}

/// Scans, parses, checks, tests and tries a candidate.
#[must_use]
pub fn check_candidate(source: &PolicySource) -> CandidateReport {
    let policy = match Policy::compile(source) {
        Ok(policy) => policy,
        Err(error) => return CandidateReport { problems: problems(error), tests: Vec::new() },
    };
    let (tests, mut problems) = match run_tests(source) {
        Ok(tests) => (tests, Vec::new()),
        Err(error) => (Vec::new(), problems(error)),
    };
    problems.extend(tests.iter().filter(|test| !test.passed).map(|test| Problem::new(format!("test `{}` does not hold", test.name))));
    problems.extend(smoke(&policy));
    CandidateReport { problems, tests }
}

fn problems(error: PolicyError) -> Vec<Problem> {
    match error {
        PolicyError::Refused(problems) => problems,
        other => vec![Problem::new(other.to_string())],
    }
}

fn run_tests(source: &PolicySource) -> Result<Vec<TestResult>, PolicyError> {
    let Loaded { mut engine, outline, extensions } = load(source, source.files.iter(), TEST_BUDGET)?;
    // Tests are asked at the epoch: one that needs another time says so in its constraints.
    let moment = Moment { now: Timestamp(0), seed: [0; 32] };
    extensions.install_momentary(&mut engine, moment, BuiltinErrors::Fatal).map_err(PolicyError::Failed)?;
    if outline.tests.len() > MAX_TESTS {
        return Err(PolicyError::Refused(vec![Problem::new(format!("policy has more than {MAX_TESTS} tests"))]));
    }
    let run = |(name, _file): &(String, String)| {
        let passed = guarded(engine.clone(), name) == Ok(Value::Bool(true));
        TestResult { name: name.clone(), passed }
    };
    Ok(outline.tests.iter().map(run).collect())
}

/// How often an example is asked about that used up its time: on a busy machine the time was not the policy's.
const TRIES: usize = 4;

fn answer(policy: &Policy, input: &Input) -> Result<Verdict, PolicyError> {
    let mut answers = (0..TRIES).map(|_| policy.evaluate(input));
    answers.find(|answer| *answer != Err(PolicyError::Budget)).unwrap_or(Err(PolicyError::Budget))
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
            let answer = answer(policy, &input);
            let allows = matches!(&answer, Ok(verdict) if verdict.effect == Effect::Allow);
            match answer {
                Ok(_) | Err(PolicyError::Undefined) => {}
                Err(error) => problems.push(Problem::new(format!("asked about an example with risk {score}: {error}"))),
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
