//! What an operator does to a rollout: end it, go back, or take what is not taken by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_pdp_store::{PolicyStep, PolicyTimes, Store};
use countersign_sdk_types::{Digest, Revision};
use serde::{Deserialize, Serialize};

use super::{Because, Candidate, Content, Desk, Policies, Waiting};
use crate::pipeline::Served;

/// The shortest beginning of a name that is looked for.
const SHORTEST: usize = 4;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Changed {
    /// What decides now.
    #[schema(value_type = String)]
    pub revision: Revision,
    /// What does not any more.
    #[schema(value_type = String)]
    pub instead_of: Revision,
    /// In words.
    pub done: String,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// There is nothing to do it to.
    Conflict(String),
    /// It was tried, and failed.
    Failed(String),
}

impl Policies {
    /// Ends the trial, or goes back to an earlier revision. What is left behind is held.
    ///
    /// # Errors
    /// When there is nothing to go back to, it does not pass the gate any more, something else became active meanwhile, or it cannot be written down.
    pub fn roll_back(
        &self,
        served: &Served,
        store: &Store,
        to: Option<&Revision>,
        (by, reason): (&str, Option<&str>),
    ) -> Result<Changed, NotDone> {
        let why = reason.map_or_else(|| "rolled back by an operator".to_owned(), |reason| format!("rolled back by an operator: {reason}"));
        let (left, target) = {
            let mut desk = self.rollout.desk();
            let left = Arc::clone(served.load().active());
            let target = match (to, &desk.trial) {
                (None, Some(trial)) => {
                    let instead_of = trial.of.revision.clone();
                    self.end_trial(&mut desk, served, store, true, (by, why));
                    let done = "the trial is ended, and its candidate held".to_owned();
                    return Ok(Changed { revision: left.revision.clone(), instead_of, done });
                }
                (None, None) => {
                    let times = store.view().policy_times(&self.tenant).map_err(|error| NotDone::Failed(error.to_string()))?;
                    let nowhere = || self.nowhere("no earlier revision is known that is not held");
                    previous(&times, &left.revision).cloned().ok_or_else(nowhere)?
                }
                (Some(to), _) => self.named(&desk, to)?,
            };
            (left, target)
        };
        if target == left.revision {
            return Err(NotDone::Conflict(format!("revision {target} is the active one")));
        }
        let digest = Digest::try_from(left.revision.to_string()).map_err(|error| NotDone::Failed(error.to_string()))?;
        let candidate = self.again(&target)?;
        let mut desk = self.rollout.desk();
        // INVARIANT: what is held, and what an operator may take again, is the policy that this replaces, and not one that was active earlier.
        if served.load().active().revision != left.revision {
            return Err(meanwhile());
        }
        if desk.trial.as_ref().is_some_and(|trial| trial.of.digest == candidate.digest) {
            return Err(NotDone::Conflict(format!("revision {target} is on trial; `countersign policy promote` takes it")));
        }
        let tried = if desk.trial.is_some() {
            self.end_trial(&mut desk, served, store, true, (by, why.clone()));
            desk.waiting.clone().zip(self.status().candidate)
        } else {
            None
        };
        let because = Because { by: by.to_owned(), why: Some(why), instead_of: Some(digest) };
        self.activate(&mut desk, served, store, candidate, because).map_err(NotDone::Failed)?;
        let done = if let Some((waiting, candidate)) = tried {
            // That is what the source goes on offering.
            desk.waiting = Some(waiting);
            let status = self.status();
            self.tell(status.revision, status.activated_at, Some(candidate));
            self.show(&desk, served, store);
            "the trial is ended and the earlier revision active; the candidate is held, and so is what was active"
        } else {
            let content = Content::Compiled(Arc::clone(&left.policy));
            let origin = store.view().policy_times(&self.tenant).ok().and_then(|times| times.held(&digest).map(|held| held.origin.clone()));
            desk.waiting = Some(Waiting { digest, origin: origin.unwrap_or_default(), content });
            "the earlier revision is active, and what it replaces is held"
        };
        Ok(Changed { revision: target, instead_of: left.revision.clone(), done: done.to_owned() })
    }

