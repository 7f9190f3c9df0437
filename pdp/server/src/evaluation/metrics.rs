//! The judge: how many attackers are stopped at which price for genuine subjects.
//!
//! Genuine events count from a subject's sixth on. TPR at a step-up rate r: the share of an attacker's events at or above the lowest score that at most
//! r of the genuine events reach. AUC: the Mann–Whitney statistic with mid-ranks.

use std::collections::BTreeMap;
use std::fmt;

use countersign_risk::Assessment;
use countersign_sdk_types::Signal;
use serde::Serialize;

use super::{ATTACKERS, Event};

/// Genuine events of a subject before they count.
const WARM: usize = 5;
/// The step-up rates of the table.
const RATES: [f64; 3] = [0.01, 0.02, 0.05];
/// The shares of an attacker's events that must be stopped for the price in step-ups.
const STOPPED: [f64; 3] = [0.98, 0.99, 0.995];
/// The logins after the first over which the median is taken.
const LOGINS: std::ops::RangeInclusive<usize> = 1..=12;
/// A walk that gains more points than this has poisoned the engine.
const GAINED: i16 = 10;

/// What is kept of scored events.
#[derive(Debug, Default)]
pub(super) struct Judge {
    events: usize,
    logins: BTreeMap<String, Vec<(u8, bool)>>,
    attacks: BTreeMap<&'static str, Vec<(u8, bool)>>,
    probes: BTreeMap<(String, Option<String>, String), u8>,
    gains: Vec<i16>,
    /// Genuine events that count, and events of the thief from elsewhere; of each, those that the travel rule flags.
    travelled: [(usize, usize); 2],
}

/// One attacker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attacker {
    /// Its label.
    pub name: &'static str,
    /// Its events.
    pub n: usize,
    /// Against genuine events.
    pub auc: f64,
    /// Flagged by the engine itself.
    pub flagged: f64,
    /// Stopped at 1, 2 and 5 % step-up.
    pub tpr: [f64; 3],
    /// The share of genuine events that are asked when 98, 99 and 99.5 % are stopped.
    pub price: [f64; 3],
    /// Re-authentications in logins 2 to 13 when 99 % are stopped, the median over subjects.
    pub median_of_12: f64,
}

/// What slow walks bought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Walk {
    /// Walks that were finished.
    pub n: usize,
    /// The share that gained more than ten points.
    pub gained: f64,
}

/// One rule by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// The share of genuine events that it flags.
    pub genuine: f64,
    /// The share of events that it should flag, and does.
    pub hit: f64,
}

/// How much worse the engine is without a signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ablation {
    /// What was switched off.
    pub without: Signal,
    /// The share of each attacker's events stopped at 5 % step-up, in the order of the attackers.
    pub stopped: Vec<f64>,
}

/// How an engine came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Events.
    pub events: usize,
    /// Subjects with genuine events.
    pub subjects: usize,
    /// Genuine events that count.
    pub genuine: usize,
    /// Of those, flagged by the engine itself.
    pub flagged: f64,
    /// Of a subject's first five, flagged.
    pub flagged_early: f64,
    /// Each attacker.
    pub attackers: Vec<Attacker>,
    /// The slow walks.
    pub walks: Option<Walk>,
    /// The travel rule alone; hits are those of `token_far`.
    pub travel: Rule,
    /// The engine without each signal.
    pub ablations: Vec<Ablation>,
    /// Nanoseconds to score an event and to learn from it.
    pub nanos: f64,
}

impl Judge {
    /// Takes an event; gives its number.
    pub(super) fn take(&mut self, event: &Event, assessment: &Assessment, step_up: bool) -> usize {
        let scored = (assessment.inherent().value(), step_up);
        self.travel(event, assessment);
        match ATTACKERS.into_iter().find(|name| *name == event.label) {
            None => self.logins.entry(event.subject.clone()).or_default().push(scored),
            Some("slow_walk") => self.walk(event, scored),
            Some(name) => self.attacks.entry(name).or_default().push(scored),
        }
        self.events += 1;
        self.events - 1
    }

