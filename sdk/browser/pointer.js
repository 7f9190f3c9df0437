// A stream of pointer events cut into actions, and 28 numbers of each: the cuts and formulas of the verifier's own crate. Points never leave it.
// @ts-check

/** Fewer points say nothing about a movement; more are no single action. */
const MIN_POINTS = 4;
const MAX_POINTS = 2000;
/** A pause after which a new action begins, and the least time between positions, in milliseconds. */
const PAUSE = 10000;
const GRID = 100;
/** No screen is this large; a step that a resting hand makes: pixels. */
const FARTHEST = 32000;
const SMALLEST_STEP = 1.5;

/**
 * What is told of an action, in this order.
 * @type {readonly string[]}
 */
export const FEATURES = [
  "duration", "distance", "mean speed", "high speed", "speed variation", "braking", "final speed", "turning rate", "sharp turns",
  "press duration", "longest stop", "vertical speed", "speed peaks", "vertical steps", "horizontal steps", "smallest steps", "homing time",
  "drag duration", "time to half way", "median turning rate", "median curvature", "median vertical step", "vertical displacement",
  "time to first quarter", "homing speed", "movement while pressed", "rest before press", "report interval",
];

/**
 * @typedef {"move" | "drag" | "press" | "release" | "wheel"} Kind what happened at a point
 * @typedef {{millis: number, x: number, y: number, kind: Kind}} Sample a point on a clock that never goes back
 * @typedef {{dx: number, dy: number, length: number, seconds: number, until: number, away: number}} Step between two thinned positions: until,
 *   from the action's start to the step's end; away, from the step's start to the action's end
 * @typedef {(number | null)[]} Action the numbers, in the order of FEATURES; null where the action has no such thing
 */

/** Cuts a stream into actions: runs of 4 to 2000 points that end with a release or before a pause of more than 10 s. Others are dropped. */
export class Segmenter {
  constructor() {
    /** @type {Sample[]} */
    this.run = [];
    this.isTooLong = false;
    this.clock = 0;
    /** @type {number | undefined} */
    this.last = undefined;
  }

  /**
   * Takes the next point; gives the action that it ends, or that ended before it.
   * @param {number} at whole milliseconds; only differences count
   * @param {number} x
   * @param {number} y
   * @param {Kind} kind
   * @returns {Action | undefined}
   */
  push(at, x, y, kind) {
    if (kind === "wheel" || !(Math.abs(x) < FARTHEST && Math.abs(y) < FARTHEST)) return undefined;
    // A clock that falls stands still, and counts on from its new reading.
    const passed = this.last === undefined ? 0 : Math.max(0, at - this.last);
    this.last = at;
    this.clock += passed;
    const before = passed > PAUSE ? this.finish() : undefined;
    if (this.run.length < MAX_POINTS) this.run.push({ millis: this.clock, x, y, kind });
    else this.isTooLong = true;
    const byRelease = kind === "release" ? this.finish() : undefined;
    return before ?? byRelease;
  }

  /**
   * Ends the run; gives the action that was open.
   * @returns {Action | undefined}
   */
  finish() {
    const isAction = this.run.length >= MIN_POINTS && !this.isTooLong;
    const action = isAction ? measure(this.run) : undefined;
    this.run = [];
    this.isTooLong = false;
    return action;
  }
}

/**
 * @param {Sample[]} run
 * @returns {Action}
 */
