//! Whether what a reference points to may be taken: it goes on from what was taken last, and allowed signers signed it.

use std::collections::{BinaryHeap, HashMap, HashSet};

use countersign_sdk_types::Timestamp;
use gix::ObjectId;

use super::names::shown;
use super::repository::Tag;
use super::signature::{SignatureError, Signed};
use super::signers::NotAllowed;
use super::{CommitId, Deadline, Follow, GitError, Repository, Signers};

/// The most commits that are new at once, and that are looked at to find them.
const MAX_NEW: usize = 10_000;
const MAX_HISTORY: usize = 200_000;
/// How wrong clocks may go, in seconds, without a commit being taken for new that is not.
const SLOP: i64 = 24 * 60 * 60;

/// What is known before a look at a tip.
#[derive(Debug)]
pub(crate) struct Trust<'a> {
    pub(crate) repository: &'a Repository,
    /// Who may sign; nothing when anybody may.
    pub(crate) signers: Option<&'a Signers>,
    /// What was taken last.
    pub(crate) last: Option<CommitId>,
    pub(crate) now: Timestamp,
    /// Until when.
    pub(crate) deadline: &'a Deadline,
}

/// A tip that may be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The commit.
    pub(crate) commit: CommitId,
    /// Whose signature held.
    pub(crate) signer: Option<String>,
    /// Who wrote it, by their own word.
    pub(crate) author: String,
    /// What they said of it, in one line.
    pub(crate) title: String,
}

impl Trust<'_> {
    /// Judges what the followed reference points to.
    ///
    /// # Errors
    /// When it is refused, or cannot be read.
    pub(crate) fn judge(&self, follow: &Follow, tip: ObjectId) -> Result<Judged, GitError> {
        let (tag, commit) = self.repository.peel(tip)?;
        let new = match follow {
            // Its id was written down by whoever runs the server: no history says more.
            Follow::Commit(_) => vec![commit],
            Follow::Branch(_) | Follow::Tag(_) => self.new_since_last(commit)?,
        };
        let signer = match self.signers {
            None => None,
            Some(signers) => Some(self.signer(signers, follow, tag.as_ref(), commit, &new)?),
        };
        let about = self.repository.commit(commit)?;
        Ok(Judged { commit, signer, author: about.author, title: about.title })
    }

    /// Whose signature holds for the tip: that of the tag, where it has one, else those of every new commit.
    fn signer(
        &self,
        signers: &Signers,
        follow: &Follow,
        tag: Option<&Tag>,
        commit: CommitId,
        new: &[CommitId],
    ) -> Result<String, GitError> {
        if let (Follow::Tag(name), Some(tag)) = (follow, tag) {
            match Signed::tag(&tag.raw) {
                Err(SignatureError::Unsigned) => {}
                signed => return self.tag_signer(signers, name, tag, signed),
            }
        }
        let mut by = None;
        for id in new {
            self.deadline.check()?;
            let signed = Signed::commit(&self.repository.commit(*id)?.raw);
            let who = signed.map_err(NotAllowed::from).and_then(|signed| signers.who(&signed, self.now).map(str::to_owned));
            let who = who.map_err(|why| GitError::Refused(format!("commit `{id}`: {why}")))?;
            if *id == commit {
                by = Some(who);
            }
        }
        by.ok_or_else(|| GitError::Refused(format!("commit `{commit}` was not looked at")))
    }

    fn tag_signer(&self, signers: &Signers, name: &str, tag: &Tag, signed: Result<Signed, SignatureError>) -> Result<String, GitError> {
        let refused = |why: String| GitError::Refused(format!("tag `{}`: {why}", shown(name)));
        // A tag that somebody signed under another name is no word on this one.
        if tag.name != name {
            return Err(refused(format!("it was made as `{}`", shown(&tag.name))));
        }
        let signed = signed.map_err(|why| refused(why.to_string()))?;
        signers.who(&signed, self.now).map(str::to_owned).map_err(|why| refused(why.to_string()))
    }

    /// What is new at a tip: whatever it descends from, on all sides, that the last one does not. At first, and when nothing moved, the tip alone.
    fn new_since_last(&self, tip: CommitId) -> Result<Vec<CommitId>, GitError> {
        let Some(last) = self.last.filter(|last| *last != tip) else { return Ok(vec![tip]) };
        let rewritten =
            || GitError::Refused(format!("`{tip}` does not descend from `{last}`, which was taken last: its history was rewritten"));
        if !self.repository.0.has_object(last.0) {
            return Err(rewritten());
        }
        let new = self.between(last, tip)?;
        if !new.contains(&tip) {
            return Err(GitError::Refused(format!("`{tip}` lies before `{last}`, which was taken last: it goes back")));
        }
        let mut descends = false;
        for id in &new {
            self.deadline.check()?;
            descends |= self.repository.commit(*id)?.parents.contains(&last);
        }
        if descends { Ok(new) } else { Err(rewritten()) }
    }

    /// What a commit descends from, itself included, and the last one does not. Both sides are walked from the latest commit on, so that the history
    /// before both is left out. Times that are wrong make more of it new than is, never less.
    fn between(&self, last: CommitId, tip: CommitId) -> Result<Vec<CommitId>, GitError> {
        let too_long = |most: usize| GitError::Refused(format!("more than {most} commits would have to be looked at"));
        let mut walk = Walk { earliest: i64::MAX, ..Walk::default() };
        walk.see(last, true, self.repository)?;
        walk.see(tip, false, self.repository)?;
        while let Some((made, id)) = walk.next.pop() {
            let goes_back = walk.seen.get(&tip).is_some_and(|(is_old, _)| *is_old);
            if goes_back || walk.fresh.is_empty() && made.saturating_add(SLOP) < walk.earliest {
                break;
            }
            self.deadline.check()?;
            walk.fresh.remove(&id);
            let Some((is_old, parents)) = walk.seen.get(&id).cloned() else { continue };
            for parent in parents {
                walk.see(parent, is_old, self.repository)?;
            }
            if walk.seen.len() > MAX_HISTORY {
                return Err(too_long(MAX_HISTORY));
            }
        }
        let new: Vec<CommitId> = walk.seen.into_iter().filter(|(_, (is_old, _))| !is_old).map(|(id, _)| id).collect();
        if new.len() > MAX_NEW { Err(too_long(MAX_NEW)) } else { Ok(new) }
    }
}

/// A walk from two commits to what they descend from.
#[derive(Default)]
struct Walk {
    /// Whether the last one descends from it, and its parents.
    seen: HashMap<CommitId, (bool, Vec<CommitId>)>,
    /// Where it goes on, the latest first.
    next: BinaryHeap<(i64, CommitId)>,
    /// What of these is new, as far as is known.
    fresh: HashSet<CommitId>,
    /// When the first that seemed new was made.
    earliest: i64,
}

impl Walk {
    fn see(&mut self, id: CommitId, is_old: bool, repository: &Repository) -> Result<(), GitError> {
        if self.seen.get(&id).is_some_and(|(was_old, _)| *was_old || !is_old) {
            return Ok(());
        }
        let commit = repository.commit(id)?;
        self.seen.insert(id, (is_old, commit.parents));
        self.next.push((commit.made, id));
        if is_old {
            self.fresh.remove(&id);
        } else {
            self.fresh.insert(id);
            self.earliest = self.earliest.min(commit.made);
        }
        Ok(())
    }
}
