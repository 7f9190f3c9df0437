/** Leases and the watch of a client, over real connections to a decision point that tells what it is told to. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import type { Allow, Client, ClientOptions } from "../src/index.js";
import { EventReader } from "../src/events.js";
import { about, clientOf, closeClients, eventually, Fake, leased, OTHER_TAG, QUESTION, StillClock, TAG } from "./fake.js";

const fakes: Fake[] = [];

/** A decision point whose every watch hears this hello. */
async function pdp(position = "1-0", heartbeat = 3_000): Promise<Fake> {
  const fake = await Fake.start();
  fake.greeting = ({ tell, response }) => {
    tell(position, { type: "hello", heartbeat_ms: heartbeat, floor_ms: 2_000, revision: "r1" });
    response.write(":\n\n");
  };
  fake.answer(leased(position));
  fakes.push(fake);
  return fake;
}

afterEach(async () => {
  closeClients();
  await Promise.all(fakes.splice(0).map((one) => one.stop()));
});

const STILL = () => new StillClock();

/** A client whose watch is open, and that holds a lease. */
async function watching(fake: Fake, more: Partial<ClientOptions> = {}): Promise<Client> {
  const client = clientOf(fake.url, { clock: STILL(), ...more });
  await client.evaluate(QUESTION);
  await eventually(() => client.status().isWatched);
  await client.evaluate(QUESTION, { fresh: true });
  return client;
}

async function asks(client: Client, fake: Fake): Promise<boolean> {
  const before = fake.received.length;
  await client.evaluate(QUESTION);
  return fake.received.length > before;
}

const ended = (tag = TAG) => ({ type: "ended", reason: "revoked", depends_on: [tag] });

test("a lease is asked for, and its allow is repeated", async () => {
  const fake = await pdp();
  const client = await watching(fake);
  const wanted = fake.received[0]?.body["context"] as { countersign: { lease: { ttl_ms: number; watch: string } } };
  assert.equal(wanted.countersign.lease.ttl_ms, 30_000);
  const watch = await fake.watch();
  assert.deepEqual([watch.url.searchParams.get("watch"), watch.url.searchParams.get("heartbeat_ms")], [wanted.countersign.lease.watch, "3000"]);
  assert.deepEqual([watch.headers.accept, watch.headers["x-countersign-pep"] !== undefined], ["text/event-stream", true]);
  assert.equal(await asks(client, fake), false);
  await client.evaluate(about("8"));
  assert.equal(fake.received.length, 3, "another question is asked");
});

test("what is told ends the lease", async () => {
  const fake = await pdp();
  const client = await watching(fake);
  const { tell } = await fake.watch();
  tell("1-1", ended(OTHER_TAG));
  tell("1-2", ended());
  await eventually(() => client.status().leases === 0);
  fake.answer(leased("1-2"));
  assert.equal(await asks(client, fake), true);
});

test("an event of a later version ends everything, and so does a reset", async () => {
  const fake = await pdp();
  const client = await watching(fake);
  const { tell } = await fake.watch();
  tell("1-1", { type: "of_a_later_version" });
  await eventually(() => client.status().leases === 0);
  fake.answer(leased("1-1"));
  await client.evaluate(QUESTION);
  assert.equal(client.status().leases, 1);
  tell(undefined, { type: "reset" });
  await eventually(() => client.status().leases === 0);
});

test("an answer that is over when it arrives is asked for again", async () => {
  const fake = await pdp();
  const client = await watching(fake);
  const { tell } = await fake.watch();
  let left = 1;
  fake.answers = [async () => {
    tell("1-1", ended());
    await eventually(() => client.status().leases === 0);
    left -= 1;
    return left === 0 ? leased("1-0") : { json: { decision: false, context: { reason: "revoked" } } };
  }];
  const before = fake.received.length;
  const answer = await client.evaluate(QUESTION, { fresh: true });
  assert.deepEqual([answer.kind, fake.received.length - before], ["deny", 2]);
  fake.answer(leased("1-0"));
  await assert.rejects(client.evaluate(QUESTION), { kind: "unavailable" });
});

