//! From the points of an action to its features.
//!
//! Positions are thinned to at least 100 ms apart first: devices report every 8 to 125 ms, and speeds, turns and peaks taken at the device's own rate
//! would tell devices apart rather than persons. Presses and releases keep their own times.

use super::action::{PointKind, Sample};
use super::feature::{ActionFeatures, FEATURES};

/// The least time between positions.
const GRID_MILLIS: u64 = 100;
/// A step that a resting hand makes, in pixels.
const SMALLEST_STEP: f64 = 1.5;

/// Between two thinned positions.
#[derive(Clone, Copy)]
struct Step {
    dx: f64,
    dy: f64,
    length: f64,
    seconds: f64,
    /// From the start of the action to the end of the step.
    until: f64,
    /// Pixels from the step's start to the action's end.
    away: f64,
}

impl Step {
    fn speed(&self) -> f64 {
        self.length / self.seconds
    }
}

/// The features of a run of points, in the order of `Feature::ALL`.
pub(super) fn features(run: &[Sample]) -> ActionFeatures {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return ActionFeatures::from([None; FEATURES]) };
    let duration = seconds(last.millis - first.millis);
    let chord = libm::hypot(last.x - first.x, last.y - first.y);
    let steps = steps(run, *last);
    let [mean_speed, high_speed, variation, braking, last_speed, half, quarter, peaks, vertical_speed] = speeds(&steps, duration);
    let [turning, median_turning, sharp, curvature] = turns(&steps);
    let [vertical, horizontal, smallest, median_rise] = sizes(&steps);
    let [homing, homing_speed] = homing(&steps, duration, chord);
    let [press, drag, travel, rest] = press(run, *last);
    let stop = (steps.len() >= 3).then(|| steps.iter().map(|step| step.seconds).fold(0.0, f64::max));
    let features = [
        Some(duration),
        Some(chord),
        mean_speed,
        high_speed,
        variation,
        braking,
        last_speed,
        turning,
        sharp,
        press,
        stop,
        vertical_speed,
        peaks,
        vertical,
        horizontal,
        smallest,
        homing,
        drag,
        half,
        median_turning,
        curvature,
        median_rise,
        Some(last.y - first.y),
        quarter,
        homing_speed,
        travel,
        rest,
        report_interval(run),
    ];
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for sixteen bins")]
    ActionFeatures::from(features.map(|value| value.map(|value| value as f32)))
}

/// The steps between positions at least [`GRID_MILLIS`] apart. Of points at one instant the last counts; the action's end always does.
fn steps(run: &[Sample], end: Sample) -> Vec<Step> {
    let nexts = run.iter().skip(1).map(Some).chain([None]);
    let settled = run.iter().zip(nexts).filter(|(here, next)| next.is_none_or(|next| next.millis > here.millis)).map(|(here, _)| *here);
    let mut kept: Vec<Sample> = Vec::with_capacity(run.len());
    for here in settled {
        if kept.last().is_none_or(|last| here.millis - last.millis >= GRID_MILLIS || here.millis == end.millis) {
            kept.push(here);
        }
    }
    let start = kept.first().map_or(0, |first| first.millis);
    let step = |pair: &[Sample]| match pair {
        [from, to] => {
            let (dx, dy) = (to.x - from.x, to.y - from.y);
            Some(Step {
                dx,
                dy,
                length: libm::hypot(dx, dy),
                seconds: seconds(to.millis - from.millis),
                until: seconds(to.millis - start),
                away: libm::hypot(end.x - from.x, end.y - from.y),
            })
        }
        _ => None,
    };
    kept.windows(2).filter_map(step).collect()
}

/// Whether there is movement enough to speak of its course.
fn is_movement(steps: &[Step]) -> bool {
    steps.len() >= 3 && steps.iter().filter(|step| step.length > 0.0).count() >= 2
}

/// Mean speed, 90th percentile of speed, coefficient of variation, greatest deceleration, speed of the last three steps, time to half of the path as
/// a share, time to a quarter of it, peaks of speed, mean vertical speed.
fn speeds(steps: &[Step], duration: f64) -> [Option<f64>; 9] {
    if !is_movement(steps) {
        return [None; 9];
    }
    let path: f64 = steps.iter().map(|step| step.length).sum();
    let speeds: Vec<f64> = steps.iter().map(Step::speed).collect();
    let average = mean(&speeds);
    let spread = libm::sqrt(speeds.iter().map(|speed| (speed - average) * (speed - average)).sum::<f64>() / count(speeds.len()));
    let braking = steps.windows(2).filter_map(|pair| match pair {
        [a, b] => Some((a.speed() - b.speed()) / f64::midpoint(a.seconds, b.seconds)),
        _ => None,
    });
    let last: Vec<f64> = speeds.iter().rev().take(3).copied().collect();
    let reached = |share: f64| {
        let mut gone = 0.0;
        let step = steps.iter().find(|step| {
            gone += step.length;
            gone >= share * path
        });
        step.map_or(duration, |step| step.until)
    };
    let top = speeds.iter().copied().fold(0.0, f64::max);
    let is_peak = |three: &&[f64]| matches!(three, [before, here, after] if here > before && here >= after && *here > 0.2 * top);
    [
        Some(path / duration),
        quantile(&speeds, 0.9),
        Some(spread / average),
        braking.reduce(f64::max),
        Some(mean(&last)),
        Some(reached(0.5) / duration),
        Some(reached(0.25)),
        Some(count(speeds.windows(3).filter(is_peak).count())),
        Some(mean(&steps.iter().map(|step| step.dy.abs() / step.seconds).collect::<Vec<_>>())),
    ]
}

