/** The client and the middleware against the real binary. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import express from "express";

import { type Asked, Client, type ClientOptions, CountersignError, enforce, type ErrorKind, permittedOf, Question } from "../../src/index.js";
import { persistently } from "../fake.js";
import { ORIGIN, Pdp } from "./pdp.js";

let pdp: Pdp;
const clients: Client[] = [];

before(async () => {
  pdp = await Pdp.start();
});

after(async () => {
  for (const client of clients) client.close();
  await pdp.stop();
});

function clientOf(more: Partial<ClientOptions> = {}): Client {
  const client = new Client({ addresses: pdp.url, pep: pdp.pep, deadlineMs: 20_000, leases: false, ...more });
  clients.push(client);
  return client;
}

function asked(path: string, token?: string, more: [string, string][] = []): Asked {
  const headers = [...(token === undefined ? [] : [["authorization", `Bearer ${token}`]]), ...more];
  return {
    subject: { type: "token", id: "presented" },
    action: { name: "GET" },
    resource: { type: "route", id: `payroll.example${path}` },
    context: { http: { method: "GET", scheme: "https", host: "payroll.example", target: path, headers } },
  };
}

async function fails(work: Promise<unknown>, kind: ErrorKind): Promise<void> {
  await assert.rejects(work, (error) => error instanceof CountersignError && (assert.equal(error.kind, kind, error.message), true));
}

test("whoever may, may, and the decision can be found by its id", async () => {
  const answer = await clientOf().evaluate(asked("/payroll", pdp.token("alice")));
  assert.ok(answer.kind === "allow" && answer.decisionId !== undefined, pdp.log);
  assert.match(await pdp.operate("why", answer.decisionId), /alice/);
});

test("everybody else is refused, with a code", async () => {
  const client = clientOf();
  const code = async (question: Asked) => {
    const answer = await client.evaluate(question);
    return answer.kind === "deny" ? answer.code : answer.kind;
  };
  assert.equal(await code(asked("/payroll", pdp.token("bob"))), "policy_denied");
  assert.equal(await code(asked("/payroll")), "no_credentials");
  assert.equal(await code(asked("/payroll", "nonsense")), "invalid_token");
  assert.equal(await code(asked("/payroll", pdp.token("alice", { exp: Math.floor(Date.now() / 1_000) - 60 }))), "expired_token");
  assert.equal(await code(asked("/payroll", pdp.token("alice", { aud: "elsewhere" }))), "invalid_token");
});

test("a step-up says what would make it yes", async () => {
  await pdp.enroll("alice");
  const client = clientOf();
  const program = await client.evaluate(asked("/secret", pdp.token("alice")));
  assert.ok(program.kind === "step-up", JSON.stringify(program));
  assert.deepEqual([program.acr, program.maxAge], ["phr", 300]);
  const bob = await client.evaluate(asked("/secret", pdp.token("bob")));
  assert.deepEqual([bob.kind, bob.kind === "deny" && bob.code], ["deny", "not_enrolled"]);
});

test("an allow with an obligation is one for whoever carries it out", async () => {
  const client = clientOf();
  const question = asked("/notify", pdp.token("bob"));
  assert.equal((await client.evaluate(question)).kind, "deny");
  const told = await client.evaluate(new Question(question, { supported: ["notification"] }));
  assert.deepEqual(told.kind === "allow" && told.obligations, [{ id: "n", type: "notification", properties: { to: "sec@example.org" } }]);
});

test("a batch is answered in its places", async () => {
  const questions = [asked("/payroll", pdp.token("alice")), asked("/payroll", pdp.token("bob")), asked("/a/../payroll", pdp.token("alice")), asked("/payroll", pdp.token("alice"))];
  const answers = await clientOf().evaluateAll(questions);
  assert.deepEqual(answers.map(({ kind }) => kind), ["allow", "deny", "refused", "allow"]);
});

test("a revoked subject is refused", async () => {
  const client = clientOf();
  const question = asked("/payroll", pdp.token("carol"));
  assert.equal((await client.evaluate(question)).kind, "allow");
  await pdp.revoke("carol");
  const answer = await client.evaluate(question);
  assert.deepEqual([answer.kind, answer.kind === "deny" && answer.code], ["deny", "revoked"]);
});

test("a caller that is not known, and a question that is none, are refused", async () => {
  await fails(clientOf({ pep: { id: "app", secret: "another secret" } }).evaluate(asked("/payroll")), "refused");
  await fails(clientOf().evaluate({ ...asked("/payroll"), context: { risk_score: 0 } }), "refused");
});

/** An Express application behind the layer, before the real decision point. */
async function application(client: Client): Promise<{ url: string; close: () => void; mail: string[] }> {
  const mail: string[] = [];
  const app = express();
  app.use(enforce(client, ORIGIN, { obligations: { notification: ({ properties }) => void mail.push(JSON.stringify(properties["to"])) }, clientAddress: () => "203.0.113.9" }));
  app.get("/api/:what", (request, response) => response.send(permittedOf(request).resource.id));
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, close: () => server.close(), mail };
}

test("an application behind the layer", async () => {
  const { url, close, mail } = await application(clientOf());
  const get = async (path: string, headers: Record<string, string>) => fetch(url + path, { headers, redirect: "manual" });
  const bearer = (sub: string) => ({ authorization: `Bearer ${pdp.token(sub)}` });
  const allowed = await get("/api/payroll", bearer("alice"));
  assert.deepEqual([allowed.status, await allowed.text()], [200, "payroll.example/api/payroll"]);
  assert.equal((await get("/api/notify", bearer("bob"))).status, 200);
  assert.deepEqual(mail, ['"sec@example.org"']);
  const refused = await get("/api/payroll", bearer("bob"));
  assert.equal(refused.status, 403);
  assert.match(await pdp.operate("why", refused.headers.get("x-countersign-decision") ?? ""), /bob/);
  const anonymous = await get("/api/payroll", {});
  assert.deepEqual([anonymous.status, anonymous.headers.get("www-authenticate")], [401, "Bearer"]);
  const challenged = await get("/api/secret", bearer("alice"));
  assert.equal(challenged.status, 401);
  assert.match(challenged.headers.get("www-authenticate") ?? "", /^Bearer error="insufficient_user_authentication".*acr_values="phr", max_age="300"$/);
  assert.equal((await get("/api//payroll", bearer("alice"))).status, 400);
  close();
});

test("a decision point that is slow, or down, is no allow", async () => {
  const client = clientOf({ deadlineMs: 300 });
  const question = asked("/payroll", pdp.token("alice"));
  const { url, close } = await application(client);
  const status = async () => (await fetch(`${url}/api/payroll`, { headers: { authorization: `Bearer ${pdp.token("alice")}` } })).status;
  pdp.freeze();
  await fails(client.evaluate(question), "deadline");
  assert.equal(await status(), 503);
  pdp.thaw();
  await pdp.kill("SIGKILL");
  await fails(client.evaluate(question), "unreachable");
  assert.equal(await status(), 503);
  await pdp.run();
  // The breaker may have opened meanwhile.
  assert.equal((await persistently(() => client.evaluate(question))).kind, "allow");
  close();
});