    /// Activates what is on trial, whatever is left of that, or else what is held and offered. With `which` only where the name of that begins so.
    ///
    /// # Errors
    /// When there is neither, it is another one, it does not pass the gate, something else was done meanwhile, or it cannot be written down.
    pub fn promote(&self, served: &Served, store: &Store, which: Option<&Revision>, by: &str) -> Result<Changed, NotDone> {
        let because = |why: String| Because { by: by.to_owned(), why: Some(why), instead_of: None };
        let mut desk = self.rollout.desk();
        let active = served.load().active().revision.clone();
        if let Some(trial) = &desk.trial {
            let (candidate, stage) = (trial.candidate(), trial.of.stage);
            let revision = candidate.revision.clone();
            meant(which, revision.as_str())?;
            let promoted = because(format!("promoted by an operator while {stage}"));
            self.activate(&mut desk, served, store, candidate, promoted).map_err(NotDone::Failed)?;
            return Ok(Changed { revision, instead_of: active, done: "what was left of the trial is skipped".to_owned() });
        }
        let nothing = || NotDone::Conflict("nothing is on trial, and nothing that is offered is held".to_owned());
        let Waiting { digest, origin, content } = desk.waiting.clone().ok_or_else(nothing)?;
        meant(which, &digest.to_string())?;
        let candidate = match content {
            Content::Compiled(policy) => {
                let revision = Revision::new(digest.to_string()).map_err(|error| NotDone::Failed(error.to_string()))?;
                Candidate { revision, digest, policy, origin }
            }
            Content::Files(files) => {
                drop(desk);
                let passed = self.gate(files, origin);
                desk = self.rollout.desk();
                let is_waiting = desk.waiting.as_ref().is_some_and(|waiting| waiting.digest == digest);
                if !is_waiting || desk.trial.is_some() || served.load().active().revision != active {
                    return Err(meanwhile());
                }
                passed.map_err(NotDone::Failed)?
            }
        };
        let revision = candidate.revision.clone();
        // What cannot be written down may be asked for again, and passed the gate already.
        let (origin, content) = (candidate.origin.clone(), Content::Compiled(Arc::clone(&candidate.policy)));
        desk.waiting = Some(Waiting { digest, origin, content });
        let taken = because("taken by an operator though it was held".to_owned());
        self.activate(&mut desk, served, store, candidate, taken).map_err(NotDone::Failed)?;
        Ok(Changed { revision, instead_of: active, done: "what was held is active".to_owned() })
    }

    /// The one revision to which there is a way back and whose name begins so.
    fn named(&self, desk: &Desk, to: &Revision) -> Result<Revision, NotDone> {
        let kept = self.kept.list().into_iter().map(|digest| digest.to_string());
        let before = desk.before.iter().map(|before| before.revision.to_string());
        let names: BTreeSet<String> = kept.chain(before).filter(|name| name.starts_with(to.as_str())).collect();
        match (to.as_str().len() >= SHORTEST, names.len(), names.first().map(|name| Revision::new(name.clone()))) {
            (true, 1, Some(Ok(name))) => Ok(name),
            (true, 0, _) => Err(self.nowhere(&format!("no revision is kept whose name begins with `{to}`"))),
            _ => Err(self.nowhere(&format!("`{to}` could be several revisions"))),
        }
    }

    /// An earlier revision: as this process knows it, or else as it is kept, once it passed the gate again.
    fn again(&self, target: &Revision) -> Result<Candidate, NotDone> {
        let digest = Digest::try_from(target.to_string()).map_err(|error| NotDone::Failed(error.to_string()))?;
        let before = self.rollout.desk().before.clone().filter(|before| before.revision == *target);
        let kept = self.kept.read(&digest);
        match (before, kept) {
            (Some(before), kept) => {
                let origin = kept.map(|kept| kept.origin).unwrap_or_default();
                Ok(Candidate { revision: target.clone(), digest, policy: Arc::clone(&before.policy), origin })
            }
            (None, Ok(kept)) => self.gate(kept.files, kept.origin).map_err(NotDone::Failed),
            (None, Err(error)) => Err(self.nowhere(&error)),
        }
    }

    fn nowhere(&self, why: &str) -> NotDone {
        let kept: Vec<String> = self.kept.list().into_iter().map(|digest| digest.to_string()).collect();
        let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
        NotDone::Conflict(format!("{why}; `--to` takes one that is kept: {kept}"))
    }
}

/// While a check went on, the desk was free for others.
fn meanwhile() -> NotDone {
    NotDone::Conflict("another revision became active or came on trial meanwhile: ask again".to_owned())
}

/// Whether this is the revision that somebody has in mind.
fn meant(which: Option<&Revision>, name: &str) -> Result<(), NotDone> {
    let Some(which) = which else { return Ok(()) };
    if which.as_str().len() < SHORTEST {
        return Err(NotDone::Conflict(format!("`{which}` could be several revisions: {SHORTEST} characters at least say which")));
    }
    let is_meant = name.starts_with(which.as_str());
    is_meant.then_some(()).ok_or_else(|| NotDone::Conflict(format!("`{which}` would not become active, but {name}: nothing is changed")))
}

/// What was active last before what is, and is not held.
fn previous<'a>(times: &'a PolicyTimes, active: &Revision) -> Option<&'a Revision> {
    let is_held = |revision: &Revision| times.held.iter().any(|held| held.digest.to_string() == revision.as_str());
    let mut activations = times.changes.iter().filter(|change| change.step == PolicyStep::Active).map(|change| &change.revision);
    activations.find(|revision| *revision != active && !is_held(revision))
}
