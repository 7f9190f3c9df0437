//! Attackers planted into a real log: sessions of genuine subjects, presented again by a thief elsewhere, at other hours and by other devices, scored by
//! the risk engine with the facts as they were, and answered by both revisions. The same log and seed plant the same attackers.
//!
//! A thief has the token and does what the session did. They have no key and no passkey of the subject, and no grant: a demand for a proof stops them.

mod attack;
mod cast;

use std::path::Path;

use clap::ValueEnum;
use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::{Record, rescored, scored};
use countersign_pdp_engine::snapshot::Snapshot;
use countersign_risk::Weights;
use serde::Serialize;

use self::cast::Cast;
use super::{Answers, Log, LogError, PATIENCE};
use crate::policies;

/// A kind of attacker. All of them bring a copy of the subject's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// And of the device's cookie, in the same browser; from a far place of the log, in a country that is new to the subject, within a day.
    StolenToken,
    /// The same from next door: another part of the subject's own network, within the hour.
    TokenNear,
    /// From next door, at the hour at which the subject is least expected.
    OddHour,
    /// The token alone, in a browser of the thief's own, from an anonymizer in the subject's country.
    Vpn,
    /// As a stolen token, but eight days long: from next door to the far place, a little later each day. It counts by its last day.
    SlowWalk,
}

impl Kind {
    /// The name, as it is written on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StolenToken => "stolen-token",
            Self::TokenNear => "token-near",
            Self::OddHour => "odd-hour",
            Self::Vpn => "vpn",
            Self::SlowWalk => "slow-walk",
        }
    }
}

/// What became of attempts under one revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Fates {
    /// Denied, or asked for a proof that the thief does not have.
    pub stopped: u64,
    /// Of these, asked.
    pub asked: u64,
    /// Of these, denied.
    pub denied: u64,
    /// Let through.
    pub let_through: u64,
}

impl Fates {
    const fn count(&mut self, answer: &Summary) {
        match answer {
            Summary::Allow(_) => self.let_through += 1,
            Summary::StepUp(_) => self.asked += 1,
            Summary::Deny(_) => self.denied += 1,
        }
        self.stopped = self.asked + self.denied;
    }
}

/// What became of one kind of attacker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// The kind.
    pub kind: Kind,
    /// Attempts, one a session.
    pub attempts: u64,
    /// Sessions for which the log has no place from which this kind comes.
    pub without_place: u64,
    /// Under the old revision.
    pub old: Fates,
    /// Under the new one.
    pub new: Fates,
}

/// What became of planted attackers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Injected {
    /// By which the sessions, places and hours were drawn.
    pub seed: u64,
    /// Sessions that were attacked, one a subject.
    pub sessions: u64,
    /// Subjects of the log with a session that was let through; at most so many of them are attacked as are listed above.
    pub subjects: u64,
    /// Attacked sessions whose own score these weights do not give: the log was made by others, and attackers are scored otherwise than they would have been.
    pub not_as_scored: u64,
    /// By kind.
    pub kinds: Vec<Planted>,
}

/// What is planted.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The kinds.
    pub kinds: &'a [Kind],
    /// From which everything is drawn.
    pub seed: u64,
    /// By which attackers are scored.
    pub weights: &'a Weights,
}

/// Plants attackers into a log and asks both revisions about them. `progress` hears how many bytes of the log are read.
///
/// # Errors
/// When the log cannot be read, or the evaluation panics.
pub fn run([old, new]: [&Snapshot; 2], path: &Path, plan: &Plan<'_>, progress: impl FnMut(u64)) -> Result<Injected, LogError> {
    let mut cast = Cast::new(plan.seed);
    Log::open(path)?.each(progress, |read| {
        if let Ok(Some(record)) = read {
            cast.see(record);
        }
    })?;
    // As for the genuine: many thieves look alike to a policy, and that a machine is busy is no answer.
    let side = |side: &Snapshot| Snapshot { policy: side.policy.remembering().into(), budget: PATIENCE, ..side.clone() };
    let sides = [side(old), side(new)];
    policies::deep(|| plant(&cast, &sides, plan)).map_err(|_| LogError::Panic)
}

fn plant(cast: &Cast, sides: &[Snapshot; 2], plan: &Plan<'_>) -> Injected {
    let mut kinds = plan.kinds.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let is_other = |record: &Record| rescored(record, plan.weights) != scored(record);
    Injected {
        seed: plan.seed,
        sessions: count(cast.victims().count()),
        subjects: cast.subjects(),
        not_as_scored: count(cast.victims().filter(|victim| is_other(victim.record)).count()),
        kinds: kinds.into_iter().map(|kind| planted(kind, cast, sides, plan.weights)).collect(),
    }
}

fn planted(kind: Kind, cast: &Cast, [old, new]: &[Snapshot; 2], weights: &Weights) -> Planted {
    let mut planted = Planted { kind, attempts: 0, without_place: 0, old: Fates::default(), new: Fates::default() };
    for victim in cast.victims() {
        let answer = |snapshot: &Snapshot| attack::answer(kind, &victim, cast, snapshot, weights);
        match (answer(old), answer(new)) {
            (Some(before), Some(after)) => {
                planted.attempts += 1;
                planted.old.count(&before);
                planted.new.count(&after);
            }
            _ => planted.without_place += 1,
        }
    }
    planted
}

impl Injected {
    /// A table for people, with what both revisions cost the genuine decisions of the log.
    #[must_use]
    pub fn in_words(&self, genuine: [Answers; 2]) -> String {
        let of_all = if self.subjects > self.sessions { format!(" of {} subjects", self.subjects) } else { String::new() };
        let mut lines = vec![
            format!("attackers in {} sessions{of_all}, one a subject (seed {})", self.sessions, self.seed),
            format!("  {:<14} {:>8}  {:<38}  {:<38}", "", "attempts", "old: stopped (asked, denied)", "new: stopped (asked, denied)"),
        ];
        for one in &self.kinds {
            let side = |fates: Fates| {
                let stopped = format!("{} {}", fates.stopped, percent(fates.stopped, one.attempts));
                format!("{stopped} ({}, {}), {} through", fates.asked, fates.denied, fates.let_through)
            };
            lines.push(format!("  {:<14} {:>8}  {:<38}  {:<38}", one.kind.name(), one.attempts, side(one.old), side(one.new)));
        }
        let [old, new] = genuine.map(|side| {
            let all = side.allow + side.step_up + side.deny;
            format!("asked {}, denied {}", percent(side.step_up, all), percent(side.deny, all))
        });
        let all = genuine[0].allow + genuine[0].step_up + genuine[0].deny;
        lines.push(format!("  {:<14} {all:>8}  {old:<38}  {new:<38}", "the genuine"));
        for one in self.kinds.iter().filter(|one| one.without_place > 0) {
            lines.push(format!("  {}: the log has no place to come from for {} sessions", one.kind.name(), one.without_place));
        }
        if self.not_as_scored > 0 {
            lines.push(format!(
                "  {} of these sessions were scored by other weights than attackers are: name them (--weights)",
                self.not_as_scored
            ));
        }
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a log has fewer than 2^52 decisions")]
fn percent(part: u64, all: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / all.max(1) as f64)
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
