//! What was fetched so far: a bare store that nobody but this server writes, and that may be thrown away at any time.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::refs::transaction::PreviousValue;

use super::remote::Session;
use super::repository::{causes, options};
use super::{CommitId, Follow, GitError, Remote, Repository};

/// What is there with everything that leads to it.
const KEPT: &str = "refs/countersign/kept";
/// The most packs and bytes before all is fetched anew.
const MAX_PACKS: usize = 200;
const LARGEST: u64 = 1 << 30;

/// The folder of a mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    folder: PathBuf,
}

impl Mirror {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks the host what it has, and fetches that where it is new.
    ///
    /// # Errors
    /// When the host does not answer, or not with what it says. The mirror is as good as before.
    pub(crate) fn update(&self, remote: &Remote, follow: &Follow) -> Result<(Repository, ObjectId), String> {
        let kept = self.open().map_err(|error| error.to_string())?;
        let have = kept.reference(KEPT).ok();
        // A commit that is pinned and there need not be asked for.
        if let (Follow::Commit(id), Some(have)) = (follow, have)
            && CommitId::parse(id) == Some(CommitId(have))
        {
            return Ok((kept, have));
        }
        let mut session = remote.connect()?;
        let tip = session.tip(follow)?;
        if have == Some(tip) {
            return Ok((kept, tip));
        }
        self.fetch(&mut session, kept, have, tip).map(|fetched| (fetched, tip))
    }

    fn fetch(&self, session: &mut Session, kept: Repository, have: Option<ObjectId>, tip: ObjectId) -> Result<Repository, String> {
        let (kept, have) = if self.is_full() { (self.anew().map_err(|error| error.to_string())?, None) } else { (kept, have) };
        session.fetch(tip, have, &kept)?;
        // Opened again, so that it shows what came.
        let fetched = self.open().map_err(|error| error.to_string())?;
        fetched.peel(tip).map_err(|error| format!("the host did not send what it was asked for: {error}"))?;
        let written = fetched.0.reference(KEPT, tip, PreviousValue::Any, "fetched").map(drop);
        written.map_err(|error| format!("the mirror cannot be written: {}", causes(&error)))?;
        Ok(fetched)
    }

    /// Throws everything away: it is not what its host said it is.
    ///
    /// # Errors
    /// When the folder cannot be emptied.
    pub(crate) fn forget(&self) -> Result<(), GitError> {
        self.anew().map(drop)
    }

    fn open(&self) -> Result<Repository, GitError> {
        if self.folder.join("HEAD").exists() {
            return Repository::open(&self.folder).or_else(|_| self.anew());
        }
        // Whatever else is in the folder is not ours to delete.
        if std::fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some()) {
            let why = "it is the folder of a mirror, and holds something else".to_owned();
            return Err(GitError::Repository { path: self.folder.clone(), why });
        }
        self.make()
    }

    fn anew(&self) -> Result<Repository, GitError> {
        let failed = |error: std::io::Error| GitError::Repository { path: self.folder.clone(), why: error.to_string() };
        std::fs::remove_dir_all(&self.folder).map_err(failed)?;
        self.make()
    }

    fn make(&self) -> Result<Repository, GitError> {
        let failed = |why: String| GitError::Repository { path: self.folder.clone(), why };
        std::fs::create_dir_all(&self.folder).map_err(|error| failed(error.to_string()))?;
        let made = gix::ThreadSafeRepository::init_opts(&self.folder, gix::create::Kind::Bare, gix::create::Options::default(), options());
        made.map_err(|error| failed(causes(&error)))?;
        Repository::open(&self.folder)
    }

    /// Every fetch leaves a pack; they are never put together.
    fn is_full(&self) -> bool {
        let Ok(packs) = std::fs::read_dir(self.folder.join("objects/pack")) else { return false };
        let sizes: Vec<u64> = packs.filter_map(|entry| entry.ok()?.metadata().ok()).map(|about| about.len()).collect();
        sizes.len() > 2 * MAX_PACKS || sizes.iter().sum::<u64>() > LARGEST
    }
}
