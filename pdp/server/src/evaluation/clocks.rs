//! Measures the hour signal alone on the session starts of many persons, beside the usual ways to do without it, in one run.
//!
//! Each person is gone through in time order. Of the events from the 21st on, up to 150 at random are scored before they are learned; all are learned.
//! The engine knows the zone of the event before, not of the one that it scores. For each scored event one attack of each kind is scored against the
//! same state. AUC and TPR are pooled over persons; the hour signal ranks by the nats that the engine scores.

mod file;
mod judge;
mod models;

use std::fmt;
use std::path::Path;

use serde::Serialize;

pub use file::{Clocks, ClocksError, Start};
pub use judge::Stopped;
use models::{CircularMean, HourHistogram, HourSignal, KernelDensity, Model};

/// Events of a person before one may be scored.
const WARM: usize = 20;
/// The most that are scored of a person.
const SCORED: usize = 150;
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// The attackers, in the order of the table.
pub const ATTACKERS: [&str; 5] = ["uniform", "other person", "same time zone", "own + 8..12 h", "01-05 home"];

/// One event of a person in time order, with the attacks where it is scored.
#[derive(Debug, Clone)]
struct Step {
    start: Start,
    /// Instants in seconds, one for each of [`ATTACKERS`].
    attacks: Option<[i64; 5]>,
}

/// How one model came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which model.
    pub model: &'static str,
    /// Each attacker, in the order of [`ATTACKERS`].
    pub stopped: Vec<Stopped>,
}

/// How all models came out on the same draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where the draws began.
    pub seed: u64,
    /// Persons.
    pub persons: usize,
    /// Events.
    pub events: usize,
    /// Events that were scored.
    pub scored: usize,
    /// The attackers.
    pub attackers: [&'static str; 5],
    /// The models.
    pub models: Vec<Row>,
}

/// Runs the engine's hour signal and the models beside it over a file of session starts.
///
/// # Errors
/// When the file cannot be read, a line is no event, or nobody has enough events.
pub fn run(path: &Path, seed: u64) -> Result<Report, ClocksError> {
    evaluate(&Clocks::read(path)?, seed)
}

/// [`run`], on what was read.
///
/// # Errors
/// When nobody has enough events.
pub fn evaluate(clocks: &Clocks, seed: u64) -> Result<Report, ClocksError> {
    let plan = plan(clocks, &mut Draws(seed));
    let scored = plan.iter().flatten().filter(|step| step.attacks.is_some()).count();
    if scored == 0 {
        return Err(ClocksError::TooFew);
    }
    let models = vec![
        Row { model: "hour histogram, UTC", stopped: measure::<HourHistogram>(&plan) },
        Row { model: "circular EWMA .1, UTC (Keycloak)", stopped: measure::<CircularMean>(&plan) },
        Row { model: "48-bin circular KDE, home zone, half-life 120 d", stopped: measure::<KernelDensity>(&plan) },
        Row { model: "hour signal", stopped: measure::<HourSignal>(&plan) },
    ];
    Ok(Report { seed, persons: clocks.persons().count(), events: clocks.len(), scored, attackers: ATTACKERS, models })
}

fn measure<M: Model + Default>(plan: &[Vec<Step>]) -> Vec<Stopped> {
    let (genuine, attacks) = scores::<M>(plan);
    judge::stopped(genuine, &attacks)
}

/// What a model says of the genuine events, and of each attacker's.
fn scores<M: Model + Default>(plan: &[Vec<Step>]) -> (Vec<f64>, [Vec<f64>; 5]) {
    let mut genuine = Vec::new();
    let mut attacks: [Vec<f64>; 5] = Default::default();
    for person in plan {
        let mut model = M::default();
        for step in person {
            if let Some(instants) = step.attacks {
                genuine.push(model.score(step.start.at));
                attacks.iter_mut().zip(instants).for_each(|(scores, at)| scores.push(model.score(at)));
            }
            model.learn(&step.start);
        }
    }
    (genuine, attacks)
}

/// Draws what is scored and when the attackers come, once for all models.
fn plan(clocks: &Clocks, draws: &mut Draws) -> Vec<Vec<Step>> {
    let everybody: Vec<Start> = clocks.persons().flatten().copied().collect();
    clocks.persons().map(|starts| person(starts, &everybody, draws)).collect()
}

fn person(starts: &[Start], everybody: &[Start], draws: &mut Draws) -> Vec<Step> {
    let mut chosen: Vec<usize> = (WARM..starts.len()).collect();
    for i in 0..chosen.len().min(SCORED) {
        let other = i + draws.index(chosen.len() - i);
        chosen.swap(i, other);
    }
    chosen.truncate(SCORED);
    chosen.sort_unstable();
    let before = std::iter::once(None).chain(starts.iter().map(Some));
    let steps = starts.iter().zip(before).enumerate().map(|(i, (start, before))| {
        let home = before.filter(|_| chosen.binary_search(&i).is_ok());
        Step { start: *start, attacks: home.map(|home| attacks(*start, home.offset, everybody, draws)) }
    });
    steps.collect()
}

/// One attack of each kind; `home` is the offset of the event before, in seconds.
fn attacks(start: Start, home: i64, everybody: &[Start], draws: &mut Draws) -> [i64; 5] {
    let day = start.at - start.at.rem_euclid(DAY);
    let mut anybody = || everybody.get(draws.index(everybody.len())).copied().unwrap_or(start);
    let (other, neighbour) = (anybody(), anybody());
    let at_home = |local: i64| day + (local - home).rem_euclid(DAY);
    [
        day + draws.below(DAY),
        day + other.at.rem_euclid(DAY),
        at_home(neighbour.at + neighbour.offset),
        start.at + 8 * HOUR + draws.below(4 * HOUR + 1),
        at_home(HOUR + draws.below(4 * HOUR)),
    ]
}

/// Splitmix64 (Steele et al., OOPSLA 2014): the same seed draws the same attacks everywhere.
struct Draws(u64);

impl Draws {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`; zero where that is zero.
    fn index(&mut self, count: usize) -> usize {
        let count = u128::try_from(count).unwrap_or(0);
        usize::try_from((u128::from(self.next()) * count) >> 64).unwrap_or(0)
    }

    /// Seconds below `count`.
    fn below(&mut self, count: i64) -> i64 {
        i64::try_from(self.index(usize::try_from(count).unwrap_or(0))).unwrap_or(0)
    }
}

impl fmt::Display for Report {
    /// A table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} session starts of {} persons, {} scored, seed {}", self.events, self.persons, self.scored, self.seed)?;
        writeln!(f, "AUC (TPR at 1 % FPR), pooled over persons; of the hour signal, as the engine scores it\n")?;
        writeln!(f, "| model | {} |", self.attackers.join(" | "))?;
        write!(f, "|---|{}", "---|".repeat(self.attackers.len()))?;
        for Row { model, stopped } in &self.models {
            write!(f, "\n| {model} |")?;
            stopped.iter().try_for_each(|Stopped { auc, tpr }| write!(f, " {auc:.3} ({tpr:.2}) |"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
