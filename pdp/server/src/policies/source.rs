//! Where policies come from. A source is looked at again and again; what it offers is a candidate, and nothing that it does reaches what decides.

mod anchor;
mod bundle;
mod folder;
mod git;
mod status;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;

use super::Files;
use super::pace::{Pace, Saw};
use super::settings::Place;
use crate::clock;
use bundle::Bundle;
pub(crate) use folder::Folder;
pub(crate) use git::Git;
pub use status::SourceStatus;

/// Where policies come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder on this machine.
    Folder(Folder),
    /// A bundle, on this machine or at a URL.
    Bundle(Box<Bundle>),
    /// A git repository.
    Git(Box<Git>),
}

/// What one look showed.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing that was not offered before.
    Nothing,
    /// It changes at this moment: another look soon shows whether it holds still.
    Moving,
    /// A candidate.
    Offer(Offer),
    /// Something that is no candidate, told once.
    Refused {
        /// What it is recognised by.
        content: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// The source could not be asked, and says nothing of what it holds.
    Failed(String),
}

/// A candidate, read whole.
#[derive(Debug)]
pub(crate) struct Offer {
    /// A name for exactly these files.
    pub(crate) content: Digest,
    /// The files.
    pub(crate) files: Files,
    /// Where they come from.
    pub(crate) origin: Origin,
}

impl Source {
    /// The source at a place. `store` is the data folder, for what a source must remember.
    pub(crate) fn open(place: Place, store: &Path, pace: &Arc<Pace>) -> Result<Self, String> {
        Ok(match place {
            Place::Folder(at) => Self::Folder(Folder::new(at, Arc::clone(pace))),
            Place::Bundle(bundled) => Self::Bundle(Box::new(Bundle::new(bundled, Arc::clone(pace)))),
            Place::Git(settings) => Self::Git(Box::new(Git::new(settings, store, Arc::clone(pace))?)),
        })
    }

    /// Looks once. Blocks meanwhile.
    pub(crate) fn look(&mut self) -> Look {
        match self {
            Self::Folder(folder) => folder.look(),
            Self::Bundle(bundle) => bundle.look(),
            Self::Git(git) => git.look(),
        }
    }

    /// What was offered last could not be judged, by no fault of its own: it is offered again after a while.
    pub(crate) fn offer_again(&mut self) {
        match self {
            Self::Folder(folder) => folder.offer_again(),
            Self::Bundle(bundle) => bundle.offer_again(),
            Self::Git(git) => git.offer_again(),
        }
    }

    /// What kind of source it is, and where it is, without secrets.
    fn shown(&self) -> (&'static str, String) {
        match self {
            Self::Folder(folder) => ("folder", folder.shown()),
            Self::Bundle(bundle) => ("bundle", bundle.shown()),
            Self::Git(git) => ("git", git.shown()),
        }
    }
}

/// A source, how it is, and what was seen of it and not judged yet.
#[derive(Debug)]
pub(crate) struct Watched {
    source: Source,
    unjudged: Option<Look>,
    pace: Arc<Pace>,
    status: Arc<ArcSwap<SourceStatus>>,
}

impl Watched {
    pub(crate) fn new(source: Source, pace: Arc<Pace>) -> Self {
        let status = Arc::new(ArcSwap::from_pointee(SourceStatus::new(source.shown())));
        Self { source, unjudged: None, pace, status }
    }

    /// How the source is; kept up to date.
    pub(crate) fn status(&self) -> Arc<ArcSwap<SourceStatus>> {
        Arc::clone(&self.status)
    }

    /// Looks once, and notes how it went. Blocks meanwhile.
    pub(crate) fn look(&mut self) -> Look {
        if let Some(look) = self.unjudged.take() {
            return look;
        }
        let look = self.source.look();
        self.pace.looked(match &look {
            Look::Moving => Saw::Moving,
            Look::Failed(_) => Saw::Failure,
            Look::Nothing | Look::Offer(_) | Look::Refused { .. } => Saw::Still,
        });
        // Whoever stops cuts a look short, which says nothing of the source.
        if !self.pace.is_ended() {
            self.note(if let Look::Failed(why) = &look { Some(why) } else { None });
        }
        look
    }

    /// Somebody else judges it: the next look shows it again.
    pub(crate) fn put_back(&mut self, look: Look) {
        self.unjudged = Some(look);
    }

    pub(crate) fn offer_again(&mut self) {
        self.source.offer_again();
    }

    fn note(&self, failure: Option<&String>) {
        let before = self.status.load();
        if let Some(error) = failure.filter(|error| before.error.as_ref() != Some(error)) {
            tracing::warn!(target: "countersign::policy", source = before.at, error, "policy source cannot be asked; the active revision stays");
        } else if failure.is_none() && before.error.is_some() {
            tracing::info!(target: "countersign::policy", source = before.at, "policy source can be asked again");
        }
        let after = SourceStatus::clone(&before).after(clock::now(), failure.cloned());
        self.status.store(Arc::new(after));
    }
}
