//! A revision of a policy as somebody names it: a folder, or a commit, branch or tag of a git repository.

use std::path::{Path, PathBuf};

use countersign_pdp_engine::snapshot::Snapshot;

use crate::git::{GitError, Repository};
use crate::policies::{self, Files};

/// Why a revision cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// It is neither a folder nor known to git.
    #[error("`{name}` is no folder, and git knows no such revision: {said}")]
    Unknown {
        /// What was named.
        name: String,
        /// What git said.
        said: String,
    },
    /// It may be both.
    #[error("`{0}` is a folder, and in a repository it may be meant for a revision: write `./{0}` for the folder, or the commit")]
    Ambiguous(String),
    /// It holds what no policy may hold.
    #[error("revision `{name}` is refused: {why}")]
    Refused {
        /// What was named.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Where a policy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// In a folder.
    Folder(PathBuf),
    /// In a commit of a repository, below a folder.
    Git {
        /// The repository.
        repository: PathBuf,
        /// Branch, tag or commit.
        name: String,
        /// The folder of the policy in the commit; empty for the top.
        within: String,
    },
}

impl Revision {
    /// A folder of that name, if there is one; else a revision of the repository.
    ///
    /// # Errors
    /// When it may be either: whoever proposes a change must not decide by a folder named `main` what it is compared with.
    pub fn named(name: &str, repository: &Path, within: &str) -> Result<Self, RevisionError> {
        let folder = PathBuf::from(name);
        if !folder.is_dir() {
            return Ok(Self::Git { repository: repository.to_owned(), name: name.to_owned(), within: within.trim_matches('/').to_owned() });
        }
        let is_path = name.starts_with(['.', '/']);
        // Also where git knows no such name now: a clone that lacks the branch must not take a folder for it.
        if !is_path && Repository::discover(repository).is_ok() {
            return Err(RevisionError::Ambiguous(name.to_owned()));
        }
        Ok(Self::Folder(folder))
    }

    /// Reads, checks and compiles it, as before activation.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load(&self, package: &str) -> Result<Snapshot, String> {
        match self {
            Self::Folder(folder) => policies::load(folder, package),
            Self::Git { name, .. } => {
                let files = self.files().map_err(|error| error.to_string())?;
                policies::load_files(&format!("revision `{name}`"), files, package)
            }
        }
    }

    /// The files of a commit, as its tree has them: nothing is checked out, and no attribute, hook or filter of the repository has a say.
    fn files(&self) -> Result<Files, RevisionError> {
        let Self::Git { repository, name, within } = self else { return Ok(Files::new()) };
        let unread = |error: GitError| match error {
            GitError::Refused(why) | GitError::Damaged(why) => RevisionError::Refused { name: name.clone(), why },
            unknown => RevisionError::Unknown { name: name.clone(), said: unknown.to_string() },
        };
        let repository = Repository::discover(repository).map_err(unread)?;
        repository.resolve(name).and_then(|commit| repository.files(commit, within)).map_err(unread)
    }
}
