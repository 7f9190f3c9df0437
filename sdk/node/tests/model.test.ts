/** The rules of leases against a plain model of what a decision point told, over random courses of events: no stale yes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { read } from "../src/answer.js";
import { Allow, Question } from "../src/index.js";
import { Leases } from "../src/leases.js";
import { about } from "./fake.js";

const FLOOR = 2_000;
const HEARTBEAT = 3_000;
const LONGEST = 20_000;
const TAGS = ["a", "b", "c"].map((letter) => letter.repeat(32));
const QUESTIONS = ["1", "2", "3", "4"].map((id) => new Question(about(id)));

type Told = { readonly type: "ended"; readonly tag: number } | { readonly type: "policy"; readonly revision: string } | { readonly type: "reset" };

/** The decision point, which is never wrong about itself. */
interface Life {
  readonly name: string;
  readonly told: Told[];
}

/** An allow on its way. */
interface Flying {
  readonly question: number;
  readonly life: string;
  readonly seq: number;
  readonly revision: string;
  readonly tags: readonly number[];
  readonly ttl: number;
  readonly asked: number;
}

type Step =
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "ask"; readonly question: number; readonly tags: readonly number[]; readonly ttl: number }
  | { readonly do: "arrive"; readonly which: number }
  | { readonly do: "end"; readonly told: Told }
  | { readonly do: "deliver"; readonly count: number }
  | { readonly do: "beat" | "connect" | "disconnect" | "restart" }
  | { readonly do: "look"; readonly question: number };

const told: fc.Arbitrary<Told> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("ended" as const), tag: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("policy" as const), revision: fc.constantFrom("r1", "r2") }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("reset" as const) }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat(4_000) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("ask" as const), question: fc.nat(3), tags: fc.subarray([0, 1, 2], { minLength: 1 }), ttl: fc.nat(30_000) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("arrive" as const), which: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("end" as const), told }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("beat" as const, "connect" as const, "disconnect" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("look" as const), question: fc.nat(3) }) },
);

/** Plays a course of events. Tells how often an allow was repeated. */
class Course {
  #now = 0;
  #life: Life = { name: "1", told: [] };
  #lives = 1;
  #revision = "r1";
  #flying: Flying[] = [];
  readonly #leases = new Leases({ entries: 3, bytes: 1e6 }, LONGEST, FLOOR);
  readonly #given = new Map<Allow, Flying>();
  /** The watch: whose it is, and what of it was delivered. */
  #watch: { readonly life: Life; readonly greeted: number; target: number | undefined; delivered: number; heard: number } | undefined;
  /** For each life, every event that the client has processed. */
  readonly #delivered = new Map<string, Set<number>>();
  /** When the watch was lost last; it counts as lost from the start. */
  #lost: number | undefined = 0;
  repeated = 0;

  play(steps: readonly Step[]): void {
    for (const one of steps) this.#step(one);
  }

  #step(one: Step): void {
    switch (one.do) {
      case "pass": this.#now += one.ms; return;
      case "ask": {
        const { name: life, told: { length: seq } } = this.#life;
        this.#flying.push({ question: one.question, life, seq, revision: this.#revision, tags: one.tags, ttl: one.ttl, asked: this.#now });
        return;
      }
      case "arrive": this.#arrive(one.which); return;
      case "end":
        if (one.told.type === "policy") this.#revision = one.told.revision;
        this.#life.told.push(one.told);
        return;
      case "deliver": for (let left = one.count; left > 0; left -= 1) this.#deliver(); return;
      case "beat":
        if (this.#watch !== undefined && this.#watch.life === this.#life) this.#beat();
        return;
      case "connect": this.#connect(); return;
      case "disconnect": this.#disconnect(); return;
      case "restart":
        this.#disconnect();
        this.#lives += 1;
        this.#life = { name: String(this.#lives), told: [] };
        return;
      case "look": this.#look(one.question); return;
    }
  }

  #arrive(which: number): void {
    const [flying] = this.#flying.splice(which % Math.max(this.#flying.length, 1), 1);
    if (flying === undefined) return;
    const lease = { ttl_ms: flying.ttl, epoch: `${flying.life}-${String(flying.seq)}`, revision: flying.revision, risk_below: 30,
      depends_on: flying.tags.map((tag) => TAGS[tag]!) };
    const question = QUESTIONS[flying.question]!;
    const allow = read(Buffer.from(JSON.stringify({ decision: true, context: { lease } })), question) as Allow;
    this.#learn(flying);
    const kept = this.#leases.keep(question, allow, flying.asked, this.#now);
    // What is over when it arrives is not given at all.
    if (kept === "over") return;
    this.#given.set(allow, flying);
    assert.equal(this.#isEnded(flying), false, "an allow that was ended is given when it arrives");
  }

