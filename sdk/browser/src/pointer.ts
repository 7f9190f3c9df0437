// A stream of pointer events cut into actions, and 28 numbers of each: the cuts and formulas of the verifier's own crate. Points never leave it.

/** Fewer points say nothing about a movement; more are no single action. */
const MIN_POINTS = 4;
const MAX_POINTS = 2000;
/** A pause after which a new action begins, and the least time between positions, in milliseconds. */
const PAUSE = 10000;
const GRID = 100;
/** No screen is this large; a step that a resting hand makes: pixels. */
const FARTHEST = 32000;
const SMALLEST_STEP = 1.5;

/** What is told of an action, in this order. */
export const FEATURES: readonly string[] = [
  "duration", "distance", "mean speed", "high speed", "speed variation", "braking", "final speed", "turning rate", "sharp turns",
  "press duration", "longest stop", "vertical speed", "speed peaks", "vertical steps", "horizontal steps", "smallest steps", "homing time",
  "drag duration", "time to half way", "median turning rate", "median curvature", "median vertical step", "vertical displacement",
  "time to first quarter", "homing speed", "movement while pressed", "rest before press", "report interval",
];

/** What happened at a point. */
export type Kind = "move" | "drag" | "press" | "release" | "wheel";

/** The numbers, in the order of FEATURES; null where the action has no such thing. */
export type Action = readonly (number | null)[];

/** A point on a clock that never goes back. */
interface Sample {
  readonly millis: number;
  readonly x: number;
  readonly y: number;
  readonly kind: Kind;
}

/** Between two thinned positions. */
interface Step {
  readonly dx: number;
  readonly dy: number;
  readonly length: number;
  readonly seconds: number;
  /** From the action's start to the step's end. */
  readonly until: number;
  /** From the step's start to the action's end. */
  readonly away: number;
}

/** Neighbors in a list. */
function pairs<T>(list: readonly T[]): (readonly [T, T])[] {
  return list.slice(1).map((to, nth) => [list[nth] ?? to, to] as const);
}

/** Cuts a stream into actions: runs of 4 to 2000 points that end with a release or before a pause of more than 10 s. Others are dropped. */
export class Segmenter {
  private run: Sample[] = [];
  private isTooLong = false;
  private clock = 0;
  private last: number | undefined = undefined;

