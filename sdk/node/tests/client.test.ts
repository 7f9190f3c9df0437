/** The client against a decision point that answers as it is told: only a clean allow is an allow. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { TLSSocket } from "node:tls";
import { inspect } from "node:util";

import { Client, type ClientOptions, CountersignError, type ErrorKind, type Json, Question, type Tls } from "../src/index.js";
import { about, ALLOW, type Answered, clientOf, closeClients, DENY, Fake, leased, PEP, QUESTION, SECRET, StillClock } from "./fake.js";

const fakes: Fake[] = [];

async function fake(...answers: Answered[]): Promise<Fake> {
  const one = await Fake.start();
  one.answer(...answers);
  fakes.push(one);
  return one;
}

afterEach(async () => {
  closeClients();
  await Promise.all(fakes.splice(0).map((one) => one.stop()));
});

async function fails(work: Promise<unknown>, kind: ErrorKind): Promise<void> {
  await assert.rejects(work, (error) => error instanceof CountersignError && (assert.equal(error.kind, kind, error.message), true));
}

/** A reply with a status, a type and a body. */
function reply(status: number, type: string, body: string, more: Record<string, string> = {}): Answered {
  return (response) => response.writeHead(status, { "content-type": type, ...more }).end(body);
}

/** Ports where nobody listens. */
async function nobody(): Promise<string> {
  const one = await Fake.start();
  const { url } = one;
  await one.stop();
  return url;
}

const UNLEASED: Partial<ClientOptions> = { leases: false };

test("an allow is an allow, and the caller names itself", async () => {
  const pdp = await fake(ALLOW);
  const answer = await clientOf(pdp.url, UNLEASED).evaluate(QUESTION);
  assert.equal(answer.kind, "allow");
  const [received] = pdp.received;
  assert.deepEqual([received?.path, received?.body], ["/access/v1/evaluation", QUESTION]);
  assert.equal(received?.headers["x-countersign-pep"], `app:${SECRET}`);
  const bearer = new Client({ addresses: pdp.url, bearer: "token", leases: false });
  await bearer.evaluate(QUESTION);
  assert.equal(pdp.received[1]?.headers.authorization, "Bearer token");
  bearer.close();
});

test("a denial is a denial", async () => {
  const answer = await clientOf((await fake(DENY)).url, UNLEASED).evaluate(QUESTION);
  assert.ok(answer.kind === "deny" && answer.code === "policy_denied");
});

test("another status is never an allow", async () => {
  const body = '{"decision":true}';
  const cases: [number, ErrorKind][] = [[500, "unavailable"], [503, "unavailable"], [408, "unavailable"], [429, "unavailable"], [401, "refused"], [400, "refused"], [201, "malformed"], [204, "malformed"],
    [302, "malformed"], [307, "malformed"]];
  for (const [status, kind] of cases) {
    const pdp = await fake(reply(status, "application/json", body, { location: "http://127.0.0.1:1/" }), ALLOW);
    await fails(clientOf(pdp.url, UNLEASED).evaluate(QUESTION), kind);
    assert.equal(pdp.received.length, 1, "nothing is followed or tried again");
  }
});

test("garbage is never an allow", async () => {
  const garbage: [Answered, ErrorKind][] = [
    [(response) => response.socket?.end("garbage\r\n\r\n"), "unreachable"],
    [(response) => response.socket?.destroy(), "unreachable"],
    [reply(200, "text/html", '{"decision":true}'), "malformed"],
    [reply(200, "application/json", "<html>"), "malformed"],
    [reply(200, "application/json", '{"decision":false,"decision":true}'), "malformed"],
    [reply(200, "application/json", `{"decision":true${" ".repeat(70_000)}}`), "malformed"],
    [(response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "99" }).write('{"decision":true}');
      response.socket?.end();
    }, "malformed"],
    [(response) => {
      response.writeHead(200, { "content-type": "application/json" }).write('{"decision":true}');
      response.socket?.destroySoon();
    }, "malformed"],
  ];
  for (const [answer, kind] of garbage) await fails(clientOf((await fake(answer)).url, UNLEASED).evaluate(QUESTION), kind);
});

