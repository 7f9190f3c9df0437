//! The commands of those who write policies: check a folder, ask it, and say what build answers.

mod bench;
mod check;
pub(super) mod diff;
mod explain;
mod matrix;
mod new;
mod refresh;
mod test;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_pdp_engine::policy::{DEFAULT_PACKAGE, Policy};
use countersign_pdp_engine::record::ENGINE;
use countersign_sdk_types::Effect;
use countersign_sdk_types::contract::{Input, Verdict};
use countersign_sdk_types::strict::{self, Limits};
use indicatif::ProgressBar;
use serde_json::json;

use super::control::policies::Asked as Live;
use super::control::{self, Door};
use super::{COULD_NOT, fail, say};
use crate::policies;

/// For those who write policies.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Make a repository to start from.
    New(new::New),
    /// Check a folder of policies as before activation, and say what its author may not have meant. Exit code 1 when something stands against it.
    Check(check::Check),
    /// Run the tests of a policy: `test_…` rules and YAML cases. Output and exit codes as `opa test`: 0 all passed, 2 something did not, 1 nothing could be run.
    Test(test::Test),
    /// Write what a policy answers to whom as a file that people read in review, or compare with it.
    Matrix(matrix::Matrix),
    /// Measure how long a policy takes, beside one that says no and nothing else.
    Bench(bench::Bench),
    /// Ask a policy about one input document of contract 1. Exit code 0 for an allow, 1 for a deny or a step-up, 2 where there is no verdict.
    Eval(Eval),
    /// Ask two revisions about logged decisions, and say what the change would have done.
    Diff(diff::Diff),
    /// Have a running server look at the source of its policies now.
    Refresh(refresh::Refresh),
    /// Say what is live on a running server since when, what is on trial with which figures, and what is held. Exit code 1 when something is refused or held.
    Status {
        #[command(flatten)]
        door: Door,
    },
    /// Say who changed what on a running server and when: the audit trail of its policies.
    History {
        #[command(flatten)]
        door: Door,
    },
    /// End the trial on a running server, or go back to an earlier revision. What is left behind is held.
    Rollback {
        #[command(flatten)]
        door: Door,
        /// The revision, or how its name begins, at least four digits [default: the one that was active before].
        #[arg(long, value_name = "REVISION")]
        to: Option<String>,
        /// Why. It is kept.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Activate what is on trial on a running server, whatever is left of that; or else what is held and offered.
    Promote {
        #[command(flatten)]
        door: Door,
        /// The revision that is meant, or how its name begins, at least four digits: where it is another one by now, nothing is changed.
        #[arg(value_name = "REVISION")]
        revision: Option<String>,
    },
    /// Say why a policy answers an input or a logged decision as it does, and the smallest change that it would allow. Exit codes as of `eval`.
    Explain(explain::Explain),
}

/// Runs the command.
pub(super) fn run(command: &PolicyCommand) -> ExitCode {
    match command {
        PolicyCommand::New(asked) => new::run(asked),
        PolicyCommand::Check(asked) => check::run(asked),
        PolicyCommand::Test(asked) => test::run(asked),
        PolicyCommand::Matrix(asked) => matrix::run(asked),
        PolicyCommand::Bench(asked) => bench::run(asked),
        PolicyCommand::Eval(asked) => eval(asked),
        PolicyCommand::Diff(asked) => diff::run(asked),
        PolicyCommand::Refresh(asked) => refresh::run(asked),
        PolicyCommand::Status { door } => control::policies(door, &Live::Status),
        PolicyCommand::History { door } => control::policies(door, &Live::History),
        PolicyCommand::Rollback { door, to, reason } => control::policies(door, &Live::RollBack { to: to.clone(), reason: reason.clone() }),
        PolicyCommand::Promote { door, revision } => control::policies(door, &Live::Promote { revision: revision.clone() }),
        PolicyCommand::Explain(asked) => explain::run(asked),
    }
}

/// What `eval` is told.
#[derive(Debug, Args)]
pub(super) struct Eval {
    /// The folder of the policy. It passes the same checks as before activation.
    #[arg(long)]
    policy: PathBuf,
    /// The package that is asked.
    #[arg(long, default_value = DEFAULT_PACKAGE)]
    package: String,
    /// The input document, such as `policies/schema/input.golden.json`; `-` is standard input.
    #[arg(long)]
    input: PathBuf,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks a policy and prints its verdict.
fn eval(asked: &Eval) -> ExitCode {
    match verdict(asked) {
        Err(error) => fail(COULD_NOT, &error),
        Ok(verdict) => {
            let json = || serde_json::to_string_pretty(&verdict).unwrap_or_default();
            let _ = say(&if asked.json { json() } else { words(&verdict) });
            if verdict.effect == Effect::Allow { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn verdict(asked: &Eval) -> Result<Verdict, String> {
    let input = input(&asked.input)?;
    let policy = policies::load(&asked.policy, &asked.package)?.policy;
    policies::deep(|| Policy::evaluate(&policy, &input))?.map_err(|error| error.to_string())
}

fn input(from: &Path) -> Result<Input, String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", from.display());
    let mut bytes = Vec::new();
    let most = Limits::REQUEST.bytes as u64 + 1;
    if from == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(from).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    }
    strict::from_slice(&bytes, Limits::REQUEST).map_err(|error| format!("`{}` is no input of contract 1: {error}", from.display()))
}

/// The verdict for people: the effect, what a step-up asks for, then a line for each reason and obligation.
fn words(verdict: &Verdict) -> String {
    let mut text = verdict.effect.as_str().to_owned();
    let level = verdict.acr.iter().map(|acr| format!(", {acr}"));
    let age = verdict.max_age.iter().map(|seconds| format!(", not older than {seconds} s"));
    let end = verdict.is_final.then(|| ", final".to_owned());
    text.extend(level.chain(age).chain(end));
    for reason in &verdict.reasons {
        let _ = write!(text, "\n  because {reason}");
    }
    for obligation in &verdict.obligations {
        let _ = write!(text, "\n  with {} `{}`", obligation.kind, obligation.id);
    }
    text
}

/// Shows on a terminal that something is under way.
fn under_way(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Prints what this build is.
pub(super) fn version(as_json: bool) -> ExitCode {
    let (version, machine) = (env!("CARGO_PKG_VERSION"), format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS));
    if as_json {
        say(&json!({"version": version, "engine": ENGINE, "machine": machine}).to_string())
    } else {
        say(&format!("countersign {version} (engine {ENGINE}, {machine})"))
    }
}
