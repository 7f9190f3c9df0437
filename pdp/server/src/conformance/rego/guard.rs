//! Runs each case so that it cannot take the run with it: within a time, on a large stack of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::case::Case;
use crate::conformance::Outcome;

/// The longest that one case may take. An evaluation is stopped by its own budget long before.
const LONGEST: Duration = Duration::from_secs(20);
/// Only what is used of it costs memory.
const STACK: usize = 256 * 1024 * 1024;

/// A thread that runs cases, replaced where a case does not come back.
#[derive(Default)]
pub(super) struct Guard {
    worker: Option<(SyncSender<Case>, Receiver<Outcome>)>,
}

impl Guard {
    pub(super) fn run(&mut self, case: Case) -> Outcome {
        let Some((cases, outcomes)) = self.worker.take().or_else(spawn) else {
            return Outcome::Failed("no thread could be started".to_owned());
        };
        if cases.send(case).is_err() {
            return Outcome::Failed("thread ended".to_owned());
        }
        match outcomes.recv_timeout(LONGEST) {
            Ok(outcome) => {
                self.worker = Some((cases, outcomes));
                outcome
            }
            Err(RecvTimeoutError::Timeout) => Outcome::Failed(format!("took more than {} s", LONGEST.as_secs())),
            Err(RecvTimeoutError::Disconnected) => Outcome::Failed("panicked".to_owned()),
        }
    }
}

fn spawn() -> Option<(SyncSender<Case>, Receiver<Outcome>)> {
    let (cases, given) = sync_channel::<Case>(1);
    let (done, outcomes) = sync_channel(1);
    let work = move || {
        for case in given {
            if done.send(case.run()).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("rego-cases".to_owned()).stack_size(STACK).spawn(work).ok()?;
    Some((cases, outcomes))
}