test("the deadline holds for whoever is silent, and for whoever never ends", async () => {
  const silent = clientOf((await fake(() => undefined)).url, { ...UNLEASED, deadlineMs: 50 });
  await fails(silent.evaluate(QUESTION), "deadline");
  const endless = clientOf((await fake((response) => response.writeHead(200, { "content-type": "application/json" }).write("{"))).url, { ...UNLEASED, deadlineMs: 50 });
  await fails(endless.evaluate(QUESTION), "deadline");
});

test("a caller may give up", async () => {
  const client = clientOf((await fake(() => undefined)).url, UNLEASED);
  const giving = new AbortController();
  const asked = client.evaluate(QUESTION, { signal: giving.signal });
  giving.abort();
  await fails(asked, "deadline");
  await fails(client.evaluate(QUESTION, { signal: AbortSignal.abort() }), "deadline");
  assert.equal(client.status().addresses[0]?.breaker, "closed");
});

test("nobody there is an error", async () => {
  await fails(clientOf(await nobody(), UNLEASED).evaluate(QUESTION), "unreachable");
});

test("the next address answers where the first does not", async () => {
  const [second, broken, silent] = [await fake(ALLOW), await fake(reply(503, "text/plain", "")), await fake(() => undefined)];
  for (const first of [await nobody(), broken.url, (await fake(reply(200, "application/json", "x"))).url]) {
    assert.equal((await clientOf([first, second.url], UNLEASED).evaluate(QUESTION)).kind, "allow");
  }
  // Whoever is silent gets a share of the time only.
  const client = clientOf([silent.url, second.url], { ...UNLEASED, deadlineMs: 6_000 });
  assert.equal((await client.evaluate(QUESTION)).kind, "allow");
  // A refusal, or a no, is an answer.
  const refused = clientOf([(await fake(reply(401, "text/plain", ""))).url, second.url], UNLEASED);
  const before = second.received.length;
  await fails(refused.evaluate(QUESTION), "refused");
  assert.equal((await clientOf([(await fake(DENY)).url, second.url], UNLEASED).evaluate(QUESTION)).kind, "deny");
  assert.equal(second.received.length, before);
});

test("who fails again and again is left alone for a while, and then asked once", async () => {
  const clock = new StillClock();
  const pdp = await fake(reply(500, "text/plain", ""));
  const client = clientOf(pdp.url, { ...UNLEASED, clock, random: () => 1 });
  const state = () => client.status().addresses[0]?.breaker;
  for (let time = 0; time < 5; time += 1) await fails(client.evaluate(QUESTION), "unavailable");
  assert.equal(state(), "open");
  await fails(client.evaluate(QUESTION), "unreachable");
  assert.equal(pdp.received.length, 5, "nobody asked");
  clock.pass(500);
  assert.equal(state(), "half-open");
  const both = await Promise.allSettled([client.evaluate(QUESTION), client.evaluate(QUESTION)]);
  assert.deepEqual([both.map(({ status }) => status), pdp.received.length, state()], [["rejected", "rejected"], 6, "open"]);
  clock.pass(999);
  assert.equal(state(), "open", "twice as long");
  clock.pass(1);
  pdp.answer(ALLOW);
  assert.equal((await client.evaluate(QUESTION)).kind, "allow");
  assert.equal(state(), "closed");
});

test("half of the outcomes are enough", async () => {
  const pdp = await fake(ALLOW);
  const clock = new StillClock();
  const client = clientOf(pdp.url, { ...UNLEASED, clock });
  for (let time = 0; time < 20; time += 1) {
    pdp.answer(time % 2 === 0 ? ALLOW : reply(500, "text/plain", ""));
    await client.evaluate(QUESTION).catch(() => undefined);
  }
  assert.equal(client.status().addresses[0]?.breaker, "open");
});

