//! Runs the tests of a policy: `test_…` rules and YAML cases. Like everything that looks at a candidate, it is meant to run in the jail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign_sdk_types::Timestamp;
use regex::Regex;
use regorus::{Engine, Value};
use serde::{Deserialize, Serialize};

use super::candidate::{patiently, problems};
use super::cases::{self, Case};
use super::check::Stands;
use super::coverage::{self, Coverage};
use super::load::{Loaded, load};
use super::{BuiltinErrors, Moment, Policy, PolicyError, PolicySource, Problem, document, guarded, shortened, timer};

/// The time that one test may take unless told. Tests are run apart from traffic.
pub const TEST_BUDGET: Duration = Duration::from_secs(1);
/// How often a test is run that used up its time: on a busy machine the time was not its own.
const TRIES: usize = 4;
/// The most tests of a policy.
const MAX_TESTS: usize = 10_000;
/// How much of what a test prints is kept: lines, and all that all tests print, in bytes.
const MAX_LINES: usize = 100;
const MAX_OUTPUT: usize = 256 * 1024;
/// The most that is said of one case.
const MAX_WHY: usize = 16;
/// The longest pattern of names.
const MAX_PATTERN: usize = 1_000;

/// How tests are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOptions {
    /// Only tests whose name this regular expression finds.
    pub only: Option<String>,
    /// The milliseconds that one test may take.
    pub budget_ms: u64,
    /// Say more for people: what tests print, and how far one got that fails.
    pub for_people: bool,
    /// Count which lines were reached.
    pub coverage: bool,
}

impl Default for TestOptions {
    fn default() -> Self {
        let budget_ms = u64::try_from(TEST_BUDGET.as_millis()).unwrap_or(u64::MAX);
        Self { only: None, budget_ms, for_people: false, coverage: false }
    }
}

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The rule is exactly `true`; the case got what it wants.
    Passed,
    /// It is not.
    Failed,
    /// It could not be evaluated to its end.
    Error,
    /// It is marked as not yet to be run (`todo_test_…`).
    Skipped,
}

impl Outcome {
    /// Whether this stands against the policy.
    #[must_use]
    pub const fn is_against(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// One test, and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The full path of the rule, or the name of the case.
    pub name: String,
    /// Where it stands.
    pub file: String,
    /// The line there, from 1.
    pub line: u32,
    /// How it came out.
    pub outcome: Outcome,
    /// What went wrong, where more can be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// The last line of the rule that was evaluated, where it fails and this was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<u32>,
    /// What it printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// What it took, as the given clock says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nanoseconds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl TestResult {
    /// What stands against the policy, where this does.
    pub(super) fn problem(&self) -> Problem {
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why.join("; ")) };
        Problem { file: Some(self.file.clone()), line: Some(self.line as usize), text: format!("test `{}` does not hold{why}", self.name) }
    }
}

/// What running the tests showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Why there are no tests to run.
    pub problems: Vec<Problem>,
    /// Every test, by file.
    pub tests: Vec<TestResult>,
    /// What was reached of the policy, where this was asked for and something was run.
    pub coverage: Option<Coverage>,
}

/// Runs the tests of a policy. `clock` says nanoseconds since some moment.
#[must_use]
pub fn run_tests(source: &PolicySource, options: &TestOptions, clock: &dyn Fn() -> u64) -> TestReport {
    match Tests::of(source, options) {
        Ok(tests) => tests.run(clock),
        Err(problems) => TestReport { problems, ..TestReport::default() },
    }
}

/// Everything that is to be run.
struct Tests<'a> {
    options: &'a TestOptions,
    engine: Engine,
    rules: Vec<(String, Stands)>,
    cases: Vec<(String, Vec<Case>)>,
    /// What cases ask.
    policy: Option<Policy>,
    /// What may still be printed.
    room: usize,
}

