/** Time as this package sees it: it only runs forward, and nothing that waits for it keeps the process alive. */

/** A clock. Tests bring their own. */
export interface Clock {
  /** Milliseconds since some instant, never less than before. */
  now(): number;
  /** Calls once after so many milliseconds, unless it is told not to. */
  after(ms: number, call: () => void): () => void;
}

/** Longer waits overflow Node's timers, which then fire at once. */
const LONGEST = 2 ** 31 - 1;

/** The monotonic clock of the machine. */
export const MONOTONIC: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(Math.max(ms, 0), LONGEST));
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
