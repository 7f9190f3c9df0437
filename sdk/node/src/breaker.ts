/** A circuit breaker: who fails again and again is left alone for a while, and then asked once. */

import type { Clock } from "./clock.js";

/** How an address is seen. `half-open`: one question finds out. */
export type BreakerState = "closed" | "open" | "half-open";

/** Failures in a row that open it. */
const IN_A_ROW = 5;
/** Of so many outcomes within the window, half must be good. */
const OUTCOMES = 20;
const WINDOW_MS = 10_000;
/** It is open for this long at first, twice as long after each probe that failed, and never longer than the last. */
const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** One address. */
export class Breaker {
  readonly #clock: Clock;
  readonly #random: () => number;
  #inARow = 0;
  #outcomes: { readonly at: number; readonly isGood: boolean }[] = [];
  #opened = 0;
  #until = 0;
  #isProbed = false;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** How it stands. */
  get state(): BreakerState {
    if (this.#opened === 0) return "closed";
    return this.#clock.now() < this.#until ? "open" : "half-open";
  }

  /** Whether a question may go there; then its outcome must be told, once. */
  enter(): boolean {
    const { state } = this;
    if (state === "closed") return true;
    if (state === "open" || this.#isProbed) return false;
    this.#isProbed = true;
    return true;
  }

  /** It answered. */
  good(): void {
    this.#inARow = 0;
    if (this.#opened > 0) this.#outcomes = [];
    this.#opened = 0;
    this.#isProbed = false;
    this.#remember(true);
  }

  /** It did not. */
  bad(): void {
    this.#inARow += 1;
    this.#remember(false);
    const isOpen = this.#opened > 0;
    if (isOpen ? this.#isProbed : this.#isFailing()) this.#open();
    this.#isProbed = false;
  }

  /** Nobody waited for the outcome. */
  unknown(): void {
    this.#isProbed = false;
  }

  #isFailing(): boolean {
    const bad = this.#outcomes.filter(({ isGood }) => !isGood).length;
    return this.#inARow >= IN_A_ROW || (this.#outcomes.length >= OUTCOMES && bad * 2 >= this.#outcomes.length);
  }

  /** For a time that differs between clients, so that they do not all come back at once. */
  #open(): void {
    const longest = Math.min(FIRST_MS * 2 ** this.#opened, LONGEST_MS);
    this.#opened = Math.min(this.#opened + 1, 16);
    this.#until = this.#clock.now() + longest * (0.5 + this.#random() / 2);
  }

  #remember(isGood: boolean): void {
    const now = this.#clock.now();
    this.#outcomes.push({ at: now, isGood });
    this.#outcomes = this.#outcomes.filter(({ at }) => now - at < WINDOW_MS).slice(-OUTCOMES);
  }
}
