/** The rules of leases, one by one, on a clock that stands still. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { read } from "../src/answer.js";
import { Allow, type JsonObject, Question } from "../src/index.js";
import { Held, Leases } from "../src/leases.js";
import { about, OTHER_TAG, QUESTION, TAG } from "./fake.js";

const question = new Question(QUESTION);

function allowed(epoch: string, more: JsonObject = {}, context: JsonObject = {}): Allow {
  const lease = { ttl_ms: 30_000, epoch, revision: "r1", risk_below: 30, depends_on: [TAG], ...more };
  const answer = read(Buffer.from(JSON.stringify({ decision: true, context: { lease, ...context } })), question);
  assert.ok(Allow.is(answer));
  return answer;
}

function watched(seq = 10): Leases {
  const leases = new Leases({ entries: 100, bytes: 1e6 }, 60_000, 2_000);
  leases.hello({ life: "1", seq }, 3_000, 2_000, 0);
  return leases;
}

const ENDED = { type: "ended", dependsOn: [TAG] } as const;

/** How long an allow that is kept at 0 is repeated, in the steps of a second. */
function seconds(leases: Leases, told: (at: number) => void = () => undefined): number {
  for (let at = 0; at <= 100_000; at += 1_000) {
    told(at);
    if (leases.find(question, at) === undefined) return at / 1_000;
  }
  return Infinity;
}

test("a lease counts from before the question was sent, for as long as it says", () => {
  const leases = watched();
  assert.ok(leases.keep(question, allowed("1-10"), 0, 5_000) instanceof Held);
  assert.equal(seconds(leases, (at) => { leases.heard(at); }), 30);
  const own = new Leases({ entries: 100, bytes: 1e6 }, 4_000, 2_000);
  own.hello({ life: "1", seq: 10 }, 3_000, 2_000, 0);
  own.keep(question, allowed("1-10"), 0, 0);
  assert.equal(seconds(own, (at) => { own.heard(at); }), 4);
  assert.equal(watched().keep(question, allowed("1-10", { ttl_ms: 50 }), 0, 50), "unkept");
});

test("without a watch a lease counts for the floor", () => {
  const leases = new Leases({ entries: 100, bytes: 1e6 }, 60_000, 2_000);
  leases.keep(question, allowed("1-10"), 0, 0);
  assert.equal(seconds(leases), 2);
});

test("a lost watch shrinks leases to the floor, from when it was lost", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.lost(1_000);
  assert.equal(seconds(leases), 3);
});

test("a watch that falls silent is lost after two and a half heartbeats", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10"), 0, 0);
  assert.equal(leases.isWatched(7_500), true);
  assert.equal(leases.isWatched(7_501), false);
  assert.ok(leases.find(question, 9_499));
  assert.equal(leases.find(question, 9_500), undefined);
  // Whoever looks only much later finds nothing, although no timer ran.
  const late = watched();
  late.keep(question, allowed("1-10"), 0, 0);
  assert.equal(late.find(question, 20_000), undefined);
});

test("an ending ends what rests on its names, and nothing else", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.ending(11, { type: "ended", dependsOn: [OTHER_TAG] });
  assert.ok(leases.find(question, 1));
  leases.ending(12, ENDED);
  assert.equal(leases.find(question, 1), undefined);
});

test("whoever read the facts after an ending is not ended by it", () => {
  const leases = watched();
  assert.ok(leases.keep(question, allowed("1-11"), 0, 0) instanceof Held);
  leases.ending(11, ENDED);
  assert.ok(leases.find(question, 1));
  leases.ending(12, ENDED);
  assert.equal(leases.find(question, 1), undefined);
});

test("an ending that comes before its lease ends it all the same", () => {
  const leases = watched();
  leases.ending(11, ENDED);
  assert.equal(leases.keep(question, allowed("1-10"), 0, 0), "over");
  assert.ok(leases.keep(question, allowed("1-11"), 0, 0) instanceof Held);
});

