//! A policy folder: believed only when it holds still.

use std::path::PathBuf;
use std::time::Duration;

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;

use super::{Look, Offer};
use crate::clock::Stopwatch;
use crate::policies::folder::{self, Listed};

/// When content that could not be judged is offered again.
const AGAIN: Duration = Duration::from_secs(60);

/// A folder, and what the last look at it showed.
#[derive(Debug)]
pub(crate) struct Folder {
    at: PathBuf,
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
    pub(crate) const fn new(at: PathBuf) -> Self {
        Self { at, listing: None, content: None, still: false, offered: None, retry: None }
    }

    /// Something that is new and holds still. While nothing changes, no file is opened.
    pub(super) fn look(&mut self) -> Look {
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
        if !self.still || (!due && self.offered == Some(content)) {
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
}
