//! A stream of points cut into actions: what a person does in one go.

use countersign_sdk_types::Timestamp;

use super::{ActionFeatures, motion};

/// Fewer points say nothing about a movement.
pub const MIN_POINTS: usize = 4;
/// More points are no single action; also the bound on what a [`Segmenter`] holds.
pub const MAX_POINTS: usize = 2000;
/// A pause after which a new action begins.
const PAUSE_MILLIS: u64 = 10_000;
/// No screen is this large: a coordinate beyond is an artefact.
const FARTHEST: f64 = 32_000.0;

/// What happened at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    /// Moved with no button down.
    Move,
    /// Moved with a button down.
    Drag,
    /// A button went down.
    Press,
    /// A button went up: ends an action.
    Release,
    /// The wheel turned: part of no action.
    Wheel,
}

/// One event of the pointer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, by the client's clock. Only differences count.
    pub at: Timestamp,
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// What happened.
    pub kind: PointKind,
}

/// A point on a clock that never goes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) millis: u64,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) kind: PointKind,
}

/// Cuts a stream into actions. An action is a run of [`MIN_POINTS`] to [`MAX_POINTS`] points that ends with a release or before a pause of
/// more than 10 s (Antal & Egyed-Zsigmond 2018, arXiv 1810.04668). Other runs are dropped.
#[derive(Debug, Default)]
pub struct Segmenter {
    run: Vec<Sample>,
    is_too_long: bool,
    last: Option<Timestamp>,
    clock: u64,
}

impl Segmenter {
    /// Takes the next point; gives the action that it ends, or that ended before it.
    pub fn push(&mut self, point: Point) -> Option<ActionFeatures> {
        let is_legal = point.x.abs() < FARTHEST && point.y.abs() < FARTHEST;
        if point.kind == PointKind::Wheel || !is_legal {
            return None;
        }
        // A clock that falls stands still, and counts on from its new reading.
        let passed = self.last.map_or(0, |last| point.at.since(last).0);
        self.last = Some(point.at);
        self.clock = self.clock.saturating_add(passed);
        let before = if passed > PAUSE_MILLIS { self.end() } else { None };
        if self.run.len() < MAX_POINTS {
            self.run.push(Sample { millis: self.clock, x: point.x, y: point.y, kind: point.kind });
        } else {
            self.is_too_long = true;
        }
        // After a pause the new run holds one point: a release there ends no action.
        let by_release = if point.kind == PointKind::Release { self.end() } else { None };
        before.or(by_release)
    }

    /// Ends the stream; gives the action that was open.
    #[must_use]
    pub fn finish(mut self) -> Option<ActionFeatures> {
        self.end()
    }

    fn end(&mut self) -> Option<ActionFeatures> {
        let is_action = self.run.len() >= MIN_POINTS && !self.is_too_long;
        let features = is_action.then(|| motion::features(&self.run));
        self.run.clear();
        self.is_too_long = false;
        features
    }
}
