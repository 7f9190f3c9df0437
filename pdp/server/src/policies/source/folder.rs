//! A policy folder: it tells when it changes, and is believed only when it holds still.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{Look, Offer};
use crate::clock::Stopwatch;
use crate::policies::folder::{self, Listed};
use crate::policies::pace::Pace;

/// When content that could not be judged is offered again.
const AGAIN: Duration = Duration::from_secs(60);

/// A folder, and what the last look at it showed.
#[derive(Debug)]
pub(crate) struct Folder {
    at: PathBuf,
    pace: Arc<Pace>,
    telling: Option<Telling>,
    listing: Option<Vec<Listed>>,
    /// The content that was read, or the digest of why it could not be.
    content: Option<Digest>,
    /// Two looks in a row showed it, so nobody is writing any more.
    still: bool,
    /// The content that was offered last.
    offered: Option<Digest>,
    retry: Option<Stopwatch>,
}

impl Folder {
    /// A folder that nobody looked at.
    pub(crate) const fn new(at: PathBuf, pace: Arc<Pace>) -> Self {
        Self { at, pace, telling: None, listing: None, content: None, still: false, offered: None, retry: None }
    }

    /// Something that is new and holds still. While nothing changes, no file is opened.
    pub(super) fn look(&mut self) -> Look {
        // Before anything is read: what is written from now on is told.
        self.listen();
        // Listed before it is read: what is written in between shows at the next look.
        let listing = folder::list(&self.at);
        let due = self.retry.is_some_and(|since| since.elapsed() > AGAIN);
        if self.still && !due && listing.is_ok() && listing.as_ref().ok() == self.listing.as_ref() {
            return Look::Nothing;
        }
        let files = listing.as_ref().map_err(String::clone).and_then(|_| folder::read(&self.at));
        let content = files.as_ref().map_or_else(|error| Digest(*blake3::hash(error.as_bytes()).as_bytes()), folder::digest);
        self.still = self.content == Some(content);
        (self.listing, self.content) = (listing.ok(), Some(content));
        if !self.still {
            return Look::Moving;
        }
        if !due && self.offered == Some(content) {
            return Look::Nothing;
        }
        (self.retry, self.offered) = (None, Some(content));
        match files {
            Ok(files) => Look::Offer(Offer { content, files, origin: Origin::default() }),
            Err(why) => Look::Refused { content, why },
        }
    }

    pub(super) fn offer_again(&mut self) {
        self.retry = Some(Stopwatch::start());
    }

    pub(super) fn shown(&self) -> String {
        self.at.display().to_string()
    }

    /// Has changes told. Not every file system can, and a folder may be replaced by another: the looks that come anyway see to both.
    fn listen(&mut self) {
        let identity = identity(&self.at);
        if self.telling.as_ref().is_none_or(|telling| telling.identity != identity) {
            self.telling = Some(Telling { identity, _watcher: watcher(&self.at, &self.pace) });
        }
    }
}

/// Who tells of changes in which folder; nobody where that cannot be had.
#[derive(Debug)]
struct Telling {
    identity: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn watcher(folder: &Path, pace: &Arc<Pace>) -> Option<RecommendedWatcher> {
    let told = Arc::clone(pace);
    let tell = move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| changes(event.kind)) {
            told.wake();
        }
    };
    let watching = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watching
        .map_err(|error| {
            let folder = folder.display();
            tracing::warn!(target: "countersign::policy", %folder, %error, "changes of the policy folder are not told; it is looked at now and then");
        })
        .ok()
}

/// Reading changes nothing, and the looks themselves read.
const fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => matches!(kind, AccessKind::Close(AccessMode::Write)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
