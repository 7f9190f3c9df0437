//! Whether what a reference points to may be taken: it goes on from what was taken last, and allowed signers signed it.

use std::collections::HashSet;

use countersign_sdk_types::Timestamp;
use gix::ObjectId;

use super::names::shown;
use super::repository::Tag;
use super::signature::{SignatureError, Signed};
use super::signers::NotAllowed;
use super::{CommitId, Follow, GitError, Repository, Signers};

/// The most commits that are new at once, and the longest history.
const MAX_NEW: usize = 10_000;
const MAX_HISTORY: usize = 200_000;

/// What is known before a look at a tip.
#[derive(Debug)]
pub(crate) struct Trust<'a> {
    pub(crate) repository: &'a Repository,
    /// Who may sign; nothing when anybody may.
    pub(crate) signers: Option<&'a Signers>,
    /// What was taken last.
    pub(crate) last: Option<CommitId>,
    pub(crate) now: Timestamp,
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
        let too_long = |most: usize| GitError::Refused(format!("more than {most} commits would have to be looked at"));
        let old = self.reachable(last, &HashSet::new(), MAX_HISTORY)?.ok_or_else(|| too_long(MAX_HISTORY))?;
        if old.contains(&tip) {
            return Err(GitError::Refused(format!("`{tip}` lies before `{last}`, which was taken last: it goes back")));
        }
        let new = self.reachable(tip, &old, MAX_NEW)?.ok_or_else(|| too_long(MAX_NEW))?;
        let mut descends = false;
        for id in &new {
            descends |= self.repository.commit(*id)?.parents.contains(&last);
        }
        if descends { Ok(new.into_iter().collect()) } else { Err(rewritten()) }
    }

    /// All that a commit descends from, itself included, without what is known; nothing when that is too much.
    fn reachable(&self, from: CommitId, known: &HashSet<CommitId>, most: usize) -> Result<Option<HashSet<CommitId>>, GitError> {
        let (mut seen, mut next) = (HashSet::from([from]), vec![from]);
        while let Some(id) = next.pop() {
            for parent in self.repository.commit(id)?.parents {
                if !known.contains(&parent) && seen.insert(parent) {
                    next.push(parent);
                }
            }
            if seen.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(seen))
    }
}
