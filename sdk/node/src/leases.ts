/**
 * The rules of leases: which allow may be repeated, and when it ends.
 *
 * 1. A lease counts from before its question was sent, on a clock that only runs forward.
 * 2. It is kept only where no ending that is told after its epoch can have been missed, and none that ends it was seen.
 * 3. `ended` ends those with any of its names, `policy` those of another revision, `reset` and another life end all.
 * 4. While no watch lives, a lease counts for the floor at most; when the watch is lost, all shrink to the floor from that moment.
 *    A watch that goes on lives when it has heard what it missed. Its hello names the place where it goes on, not how far the stream is: a sign of life with
 *    nothing to tell says that this was all, and the epoch of a question that was asked later says how much it is.
 * 5. Only allows are kept; none under break-glass, and none whose question carries a proof that counts once.
 *
 * Nothing here reads a clock or a network: time and events are told.
 */

import type { Allow, Lease } from "./answer.js";
import type { Epoch } from "./positions.js";
import { isAtLeast } from "./positions.js";
import type { Question } from "./question.js";

/** How many leases are kept, and how many bytes they may have together. */
export interface Bounds {
  /** Leases at most. */
  readonly entries: number;
  /** Bytes at most, by estimate: of their questions, what they oblige to, and what they rest on. */
  readonly bytes: number;
}

/** Events, and the names in them, that are remembered for leases that arrive after what ends them. */
const REMEMBERED = { events: 1_024, tags: 32_768 };
/** Heartbeats without a word, after which a watch is lost. */
const PATIENCE = 2.5;

/** An ending, as a watch told it. */
export type Ending =
  | { readonly type: "ended"; readonly dependsOn: readonly string[] }
  | { readonly type: "policy"; readonly revision: string };

/** What became of an allow that came with a lease. */
export type Kept = Held | "unkept" | "over";

/** A lease that is relied on. */
export class Held {
  readonly allow: Allow;
  readonly lease: Lease;
  /** Until when it counts. It only ever becomes earlier. */
  until: number;
  isOver = false;
  key: string | undefined;
  readonly waiting = new Set<() => void>();
  /** Bytes of it while it is kept. */
  weight = 0;

  constructor(allow: Allow, lease: Lease, until: number) {
    this.allow = allow;
    this.lease = lease;
    this.until = until;
  }
}

/** What is known of the stream of endings. */
interface Known {
  readonly life: string;
  /** Every event up to this one was heard, or can no longer matter. */
  seq: number;
  /** Endings after this one are all in `recent`. */
  from: number;
  /** The watch has caught up when it reaches this; `undefined` while nothing says how much was told meanwhile. */
  target: number | undefined;
}

/** All leases of one client. */
export class Leases {
  readonly #bounds: Bounds;
  readonly #longest: number;
  readonly #ownFloor: number;
  #floor: number;
  readonly #kept = new Map<string, Held>();
  /** Everything that is kept or waited for. */
  readonly #all = new Set<Held>();
  readonly #byTag = new Map<string, Set<Held>>();
  #bytes = 0;
  #known: Known | undefined;
  #recent: { readonly seq: number; readonly ending: Ending }[] = [];
  #recentTags = 0;
  #isConnected = false;
  #heard = 0;
  #greeted = 0;
  #heartbeat = 0;

  /** `longest` bounds every lease, `floor` those without a living watch; both in milliseconds. */
  constructor(bounds: Bounds, longest: number, floor: number) {
    this.#bounds = bounds;
    this.#longest = longest;
    this.#ownFloor = floor;
    this.#floor = floor;
  }

  /** How many are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** The last event that was heard, from which a watch goes on. */
  get position(): Epoch | undefined {
    return this.#known && { life: this.#known.life, seq: this.#known.seq };
  }

  /** Whether every ending is heard as it is told. */
  isWatched(now: number): boolean {
    this.#tick(now);
    return this.#isConnected && this.#known?.target !== undefined && this.#known.seq >= this.#known.target;
  }

  /** The longest that a lease counts without a living watch. */
  get floor(): number {
    return this.#floor;
  }

  /** The allow that may be repeated for this question. */
  find(question: Question, now: number): Allow | undefined {
    this.#tick(now);
    const held = this.#kept.get(question.key);
    if (held === undefined) return undefined;
    if (now >= held.until) {
      this.#end(held);
      return undefined;
    }
    if (question.atLeast !== undefined && !isAtLeast(held.allow.consistency, question.atLeast)) return undefined;
    // The one that was used last is the last to be dropped.
    this.#kept.delete(question.key);
    this.#kept.set(question.key, held);
    return held.allow;
  }

