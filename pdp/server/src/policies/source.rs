//! Where policies come from. A source is looked at again and again; what it offers is a candidate, and nothing that it does reaches what decides.

mod folder;
mod git;

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;

use super::Files;
pub(crate) use folder::Folder;
pub(crate) use git::Git;

/// Where policies come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder on this machine.
    Folder(Folder),
    /// A git repository.
    Git(Box<Git>),
}

/// What one look showed.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing that was not offered before.
    Nothing,
    /// A candidate.
    Offer(Offer),
    /// Something that is no candidate, told once.
    Refused {
        /// What it is recognised by.
        content: Digest,
        /// What is wrong with it.
        why: String,
    },
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
    /// Looks once. Blocks meanwhile.
    pub(crate) fn look(&mut self) -> Look {
        match self {
            Self::Folder(folder) => folder.look(),
            Self::Git(git) => git.look(),
        }
    }

    /// What was offered last could not be judged, by no fault of its own: it is offered again after a while.
    pub(crate) fn offer_again(&mut self) {
        match self {
            Self::Folder(folder) => folder.offer_again(),
            Self::Git(git) => git.offer_again(),
        }
    }
}
