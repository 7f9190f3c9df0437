//! Closes the jail from within, and proves that it is closed.
//!
//! Two walls that do not need each other: an allow-list of system calls without any that opens, connects, forks or signals another process, and
//! Landlock with no rule at all. The allow-list is short enough to be an allow-list because the only work inside is to compute: read standard
//! input, use memory, write standard output. What it does not name fails with `EPERM`, so that a library that tries something harmless goes on.
//! Landlock may be missing in a kernel; the list of calls may not.

use std::fs::File;
use std::io::ErrorKind;
use std::process::id;
use std::thread;

use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, getrlimit, setrlimit};
use seccompiler::{TargetArch, apply_filter_all_threads, compile_from_json};

use super::{CPU, Kind};

/// What the jailed process may ask of the kernel.
const SYSCALLS: &str = include_str!("syscalls.json");
/// Enough for the three streams and for closing the jail; the list of calls then allows no more.
const FILES: u64 = 64;
/// How much the check gives way to those who decide.
const NICE: i32 = 10;

/// Which wall could not be put up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Open {
    /// A limit of the kernel.
    #[error("{0} could not be limited: {1}")]
    Limit(&'static str, rustix::io::Errno),
    /// The file systems and the network.
    #[error("landlock failed: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The calls.
    #[error("seccomp failed: {0}")]
    Seccomp(String),
    /// All walls are up, they say, and this was possible.
    #[error("{0} is still possible")]
    Possible(&'static str),
}

/// Limits this process, before it has a second thread.
pub(super) fn limit(kind: Kind, memory: u64) -> Result<(), Open> {
    let step = |what, done: rustix::io::Result<()>| done.map_err(|error| Open::Limit(what, error));
    step("life after the server", rustix::process::set_parent_process_death_signal(Some(Signal::KILL)))?;
    step("debugging", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("privilege", rustix::thread::set_no_new_privs(true))?;
    // The soft limit says which limit it was (SIGXCPU), the hard one ends who would not hear.
    step("CPU time", lower(Resource::Cpu, CPU.as_secs(), CPU.as_secs() + 1))?;
    step("memory", lower(Resource::As, memory, memory))?;
    step("open files", lower(Resource::Nofile, FILES, FILES))?;
    step("the size of files", lower(Resource::Fsize, 0, 0))?;
    step("core dumps", lower(Resource::Core, 0, 0))?;
    // Whoever runs tests by hand waits for them, and decides about nothing.
    if kind == Kind::Tests { Ok(()) } else { step("priority", rustix::process::nice(NICE).map(drop)) }
}

/// A limit that is tighter already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })
}

/// Takes everything away that the check does not need: from this thread the file systems, from every thread the calls.
pub(super) fn close() -> Result<(), Open> {
    let abi = ABI::V6;
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let rules = rules.handle_access(AccessFs::from_all(abi))?.handle_access(AccessNet::from_all(abi))?.scope(Scope::from_all(abi))?;
    rules.create()?.restrict_self()?;
    let failed = |error: &dyn std::fmt::Display| Open::Seccomp(error.to_string());
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(&error))?;
    let calls = SYSCALLS.replace("\"own process\"", &id().to_string());
    let programs = compile_from_json(calls.as_bytes(), machine).map_err(|error| failed(&error))?;
    let program = programs.get("jail").ok_or_else(|| failed(&"the list of calls is empty"))?;
    apply_filter_all_threads(program).map_err(|error| failed(&error))
}

/// Tries what must not be possible any more.
pub(super) fn prove() -> Result<(), Open> {
    let refused =
        |what, done: Option<ErrorKind>| if done == Some(ErrorKind::PermissionDenied) { Ok(()) } else { Err(Open::Possible(what)) };
    refused("opening a file", File::open("/proc/self/status").err().map(|error| error.kind()))?;
    refused("opening a folder", File::open("/").err().map(|error| error.kind()))?;
    refused("opening a socket", socket(AddressFamily::INET, SocketType::STREAM, None).err().map(rustix::io::Errno::kind))?;
    refused("starting a thread", thread::Builder::new().spawn(|| ()).err().map(|error| error.kind()))
}

#[cfg(test)]
mod tests;
