/** Hears what ends leases: one stream of events from one address, resumed where it broke, from the next address where that fails. */

import type { Address } from "./address.js";
import { malformed, strict, tags } from "./answer.js";
import type { Clock } from "./clock.js";
import { type Event, EventReader } from "./events.js";
import { isObject, type JsonObject, member } from "./json.js";
import type { Leases } from "./leases.js";
import { type Epoch, epoch, written } from "./positions.js";

/** How a watch stands. */
export type WatchState = "off" | "connecting" | "open";

/** What a watch is made of. */
export interface WatchParts {
  readonly addresses: readonly Address[];
  readonly leases: Leases;
  readonly clock: Clock;
  readonly random: () => number;
  readonly name: string;
  readonly heartbeatMs: number;
}

const PATH = "/countersign/v1/watch";
const LIMITS = { bytes: 64 * 1024, depth: 4, values: 2_100 };
/** Until something is heard of a new connection. */
const CONNECT_MS = 5_000;
/** Full jitter below the first delay, twice as long after each failure, and never longer than the last. */
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;
/** The longest heartbeat that is believed, and how many may be missed. */
const LONGEST_HEARTBEAT_MS = 60_000;
const PATIENCE = 2.5;
/** Between two changes to the address that answers. */
const MOVE_MS = 5_000;
/** A connection that lived this long was no failure. */
const LIVED_MS = 10_000;

/** The watch of one client. It begins when it is first asked for. */
export class Watch {
  readonly #parts: WatchParts;
  #state: WatchState = "off";
  #at = 0;
  #failures = 0;
  #moved = -Infinity;
  #connection: AbortController | undefined;
  #cancelTimer: () => void = () => undefined;
  #cancelDelay: () => void = () => undefined;
  #isClosed = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** How it stands. */
  get state(): WatchState {
    return this.#state;
  }

  /** Begins, if it has not. */
  start(): void {
    if (this.#state !== "off" || this.#isClosed) return;
    this.#state = "connecting";
    void this.#run();
  }

  /** Goes where the answers come from: a lease of another decision point is of no use. */
  follow(address: Address): void {
    const at = this.#parts.addresses.indexOf(address);
    const now = this.#parts.clock.now();
    if (at < 0 || at === this.#at || now - this.#moved < MOVE_MS) return;
    this.#moved = now;
    this.#at = at;
    this.#failures = 0;
    this.#connection?.abort();
  }

  /** Ends. */
  close(): void {
    this.#isClosed = true;
    this.#state = "off";
    this.#cancelDelay();
    this.#connection?.abort();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const address = this.#parts.addresses[this.#at % this.#parts.addresses.length];
      if (address === undefined) return;
      const delay = await this.#watch(address);
      if (delay > 0) await this.#pause(delay);
    }
  }

  /** Watches at one address until that ends. Tells how long to wait before the next. */
  async #watch(address: Address): Promise<number> {
    const { clock, leases } = this.#parts;
    const connection = new AbortController();
    const left = new AbortController();
    const stream = new Stream(this.#parts, (within) => {
      this.#cancelDelay();
      this.#cancelDelay = clock.after(within * this.#parts.random(), () => {
        left.abort();
        connection.abort();
      });
    });
    this.#connection = connection;
    const [at, begun] = [this.#at, clock.now()];
    this.#listen(connection, CONNECT_MS);
    try {
      await address.follow(this.#path(), this.#headers(), connection.signal, opened, (chunk) => {
        stream.hear(chunk);
        this.#state = "open";
        this.#listen(connection, PATIENCE * stream.heartbeatMs);
      });
    } catch {
      // Whatever it was: the watch is lost, and tried again.
    }
    this.#cancelTimer();
    this.#cancelDelay();
    leases.lost(clock.now());
    if (stream.isBroken) leases.forget();
    if (this.#isClosed) return 0;
    this.#state = "connecting";
    if (this.#at !== at) return 0;
    this.#at = (at + 1) % this.#parts.addresses.length;
    if (clock.now() - begun >= LIVED_MS) this.#failures = 0;
    // Whoever left a draining decision point waited for a random time already.
    return left.signal.aborted ? 0 : this.#backoff();
  }

  #backoff(): number {
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LONGEST_DELAY_MS);
    this.#failures = Math.min(this.#failures + 1, 16);
    return Math.max(1, longest * this.#parts.random());
  }

  /** Gives up when nothing is heard for so long. */
  #listen(connection: AbortController, ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#parts.clock.after(ms, () => {
      connection.abort();
    });
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#cancelDelay = () => {
        cancel();
        resolve();
      };
    });
  }

  #path(): string {
    return `${PATH}?watch=${this.#parts.name}&heartbeat_ms=${String(this.#parts.heartbeatMs)}`;
  }

  #headers(): Record<string, string> {
    const { position } = this.#parts.leases;
    return position === undefined ? {} : { "last-event-id": written(position) };
  }
}