test("what may have been missed counts as an ending", () => {
  const leases = watched();
  assert.equal(leases.keep(question, allowed("1-9"), 0, 0), "over");
  for (let seq = 11; seq < 2_000; seq += 1) leases.ending(seq, { type: "ended", dependsOn: [OTHER_TAG] });
  assert.equal(leases.keep(question, allowed("1-500"), 0, 0), "over");
  assert.ok(leases.keep(question, allowed("1-1999"), 0, 0) instanceof Held);
  // A gap in the numbers.
  leases.ending(2_005, { type: "ended", dependsOn: [OTHER_TAG] });
  assert.equal(leases.find(question, 1), undefined);
});

test("a lease of another life is not kept", () => {
  assert.equal(watched().keep(question, allowed("2-10"), 0, 0), "unkept");
});

test("another policy ends what the former allowed", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.ending(11, { type: "policy", revision: "r1" });
  assert.ok(leases.find(question, 1));
  leases.ending(12, { type: "policy", revision: "r2" });
  assert.equal(leases.find(question, 1), undefined);
  assert.equal(leases.keep(question, allowed("1-11"), 0, 0), "over");
  assert.ok(leases.keep(question, allowed("1-11", { revision: "r2" }), 0, 0) instanceof Held);
});

test("a reset and another life end everything", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.reset({ life: "1", seq: 11 });
  assert.equal(leases.find(question, 1), undefined);
  leases.keep(question, allowed("1-11"), 0, 0);
  leases.hello({ life: "2", seq: 0 }, 3_000, 2_000, 1);
  assert.equal(leases.find(question, 1), undefined);
});

test("a watch that goes on keeps leases, and is none until it has caught up", () => {
  const leases = watched();
  const [other, third] = [new Question(about("8")), new Question(about("9"))];
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.keep(other, allowed("1-10", { depends_on: [OTHER_TAG] }), 0, 0);
  leases.lost(100);
  leases.hello({ life: "1", seq: 12 }, 3_000, 2_000, 200);
  assert.equal(leases.isWatched(200), false);
  leases.keep(third, allowed("1-12"), 200, 200);
  leases.ending(11, ENDED);
  assert.equal(leases.isWatched(200), false);
  leases.ending(12, { type: "policy", revision: "r1" });
  assert.equal(leases.isWatched(200), true);
  assert.equal(leases.find(question, 300), undefined);
  assert.ok(leases.find(other, 2_099));
  assert.equal(leases.find(other, 2_100), undefined, "what was shrunk does not grow again");
  assert.ok(leases.find(third, 2_199));
  assert.equal(leases.find(third, 2_200), undefined);
});

test("a watch that goes on at the very place where it was is none until it says that nothing was missed", () => {
  const leases = watched();
  leases.lost(100);
  leases.hello({ life: "1", seq: 10 }, 3_000, 2_000, 200);
  assert.equal(leases.isWatched(200), false, "what was missed may be right behind");
  leases.ending(11, { type: "ended", dependsOn: [OTHER_TAG] });
  assert.equal(leases.isWatched(200), false, "and more behind that");
  leases.keep(question, allowed("1-11"), 200, 200);
  leases.quiet();
  assert.equal(leases.isWatched(200), true);
  assert.equal(leases.find(question, 2_200), undefined, "it came when nothing lived");
});

test("the epoch of a later question says what was missed", () => {
  const leases = watched();
  const other = new Question(about("8"));
  leases.lost(100);
  leases.hello({ life: "1", seq: 10 }, 3_000, 2_000, 200);
  leases.keep(question, allowed("1-10"), 200, 300);
  assert.equal(leases.isWatched(300), false, "it was not asked after the hello");
  leases.keep(other, allowed("1-12"), 201, 300);
  leases.ending(11, { type: "ended", dependsOn: [OTHER_TAG] });
  assert.equal(leases.isWatched(300), false, "12 is on its way");
  leases.reset({ life: "1", seq: 12 });
  assert.equal(leases.isWatched(300), true);
});