/// Mean and median turning rate, share of turns above 45°, median curvature: between steps that move.
fn turns(steps: &[Step]) -> [Option<f64>; 4] {
    let moving: Vec<&Step> = steps.iter().filter(|step| step.length > 0.0).collect();
    if !is_movement(steps) {
        return [None; 4];
    }
    let turn = |pair: &[&Step]| match pair {
        [a, b] => {
            let angle = libm::atan2(b.dy, b.dx) - libm::atan2(a.dy, a.dx);
            let angle = if angle.abs() > std::f64::consts::PI { std::f64::consts::TAU - angle.abs() } else { angle.abs() };
            Some((angle, angle / (b.until - a.until), angle / f64::midpoint(a.length, b.length)))
        }
        _ => None,
    };
    let turns: Vec<(f64, f64, f64)> = moving.windows(2).filter_map(turn).collect();
    let rates: Vec<f64> = turns.iter().map(|(_, rate, _)| *rate).collect();
    let curvatures: Vec<f64> = turns.iter().map(|(_, _, curvature)| *curvature).collect();
    let sharp = turns.iter().filter(|(angle, _, _)| *angle > std::f64::consts::FRAC_PI_4).count();
    [Some(mean(&rates)), quantile(&rates, 0.5), Some(count(sharp) / count(turns.len())), quantile(&curvatures, 0.5)]
}

/// Of the steps that move: shares of those straight up or down, straight sideways, and shorter than 1.5 px; the median vertical part.
fn sizes(steps: &[Step]) -> [Option<f64>; 4] {
    let moving: Vec<&Step> = steps.iter().filter(|step| step.length > 0.0).collect();
    if moving.len() < 2 {
        return [None; 4];
    }
    let share = |is: &dyn Fn(&Step) -> bool| Some(count(moving.iter().filter(|step| is(step)).count()) / count(moving.len()));
    let rises: Vec<f64> = moving.iter().map(|step| step.dy.abs()).collect();
    [share(&|step| step.dx == 0.0), share(&|step| step.dy == 0.0), share(&|step| step.length < SMALLEST_STEP), quantile(&rises, 0.5)]
}

/// The time within the last tenth of the distance, and the speed within the last 15 %: how a target is closed in upon (Woodworth 1899).
fn homing(steps: &[Step], duration: f64, chord: f64) -> [Option<f64>; 2] {
    if !is_movement(steps) {
        return [None; 2];
    }
    let farthest = steps.iter().map(|step| step.away).fold(0.0, f64::max);
    let last_far = steps.iter().rfind(|step| step.away > 0.1 * farthest.max(chord));
    let near = steps.iter().filter(|step| step.away <= 0.15 * farthest);
    let (way, time) = near.fold((0.0, 0.0), |(way, time), step| (way + step.length, time + step.seconds));
    [last_far.map(|step| duration - (step.until - step.seconds)), (time > 0.0).then(|| way / time)]
}

/// Of an action that ends with a release: how long the button was down, the same if dragged, how far it went, and how long it had rested before.
fn press(run: &[Sample], end: Sample) -> [Option<f64>; 4] {
    let pressed = run.iter().enumerate().rfind(|(_, sample)| sample.kind == PointKind::Press);
    let (PointKind::Release, Some((at, pressed))) = (end.kind, pressed) else { return [None; 4] };
    let held = seconds(end.millis - pressed.millis);
    let is_drag = run.iter().any(|sample| sample.kind == PointKind::Drag);
    let mut before = run.iter().zip(run.iter().skip(1)).take(at);
    let moved = before.rfind(|(from, to)| from.x != to.x || from.y != to.y);
    let rest = moved.map(|(_, to)| seconds(pressed.millis - to.millis));
    [Some(held), is_drag.then_some(held), Some(libm::hypot(end.x - pressed.x, end.y - pressed.y)), rest]
}

/// The median time between reports below 1 s: a trait of the device.
fn report_interval(run: &[Sample]) -> Option<f64> {
    let gaps = run.iter().zip(run.iter().skip(1)).map(|(from, to)| to.millis - from.millis);
    let gaps: Vec<f64> = gaps.filter(|gap| (1..1000).contains(gap)).map(seconds).collect();
    quantile(&gaps, 0.5)
}

/// A quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7).
fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = q * count(sorted.len().saturating_sub(1));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below the number of values")]
    let low = libm::floor(rank) as usize;
    let below = *sorted.get(low)?;
    let above = sorted.get(low + 1).copied().unwrap_or(below);
    Some(below + (above - below) * (rank - libm::floor(rank)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

fn seconds(millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds below 2^53 are exact")]
    let millis = millis as f64;
    millis / 1000.0
}

fn count(of: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
}
