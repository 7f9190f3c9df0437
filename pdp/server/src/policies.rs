//! From a source to the active policy, and its life after that: what the source offers is a candidate, which is checked in the jail, journaled and then
//! swapped in whole. Whatever goes wrong on the way, the last good revision goes on deciding.

mod desk;
mod folder;
mod kept;
mod pace;
mod rollout;
mod settings;
mod source;
mod start;
mod status;
pub mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use countersign_pdp_engine::policy::{CandidateReport, Policy, PolicySource};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_sdk_types::{Digest, Revision};

pub use desk::Policies;
pub(crate) use folder::{DEEPEST, LARGEST, Listed, digest as folder_digest, is_policy, list};
pub use folder::{Files, read};
pub use kept::{Kept, KeptPolicy};
pub(crate) use pace::Pace;
pub use rollout::{Changed, Counted, NotDone, Rollout, Terms, compare_in_the_background};
pub use settings::{Bundled, Place, Settings};
pub use source::SourceStatus;
pub use start::Opening;
pub use status::{CandidateStatus, PolicyReport, PolicyStatus, TrialStatus};

use crate::jail::{self, Ended};

/// The stack of whoever compiles or evaluates a policy: the runtime's threads, and those of [`deep`].
pub(crate) const STACK: usize = 16 * 1024 * 1024;

/// How a candidate is checked; in production by the jail.
type Check = fn(&PolicySource, &AtomicBool) -> Result<CandidateReport, Ended>;

/// Loads the policy in a folder, checks it in the jail and compiles it.
///
/// # Errors
/// Every problem that was found, one a line.
pub fn load(folder: &Path, package: &str) -> Result<Snapshot, String> {
    load_checked_by(jail::check_until, folder, package)
}

fn load_checked_by(check: Check, folder: &Path, package: &str) -> Result<Snapshot, String> {
    load_files_checked_by(check, &format!("the policy in `{}`", folder.display()), read(folder)?, package)
}

/// The same from files that were read elsewhere; `what` names them.
///
/// # Errors
/// Every problem that was found, one a line.
pub fn load_files(what: &str, files: Files, package: &str) -> Result<Snapshot, String> {
    load_files_checked_by(jail::check_until, what, files, package)
}

fn load_files_checked_by(check: Check, what: &str, files: Files, package: &str) -> Result<Snapshot, String> {
    let source = source(package, files)?;
    let accepted = accept(check, &source, &AtomicBool::new(false));
    let accepted = accepted.map_err(|refused| format!("{what} is refused:\n{}", refused.problems.join("\n")))?;
    Ok(Snapshot::new(accepted.revision, accepted.policy))
}

/// The policy that the binary carries: what decides where nothing else is configured, and in the demonstration.
///
/// # Errors
/// Never, for a binary that passed its tests.
pub fn starter() -> Result<Snapshot, String> {
    let files = STARTER.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let source = source(countersign_pdp_engine::policy::DEFAULT_PACKAGE, files.to_vec())?;
    let revision = Revision::new(source.digest().to_string()).map_err(|error| error.to_string())?;
    let policy = deep(|| Policy::compile(&source))?.map_err(|error| error.to_string())?;
    Ok(Snapshot::new(revision, policy))
}

const STARTER: [(&str, &str); 2] = [
    ("access.rego", include_str!("../../../policies/starter/access.rego")),
    ("data.json", include_str!("../../../policies/starter/data.json")),
];

/// Sorts the files of a folder into a policy source.
///
/// # Errors
/// When a file or the whole is refused.
pub fn source(package: &str, files: Files) -> Result<PolicySource, String> {
    PolicySource::from_files(package, files).map_err(|error| error.to_string())
}

/// Runs something where a deep recursion has room.
///
/// # Errors
/// When there is no thread to be had, or it panicked.
pub fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "the evaluator panicked".to_owned())
    })
}

/// A candidate that passed everything.
struct Accepted {
    revision: Revision,
    digest: Digest,
    policy: Policy,
}

/// A candidate that did not.
struct Refused {
    problems: Vec<String>,
    /// The same candidate is worth another try.
    passing: bool,
}

impl Refused {
    fn for_good(problem: &impl ToString) -> Self {
        Self { problems: vec![problem.to_string()], passing: false }
    }
}

/// Checks in the jail, and only what passed is compiled here: the same bytes, so that nothing is met for the first time.
fn accept(check: Check, source: &PolicySource, given_up: &AtomicBool) -> Result<Accepted, Refused> {
    let report = check(source, given_up).map_err(|ended| Refused { problems: vec![ended.to_string()], passing: ended.is_passing() })?;
    if !report.is_accepted() {
        return Err(Refused { problems: report.problems.iter().map(ToString::to_string).collect(), passing: report.ran_out() });
    }
    let policy = deep(|| Policy::compile(source)).map_err(|error| Refused::for_good(&error))?.map_err(|error| Refused::for_good(&error))?;
    let digest = source.digest();
    let revision = Revision::new(digest.to_string()).map_err(|error| Refused::for_good(&error))?;
    Ok(Accepted { revision, digest, policy })
}

/// The snapshot with another policy; weights, ladder and ages stay as they are.
fn with_policy(snapshot: &Snapshot, revision: &Revision, policy: &Arc<Policy>) -> Snapshot {
    Snapshot { revision: revision.clone(), policy: Arc::clone(policy), ..snapshot.clone() }
}

#[cfg(test)]
mod tests;