function measure(run) {
  const [first, last] = [run[0], run[run.length - 1]];
  const duration = (last.millis - first.millis) / 1000;
  const chord = Math.hypot(last.x - first.x, last.y - first.y);
  const steps = stepsOf(run, last);
  const [meanSpeed, highSpeed, variation, braking, finalSpeed, half, quarter, peaks, verticalSpeed] = speedsOf(steps, duration);
  const [turning, medianTurning, sharp, curvature] = turnsOf(steps);
  const [vertical, horizontal, smallest, medianRise] = sizesOf(steps);
  const [homing, homingSpeed] = homingOf(steps, duration, chord);
  const [press, drag, travel, rest] = pressOf(run, last);
  const stop = steps.length >= 3 ? Math.max(...steps.map((step) => step.seconds)) : null;
  const values = [
    duration, chord, meanSpeed, highSpeed, variation, braking, finalSpeed, turning, sharp, press, stop, verticalSpeed, peaks, vertical,
    horizontal, smallest, homing, drag, half, medianTurning, curvature, medianRise, last.y - first.y, quarter, homingSpeed, travel, rest,
    reportInterval(run),
  ];
  return values.map(single);
}

/**
 * As a number of 32 bits, written with the nine digits that give it back.
 * @param {number | null} value
 * @returns {number | null}
 */
function single(value) {
  const near = value === null ? NaN : Math.fround(value);
  return Number.isFinite(near) ? Number(near.toPrecision(9)) : null;
}

/**
 * Between positions at least GRID apart. Of points at one instant the last counts; the action's end always does.
 * @param {Sample[]} run
 * @param {Sample} end
 * @returns {Step[]}
 */
function stepsOf(run, end) {
  const settled = run.filter((here, nth) => nth + 1 === run.length || run[nth + 1].millis > here.millis);
  /** @type {Sample[]} */
  const kept = [];
  for (const here of settled) {
    const last = kept[kept.length - 1];
    if (!last || here.millis - last.millis >= GRID || here.millis === end.millis) kept.push(here);
  }
  return kept.slice(1).map((to, nth) => {
    const from = kept[nth];
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    return {
      dx,
      dy,
      length: Math.hypot(dx, dy),
      seconds: (to.millis - from.millis) / 1000,
      until: (to.millis - kept[0].millis) / 1000,
      away: Math.hypot(end.x - from.x, end.y - from.y),
    };
  });
}

/** @param {Step[]} steps */
const moving = (steps) => steps.filter((step) => step.length > 0);

/**
 * Whether there is movement enough to speak of its course.
 * @param {Step[]} steps
 */
const isMovement = (steps) => steps.length >= 3 && moving(steps).length >= 2;

/**
 * @param {Step[]} steps
 * @param {number} duration
 * @returns {(number | null)[]}
 */
function speedsOf(steps, duration) {
  if (!isMovement(steps)) return Array(9).fill(null);
  const path = sum(steps.map((step) => step.length));
  const speeds = steps.map((step) => step.length / step.seconds);
  const average = mean(speeds);
  const spread = Math.sqrt(mean(speeds.map((speed) => (speed - average) * (speed - average))));
  const braking = steps.slice(1).map((after, nth) => (speeds[nth] - speeds[nth + 1]) / ((steps[nth].seconds + after.seconds) / 2));
  const top = Math.max(0, ...speeds);
  const isPeak = (/** @type {number} */ nth) => speeds[nth] > speeds[nth - 1] && speeds[nth] >= speeds[nth + 1] && speeds[nth] > 0.2 * top;
  const reached = (/** @type {number} */ share) => {
    let gone = 0;
    const step = steps.find((one) => (gone += one.length) >= share * path);
    return step ? step.until : duration;
  };
  return [
    path / duration,
    quantile(speeds, 0.9),
    spread / average,
    Math.max(...braking),
    mean(speeds.slice(-3).reverse()),
    reached(0.5) / duration,
    reached(0.25),
    speeds.filter((_, nth) => nth > 0 && nth + 1 < speeds.length && isPeak(nth)).length,
    mean(steps.map((step) => Math.abs(step.dy) / step.seconds)),
  ];
}

/**
 * Mean and median turning rate, share of turns above 45 degrees, median curvature.
 * @param {Step[]} steps
 * @returns {(number | null)[]}
 */
