//! Runs a file of other people's cases and says what passed. Every case of the file is counted: passed, failed or skipped, and why.

pub mod authzen;
pub mod jose;
pub mod rego;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As the case expects.
    Passed,
    /// Not as the case expects, and how.
    Failed(String),
    /// Not run, and why.
    Skipped(String),
}

/// A case that did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Its name in the file.
    pub case: String,
    /// What happened.
    pub why: String,
    /// It was known to fail.
    pub known: bool,
}

/// What became of a file of cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many cases the file holds.
    pub cases: usize,
    /// How many came out as expected.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many were not run.
    pub skipped: usize,
    /// The cases that passed, by name.
    pub passing: Vec<String>,
    /// The cases that failed.
    pub failures: Vec<Note>,
    /// The cases that were not run.
    pub skips: Vec<Note>,
}

impl Report {
    /// Counts a case. One that is known to fail is still a failure, but not an unexpected one.
    pub fn count(&mut self, case: &str, outcome: Outcome, known: &BTreeSet<String>) {
        self.cases += 1;
        let note = |why| Note { case: case.to_owned(), why, known: known.contains(case) };
        match outcome {
            Outcome::Passed => {
                self.passed += 1;
                self.passing.push(case.to_owned());
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                self.failures.push(note(why));
            }
            Outcome::Skipped(why) => {
                self.skipped += 1;
                self.skips.push(note(why));
            }
        }
    }

    /// Whether a case failed that was not known to.
    #[must_use]
    pub fn is_surprising(&self) -> bool {
        self.failures.iter().any(|failure| !failure.known)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            let mark = if failure.known { "known" } else { "FAIL" };
            writeln!(f, "{mark}  {}: {}", failure.case, failure.why)?;
        }
        for skip in &self.skips {
            writeln!(f, "skip  {}: {}", skip.case, skip.why)?;
        }
        write!(f, "{} cases: {} passed, {} failed, {} skipped", self.cases, self.passed, self.failed, self.skipped)
    }
}