function opened(status: number, type: string): void {
  const isStream = type.split(";")[0]?.trim().toLowerCase() === "text/event-stream";
  if (status !== 200 || !isStream) throw malformed("decision point does not open a watch");
}

/** One connection: what is heard on it, in order. */
class Stream {
  readonly #parts: WatchParts;
  readonly #drain: (within: number) => void;
  readonly #reader = new EventReader();
  #life: string | undefined;
  heartbeatMs = CONNECT_MS / PATIENCE;
  /** Something was told that cannot be understood: nothing that was told before counts. */
  isBroken = false;

  constructor(parts: WatchParts, drain: (within: number) => void) {
    this.#parts = parts;
    this.#drain = drain;
  }

  hear(chunk: Uint8Array): void {
    const { leases, clock } = this.#parts;
    // It was lost already: what was missed is told again when it goes on.
    if (this.#life !== undefined && !leases.heard(clock.now())) throw new Error("watch was silent for too long");
    try {
      for (const event of this.#reader.read(chunk)) {
        if (event === "alive") leases.quiet();
        else this.#event(event);
      }
    } catch (error) {
      this.isBroken = true;
      throw error;
    }
  }

  #event({ id, type, data }: Event): void {
    const told = strict(Buffer.from(data), LIMITS);
    if (!isObject(told) || member(told, "type") !== type) throw malformed("event is not of its type");
    const at = id === undefined ? undefined : epoch(id);
    if (id !== undefined && at === undefined) throw malformed("event has no position");
    if (type === "hello") this.#begin(at, told);
    else this.#told(type, at, told);
  }

  #begin(at: Epoch | undefined, told: JsonObject): void {
    const [heartbeat, floor] = [count(told, "heartbeat_ms"), count(told, "floor_ms")];
    if (at === undefined || this.#life !== undefined) throw malformed("watch does not begin with one hello");
    this.#life = at.life;
    this.heartbeatMs = Math.min(Math.max(heartbeat, 1), LONGEST_HEARTBEAT_MS);
    this.#parts.leases.hello(at, this.heartbeatMs, floor, this.#parts.clock.now());
  }

  #told(type: string, at: Epoch | undefined, told: JsonObject): void {
    const { leases } = this.#parts;
    if (this.#life === undefined) throw malformed("watch does not begin with a hello");
    if (at !== undefined && at.life !== this.#life) throw malformed("event is of another life");
    switch (type) {
      case "ended": {
        const dependsOn = tags(member(told, "depends_on"));
        if (dependsOn === undefined) throw malformed("event has the wrong shape");
        leases.ending(seqOf(at), { type, dependsOn });
        return;
      }
      case "policy": {
        const revision = member(told, "revision");
        if (typeof revision !== "string") throw malformed("event has the wrong shape");
        leases.ending(seqOf(at), { type, revision });
        return;
      }
      case "draining":
        this.#drain(Math.min(count(told, "within_ms"), LONGEST_HEARTBEAT_MS));
        if (at !== undefined) leases.passed(at.seq);
        return;
      // A reset, or an event of a later version, which may end anything.
      default:
        leases.reset(at);
    }
  }
}

function seqOf(at: Epoch | undefined): number {
  if (at === undefined) throw malformed("event has no position");
  return at.seq;
}

function count(object: JsonObject, name: string): number {
  const value = member(object, name);
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw malformed("event has the wrong shape");
  return value;
}
