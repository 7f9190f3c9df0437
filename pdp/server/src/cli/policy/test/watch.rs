//! `policy test --watch`: runs again when the content of the folder is another.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use countersign_sdk_types::Digest;
use notify::{RecursiveMode, Watcher as _};

use super::super::super::control::clean;
use super::super::super::{fail, say};
use super::{NOT_RUN, Test, run_once};
use crate::clock::Stopwatch;
use crate::policies::{self, Listed};

/// Editors write in several steps: this long nothing may happen before it is read.
const QUIET: Duration = Duration::from_millis(30);
/// And this long at most.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often is looked where nobody told: a folder that was replaced is no longer watched, and some mounts tell nothing.
const GLANCE: Duration = Duration::from_secs(1);
/// Clears a terminal.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) fn run(asked: &Test) -> ExitCode {
    let (tell, told) = mpsc::channel();
    // Watched before the first look, so that nothing is missed between the two.
    let watched = notify::recommended_watcher(move |_| {
        // Nobody listens any longer once the loop below has ended.
        let _ = tell.send(());
    })
    .and_then(|mut watcher| {
        watcher.watch(&asked.folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    let _watcher = match watched {
        Ok(watcher) => watcher,
        Err(error) => return fail(NOT_RUN, &clean(&format!("cannot watch `{}`: {error}", asked.folder.display()))),
    };
    loop {
        let (mut listing, ran_on) = (listing(asked), content(asked));
        if std::io::stdout().is_terminal() {
            let _ = say(CLEAR);
        }
        let watch = Stopwatch::start();
        let _ = run_once(asked);
        let took = watch.elapsed().as_secs_f64();
        let _ = say(&clean(&format!("ran in {took:.2} s; watching `{}`, Ctrl-C ends", asked.folder.display())));
        loop {
            if settle(&told).is_err() {
                return fail(NOT_RUN, "nobody watches any longer");
            }
            let listed = self::listing(asked);
            // While nothing changes, no file is opened; what changed and is the same again runs nothing.
            if listed != listing && content(asked) != ran_on {
                break;
            }
            listing = listed;
        }
    }
}

/// How the files are listed; nothing where the folder cannot be read.
fn listing(asked: &Test) -> Option<Vec<Listed>> {
    policies::list(&asked.folder).ok()
}

/// Nothing where the folder cannot be read, which is another content than any.
fn content(asked: &Test) -> Option<Digest> {
    policies::read(&asked.folder).ok().map(|files| policies::folder_digest(&files))
}

/// Waits for a change, or for a while, and then until it is quiet.
fn settle(told: &Receiver<()>) -> Result<(), RecvTimeoutError> {
    match told.recv_timeout(GLANCE) {
        Err(RecvTimeoutError::Timeout) => return Ok(()),
        other => other?,
    }
    let watch = Stopwatch::start();
    while watch.elapsed() < PATIENCE && told.recv_timeout(QUIET).is_ok() {}
    Ok(())
}