  /**
   * Keeps an allow that was asked for at `asked` and arrived now.
   *
   * `"over"`: an ending that was told after its facts were read is known already, or may have been missed, so that it must not be relied on at all.
   * `"unkept"`: it counts once.
   */
  keep(question: Question, allow: Allow, asked: number, now: number): Kept {
    const { lease } = allow;
    if (lease === undefined || allow.glassIsBroken || question.isSingleUse) return "unkept";
    this.#tick(now);
    this.#learn(lease, asked);
    const isWatched = this.isWatched(now);
    if (this.#known?.life === lease.epoch.life) {
      if (lease.epoch.seq < this.#known.from || this.#recent.some(({ seq, ending }) => seq > lease.epoch.seq && ends(ending, lease))) return "over";
    } else if (this.#isConnected) {
      return "unkept";
    }
    const ttl = Math.min(lease.ttlMs, this.#longest, isWatched ? Infinity : this.#floor);
    const held = new Held(allow, lease, asked + ttl);
    if (now >= held.until) return "unkept";
    this.#insert(question.key, held);
    return held;
  }

  /** The watch began: the position that it stands at, and how often it is heard. */
  hello(at: Epoch, heartbeat: number, floor: number, now: number): void {
    this.#tick(now);
    this.#floor = Math.min(this.#ownFloor, floor);
    this.#isConnected = true;
    this.#heartbeat = heartbeat;
    this.#heard = this.#greeted = now;
    if (this.#known?.life !== at.life || this.#known.seq > at.seq) {
      this.#startAt(at);
      return;
    }
    // It goes on where it was: what was missed follows, up to here. Named is the very place: nobody said up to where.
    this.#known.target = at.seq > this.#known.seq ? at.seq : undefined;
    for (const held of [...this.#all]) if (held.lease.epoch.life !== at.life) this.#end(held);
  }

  /** Something was heard, if only that the watch lives. False when it comes too late: what is heard now may be as old, with more behind it. */
  heard(now: number): boolean {
    this.#tick(now);
    if (this.#isConnected) this.#heard = now;
    return this.#isConnected;
  }

  /** The watch said that there is nothing to tell. */
  quiet(): void {
    if (this.#isConnected && this.#known !== undefined) this.#known.target ??= this.#known.seq;
  }

  /** An ending was told, as the event of this number of the life that the hello named. A gap before it may have held the end of anything. */
  ending(seq: number, ending: Ending): void {
    if (this.#known === undefined) return;
    if (seq > this.#known.seq + 1) this.#startAt({ life: this.#known.life, seq: seq - 1 });
    const { life } = this.#known;
    if (seq > this.#known.seq) {
      this.#known.seq = seq;
      this.#remember(seq, ending);
    }
    const touched = ending.type === "ended" ? ending.dependsOn.flatMap((tag) => [...(this.#byTag.get(tag) ?? [])]) : [...this.#all];
    for (const held of touched) {
      // Whoever read the facts after this was told has seen what it tells.
      const isOlder = held.lease.epoch.life !== life || held.lease.epoch.seq < seq;
      if (isOlder && ends(ending, held.lease)) this.#end(held);
    }
  }

  /** An event that ends nothing was told. */
  passed(seq: number): void {
    if (this.#known === undefined) return;
    if (seq > this.#known.seq + 1) this.#startAt({ life: this.#known.life, seq });
    else if (seq > this.#known.seq) this.#known.seq = seq;
  }

  /** More changed, or was missed, than can be told: all end, but what was read at this position or later. Without a position all end. */
  reset(at: Epoch | undefined): void {
    if (at !== undefined) this.#startAt(at);
    else for (const held of [...this.#all]) this.#end(held);
  }

  /** The watch was lost: what is kept counts for the floor from now on. */
  lost(now: number): void {
    this.#tick(now);
    this.#lose(now);
  }

  /** Everything ends, and nothing that was heard counts any more. */
  forget(): void {
    this.#known = undefined;
    this.#recent = [];
    this.#recentTags = 0;
    for (const held of [...this.#all]) this.#end(held);
  }

  /**
   * Calls once when this lease is over before its time, or its time changed: whoever waits looks at `isOver` and `until` again.
   * Tells whether it still counts.
   */
  wait(held: Held, call: () => void): boolean {
    // What is not in the book any more was not told of endings since.
    if (!this.#all.has(held)) return false;
    held.waiting.add(call);
    return true;
  }

  /** Waits no longer. */
  unwait(held: Held, call: () => void): void {
    held.waiting.delete(call);
    this.#release(held);
  }

  /** What was told by when a question was answered that was asked after the hello: all of it that is not here yet is on its way. */
  #learn({ epoch }: Lease, asked: number): void {
    if (this.#isConnected && asked > this.#greeted && this.#known?.life === epoch.life) this.#known.target ??= epoch.seq;
  }

  /** The moment at which the watch is lost, if nothing is heard until then. */
  #silence(): number {
    return this.#heard + PATIENCE * this.#heartbeat;
  }

  /** A watch that fell silent was lost then, not when somebody looks. */
  #tick(now: number): void {
    if (this.#isConnected && now > this.#silence()) this.#lose(this.#silence());
  }

  #lose(at: number): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    for (const held of [...this.#all]) {
      if (at + this.#floor >= held.until) continue;
      held.until = at + this.#floor;
      for (const call of [...held.waiting]) call();
    }
  }

  #remember(seq: number, ending: Ending): void {
    this.#recent.push({ seq, ending });
    this.#recentTags += tagsOf(ending);
    while (this.#recent.length > REMEMBERED.events || this.#recentTags > REMEMBERED.tags) {
      const forgotten = this.#recent.shift();
      if (forgotten === undefined || this.#known === undefined) return;
      this.#recentTags -= tagsOf(forgotten.ending);
      this.#known.from = forgotten.seq;
    }
  }

  /** Nothing before this position is known: what rests on facts that were read earlier ends. */
  #startAt(at: Epoch): void {
    const former = this.#known?.life === at.life ? this.#known.target : at.seq;
    const target = former === undefined ? undefined : Math.max(former, at.seq);
    this.#known = { life: at.life, seq: at.seq, from: at.seq, target };
    this.#recent = [];
    this.#recentTags = 0;
    for (const held of [...this.#all]) {
      const isComplete = held.lease.epoch.life === at.life && held.lease.epoch.seq >= at.seq;
      if (!isComplete) this.#end(held);
    }
  }

  #insert(key: string, held: Held): void {
    const former = this.#kept.get(key);
    if (former !== undefined) this.#evict(former);
    held.key = key;
    this.#kept.set(key, held);
    held.weight = weigh(key, held);
    this.#bytes += held.weight;
    this.#all.add(held);
    for (const tag of held.lease.dependsOn) {
      const tagged = this.#byTag.get(tag) ?? new Set();
      this.#byTag.set(tag, tagged.add(held));
    }
    for (const oldest of this.#kept.values()) {
      if (this.#kept.size <= this.#bounds.entries && this.#bytes <= this.#bounds.bytes) break;
      this.#evict(oldest);
    }
  }

  /** It is not repeated any more; whoever waits for its end still does. */
  #evict(held: Held): void {
    if (held.key === undefined) return;
    this.#kept.delete(held.key);
    this.#bytes -= held.weight;
    held.key = undefined;
    this.#release(held);
  }

  #end(held: Held): void {
    held.isOver = true;
    this.#evict(held);
    for (const call of [...held.waiting]) call();
    held.waiting.clear();
    this.#release(held);
  }

  /** What is neither kept nor waited for is forgotten. */
  #release(held: Held): void {
    if (held.key !== undefined || (held.waiting.size > 0 && !held.isOver) || !this.#all.delete(held)) return;
    for (const tag of held.lease.dependsOn) {
      const tagged = this.#byTag.get(tag);
      tagged?.delete(held);
      if (tagged?.size === 0) this.#byTag.delete(tag);
    }
  }
}

/** What a lease weighs in memory, about. */
function weigh(key: string, { allow, lease }: Held): number {
  const obligations = allow.obligations.length === 0 ? 0 : JSON.stringify(allow.obligations).length;
  return 512 + (key.length + obligations) * 2 + lease.dependsOn.length * 256;
}

function tagsOf(ending: Ending): number {
  return ending.type === "ended" ? ending.dependsOn.length : 1;
}

function ends(ending: Ending, lease: Lease): boolean {
  return ending.type === "policy" ? ending.revision !== lease.revision : ending.dependsOn.some((tag) => lease.dependsOn.includes(tag));
}
