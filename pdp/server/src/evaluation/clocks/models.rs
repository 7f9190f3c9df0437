//! What is compared: the engine's hour signal, and three ways that are in use or published. Higher is stranger.

use std::f64::consts::TAU;

use countersign_risk::Clock;
use countersign_sdk_types::Timestamp;

use super::Start;

const HOURS: usize = 24;
const HALF_HOURS: usize = 48;

/// A model of one person's hours.
pub(super) trait Model {
    /// How strange an instant (seconds in UTC) is.
    fn score(&self, at: i64) -> f64;
    /// Learns a session start.
    fn learn(&mut self, start: &Start);
}

/// The engine's hour signal in nats; 0 while too little is known.
#[derive(Default)]
pub(super) struct HourSignal(Clock);

impl Model for HourSignal {
    fn score(&self, at: i64) -> f64 {
        self.0.nats(Timestamp(at * 1_000)).unwrap_or(0.0)
    }

    fn learn(&mut self, start: &Start) {
        let minutes = start.offset / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        self.0.learn(Timestamp(start.at * 1_000), Some(&zone), 1.0);
    }
}

/// Counts per hour of the day in UTC, each one more than it is.
#[derive(Default)]
pub(super) struct HourHistogram([f64; HOURS]);

impl Model for HourHistogram {
    fn score(&self, at: i64) -> f64 {
        let all = self.0.iter().sum::<f64>() + 24.0;
        let count = self.0.get(slot(at, 0, HOURS)).copied().unwrap_or(0.0);
        (all / (count + 1.0)).ln()
    }

    fn learn(&mut self, start: &Start) {
        if let Some(count) = self.0.get_mut(slot(start.at, 0, HOURS)) {
            *count += 1.0;
        }
    }
}

/// The distance from an exponentially weighted circular mean (factor 0.1) in UTC, as Keycloak's adaptive authentication has it.
#[derive(Default)]
pub(super) struct CircularMean {
    east: f64,
    north: f64,
}

impl CircularMean {
    const FACTOR: f64 = 0.1;

    fn angle(at: i64) -> f64 {
        f64::from(i32::try_from(at.rem_euclid(86_400)).unwrap_or(0)) / 86_400.0 * TAU
    }
}

impl Model for CircularMean {
    fn score(&self, at: i64) -> f64 {
        let apart = (Self::angle(at) - self.north.atan2(self.east)).rem_euclid(TAU);
        apart.min(TAU - apart)
    }

    fn learn(&mut self, start: &Start) {
        let (north, east) = Self::angle(start.at).sin_cos();
        self.east += Self::FACTOR * (east - self.east);
        self.north += Self::FACTOR * (north - self.north);
    }
}

/// A kernel density (von Mises, 1.5 h) over the half hours of the home zone's day, half-life 120 days, with a uniform prior worth five events.
#[derive(Default)]
pub(super) struct KernelDensity {
    weights: Vec<f64>,
    home: i64,
    decayed_to: i64,
}

impl Model for KernelDensity {
    fn score(&self, at: i64) -> f64 {
        let at = slot(at, self.home, HALF_HOURS);
        let kernel = |steps: usize| (6.5 * ((f64::from(u32::try_from(steps).unwrap_or(0)) * TAU / 48.0).cos() - 1.0)).exp();
        let norm: f64 = (0..HALF_HOURS).map(kernel).sum();
        let near: f64 = self.weights.iter().enumerate().map(|(i, weight)| weight * kernel((i + HALF_HOURS - at) % HALF_HOURS)).sum();
        ((self.weights.iter().sum::<f64>() + 5.0) / (near / norm + 5.0 / 48.0)).ln()
    }

    fn learn(&mut self, start: &Start) {
        self.weights.resize(HALF_HOURS, 0.0);
        let days = f64::from(i32::try_from((start.at - self.decayed_to) / 60).unwrap_or(i32::MAX)) / 1_440.0;
        self.weights.iter_mut().for_each(|weight| *weight *= (-days / 120.0).exp2());
        (self.decayed_to, self.home) = (start.at, start.offset);
        if let Some(weight) = self.weights.get_mut(slot(start.at, self.home, HALF_HOURS)) {
            *weight += 1.0;
        }
    }
}

/// Which of `count` equal parts of the day an instant is in, `offset` seconds ahead of UTC.
fn slot(at: i64, offset: i64, count: usize) -> usize {
    let second = usize::try_from((at + offset).rem_euclid(86_400)).unwrap_or(0);
    second * count / 86_400
}