test("what the caller did wrong opens nothing", async () => {
  const client = clientOf((await fake(reply(400, "text/plain", ""))).url, UNLEASED);
  for (let time = 0; time < 30; time += 1) await fails(client.evaluate(QUESTION), "refused");
  const behind = clientOf((await fake(reply(503, "application/json", "{}"))).url, UNLEASED);
  for (let time = 0; time < 30; time += 1) await fails(behind.evaluate(new Question(QUESTION, { atLeast: "00000000000000aa-9" })), "unavailable");
  assert.deepEqual([client, behind].map((one) => one.status().addresses[0]?.breaker), ["closed", "closed"]);
});

test("a connection that was closed meanwhile is replaced", async () => {
  const pdp = await fake(ALLOW);
  const client = clientOf(pdp.url, UNLEASED);
  await client.evaluate(QUESTION);
  // The next request on this connection meets a server that just closed it.
  pdp.answer((response) => response.socket?.destroy(), ALLOW);
  assert.equal((await client.evaluate(QUESTION)).kind, "allow");
});

test("obligations are told, and what is not supported is no", async () => {
  const obligations = [{ id: "n", type: "notification", properties: { to: "a" } }];
  const pdp = await fake({ json: { decision: true, context: { obligations } } });
  const client = clientOf(pdp.url, UNLEASED);
  assert.equal((await client.evaluate(QUESTION)).kind, "deny");
  const answer = await client.evaluate(new Question(QUESTION, { supported: ["notification"] }));
  assert.ok(answer.kind === "allow");
  assert.deepEqual(answer.obligations, obligations);
  assert.deepEqual(pdp.received[1]?.body["context"], { supported_obligations: ["notification"] });
});

test("a floor of freshness is sent, and an answer below it is none", async () => {
  const floor = "00000000000000aa-7";
  const asked = (consistency?: string) => {
    const context: Record<string, Json> = consistency === undefined ? {} : { consistency };
    return fake({ json: { decision: true, context } }).then((pdp) => clientOf(pdp.url, UNLEASED).evaluate(new Question(QUESTION, { atLeast: floor })));
  };
  assert.equal((await asked(floor)).kind, "allow");
  for (const worse of ["00000000000000aa-6", "00000000000000ab-7", undefined]) await fails(asked(worse), "malformed");
  const pdp = fakes[0]!;
  assert.deepEqual(pdp.received[0]?.body["context"], { countersign: { at_least: floor } });
});

test("a batch is answered in its places, and a failure is an error for each", async () => {
  const pdp = await fake();
  pdp.answers = [({ body }) => ({ json: { evaluations: (body["evaluations"] as { resource: { id: string } }[]).map(({ resource: { id } }): Json => {
    if (id === "broken") return { decision: false, context: { error: { status: 503, message: "deadline" } } };
    if (id === "refused") return { decision: false, context: { error: { status: 400, message: "no" } } };
    if (id === "odd") return { decision: "true" };
    return { decision: id === "yes", context: {} };
  }) } })];
  const client = clientOf(pdp.url, UNLEASED);
  const kinds = await client.evaluateAll(["yes", "no", "broken", "refused", "odd", "yes"].map(about));
  const seen = kinds.map((one) => one.kind);
  assert.deepEqual(seen, ["allow", "deny", "unavailable", "refused", "malformed", "allow"]);
  assert.deepEqual(await client.evaluateAll([]), []);
  const many = await client.evaluateAll(Array.from({ length: 250 }, (_, at) => about(at % 2 === 0 ? "yes" : "no")));
  assert.deepEqual(many.map(({ kind }) => kind), Array.from({ length: 250 }, (_, at) => (at % 2 === 0 ? "allow" : "deny")));
  assert.deepEqual(pdp.received.map(({ path, body }) => [path, (body["evaluations"] as Json[]).length]),
    [6, 100, 100, 50].map((count) => ["/access/v1/evaluations", count]));
  for (const answer of [{ json: { evaluations: [] } }, { json: { decision: true } }, reply(500, "text/plain", "")]) {
    pdp.answer(answer);
    const all = await client.evaluateAll(["yes", "no"].map(about));
    assert.ok(all.every((one) => one instanceof CountersignError), JSON.stringify(all));
  }
});

