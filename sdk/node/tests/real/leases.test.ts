/** Leases, the watch and freshness against the real binary. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";

import { Allow, type Asked, Client, type ClientOptions, CountersignError, enforce, Question } from "../../src/index.js";
import { eventually, persistently } from "../fake.js";
import { ORIGIN, Pdp, POLICY } from "./pdp.js";

// Nothing of a client keeps a process alive: here the test does, as a server does in an application.
const alive = setInterval(() => undefined, 1_000);
after(() => { clearInterval(alive); });

const closing: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function start(): Promise<Pdp> {
  const pdp = await Pdp.start();
  closing.push(() => pdp.stop());
  return pdp;
}

function clientOf(pdp: Pdp, more: Partial<ClientOptions> = {}): Client {
  const client = new Client({ addresses: pdp.url, pep: pdp.pep, deadlineMs: 20_000, ...more });
  closing.unshift(() => { client.close(); });
  return client;
}

function asked(token: string, path = "/payroll"): Asked {
  const headers = [["authorization", `Bearer ${token}`], ["user-agent", "test/1"]];
  const context = { http: { method: "GET", scheme: "https", host: "payroll.example", target: path, headers, client_address: "203.0.113.9" } };
  return { subject: { type: "token", id: "presented" }, action: { name: "GET" }, resource: { type: "route", id: `payroll.example${path}` }, context };
}

async function allow(client: Client, question: Asked | Question): Promise<Allow> {
  const answer = await client.evaluate(question);
  assert.ok(Allow.is(answer), JSON.stringify(answer));
  return answer;
}

/** A client whose watch is open, and an allow that it holds a lease of. */
async function holding(pdp: Pdp, question: Asked, more: Partial<ClientOptions> = {}): Promise<{ client: Client; held: Allow }> {
  const client = clientOf(pdp, more);
  await allow(client, question);
  await eventually(() => client.status().isWatched);
  const answer = await client.evaluate(question, { fresh: true });
  assert.ok(Allow.is(answer) && answer.lease !== undefined, `no lease\n${pdp.log}`);
  assert.equal((await client.evaluate(question)), answer, "the same allow is repeated");
  return { client, held: answer };
}

test("an allow is repeated until it is revoked", async () => {
  const pdp = await start();
  const question = asked(pdp.token("alice"));
  const { client, held } = await holding(pdp, question);
  const ended = client.ended(held);
  await pdp.revoke("alice");
  await ended;
  const answer = await client.evaluate(question);
  assert.deepEqual([answer.kind, answer.kind === "deny" && answer.code], ["deny", "revoked"]);
});

test("another policy ends what the former allowed", async () => {
  const pdp = await start();
  const { client, held } = await holding(pdp, asked(pdp.token("alice")));
  writeFileSync(join(pdp.folder, "policy/authz.rego"), POLICY.replace('input.user.role == "admin"', 'input.user.role == "nobody"'));
  await client.ended(held);
  assert.equal((await client.evaluate(asked(pdp.token("alice")))).kind, "deny");
});

test("without its decision point a lease counts for the floor, and of another life not at all", async () => {
  const pdp = await start();
  const question = asked(pdp.token("alice"));
  const { client, held } = await holding(pdp, question, { leases: { floorMs: 1_000 } });
  await pdp.kill("SIGKILL");
  await client.ended(held);
  await assert.rejects(client.evaluate(question), CountersignError);
  await pdp.run();
  const again = await persistently(() => client.evaluate(question));
  assert.ok(Allow.is(again) && again !== held);
  await eventually(() => client.status().isWatched);
  const fresh = await client.evaluate(question, { fresh: true });
  assert.ok(Allow.is(fresh) && fresh.lease?.epoch.life !== held.lease?.epoch.life);
});

test("what is refused, and what carries a proof, is never leased", async () => {
  const pdp = await start();
  const client = clientOf(pdp);
  const denied = asked(pdp.token("bob"));
  await client.evaluate(denied);
  await client.evaluate(denied);
  assert.equal(client.status().leases, 0);
});

test("an answer is at least as fresh as is asked", async () => {
  const pdp = await start();
  const client = clientOf(pdp);
  const question = asked(pdp.token("alice"));
  const { consistency } = await allow(client, question);
  assert.ok(consistency !== undefined, pdp.log);
  await allow(client, new Question(question, { atLeast: consistency }));
  const elsewhere = new Question(question, { atLeast: "00000000000000aa-1" });
  await assert.rejects(client.evaluate(elsewhere), (error) => error instanceof CountersignError && error.kind === "unavailable");
});

test("leases come with a batch", async () => {
  const pdp = await start();
  const client = clientOf(pdp);
  const questions = [asked(pdp.token("alice")), asked(pdp.token("bob"))];
  await client.evaluateAll(questions);
  await eventually(() => client.status().isWatched);
  const [first] = await client.evaluateAll(questions, { fresh: true });
  const [second] = await client.evaluateAll(questions);
  assert.equal(first, second);
});

test("a stream is cut when its subject is revoked", async () => {
  const pdp = await start();
  const client = clientOf(pdp);
  const layer = enforce(client, ORIGIN, { clientAddress: () => "203.0.113.9" });
  const server = http.createServer((request, response) => {
    layer(request, response, () => response.write("first\n"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.unshift(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const request = http.get({ port, path: "/payroll", headers: { authorization: `Bearer ${pdp.token("alice")}` }, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  assert.equal(response.statusCode, 200);
  await once(response, "data");
  const broken = once(response, "error");
  response.resume();
  await eventually(() => client.status().isWatched);
  await pdp.revoke("alice");
  await broken;
});