impl<'a> Tests<'a> {
    fn of(source: &PolicySource, options: &'a TestOptions) -> Result<Self, Vec<Problem>> {
        let refused = |text: String| vec![Problem::new(text)];
        let too_long = || refused(format!("pattern of names is longer than {MAX_PATTERN} bytes"));
        let only = options.only.as_deref().map(|only| if only.len() > MAX_PATTERN { Err(too_long()) } else { pattern(only) });
        let only = only.transpose()?;
        let is_asked = |name: &str| only.as_ref().is_none_or(|only| only.is_match(name));
        let Loaded { mut engine, outline, extensions } =
            load(source, source.files.iter(), Duration::from_millis(options.budget_ms)).map_err(problems)?;
        // Tests are asked at the epoch: one that needs another time says so in its constraints.
        let moment = Moment { now: Timestamp(0), seed: [0; 32] };
        extensions.install_momentary(&mut engine, moment, BuiltinErrors::Fatal).map_err(refused)?;
        engine.set_enable_coverage(options.coverage);
        if outline.tests.len() > MAX_TESTS {
            return Err(refused(format!("policy has more than {MAX_TESTS} tests")));
        }
        let mut rules: Vec<_> = outline.tests.into_iter().filter(|(name, _)| is_asked(name)).collect();
        rules.sort_by(|(_, a), (_, b)| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let cases = read_cases(source, MAX_TESTS.saturating_sub(rules.len()), is_asked)?;
        let policy = if cases.is_empty() { None } else { Some(Policy::compile(source).map_err(problems)?) };
        Ok(Self { options, engine, rules, cases, policy, room: MAX_OUTPUT })
    }

    fn run(mut self, clock: &dyn Fn() -> u64) -> TestReport {
        let mut tests = Vec::new();
        for (name, stands) in std::mem::take(&mut self.rules) {
            let begun = clock();
            let mut test = self.rule(&name, &stands);
            test.nanoseconds = clock().saturating_sub(begun);
            if self.options.for_people && test.outcome.is_against() {
                test.reached = self.reached(&test.name, &stands);
            }
            tests.push(test);
        }
        for (file, cases) in std::mem::take(&mut self.cases) {
            for case in cases {
                let begun = clock();
                let mut test = self.case(&file, &case);
                test.nanoseconds = clock().saturating_sub(begun);
                test.output = self.look_on(&case);
                tests.push(test);
            }
        }
        let is_counted = |path: &str| !path.ends_with("_test.rego") && path != super::load::STAND_INS;
        let coverage = self.options.coverage.then(|| Coverage::of(&mut self.engine, is_counted));
        match coverage.transpose() {
            Ok(coverage) => TestReport { problems: Vec::new(), tests, coverage },
            Err(error) => TestReport { problems: vec![Problem::new(shortened(&format!("{error:#}")))], tests, coverage: None },
        }
    }

    fn rule(&mut self, name: &str, stands: &Stands) -> TestResult {
        let test = |outcome, why, output| TestResult {
            file: stands.file.clone(),
            line: stands.line,
            name: name.to_owned(),
            outcome,
            why,
            output,
            reached: None,
            nanoseconds: 0,
        };
        if name.rsplit_once('.').is_some_and(|(_, name)| name.starts_with("todo_")) {
            return test(Outcome::Skipped, Vec::new(), Vec::new());
        }
        let (given, output) = if self.options.for_people || self.options.coverage {
            self.watched(name)
        } else {
            (patiently(TRIES, || guarded(self.engine.clone(), name)), Vec::new())
        };
        match given {
            Ok(Value::Bool(true)) => test(Outcome::Passed, Vec::new(), output),
            Ok(Value::Bool(false) | Value::Undefined) => test(Outcome::Failed, Vec::new(), output),
            Ok(other) => test(Outcome::Failed, vec![format!("it is {} and not `true`", super::kind(&other))], output),
            Err(error) => test(Outcome::Error, vec![error.to_string()], output),
        }
    }

    fn case(&self, file: &str, case: &Case) -> TestResult {
        let budget = Duration::from_millis(self.options.budget_ms);
        let given = self
            .policy
            .as_ref()
            .map_or(Err(PolicyError::Undefined), |policy| patiently(TRIES, || policy.evaluate_within(&case.input, budget)));
        let why: Vec<String> = case.wanted.unmet(&given).iter().take(MAX_WHY).map(|why| shortened(why)).collect();
        let outcome = match (&given, why.is_empty()) {
            (_, true) => Outcome::Passed,
            (Err(_), false) => Outcome::Error,
            (Ok(_), false) => Outcome::Failed,
        };
        let (file, line) = (file.to_owned(), u32::try_from(case.line).unwrap_or(u32::MAX));
        TestResult { name: case.name.clone(), file, line, outcome, why, reached: None, output: Vec::new(), nanoseconds: 0 }
    }

    /// Asks about a case once more where its prints and its lines can be seen. The verdict was given without that.
    fn look_on(&mut self, case: &Case) -> Vec<String> {
        let entries = self.policy.as_ref().map(Policy::entries).unwrap_or_default();
        let Some(input) = document::value(&case.input).ok().filter(|_| self.options.for_people || self.options.coverage) else {
            return Vec::new();
        };
        self.engine.set_input(input);
        let printed = entries.iter().flat_map(|entry| self.watched(entry).1).collect();
        self.engine.set_input(Value::Undefined);
        printed
    }

    /// Evaluates on the one engine that gathers lines, and takes away what was printed.
    fn watched(&mut self, rule: &str) -> (Result<Value, PolicyError>, Vec<String>) {
        let mut engine = self.engine.clone();
        let asked = catch_unwind(AssertUnwindSafe(|| (super::asked(&mut engine, rule), engine.take_prints().unwrap_or_default(), engine)));
        let Ok((given, printed, engine)) = asked else { return (Err(PolicyError::Panic), Vec::new()) };
        self.engine = engine;
        let mut kept = Vec::new();
        for line in printed.into_iter().take(MAX_LINES) {
            let line = shortened(&line);
            let Some(left) = self.room.checked_sub(line.len()) else { break };
            self.room = left;
            kept.push(line);
        }
        (given, kept)
    }

    /// The last line of a failing rule that was evaluated.
    fn reached(&self, name: &str, stands: &Stands) -> Option<u32> {
        let mut engine = self.engine.clone();
        engine.set_enable_coverage(false);
        engine.set_enable_coverage(true);
        engine.set_execution_timer_config(timer(Duration::from_millis(self.options.budget_ms)));
        let lines = catch_unwind(AssertUnwindSafe(move || {
            let _ = engine.eval_rule(name.to_owned());
            coverage::reached(&engine, &stands.file)
        }));
        let last = stands.line.saturating_add(u32::try_from(stands.lines).unwrap_or(u32::MAX)).saturating_sub(1);
        lines.unwrap_or_default().range(stands.line..=last.max(stands.line)).next_back().copied()
    }
}

/// The cases of each file, so many at most.
fn read_cases(source: &PolicySource, most: usize, is_asked: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<Case>)>, Vec<Problem>> {
    let (mut cases, mut unreadable, mut left) = (Vec::new(), Vec::new(), Some(most));
    for file in &source.cases {
        match cases::read(file) {
            Ok(mut read) => {
                read.retain(|case| is_asked(&case.name));
                left = left.and_then(|left| left.checked_sub(read.len()));
                cases.push((file.path.clone(), read));
            }
            Err(problems) => unreadable.extend(problems),
        }
        if left.is_none() {
            return Err(vec![Problem::new(format!("policy has more than {MAX_TESTS} tests"))]);
        }
    }
    if unreadable.is_empty() { Ok(cases) } else { Err(unreadable) }
}

fn pattern(only: &str) -> Result<Regex, Vec<Problem>> {
    Regex::new(only).map_err(|error| vec![Problem::new(format!("`{only}` is no pattern of names: {}", shortened(&error.to_string())))])
}