test("what cannot work is refused when the client is made", () => {
  const refused = (options: Partial<ClientOptions>) => {
    assert.throws(() => new Client({ addresses: "http://127.0.0.1", pep: PEP, ...options }), (error) => error instanceof CountersignError && error.kind === "configuration");
  };
  for (const addresses of ["http://pdp.example", "http://10.0.0.1", "http://127.0.0.1.example", "ftp://127.0.0.1", "http://127.0.0.1/path", "http://127.0.0.1?q",
    "http://user:pass@127.0.0.1", "not an address", "http://[::2]", "", "http://127.0.0.1\\@evil.example", "http://localhost.example"]) refused({ addresses });
  refused({ addresses: [] });
  refused({ pep: { id: "a:b", secret: "s" } });
  refused({ pep: { id: "app", secret: "" } });
  refused({ pep: { id: "app", secret: "line\nbreak" } });
  refused({ bearer: "a b" });
  refused({ deadlineMs: 0 });
  refused({ leases: { ttlMs: NaN } });
  assert.throws(() => new Client({ addresses: "http://127.0.0.1" }), CountersignError);
  for (const addresses of ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "https://pdp.example"]) new Client({ addresses, pep: PEP }).close();
  new Client({ addresses: "http://pdp.example", pep: PEP, dangerousPlainHttp: true }).close();
});

test("the secret is not shown", async () => {
  const client = clientOf(await nobody(), UNLEASED);
  const error: unknown = await client.evaluate(QUESTION).catch((caught: unknown) => caught);
  assert.ok(!inspect([client, error], { depth: 9, showHidden: true }).includes(SECRET));
});

test("a closed client answers nothing", async () => {
  const pdp = await fake(leased("1-0"));
  const client = clientOf(pdp.url);
  const answer = await client.evaluate(QUESTION);
  client.close();
  await fails(client.evaluate(QUESTION), "configuration");
  assert.ok(answer.kind === "allow");
  await client.ended(answer);
  // What is on its way when it is closed is no answer.
  const silent = clientOf((await fake(() => undefined)).url, UNLEASED);
  const asked = silent.evaluate(QUESTION);
  silent.close();
  await fails(asked, "deadline");
});

test("an allow without a lease is relied on for a moment, and a foreign one not at all", async () => {
  const clock = new StillClock();
  const client = clientOf((await fake(ALLOW)).url, { clock, leases: false });
  const answer = await client.evaluate(QUESTION);
  assert.ok(answer.kind === "allow");
  let isOver = false;
  const ended = client.ended(answer).then(() => (isOver = true));
  clock.pass(4_999);
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  clock.pass(1);
  await ended;
  await clientOf(await nobody()).ended(answer);
  const waiting = new AbortController();
  const aborted = client.ended(await client.evaluate(QUESTION) as typeof answer, { signal: waiting.signal });
  waiting.abort();
  await aborted;
});

test("a server that speaks TLS is believed only by a known certificate, and shown the client's", async () => {
  const folder = mkdtempSync(join(tmpdir(), "countersign-node-tls-"));
  const [key, cert] = ["key", "cert"].map((name) => join(folder, `${name}.pem`)) as [string, string];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...subject],
    { stdio: "ignore" });
  const pem = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  const server = https.createServer({ ...pem, requestCert: true, rejectUnauthorized: false, ca: pem.cert }, (request, response) => {
    const { socket } = request;
    const isKnown = socket instanceof TLSSocket && socket.authorized;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ decision: isKnown }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${String((server.address() as net.AddressInfo).port)}`;
  const kind = async (tls: Tls) => (await clientOf(url, { ...UNLEASED, tls }).evaluate(QUESTION)).kind;
  assert.deepEqual([await kind({ ca: pem.cert }), await kind({ ca: pem.cert, ...pem })], ["deny", "allow"]);
  // Not even where the whole process believes everybody.
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  await fails(kind({}), "unreachable");
  delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  closeClients();
  server.close();
});

test("what does not speak TLS is no decision point", async () => {
  const server = net.createServer((socket) => socket.end("plain text")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  await fails(clientOf(`https://127.0.0.1:${String(port)}`, UNLEASED).evaluate(QUESTION), "unreachable");
  server.close();
});
