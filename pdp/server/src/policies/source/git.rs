//! A git repository: what its reference points to is fetched, believed only when it goes on from what was taken last and allowed signers signed it, and read
//! as it was committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_pdp_store::Origin;
use countersign_sdk_types::Digest;
use gix::ObjectId;

use super::anchor::Anchor;
use super::{Look, Offer};
use crate::clock::{self, Stopwatch};
use crate::git::{Bounds, CommitId, Deadline, GitError, Judged, Location, Mirror, Remote, Repository, Settings, Signers, Trust};
use crate::policies::folder;
use crate::policies::pace::Pace;

/// In the data folder: what was fetched, and which commit was taken last. The first may be thrown away at any time, the second may not.
const MIRROR: &str = "policy-mirror";
const ANCHOR: &str = "policy-anchor";
/// When content that could not be judged is offered again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long what is new may take to be judged.
const JUDGED_WITHIN: Duration = Duration::from_secs(60);

/// A repository, and what the last look at it showed.
#[derive(Debug)]
pub(crate) struct Git {
    settings: Settings,
    at: At,
    /// What was taken last. Only what goes on from it is taken.
    anchor: Anchor,
    /// What was judged last: where the reference pointed to, and who might sign.
    judged: Option<(ObjectId, Option<Digest>)>,
    /// What was told last.
    told: Option<Digest>,
    retry: Option<Stopwatch>,
    pace: Arc<Pace>,
}

#[derive(Debug)]
enum At {
    Elsewhere(Box<Remote>, Mirror),
    Here(PathBuf),
}

/// Why there is nothing to offer.
#[derive(Debug)]
enum Trouble {
    /// It could not be had, which says nothing of what it holds.
    Unreachable(String),
    /// It holds what may not be taken.
    Refused(String),
}

impl Git {
    /// A repository that nobody looked at since the start. What was fetched and taken before lies in the data folder.
    ///
    /// # Errors
    /// When the settings cannot mean anything.
    pub(crate) fn new(settings: Settings, store: &Path, pace: Arc<Pace>) -> Result<Self, String> {
        Self::bounded(settings, store.join(MIRROR), store.join(ANCHOR), Bounds::default(), pace)
    }

    fn bounded(settings: Settings, mirror: PathBuf, anchor: PathBuf, bounds: Bounds, pace: Arc<Pace>) -> Result<Self, String> {
        let location = Location::parse(&settings.url).map_err(|error| error.to_string())?;
        settings.follow.check()?;
        let at = match location {
            Location::File(path) => At::Here(path),
            elsewhere => At::Elsewhere(Box::new(Remote::new(&elsewhere, &settings, bounds, Arc::clone(&pace))?), Mirror::new(mirror)),
        };
        let anchor = Anchor::new(anchor, &settings);
        Ok(Self { settings, at, anchor, judged: None, told: None, retry: None, pace })
    }

    /// A commit that may be taken and is new, or who may sign changed.
    pub(super) fn look(&mut self) -> Look {
        let due = self.retry.is_some_and(|since| since.elapsed() > AGAIN);
        match apart(|| self.offer(due)) {
            Ok(None) => Look::Nothing,
            Ok(Some(offer)) => {
                (self.retry, self.told) = (None, Some(offer.content));
                Look::Offer(offer)
            }
            Err(Trouble::Unreachable(why)) => Look::Failed(why),
            Err(Trouble::Refused(why)) => {
                let content = Digest(*blake3::hash(why.as_bytes()).as_bytes());
                let is_new = self.told.replace(content) != Some(content);
                if is_new { Look::Refused { content, why } } else { Look::Nothing }
            }
        }
    }

    pub(super) fn offer_again(&mut self) {
        self.retry = Some(Stopwatch::start());
    }

    /// Where it is. The URL holds no secret.
    pub(super) fn shown(&self) -> String {
        self.settings.url.clone()
    }