  /**
   * Takes the next point; gives the action that it ends, or that ended before it.
   * @param at whole milliseconds; only differences count
   */
  push(at: number, x: number, y: number, kind: Kind): Action | undefined {
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

  /** Ends the run; gives the action that was open. */
  finish(): Action | undefined {
    const isAction = this.run.length >= MIN_POINTS && !this.isTooLong;
    const action = isAction ? measure(this.run) : undefined;
    this.run = [];
    this.isTooLong = false;
    return action;
  }
}

function measure(run: readonly Sample[]): Action | undefined {
  const [first, last] = [run[0], run.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const duration = (last.millis - first.millis) / 1000;
  const chord = Math.hypot(last.x - first.x, last.y - first.y);
  const steps = stepsOf(run, last);
  const speeds = speedsOf(steps, duration);
  const turns = turnsOf(steps);
  const sizes = sizesOf(steps);
  const homing = homingOf(steps, duration, chord);
  const press = pressOf(run, last);
  const values = [
    duration, chord, speeds.mean, speeds.high, speeds.variation, speeds.braking, speeds.final, turns.mean, turns.sharp, press.held,
    steps.length >= 3 ? Math.max(...steps.map((step) => step.seconds)) : null, speeds.vertical, speeds.peaks, sizes.vertical,
    sizes.horizontal, sizes.smallest, homing.time, press.dragged, speeds.half, turns.median, turns.curvature, sizes.rise, last.y - first.y,
    speeds.quarter, homing.speed, press.travel, press.rest, reportInterval(run),
  ];
  return values.map(single);
}

/** As a number of 32 bits, written with the nine digits that give it back. */
function single(value: number | null): number | null {
  const near = value === null ? NaN : Math.fround(value);
  return Number.isFinite(near) ? Number(near.toPrecision(9)) : null;
}

/** Between positions at least GRID apart. Of points at one instant the last counts; the action's end always does. */
function stepsOf(run: readonly Sample[], end: Sample): Step[] {
  const settled = run.filter((here, nth) => (run[nth + 1]?.millis ?? Infinity) > here.millis);
  const kept: Sample[] = [];
  for (const here of settled) {
    const last = kept.at(-1);
    if (!last || here.millis - last.millis >= GRID || here.millis === end.millis) kept.push(here);
  }
  const start = kept[0]?.millis ?? 0;
  return pairs(kept).map(([from, to]) => {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    return {
      dx,
      dy,
      length: Math.hypot(dx, dy),
      seconds: (to.millis - from.millis) / 1000,
      until: (to.millis - start) / 1000,
      away: Math.hypot(end.x - from.x, end.y - from.y),
    };
  });
}

const moving = (steps: readonly Step[]): Step[] => steps.filter((step) => step.length > 0);

/** Whether there is movement enough to speak of its course. */
const isMovement = (steps: readonly Step[]): boolean => steps.length >= 3 && moving(steps).length >= 2;

interface Speeds {
  readonly mean: number | null;
  readonly high: number | null;
  readonly variation: number | null;
  readonly braking: number | null;
  readonly final: number | null;
  readonly half: number | null;
  readonly quarter: number | null;
  readonly peaks: number | null;
  readonly vertical: number | null;
}

const STILL: Speeds = {
  mean: null, high: null, variation: null, braking: null, final: null, half: null, quarter: null, peaks: null, vertical: null,
};

function speedsOf(steps: readonly Step[], duration: number): Speeds {
  if (!isMovement(steps)) return STILL;
  const path = sum(steps.map((step) => step.length));
  const speeds = steps.map((step) => step.length / step.seconds);
  const average = mean(speeds);
  const spread = Math.sqrt(mean(speeds.map((speed) => (speed - average) * (speed - average))));
  const timed = steps.map((step) => ({ speed: step.length / step.seconds, seconds: step.seconds }));
  const braking = pairs(timed).map(([a, b]) => (a.speed - b.speed) / ((a.seconds + b.seconds) / 2));
  const top = Math.max(0, ...speeds);
  const isPeak = (speed: number, nth: number): boolean => {
    const [before, after] = [speeds[nth - 1], speeds[nth + 1]];
    return before !== undefined && after !== undefined && speed > before && speed >= after && speed > 0.2 * top;
  };
  const reached = (share: number): number => {
    let gone = 0;
    const step = steps.find((one) => (gone += one.length) >= share * path);
    return step ? step.until : duration;
  };
  return {
    mean: path / duration,
    high: quantile(speeds, 0.9),
    variation: spread / average,
    braking: Math.max(...braking),
    final: mean(speeds.slice(-3).reverse()),
    half: reached(0.5) / duration,
    quarter: reached(0.25),
    peaks: speeds.filter(isPeak).length,
    vertical: mean(steps.map((step) => Math.abs(step.dy) / step.seconds)),
  };
}

interface Turns {
  readonly mean: number | null;
  readonly median: number | null;
  /** The share of turns above 45 degrees. */
  readonly sharp: number | null;
  readonly curvature: number | null;
}

function turnsOf(steps: readonly Step[]): Turns {
  if (!isMovement(steps)) return { mean: null, median: null, sharp: null, curvature: null };
  const turns = pairs(moving(steps)).map(([a, b]) => {
    const raw = Math.abs(Math.atan2(b.dy, b.dx) - Math.atan2(a.dy, a.dx));
    const angle = raw > Math.PI ? 2 * Math.PI - raw : raw;
    return { angle, rate: angle / (b.until - a.until), curvature: angle / ((a.length + b.length) / 2) };
  });
  const rates = turns.map((turn) => turn.rate);
  const sharp = turns.filter((turn) => turn.angle > Math.PI / 4).length;
  return {
    mean: mean(rates),
    median: quantile(rates, 0.5),
    sharp: sharp / turns.length,
    curvature: quantile(turns.map((turn) => turn.curvature), 0.5),
  };
}

interface Sizes {
  readonly vertical: number | null;
  readonly horizontal: number | null;
  readonly smallest: number | null;
  readonly rise: number | null;
}

/** Of the steps that move: shares of those straight up or down, straight sideways, and very short; the median vertical part. */
function sizesOf(steps: readonly Step[]): Sizes {
  const moved = moving(steps);
  if (moved.length < 2) return { vertical: null, horizontal: null, smallest: null, rise: null };
  const share = (is: (step: Step) => boolean): number => moved.filter(is).length / moved.length;
  return {
    vertical: share((step) => step.dx === 0),
    horizontal: share((step) => step.dy === 0),
    smallest: share((step) => step.length < SMALLEST_STEP),
    rise: quantile(moved.map((step) => Math.abs(step.dy)), 0.5),
  };
}

interface Homing {
  /** Within the last tenth of the distance. */
  readonly time: number | null;
  /** Within its last 15 %. */
  readonly speed: number | null;
}

function homingOf(steps: readonly Step[], duration: number, chord: number): Homing {
  if (!isMovement(steps)) return { time: null, speed: null };
  const farthest = Math.max(0, ...steps.map((step) => step.away));
  const lastFar = steps.findLast((step) => step.away > 0.1 * Math.max(farthest, chord));
  const near = steps.filter((step) => step.away <= 0.15 * farthest);
  const [way, time] = [sum(near.map((step) => step.length)), sum(near.map((step) => step.seconds))];
  return { time: lastFar ? duration - (lastFar.until - lastFar.seconds) : null, speed: time > 0 ? way / time : null };
}

interface Press {
  readonly held: number | null;
  readonly dragged: number | null;
  readonly travel: number | null;
  readonly rest: number | null;
}

/** Of an action that ends with a release: how long the button was down, the same if dragged, how far it went, how long it had rested before. */
function pressOf(run: readonly Sample[], end: Sample): Press {
  const at = run.findLastIndex((sample) => sample.kind === "press");
  const pressed = run[at];
  if (end.kind !== "release" || pressed === undefined) return { held: null, dragged: null, travel: null, rest: null };
  const held = (end.millis - pressed.millis) / 1000;
  const isDrag = run.some((sample) => sample.kind === "drag");
  // Back to the last movement before the press.
  const still = pairs(run.slice(0, at + 1)).findLastIndex(([before, here]) => here.x !== before.x || here.y !== before.y);
  const arrived = still < 0 ? undefined : run[still + 1];
  return {
    held,
    dragged: isDrag ? held : null,
    travel: Math.hypot(end.x - pressed.x, end.y - pressed.y),
    rest: arrived ? (pressed.millis - arrived.millis) / 1000 : null,
  };
}

/** The median time between reports below 1 s: a trait of the device. */
function reportInterval(run: readonly Sample[]): number | null {
  const gaps = pairs(run).map(([from, to]) => to.millis - from.millis);
  return quantile(gaps.filter((gap) => gap >= 1 && gap < 1000).map((gap) => gap / 1000), 0.5);
}

/** A quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7). */
function quantile(values: readonly number[], q: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const low = Math.floor(rank);
  const below = sorted[low];
  if (below === undefined) return null;
  const above = sorted[low + 1] ?? below;
  return below + (above - below) * (rank - low);
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

const mean = (values: readonly number[]): number => sum(values) / values.length;