test("a lost watch goes on where it was", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock, random: () => 1 });
  const first = await fake.watch();
  assert.equal(first.headers["last-event-id"], undefined);
  first.tell("1-1", ended(OTHER_TAG));
  await client.evaluate(QUESTION);
  fake.greeting = ({ tell }) => {
    tell("1-1", { type: "hello", heartbeat_ms: 3_000, floor_ms: 2_000, revision: "r1" });
    tell("1-2", ended());
  };
  first.response.end();
  await eventually(() => client.status().watch === "connecting");
  assert.equal(client.status().leases, 1, "kept for the floor");
  await eventually(() => (clock.pass(50), fake.watches.length > 1));
  const second = await fake.watch(1);
  assert.equal(second.headers["last-event-id"], "1-1");
  await eventually(() => client.status().leases === 0);
  assert.equal(client.status().isWatched, false, "there may be more behind it");
  second.response.write(":\n\n");
  await eventually(() => client.status().isWatched);
});

test("a watch that falls silent is given up and opened again", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock });
  const first = await fake.watch();
  clock.pass(7_000);
  first.response.write(": heartbeat\n\n");
  await eventually(() => client.status().isWatched);
  const gone = once(first.response, "close");
  await eventually(() => (clock.pass(500), fake.watches.length > 1));
  await gone;
  clock.pass(2_000);
  assert.equal(await asks(client, fake), true);
});

test("a sign of life that comes too late is none", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock });
  const first = await fake.watch();
  const gone = once(first.response, "close");
  clock.skip(7_501);
  first.tell("1-1", ended(OTHER_TAG));
  await gone;
  await eventually(() => (clock.pass(50), fake.watches.length > 1));
  assert.equal((await fake.watch(1)).headers["last-event-id"], "1-0", "what came too late is asked for again");
  await eventually(() => client.status().isWatched);
});

test("a draining decision point is left within its time", async () => {
  const clock = STILL();
  const [fake, next] = [await pdp(), await pdp("2-0")];
  const client = clientOf([fake.url, next.url], { clock, random: () => 0.5 });
  await client.evaluate(QUESTION);
  const { tell, response } = await fake.watch();
  tell(undefined, { type: "draining", within_ms: 1_000 });
  tell("1-1", ended(OTHER_TAG));
  await eventually(() => client.status().isWatched);
  clock.pass(400);
  assert.equal(next.watches.length, 0);
  const left = once(response, "close");
  await eventually(() => (clock.pass(100), next.watches.length > 0));
  await left;
});

test("another life ends everything", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock });
  fake.greeting = ({ tell }) => {
    tell("2-0", { type: "hello", heartbeat_ms: 3_000, floor_ms: 2_000, revision: "r1" });
  };
  (await fake.watch()).response.end();
  await eventually(() => (clock.pass(20), client.status().isWatched && fake.watches.length > 1));
  assert.equal(client.status().leases, 0);
});

test("a watch that cannot be understood is none, and nothing that was told counts", async () => {
  const hello = 'id: 1-0\nevent: hello\ndata: {"type":"hello","heartbeat_ms":3000,"floor_ms":2000,"revision":"r1"}\n\n';
  const broken = ['event: ended\ndata: {"type":"ended","depends_on":[]}\n\n', 'id: 1-1\nevent: ended\ndata: {"type":"ended","depends_on":["x"]}\n\n',
    'id: 1-1\nevent: ended\ndata: {"type":"policy","revision":"r"}\n\n', "id: 1-1\nevent: ended\ndata: {\n\n", "id: 2-1\nevent: reset\ndata: {\"type\":\"reset\"}\n\n",
    'id: x\nevent: reset\ndata: {"type":"reset"}\n\n', hello, 'event: draining\ndata: {"type":"draining"}\n\n', `data: ${"x".repeat(70_000)}`,
    'data: {"type":"message","type":"message"}\n\n'];
  for (const text of broken) {
    const fake = await pdp();
    const client = await watching(fake);
    const { response } = await fake.watch();
    const closed = once(response, "close");
    response.write(text);
    await closed;
    await eventually(() => client.status().leases === 0 && client.status().watch === "connecting");
    closeClients();
  }
});