    fn offer(&mut self, due: bool) -> Result<Option<Offer>, Trouble> {
        let before = self.judged.take();
        let last = self.anchor.last().map_err(Trouble::Unreachable)?;
        let (repository, tip) = self.fetch().map_err(Trouble::Unreachable)?;
        let signers = self.signers(&repository).map_err(Trouble::Refused)?;
        let now = (tip, signers.as_ref().map(Signers::digest));
        if before == Some(now) && !due {
            self.judged = before;
            return Ok(None);
        }
        match self.judge(&repository, signers.as_ref(), last, tip) {
            Ok((judged, files)) => {
                // Before anybody hears of it: after a restart too, nothing that lies before it is taken.
                self.anchor.set(judged.commit).map_err(Trouble::Unreachable)?;
                self.judged = Some(now);
                Ok(Some(Offer { content: folder::digest(&files), files, origin: origin(judged) }))
            }
            Err(damaged @ GitError::Damaged(_)) => {
                // The host sent less than it said, or the disk lost something: the next look begins anew.
                if let At::Elsewhere(_, mirror) = &self.at {
                    mirror.forget().map_err(|error| Trouble::Unreachable(error.to_string()))?;
                }
                Err(Trouble::Unreachable(damaged.to_string()))
            }
            Err(late @ GitError::Late(_)) => Err(Trouble::Unreachable(late.to_string())),
            Err(refused) => {
                self.judged = Some(now);
                Err(Trouble::Refused(refused.to_string()))
            }
        }
    }

    fn judge(
        &self,
        repository: &Repository,
        signers: Option<&Signers>,
        last: Option<CommitId>,
        tip: ObjectId,
    ) -> Result<(Judged, crate::policies::Files), GitError> {
        let deadline = Deadline::within(JUDGED_WITHIN, Arc::clone(&self.pace));
        let trust = Trust { repository, signers, last, now: clock::now(), deadline: &deadline };
        let judged = trust.judge(&self.settings.follow, tip)?;
        let files = repository.files(judged.commit, &self.settings.within)?;
        Ok((judged, files))
    }

    fn fetch(&self) -> Result<(Repository, ObjectId), String> {
        match &self.at {
            At::Elsewhere(remote, mirror) => mirror.update(remote, &self.settings.follow),
            At::Here(path) => {
                let repository = Repository::open(path).map_err(|error| error.to_string())?;
                let tip = repository.followed(&self.settings.follow).map_err(|error| error.to_string())?;
                Ok((repository, tip))
            }
        }
    }

    /// Who may sign, as of this look.
    fn signers(&self, repository: &Repository) -> Result<Option<Signers>, String> {
        let Some(path) = &self.settings.allowed_signers else { return Ok(None) };
        let named = match &self.at {
            At::Elsewhere(_, mirror) => mirror.folder(),
            At::Here(path) if path.ends_with(".git") => path.parent().unwrap_or(path),
            At::Here(path) => path,
        };
        // Whoever may push would say who may push.
        if repository.folders().chain([named]).any(|folder| is_inside(path, folder)) {
            return Err(format!("the allowed signers `{}` lie within the repository that they are to vouch for", path.display()));
        }
        Signers::read(path).map(Some).map_err(|error| error.to_string())
    }
}

/// Runs where nothing else runs. Whoever looks may be in the middle of something that waits, and what other people wrote must not end the server, whatever a
/// reader of it makes of it.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, Trouble> + Send) -> Result<T, Trouble> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("git".to_owned()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Trouble::Unreachable(error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(Trouble::Refused("the repository could not be read: its reader gave up".to_owned())))
    })
}

fn is_inside(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(path).starts_with(real(folder))
}

fn origin(judged: Judged) -> Origin {
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    Origin { name: Some(judged.commit.to_string()), signer: judged.signer, author: told(judged.author), title: told(judged.title) }
}

#[cfg(test)]
mod tests;
