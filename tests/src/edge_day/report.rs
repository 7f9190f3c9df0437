//! What a replayed day came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::day::{Day, Request, Who};
use super::scene::Scene;

/// Everything that was counted.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The day.
    pub day: String,
    /// Requests, and of them by somebody else than the person.
    pub requests: u64,
    /// Of them, by somebody else than the person.
    pub by_others: u64,
    /// Visits.
    pub visits: usize,
    /// Decided at the edge.
    pub local: u64,
    /// Of somebody else, decided at the edge. None may be where nobody takes them for the person; else they are whom the decision point allows, too.
    pub local_by_others: u64,
    /// Decided at the edge, in percent.
    pub local_percent: f64,
    /// Why the others went to the decision point.
    pub asked: BTreeMap<String, u64>,
    /// Answers that allow more than the decision point alone does. None may be.
    pub more_permissive: u64,
    /// Answers that allow less.
    pub less_permissive: u64,
    /// The first of either, for who looks into it.
    pub examples: Vec<String>,
    /// Allows of the decision point alone.
    pub allowed: u64,
    /// Lines of the edge whose records were lost.
    pub lost: u64,
    /// Requests that told records.
    pub batches: u64,
    /// What was sent.
    pub bytes: Bytes,
    /// How long a decision at the edge took.
    pub at_the_edge: Latency,
    /// How long a question took that the edge passed on.
    pub passed_on: Latency,
    /// How long a question took that went to the decision point.
    pub alone: Latency,
    others_are_far: bool,
    #[serde(skip)]
    times: [Vec<Duration>; 3],
}

/// Bytes on the connections, in both directions.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Bytes {
    /// Between edge and decision point: questions, answers, facts, records.
    pub connections: u64,
    /// The watch: its events and heartbeats, as they are written.
    pub watch: u64,
    /// The snapshot, before the day.
    pub snapshot: u64,
    /// Everything of the edge.
    pub edge: u64,
    /// Sending everything.
    pub alone: u64,
    /// The one by the other, in percent.
    pub percent: f64,
}

/// Of many times.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Latency {
    /// How many.
    pub count: usize,
    /// The median, in microseconds.
    pub p50_us: f64,
    /// Of a hundred, one is slower; in microseconds.
    pub p99_us: f64,
}

impl Latency {
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share).round() as usize).map_or(0.0, |time| time.as_secs_f64() * 1e6);
        Self { count: times.len(), p50_us: at(0.5), p99_us: at(0.99) }
    }
}

impl Report {
    pub(super) fn new(day: &Day) -> Self {
        Self { day: day.name.clone(), visits: day.visits.len(), others_are_far: day.others_are_far, ..Self::default() }
    }

    pub(super) fn take(&mut self, request: &Request<'_>, is_local: bool, (ours, theirs): (u8, u8), (took, alone): (Duration, Duration)) {
        let is_other = request.visit.who != Who::Owner;
        self.requests += 1;
        self.by_others += u64::from(is_other);
        self.local += u64::from(is_local);
        self.local_by_others += u64::from(is_local && is_other);
        self.allowed += u64::from(theirs == 2);
        self.more_permissive += u64::from(ours > theirs);
        self.less_permissive += u64::from(ours < theirs);
        if ours != theirs && self.examples.len() < 8 {
            let (who, visit) = (request.visit.who, request.visit);
            let said = ["no", "prove it", "yes"];
            let (ours, theirs) = (said[usize::from(ours)], said[usize::from(theirs)]);
            let example = format!(
                "{} {} of {} ({who:?}, {}) at {}: {ours} by the edge ({}), {theirs} alone",
                request.method,
                request.path,
                visit.subject,
                visit.session,
                request.at.0,
                if is_local { "itself" } else { "passed on" }
            );
            self.examples.push(example);
        }
        self.times[usize::from(!is_local)].push(took);
        self.times[2].push(alone);
    }

    pub(super) fn end(&mut self, scene: &Scene) {
        let counted = scene.edge.counted();
        self.asked = counted.asked.iter().map(|(doubt, count)| (format!("{doubt:?}"), *count)).collect();
        self.lost = counted.lost;
        self.local_percent = 100.0 * self.local as f64 / self.requests.max(1) as f64;
        self.batches = scene.batches();
        let (connections, watch, snapshot) = (scene.edge_bytes.count(), scene.watched + scene.heartbeats(), scene.snapshot_bytes);
        let (edge, alone) = (connections + watch + snapshot, scene.alone_bytes.count());
        self.bytes = Bytes { connections, watch, snapshot, edge, alone, percent: 100.0 * edge as f64 / alone.max(1) as f64 };
        let [local, passed, alone] = &mut self.times;
        (self.at_the_edge, self.passed_on, self.alone) = (Latency::of(local), Latency::of(passed), Latency::of(alone));
    }

    /// Whether every promise was kept: nothing more permissive, nobody from far away decided about at the edge, and less than 7 % sent.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.is_safe() && self.bytes.percent < 7.0
    }

    /// Whether the edge was never more permissive.
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        self.more_permissive == 0 && self.local > 0 && (self.local_by_others == 0 || !self.others_are_far)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = |latency: &Latency| format!("{:>9} {:>10.0} {:>10.0}", latency.count, latency.p50_us, latency.p99_us);
        let why: Vec<String> = self.asked.iter().map(|(doubt, count)| format!("{doubt} {count}")).collect();
        writeln!(f, "{}: {} visits, {} requests, {} of them by somebody else", self.day, self.visits, self.requests, self.by_others)?;
        writeln!(f, "decided at the edge        {} ({:.2} %), {} of somebody else", self.local, self.local_percent, self.local_by_others)?;
        writeln!(f, "passed on                  {}", why.join(", "))?;
        writeln!(f, "more permissive            {}", self.more_permissive)?;
        writeln!(f, "less permissive            {} (of {} allows)", self.less_permissive, self.allowed)?;
        writeln!(f, "records                    {} requests, {} decisions lost", self.batches, self.lost)?;
        let Bytes { connections, watch, snapshot, edge, alone, percent } = self.bytes;
        writeln!(f, "bytes of the edge          {edge} (connections {connections}, watch {watch}, snapshot {snapshot})")?;
        writeln!(f, "bytes of sending all       {alone}")?;
        writeln!(f, "share                      {percent:.2} %")?;
        writeln!(f, "latency, microseconds          count        p50        p99")?;
        writeln!(f, "  at the edge             {}", row(&self.at_the_edge))?;
        writeln!(f, "  passed on               {}", row(&self.passed_on))?;
        write!(f, "  alone                   {}", row(&self.alone))?;
        self.examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}
