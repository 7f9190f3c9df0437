// Listens to the mouse and tells how it moved: a few numbers an action. Points never leave this file.

import type { Consent } from "./consent.ts";
import { type Action, FEATURES, type Kind, Segmenter } from "./pointer.ts";
import { post } from "./post.ts";

const PATH = "/.countersign/behavior";
/** Actions of a batch, and what is kept for it: the newest. */
const MOST = 50;
/** Seconds between two batches: unless told, and at least. The decision point takes twenty batches a minute. */
export const EVERY = 30;
export const AT_LEAST = 5;

const KINDS: Readonly<Record<string, Kind>> = { pointerdown: "press", pointerup: "release" };

/** Measures on this page until consent ends or the decision point refuses. A page that is left sends what it has. */
export class Collector {
  private readonly segmenter = new Segmenter();
  private actions: Action[] = [];
  /** Of this page: the first batch waits like any other. */
  private sentAt = performance.now();
  private isOver = false;

  constructor(
    private readonly consent: Consent,
    private readonly every: number,
  ) {}

  /** Begins to listen. */
  start(): void {
    for (const type of ["pointermove", "pointerdown", "pointerup"] as const) {
      window.addEventListener(type, (event) => { this.take(event); }, { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") void this.flush();
    });
    setInterval(() => { this.tick(); }, 1000);
    this.consent.onChange((holds) => {
      if (!holds) this.forget();
    });
  }

  /** Ends the open action and sends what there is. */
  async flush(): Promise<void> {
    this.keep(this.segmenter.finish());
    await this.send();
  }

  private take(event: PointerEvent): void {
    if (event.pointerType !== "mouse" || !event.isTrusted || !this.listens()) return;
    const kind = KINDS[event.type] ?? (event.buttons === 0 ? "move" : "drag");
    this.keep(this.segmenter.push(Math.floor(event.timeStamp), event.screenX, event.screenY, kind));
  }

  private listens(): boolean {
    return !this.isOver && this.consent.holds();
  }

  private keep(action: Action | undefined): void {
    if (action === undefined) return;
    this.actions.push(action);
    if (this.actions.length > MOST) this.actions.shift();
  }

  private tick(): void {
    if (performance.now() - this.sentAt >= this.every * 1000) void this.send();
  }

  private async send(): Promise<void> {
    if (!this.consent.holds()) this.forget();
    if (this.isOver || this.actions.length === 0) return;
    const batch = { features: FEATURES, actions: this.actions };
    this.actions = [];
    this.sentAt = performance.now();
    // What is lost raises no risk and lowers none. Where nobody is signed in, or nothing is asked for, the next page tries again.
    if ((await post(PATH, batch)) === "refused") this.isOver = true;
  }

  private forget(): void {
    this.segmenter.finish();
    this.actions = [];
  }
}