test("what does not begin with a hello, or is no stream, is no watch", async () => {
  const greetings: ((fake: Fake) => void)[] = [
    (fake) => (fake.greeting = ({ tell }) => { tell("1-0", ended()); }),
    (fake) => (fake.greeting = ({ tell }) => { tell(undefined, { type: "hello", heartbeat_ms: 1, floor_ms: 1, revision: "r" }); }),
    (fake) => (fake.greeting = ({ tell }) => { tell("1-0", { type: "hello", heartbeat_ms: -1, floor_ms: 1, revision: "r" }); }),
    (fake) => (fake.greeting = undefined),
  ];
  for (const greet of greetings) {
    const fake = await pdp();
    greet(fake);
    const clock = STILL();
    const client = clientOf(fake.url, { clock, random: () => 1 });
    await client.evaluate(QUESTION);
    await eventually(() => client.status().watch === "connecting");
    assert.equal(client.status().isWatched, false);
    assert.equal(await asks(client, fake), false, "for the floor");
    clock.pass(2_000);
    assert.equal(await asks(client, fake), true);
    closeClients();
  }
});

test("the watch goes where the answers come from", async () => {
  const clock = STILL();
  const [first, second] = [await pdp("1-0"), await pdp("2-0")];
  first.answer((response) => response.writeHead(503).end());
  const client = clientOf([first.url, second.url], { clock });
  for (let times = 0; times < 3; times += 1) {
    await client.evaluate(QUESTION);
    await eventually(() => (clock.pass(10), second.watches.length > 0 && client.status().isWatched));
  }
  assert.equal(client.status().leases, 1);
});

test("whoever waits for the end of an allow hears of it", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock });
  const over = async (cause: () => void): Promise<void> => {
    fake.answer(leased(`1-${String(seq)}`));
    const answer = await client.evaluate(QUESTION, { fresh: true }) as Allow;
    const waiting = client.ended(answer);
    cause();
    await waiting;
  };
  let seq = 0;
  const { tell, response } = await fake.watch();
  await over(() => { seq += 1; tell(`1-${String(seq)}`, ended()); });
  await over(() => { seq += 1; tell(`1-${String(seq)}`, { type: "policy", revision: "r2" }); });
  await over(() => { for (let left = 30; left > 0; left -= 1) { response.write(":\n\n"); clock.pass(1_000); } });
  await eventually(() => (clock.pass(10), client.status().isWatched));
  await over(() => { closeClients(); });
});

test("a lost watch ends what waits, after the floor", async () => {
  const clock = STILL();
  const fake = await pdp();
  const client = await watching(fake, { clock });
  const waiting = client.ended(await client.evaluate(QUESTION) as Allow);
  await fake.stop();
  await eventually(() => client.status().watch === "connecting" && !client.status().isWatched);
  clock.pass(2_000);
  await waiting;
});

test("nothing keeps the process alive", async () => {
  const fake = await pdp();
  const script = `import { Client } from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
    const client = new Client({ addresses: process.argv[1], pep: { id: "app", secret: "secret" } });
    const answer = await client.evaluate(${JSON.stringify(QUESTION)});
    while (!client.status().isWatched) await new Promise((resolve) => setTimeout(resolve, 5));
    void client.ended(answer);
    console.log(answer.kind);`;
  const child = execFile(process.execPath, ["--input-type=module", "--eval", script, fake.url], { cwd: fileURLToPath(new URL(".", import.meta.url)), timeout: 20_000 });
  let said = "";
  child.stdout?.on("data", (text: string) => (said += text));
  const [code] = await once(child, "close") as [number | null];
  assert.deepEqual([code, said], [0, "allow\n"]);
});

test("a stream of events is read however it is cut", () => {
  const text = '\ufeffid: 1-1\r\nevent: a\r\ndata: {"x":\r\ndata: "é"}\r\n\r\n: comment\n\nid: 1-2\ndata:b\n\nevent: none\n\ndata: c\r\rdata: unfinished';
  const expected = [{ id: "1-1", type: "a", data: '{"x":\n"é"}' }, { id: "1-2", type: "message", data: "b" }, { id: undefined, type: "message", data: "c" }];
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size += 1) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < bytes.length; at += size) events.push(...reader.read(bytes.subarray(at, at + size)));
    assert.equal(events[1], "alive", "a comment, in its place");
    assert.deepEqual(events.filter((event) => event !== "alive"), expected, String(size));
  }
  assert.throws(() => new EventReader().read(Buffer.alloc(70_000, "x")));
  assert.throws(() => new EventReader().read(Buffer.from("data: x\n".repeat(10_000))));
  assert.throws(() => new EventReader().read(Buffer.from([0x64, 0xff, 0x0a])));
});