    fn travel(&mut self, event: &Event, assessment: &Assessment) {
        let is_warm = self.logins.get(&event.subject).is_some_and(|logins| logins.len() >= WARM);
        let [genuine, attacks] = &mut self.travelled;
        let counted = match event.label.as_str() {
            "genuine" if is_warm => genuine,
            "token_far" => attacks,
            _ => return,
        };
        counted.0 += 1;
        counted.1 += usize::from(assessment.evidence().items().iter().any(|item| item.signal == Signal::Travel));
    }

    /// The probe is the attack before the walk: the first attack after it shows what the walk bought.
    fn walk(&mut self, event: &Event, scored: (u8, bool)) {
        let key = (event.subject.clone(), event.device.cookie.clone(), event.ip.clone());
        match event.kind.as_str() {
            "probe" => {
                self.probes.insert(key, scored.0);
            }
            "attack" => {
                if let Some(probe) = self.probes.remove(&key) {
                    self.gains.push(i16::from(probe) - i16::from(scored.0));
                }
                self.attacks.entry("slow_walk").or_default().push(scored);
            }
            _ => {}
        }
    }

    pub(super) const fn events(&self) -> usize {
        self.events
    }

    pub(super) fn report(&self) -> Report {
        let warm: Vec<(u8, bool)> = self.logins.values().flat_map(|logins| logins.iter().skip(WARM).copied()).collect();
        let early: Vec<(u8, bool)> = self.logins.values().flat_map(|logins| logins.iter().take(WARM).copied()).collect();
        let genuine = Sorted::of(warm.iter().map(|(score, _)| *score));
        let attackers = ATTACKERS.into_iter().filter_map(|name| Some(self.attacker(name, self.attacks.get(name)?, &genuine)));
        let gained = self.gains.iter().filter(|gain| **gain > GAINED).count();
        Report {
            events: self.events,
            subjects: self.logins.len(),
            genuine: warm.len(),
            flagged: share(warm.iter().filter(|(_, flag)| *flag).count(), warm.len()),
            flagged_early: share(early.iter().filter(|(_, flag)| *flag).count(), early.len()),
            attackers: attackers.collect(),
            walks: (!self.gains.is_empty()).then(|| Walk { n: self.gains.len(), gained: share(gained, self.gains.len()) }),
            travel: Rule { genuine: flagged(self.travelled[0]), hit: flagged(self.travelled[1]) },
            ablations: Vec::new(),
            nanos: 0.0,
        }
    }

    fn attacker(&self, name: &'static str, events: &[(u8, bool)], genuine: &Sorted) -> Attacker {
        let scores = Sorted::of(events.iter().map(|(score, _)| *score));
        let price_at = STOPPED.map(|stopped| scores.quantile_lower(1.0 - stopped));
        Attacker {
            name,
            n: events.len(),
            auc: genuine.auc(&scores),
            flagged: share(events.iter().filter(|(_, flag)| *flag).count(), events.len()),
            tpr: RATES.map(|rate| genuine.threshold(rate).map_or(0.0, |threshold| scores.at_least(threshold))),
            price: price_at.map(|threshold| genuine.at_least(threshold)),
            median_of_12: self.median_of_12(price_at[1]),
        }
    }

    fn median_of_12(&self, threshold: u8) -> f64 {
        let first = |logins: &Vec<(u8, bool)>| {
            let counted: Vec<u8> = LOGINS.filter_map(|at| logins.get(at).map(|(score, _)| *score)).collect();
            (!counted.is_empty()).then(|| share(counted.iter().filter(|score| **score >= threshold).count(), counted.len()))
        };
        let mut shares: Vec<f64> = self.logins.values().filter_map(first).collect();
        shares.sort_by(f64::total_cmp);
        let middle = |at: usize| shares.get(at).copied().unwrap_or(0.0);
        let half = shares.len() / 2;
        let median = if shares.len() % 2 == 1 { middle(half) } else { (middle(half.saturating_sub(1)) + middle(half)) / 2.0 };
        median * 12.0
    }
}

/// How often each score from 0 to 100 was given.
struct Sorted {
    counts: [usize; 101],
    all: usize,
}