  #connect(): void {
    if (this.#watch !== undefined) return;
    const position = this.#leases.position;
    const { name, told } = this.#life;
    // What goes on names the place where it does, and not how far it is.
    const resumed = position?.life === name && position.seq <= told.length ? position.seq : undefined;
    const at = resumed ?? told.length;
    this.#watch = { life: this.#life, greeted: this.#now, target: resumed === undefined ? at : undefined, delivered: at, heard: this.#now };
    this.#leases.hello({ life: name, seq: at }, HEARTBEAT, FLOOR, this.#now);
    this.#catchUp();
  }

  /** A sign of life is told only where there is nothing else to tell. */
  #beat(): void {
    const watch = this.#watch;
    if (watch === undefined || watch.delivered < watch.life.told.length) return;
    this.#hear();
    if (this.#watch !== watch) return;
    this.#leases.quiet();
    watch.target ??= watch.delivered;
    this.#catchUp();
  }

  /** A question that was asked after the hello knows how far the stream was. */
  #learn({ life, seq, asked }: Flying): void {
    const watch = this.#watch;
    const hears = watch !== undefined && this.#now <= watch.heard + 2.5 * HEARTBEAT;
    if (!hears || watch.life.name !== life || asked <= watch.greeted) return;
    watch.target ??= seq;
    this.#catchUp();
  }

  #catchUp(): void {
    if (this.#watch?.target !== undefined && this.#watch.delivered >= this.#watch.target) this.#lost = undefined;
  }

  #deliver(): void {
    const watch = this.#watch;
    if (watch === undefined || watch.delivered >= watch.life.told.length) return;
    this.#hear();
    if (this.#watch !== watch) return;
    watch.delivered += 1;
    const event = watch.life.told[watch.delivered - 1]!;
    const at = { life: watch.life.name, seq: watch.delivered };
    if (event.type === "reset") this.#leases.reset(at);
    else this.#leases.ending(at.seq, event.type === "ended" ? { type: "ended", dependsOn: [TAGS[event.tag]!] } : event);
    const delivered = this.#delivered.get(at.life) ?? new Set();
    this.#delivered.set(at.life, delivered.add(at.seq));
    this.#catchUp();
  }

  #hear(): void {
    if (this.#watch === undefined) return;
    // Too late: it was lost before.
    if (this.#now > this.#watch.heard + 2.5 * HEARTBEAT) {
      this.#disconnect();
      return;
    }
    this.#watch.heard = this.#now;
    this.#leases.heard(this.#now);
  }

  #disconnect(): void {
    if (this.#watch === undefined) return;
    this.#lost ??= Math.min(this.#now, this.#watch.heard + 2.5 * HEARTBEAT);
    this.#watch = undefined;
    this.#leases.lost(this.#now);
  }

  #look(at: number): void {
    const allow = this.#leases.find(QUESTIONS[at]!, this.#now);
    if (allow === undefined) return;
    this.repeated += 1;
    const flying = this.#given.get(allow);
    assert.ok(flying !== undefined, "an allow that never was");
    assert.equal(flying.question, at, "the answer to another question");
    assert.ok(this.#now < flying.asked + Math.min(flying.ttl, LONGEST), "later than its time");
    assert.equal(this.#isEnded(flying), false, "after its ending was delivered");
    const silence = this.#watch === undefined ? Infinity : this.#watch.heard + 2.5 * HEARTBEAT;
    const lost = this.#lost ?? silence;
    assert.ok(this.#now < Math.max(lost, flying.asked) + FLOOR || this.#now <= lost, "later than the floor after the watch was lost");
  }

  /** An event that the client was told, after the facts were read, ends it. */
  #isEnded({ life, seq, tags, revision }: Flying): boolean {
    const events = life === this.#life.name ? this.#life.told : (this.#watch?.life.name === life ? this.#watch.life.told : []);
    return [...(this.#delivered.get(life) ?? [])].some((at) => {
      const event = events[at - 1];
      if (event === undefined || at <= seq) return false;
      return event.type === "reset" || (event.type === "policy" ? event.revision !== revision : tags.includes(event.tag));
    });
  }
}

test("there is no stale yes, whatever happens", () => {
  let repeated = 0;
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: "max" }), (steps) => {
    const course = new Course();
    course.play([{ do: "connect" }, ...steps]);
    repeated += course.repeated;
  }), { numRuns: 4_000 });
  assert.ok(repeated > 1_000, `the courses are not about anything: ${String(repeated)}`);
});