test("the first hello keeps what cannot have missed anything", () => {
  const leases = new Leases({ entries: 100, bytes: 1e6 }, 60_000, 2_000);
  const [before, other] = [new Question(about("8")), new Question(about("9"))];
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.keep(before, allowed("1-9"), 0, 0);
  leases.keep(other, allowed("2-10"), 0, 0);
  leases.hello({ life: "1", seq: 10 }, 3_000, 2_000, 0);
  assert.ok(leases.find(question, 1));
  assert.equal(leases.find(before, 1), undefined);
  assert.equal(leases.find(other, 1), undefined);
});

test("what is never kept", () => {
  const proof = new Question({ ...QUESTION, context: { http: { headers: [["dpop", "p"]] } } });
  assert.equal(watched().keep(proof, allowed("1-10"), 0, 0), "unkept");
  assert.equal(watched().keep(question, allowed("1-10", {}, { obligations: [{ id: "b", type: "break-glass" }] }), 0, 0), "unkept");
});

test("a floor of freshness is not met by an older allow", () => {
  const leases = watched();
  leases.keep(question, allowed("1-10", {}, { consistency: "00000000000000aa-7" }), 0, 0);
  const asked = (atLeast: string) => leases.find(new Question(QUESTION, { atLeast }), 1) !== undefined;
  assert.deepEqual(["00000000000000aa-7", "00000000000000aa-6", "00000000000000aa-8", "00000000000000ab-7"].map(asked), [true, true, false, false]);
});

test("the book is bounded, and the one that was not used goes first", () => {
  const leases = new Leases({ entries: 3, bytes: 1e6 }, 60_000, 2_000);
  leases.hello({ life: "1", seq: 10 }, 3_000, 2_000, 0);
  const questions = ["a", "b", "c", "d"].map((id) => new Question(about(id)));
  const [a, b, c, d] = questions as [Question, Question, Question, Question];
  for (const one of [a, b, c]) leases.keep(one, allowed("1-10"), 0, 0);
  leases.find(a, 1);
  leases.keep(d, allowed("1-10"), 0, 0);
  assert.deepEqual(questions.map((one) => leases.find(one, 1) !== undefined), [true, false, true, true]);
  const small = new Leases({ entries: 1_000, bytes: 10_000 }, 60_000, 2_000);
  small.hello({ life: "1", seq: 10 }, 3_000, 2_000, 0);
  for (let id = 0; id < 100; id += 1) small.keep(new Question(about(String(id))), allowed("1-10"), 0, 0);
  assert.ok(small.size > 5 && small.size < 20, String(small.size));
  const rests = { depends_on: Array.from({ length: 1_000 }, (_, at) => at.toString(16).padStart(32, "0")) };
  const heavy = new Leases({ entries: 1_000, bytes: 1e6 }, 60_000, 2_000);
  heavy.hello({ life: "1", seq: 10 }, 3_000, 2_000, 0);
  for (let id = 0; id < 20; id += 1) heavy.keep(new Question(about(String(id))), allowed("1-10", rests), 0, 0);
  assert.equal(heavy.size, 3, "what it rests on counts");
  for (let seq = 11; seq < 200; seq += 1) heavy.ending(seq, { type: "ended", dependsOn: Array.from({ length: 2_000 }, () => OTHER_TAG) });
  assert.equal(heavy.keep(question, allowed("1-100"), 0, 0), "over", "not all events are remembered");
});

test("whoever waits is told, also of what is not repeated any more", () => {
  const leases = watched();
  const told: string[] = [];
  const held = leases.keep(question, allowed("1-10"), 0, 0) as Held;
  assert.equal(leases.wait(held, () => told.push("first")), true);
  leases.keep(question, allowed("1-10"), 0, 0);
  leases.lost(100);
  assert.deepEqual([told.splice(0), held.until, held.isOver], [["first"], 2_100, false]);
  leases.forget();
  assert.deepEqual([told, held.isOver], [["first"], true]);
  assert.equal(leases.wait(held, () => told.push("late")), false);
});