function turnsOf(steps) {
  if (!isMovement(steps)) return Array(4).fill(null);
  const moved = moving(steps);
  const turns = moved.slice(1).map((b, nth) => {
    const a = moved[nth];
    const raw = Math.abs(Math.atan2(b.dy, b.dx) - Math.atan2(a.dy, a.dx));
    const angle = raw > Math.PI ? 2 * Math.PI - raw : raw;
    return { angle, rate: angle / (b.until - a.until), curvature: angle / ((a.length + b.length) / 2) };
  });
  const rates = turns.map((turn) => turn.rate);
  const sharp = turns.filter((turn) => turn.angle > Math.PI / 4).length;
  return [mean(rates), quantile(rates, 0.5), sharp / turns.length, quantile(turns.map((turn) => turn.curvature), 0.5)];
}

/**
 * Of the steps that move: shares of those straight up or down, straight sideways, and very short; the median vertical part.
 * @param {Step[]} steps
 * @returns {(number | null)[]}
 */
function sizesOf(steps) {
  const moved = moving(steps);
  if (moved.length < 2) return Array(4).fill(null);
  const share = (/** @type {(step: Step) => boolean} */ is) => moved.filter(is).length / moved.length;
  const rises = moved.map((step) => Math.abs(step.dy));
  return [share((step) => step.dx === 0), share((step) => step.dy === 0), share((step) => step.length < SMALLEST_STEP), quantile(rises, 0.5)];
}

/**
 * The time within the last tenth of the distance, and the speed within the last 15 %.
 * @param {Step[]} steps
 * @param {number} duration
 * @param {number} chord
 * @returns {(number | null)[]}
 */
function homingOf(steps, duration, chord) {
  if (!isMovement(steps)) return [null, null];
  const farthest = Math.max(0, ...steps.map((step) => step.away));
  const lastFar = [...steps].reverse().find((step) => step.away > 0.1 * Math.max(farthest, chord));
  const near = steps.filter((step) => step.away <= 0.15 * farthest);
  const [way, time] = [sum(near.map((step) => step.length)), sum(near.map((step) => step.seconds))];
  return [lastFar ? duration - (lastFar.until - lastFar.seconds) : null, time > 0 ? way / time : null];
}

/**
 * Of an action that ends with a release: how long the button was down, the same if dragged, how far it went, how long it had rested before.
 * @param {Sample[]} run
 * @param {Sample} end
 * @returns {(number | null)[]}
 */
function pressOf(run, end) {
  const at = run.map((sample) => sample.kind).lastIndexOf("press");
  if (end.kind !== "release" || at < 0) return Array(4).fill(null);
  const pressed = run[at];
  const held = (end.millis - pressed.millis) / 1000;
  const isDrag = run.some((sample) => sample.kind === "drag");
  let moved = at;
  while (moved > 0 && run[moved].x === run[moved - 1].x && run[moved].y === run[moved - 1].y) moved -= 1;
  const rest = moved > 0 ? (pressed.millis - run[moved].millis) / 1000 : null;
  return [held, isDrag ? held : null, Math.hypot(end.x - pressed.x, end.y - pressed.y), rest];
}

/**
 * The median time between reports below 1 s: a trait of the device.
 * @param {Sample[]} run
 */
function reportInterval(run) {
  const gaps = run.slice(1).map((to, nth) => to.millis - run[nth].millis);
  return quantile(gaps.filter((gap) => gap >= 1 && gap < 1000).map((gap) => gap / 1000), 0.5);
}

/**
 * A quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7).
 * @param {number[]} values
 * @param {number} q
 */
function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const rank = q * (sorted.length - 1);
  const low = Math.floor(rank);
  const below = sorted[low];
  const above = sorted[low + 1] ?? below;
  return below + (above - below) * (rank - low);
}

/** @param {number[]} values */
const sum = (values) => values.reduce((all, value) => all + value, 0);

/** @param {number[]} values */
const mean = (values) => sum(values) / values.length;
