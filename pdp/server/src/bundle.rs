//! A bundle (OPA, bundle file format): modules, data and what of the document tree it owns, read whole and checked before anything of it counts; and the
//! places that bundles come from.

mod archive;
mod canonical;
mod manifest;
mod origin;
mod package;
mod signature;
#[cfg(test)]
pub(crate) mod tests;

use countersign_pdp_engine::policy::{PolicyError, PolicySource};

pub(crate) use archive::{ArchiveError, LARGEST};
pub(crate) use manifest::{ManifestError, Roots};
pub(crate) use origin::{Content, Found, LookError, Mark, Origin, Remote, bearer};
pub(crate) use package::package;
pub(crate) use signature::{BundleKey, SignatureError, Trust};

use crate::policies::Files;
use manifest::Manifest;

/// A bundle that may be activated, as far as can be said of it alone.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// What its maker calls this state of it.
    pub(crate) revision: String,
    /// The parts of the document tree that it owns.
    pub(crate) roots: Roots,
    /// Its modules and data.
    pub(crate) source: PolicySource,
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Content(#[from] PolicyError),
}

impl Bundle {
    /// Reads a `.tar.gz`, and checks its signature before its content.
    pub(crate) fn open(compressed: &[u8], trust: &Trust) -> Result<Self, BundleError> {
        Self::of_files(verified(compressed, trust)?.0)
    }

    /// Reads the files of a bundle, or of a folder: one without a manifest owns the whole tree.
    pub(crate) fn of_files(files: Files) -> Result<Self, BundleError> {
        let manifest = files.iter().find(|(path, _)| path == ".manifest").map(|(_, bytes)| Manifest::parse(bytes)).transpose()?;
        let Manifest { revision, roots } = manifest.unwrap_or_default();
        let source = PolicySource::from_files("", files)?;
        roots.check(&source)?;
        Ok(Self { revision, roots, source })
    }
}

/// The files of a `.tar.gz`, and the id of the key that signed them, where bundles are signed.
pub(crate) fn verified(compressed: &[u8], trust: &Trust) -> Result<(Files, Option<String>), BundleError> {
    let files = archive::read(compressed)?;
    let signer = trust.check(&files)?;
    Ok((files, signer))
}