impl Sorted {
    fn of(scores: impl Iterator<Item = u8>) -> Self {
        let mut sorted = Self { counts: [0; 101], all: 0 };
        for score in scores {
            if let Some(count) = sorted.counts.get_mut(usize::from(score)) {
                *count += 1;
                sorted.all += 1;
            }
        }
        sorted
    }

    fn from(&self, threshold: u8) -> usize {
        self.counts.iter().skip(usize::from(threshold)).sum()
    }

    /// The share at or above a score.
    fn at_least(&self, threshold: u8) -> f64 {
        share(self.from(threshold), self.all)
    }

    /// The lowest score that occurs and that at most `rate` of all reach.
    fn threshold(&self, rate: f64) -> Option<u8> {
        (0..=100_u8).find(|score| self.counts.get(usize::from(*score)).is_some_and(|count| *count > 0) && self.at_least(*score) <= rate)
    }

    /// The score at the rank ⌊q (n − 1)⌋, from the lowest.
    fn quantile_lower(&self, q: f64) -> u8 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below the number of events")]
        let rank = (q * whole(self.all.saturating_sub(1))).floor().max(0.0) as usize;
        let mut below = 0;
        for (score, count) in (0..=100_u8).zip(self.counts) {
            below += count;
            if below > rank {
                return score;
            }
        }
        100
    }

    /// The chance that an attacker's event scores above a genuine one, ties counting half.
    fn auc(&self, attacks: &Self) -> f64 {
        let mut below = 0.0;
        let mut wins = 0.0;
        for (genuine, attack) in self.counts.iter().zip(attacks.counts) {
            wins += whole(attack) * (below + whole(*genuine) / 2.0);
            below += whole(*genuine);
        }
        let pairs = whole(self.all) * whole(attacks.all);
        if pairs > 0.0 { wins / pairs } else { 0.0 }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of events below 2^53 is exact")]
const fn whole(count: usize) -> f64 {
    count as f64
}

fn flagged((of, count): (usize, usize)) -> f64 {
    share(count, of)
}

fn share(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { whole(count) / whole(of) }
}

impl fmt::Display for Report {
    /// Tables in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} events of {} subjects, {} genuine ones after a subject's fifth", self.events, self.subjects, self.genuine)?;
        writeln!(f, "flagged by the engine: {:.4} of those, {:.3} of a subject's first five", self.flagged, self.flagged_early)?;
        writeln!(
            f,
            "\n| attacker | n | AUC | flagged | stopped @ 1 % | @ 2 % | @ 5 % | step-ups @ TPR .98 | @ .99 | @ .995 | median of 12 @ .99 |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        for attacker in &self.attackers {
            let Attacker { name, n, auc, flagged, tpr: [one, two, five], price: [low, middle, high], median_of_12 } = attacker;
            write!(f, "| {name} | {n} | {auc:.4} | {flagged:.3} | {one:.3} | {two:.3} | {five:.3} ")?;
            writeln!(f, "| {low:.3} | {middle:.3} | {high:.3} | {median_of_12:.1} |")?;
        }
        if let Some(walk) = &self.walks {
            writeln!(f, "\nslow walks: {} finished, {:.4} gained more than {GAINED} points", walk.n, walk.gained)?;
        }
        writeln!(f, "\ntravel rule alone: {:.4} of genuine events, {:.3} of token_far", self.travel.genuine, self.travel.hit)?;
        self.ablated(f)?;
        write!(f, "\n{:.0} ns an event, scored and learned", self.nanos)
    }
}

impl Report {
    fn ablated(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ablations.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.attackers.iter().map(|attacker| attacker.name).collect();
        writeln!(f, "\n| stopped @ 5 % | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
        let all = self.attackers.iter().map(|attacker| format!("{:.3}", attacker.tpr[2])).collect::<Vec<_>>();
        writeln!(f, "| all signals | {} |", all.join(" | "))?;
        for Ablation { without, stopped } in &self.ablations {
            let stopped: Vec<String> = stopped.iter().map(|share| format!("{share:.3}")).collect();
            writeln!(f, "| without {without} | {} |", stopped.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
