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
    /// When there is nothing to go back to, it does not pass the gate any more, or it cannot be written down.
    pub fn roll_back(
        &self,
        served: &Served,
        store: &Store,
        to: Option<&Revision>,
        (by, reason): (&str, Option<&str>),
    ) -> Result<Changed, NotDone> {
        let why = reason.map_or_else(|| "rolled back by an operator".to_owned(), |reason| format!("rolled back by an operator: {reason}"));
        let active = served.load().active().revision.clone();
        let target = {
            let mut desk = self.rollout.desk();
            match (to, &desk.trial) {
                (None, Some(trial)) => {
                    let left = trial.of.revision.clone();
                    self.end_trial(&mut desk, served, store, true, (by, why));
                    return Ok(Changed {
                        revision: active,
                        instead_of: left,
                        done: "the trial is ended, and its candidate held".to_owned(),
                    });
                }
                (None, None) => {
                    let times = store.view().policy_times(&self.tenant).map_err(|error| NotDone::Failed(error.to_string()))?;
                    let nowhere = || self.nowhere("no earlier revision is known that is not held");
                    previous(&times, &active).cloned().ok_or_else(nowhere)?
                }
                (Some(to), _) => self.named(&desk, to)?,
            }
        };
        if target == active {
            return Err(NotDone::Conflict(format!("revision {target} is the active one")));
        }
        let left = Digest::try_from(active.to_string()).map_err(|error| NotDone::Failed(error.to_string()))?;
        let candidate = self.again(&target)?;
        let mut desk = self.rollout.desk();
        let replaced = Arc::clone(served.load().active());
        let because = Because { by: by.to_owned(), why: Some(why), instead_of: Some(left) };
        self.activate(&mut desk, served, store, candidate, because).map_err(NotDone::Failed)?;
        let content = Content::Compiled(Arc::clone(&replaced.policy));
        let origin = store.view().policy_times(&self.tenant).ok().and_then(|times| times.held(&left).map(|held| held.origin.clone()));
        desk.waiting = Some(Waiting { digest: left, origin: origin.unwrap_or_default(), content });
        Ok(Changed {
            revision: target,
            instead_of: active,
            done: "the earlier revision is active, and what it replaces is held".to_owned(),
        })
    }

    /// Activates what is on trial, whatever is left of that, or else what is held and offered.
    ///
    /// # Errors
    /// When there is neither, it does not pass the gate, or it cannot be written down.
    pub fn promote(&self, served: &Served, store: &Store, by: &str) -> Result<Changed, NotDone> {
        let because = |why: String| Because { by: by.to_owned(), why: Some(why), instead_of: None };
        let active = served.load().active().revision.clone();
        let mut desk = self.rollout.desk();
        if let Some(trial) = &desk.trial {
            let (candidate, stage) = (trial.candidate(), trial.of.stage);
            let revision = candidate.revision.clone();
            let promoted = because(format!("promoted by an operator while {stage}"));
            self.activate(&mut desk, served, store, candidate, promoted).map_err(NotDone::Failed)?;
            return Ok(Changed { revision, instead_of: active, done: "what was left of the trial is skipped".to_owned() });
        }
        let nothing = || NotDone::Conflict("nothing is on trial, and nothing that is offered is held".to_owned());
        let Waiting { digest, origin, content } = desk.waiting.take().ok_or_else(nothing)?;
        let candidate = match content {
            Content::Compiled(policy) => {
                let revision = Revision::new(digest.to_string()).map_err(|error| NotDone::Failed(error.to_string()))?;
                Ok(Candidate { revision, digest, policy, origin })
            }
            Content::Files(files) => {
                drop(desk);
                let passed = self.gate(files.clone(), origin.clone());
                desk = self.rollout.desk();
                // What could not be taken may be asked for again.
                desk.waiting = Some(Waiting { digest, origin, content: Content::Files(files) });
                passed.map_err(NotDone::Failed)
            }
        }?;
        let revision = candidate.revision.clone();
        let taken =
            self.activate(&mut desk, served, store, candidate.clone(), because("taken by an operator though it was held".to_owned()));
        if let Err(error) = taken {
            let Candidate { digest, policy, origin, .. } = candidate;
            desk.waiting = Some(Waiting { digest, origin, content: Content::Compiled(policy) });
            return Err(NotDone::Failed(error));
        }
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

/// What was active last before what is, and is not held.
fn previous<'a>(times: &'a PolicyTimes, active: &Revision) -> Option<&'a Revision> {
    let is_held = |revision: &Revision| times.held.iter().any(|held| held.digest.to_string() == revision.as_str());
    let mut activations = times.changes.iter().filter(|change| change.step == PolicyStep::Active).map(|change| &change.revision);
    activations.find(|revision| *revision != active && !is_held(revision))
}
