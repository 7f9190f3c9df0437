//! Revisions that change under load: whether an answer is wrong, a request fails, or the answers take longer meanwhile; and how soon one changed file
//! among very many decides.
//!
//! Server and load are two processes. Requests are sent by the clock, whether or not earlier ones were answered, and a late answer counts from when its request was due.

pub mod line;
pub mod live;
mod load;
mod scene;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use countersign_pdp_engine::record::Record;
use serde::Serialize;
use tokio::time::Instant;

pub use self::load::{Said, Sample};
use self::scene::{Scene, Side};

/// After a swap is done, requests still count as those during it for so long.
const AFTERMATH: Duration = Duration::from_millis(100);
/// A trial in stages, wide enough that no budget ends it: the two revisions answer half of everything differently.
const CANARY: &str =
    "[policy.rollout]\ncanary = [10, 50, 100]\nstage_s = 1\nmin_decisions = 50\nmax_new_denies = \"100%\"\nmax_new_step_ups = \"100%\"\n";

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Requests a second.
    pub rate: u32,
    /// For so many seconds.
    pub seconds: u32,
    /// Of so many subjects.
    pub subjects: u32,
    /// A revision goes through the stages of a trial, in place of being swapped at once.
    pub is_canary: bool,
    /// Seconds between one revision and the next.
    pub every: u32,
}

/// What was seen.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Requests.
    pub asked: usize,
    /// Answers that are not those of the revision that their record names, and answers without a record.
    pub wrong: usize,
    /// Requests without an answer, or with one that no policy gave.
    pub failed: usize,
    /// The first of them, in words.
    pub first: Option<String>,
    /// Revisions that were put into the folder, and those of them that came to decide.
    pub offered: usize,
    /// Of these, how many came to decide everything.
    pub swapped: usize,
    /// From a revision in the folder to its first decision, in milliseconds, at worst.
    pub live_max_ms: f64,
    /// Of requests while nothing changed.
    pub calm: Spread,
    /// Of requests while a revision came in: from its file until the last decision of the one before.
    pub swapping: Spread,
    /// p50 while a revision came in, by that while nothing changed.
    pub p50_ratio: f64,
    /// The same of p99.
    pub p99_ratio: f64,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// One revision, from the folder to the end of the one before.
#[derive(Debug, Clone, Copy)]
struct Swap {
    side: Side,
    written: Duration,
    first: Option<Duration>,
    done: Option<Duration>,
}

/// Asks at a rate while revisions change.
///
/// # Errors
/// What went wrong, in words.
///
/// # Panics
/// When the server does not start.
pub async fn swap(options: Options) -> Result<Report, String> {
    let scene = Scene::start(if options.is_canary { CANARY } else { "" }, &Side::Left.files());
    // What a server does for the first time is not what is measured.
    let warm = load::ask(scene.decision, options.rate, options.rate, |number| scene.question(options.subjects, number)).await;
    if let Some(error) = warm.iter().find_map(|sample| sample.said.as_ref().err()) {
        return Err(format!("before anything changed, a request failed: {error}"));
    }
    let begun = Instant::now();
    let count = options.rate.saturating_mul(options.seconds);
    let asked = load::ask(scene.decision, options.rate, count, |number| scene.question(options.subjects, number));
    let (samples, swaps) = tokio::join!(asked, scene.swaps(begun, options));
    let folder = scene.end();
    judge(&samples, swaps?, &records(folder.path())?)
}

/// The decisions of a store by their id: which revision made them.
fn records(folder: &Path) -> Result<BTreeMap<String, Record>, String> {
    let mut all = BTreeMap::new();
    let mut unreadable = 0;
    countersign_pdp_store::log(&folder.join("data/decisions"), |payload| {
        match countersign_pdp_store::logged::<Record>(payload) {
            Ok(Some(record)) => drop(all.insert(record.id.to_string(), record)),
            Ok(None) => {}
            Err(_) => unreadable += 1,
        }
        true
    })
    .map_err(|error| error.to_string())?;
    if unreadable > 0 { Err(format!("{unreadable} records cannot be read")) } else { Ok(all) }
}

/// Compares every answer with what its revision says, and sorts the requests by whether something changed meanwhile.
fn judge(samples: &[Sample], mut swaps: Vec<Swap>, records: &BTreeMap<String, Record>) -> Result<Report, String> {
    let revisions = [Side::Left, Side::Right].map(|side| Ok::<_, String>((side, side.revision()?)));
    let [left, right] = revisions;
    let revisions = [left?, right?];
    let mut report = Report { asked: samples.len(), offered: swaps.len(), ..Report::default() };
    let mut by = Vec::with_capacity(samples.len());
    for sample in samples {
        let said = match &sample.said {
            Ok(said) => said,
            Err(error) => {
                report.failed += 1;
                report.first.get_or_insert_with(|| error.clone());
                continue;
            }
        };
        let named = records.get(&said.id).and_then(|record| record.revision.as_ref());
        let side = named.and_then(|named| revisions.iter().find(|(_, revision)| revision == named.as_str()).map(|(side, _)| *side));
        match side {
            Some(side) if side.allows(sample.number) == said.allows => by.push((sample.due, side)),
            _ => {
                report.wrong += 1;
                report.first.get_or_insert_with(|| format!("answer {said:?} to question {}, by {named:?}", sample.number));
            }
        }
    }
    for at in 0..swaps.len() {
        let until = swaps.get(at + 1).map_or(Duration::MAX, |next| next.written);
        let Some(swap) = swaps.get_mut(at) else { continue };
        let within = || by.iter().filter(|(due, _)| *due >= swap.written && *due < until);
        swap.first = within().find(|(_, side)| *side == swap.side).map(|(due, _)| *due);
        let last = within().rfind(|(_, side)| *side != swap.side).map(|(due, _)| *due);
        swap.done = swap
            .first
            .map(|first| last.unwrap_or(first).max(first))
            .filter(|_| within().next_back().is_some_and(|(_, side)| *side == swap.side));
    }
    report.swapped = swaps.iter().filter(|swap| swap.done.is_some()).count();
    let live = swaps.iter().filter_map(|swap| Some(millis(swap.first?.saturating_sub(swap.written))));
    report.live_max_ms = live.fold(0.0, f64::max);
    let changes = |due: Duration| {
        swaps.iter().rev().find(|swap| swap.written <= due).is_some_and(|swap| swap.done.is_none_or(|done| due <= done + AFTERMATH))
    };
    let (during, calm): (Vec<&Sample>, Vec<&Sample>) = samples.iter().partition(|sample| changes(sample.due));
    (report.swapping, report.calm) = (Spread::of(&during), Spread::of(&calm));
    report.p50_ratio = report.swapping.p50_ms / report.calm.p50_ms;
    report.p99_ratio = report.swapping.p99_ms / report.calm.p99_ms;
    Ok(report)
}

impl Spread {
    fn of(samples: &[&Sample]) -> Self {
        let mut took: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
        took.sort_unstable();
        let at = |hundredths: usize| {
            took.get((took.len() * hundredths / 100).min(took.len().saturating_sub(1))).map_or(0.0, |took| millis(*took))
        };
        Self { count: took.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

impl Report {
    /// The bars that are missed: none is a time, which a busy machine would miss.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        let bars = [
            (self.wrong == 0, format!("{} wrong answers, none is allowed", self.wrong)),
            (self.failed == 0, format!("{} failed requests, none is allowed", self.failed)),
            (self.swapped > 0, "no revision came to decide".to_owned()),
        ];
        bars.into_iter().filter(|(holds, _)| !holds).map(|(_, bar)| bar).collect()
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
