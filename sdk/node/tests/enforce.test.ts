/** The middleware before real servers: what passes, what each refusal looks like, and what becomes of a response that outlives its answer. */

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import { Readable } from "node:stream";
import { afterEach, test } from "node:test";

import express from "express";
import { WebSocket, WebSocketServer } from "ws";

import { type Allow, type Answer, CountersignError, type DecisionPoint, enforce, type EnforceOptions, enforceUpgrade, Permitted, permittedOf, Question } from "../src/index.js";
import { read } from "../src/answer.js";
import { QUESTION } from "./fake.js";

const ORIGIN = "https://payroll.example";

/** A decision point in memory that says the same until it is told otherwise. */
class Said implements DecisionPoint {
  readonly asked: Question[] = [];
  readonly options: unknown[] = [];
  answer: object | Error;
  #over: (() => void)[] = [];

  constructor(answer: object | Error) {
    this.answer = answer;
  }

  evaluate(question: Question, options?: object): Promise<Answer> {
    this.asked.push(question);
    this.options.push(options);
    if (this.answer instanceof Error) return Promise.reject(this.answer);
    return Promise.resolve(read(Buffer.from(JSON.stringify(this.answer)), question));
  }

  async ended(_: Allow, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#over.push(resolve);
      signal?.addEventListener("abort", () => { resolve(); });
    });
  }

  end(answer: object | Error): void {
    this.answer = answer;
    for (const resolve of this.#over.splice(0)) resolve();
  }
}

const ALLOW = { decision: true, context: { id: "d1" } };
const DENY = { decision: false, context: { id: "d2", reason: "policy_denied" } };
const STEP_UP = { decision: false, context: { id: "d3", step_up: { url: "https://payroll.example/.countersign/step-up?d=1" },
  obligations: [{ id: "s", type: "step-up", properties: { acr_value: "phr", max_age: 300 } }] } };

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: http.Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** An Express application behind the layer. */
async function application(point: DecisionPoint, options: EnforceOptions = {}): Promise<string> {
  const app = express();
  app.use("/api", enforce(point, ORIGIN, options));
  app.get("/api/payroll", (request, response) => {
    const { action, resource, decisionId } = permittedOf(request);
    response.json({ action, resource, decisionId, isGuard: Permitted.is(request.permitted) });
  });
  app.get("/api/stream", (request, response) => {
    assert.ok(request.permitted);
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: first\n\n");
  });
  app.get("/open", (request, response) => {
    permittedOf(request);
    response.end();
  });
  app.use(((_error, _request, response, next) => {
    response.status(503).end(next.name);
  }) satisfies express.ErrorRequestHandler);
  return listen(http.createServer(app));
}

/** Node's `fetch` sets headers of its own, such as `sec-fetch-mode`. */
async function get(url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  const request = http.request(url, { headers, method, agent: false }).end();
  const [response] = await once(request, "response") as [http.IncomingMessage];
  const body = Readable.toWeb(response) as ReadableStream<Uint8Array>;
  return new Response(body, { status: response.statusCode ?? 0, headers: new Headers(response.headers as Record<string, string>) });
}

test("what is allowed passes, with its guard", async () => {
  const point = new Said(ALLOW);
  const url = await application(point);
  const answer = await get(`${url}/api/payroll?month=3`, { authorization: "Bearer t", accept: "text/html", "user-agent": "agent" });
  assert.equal(answer.status, 200);
  const resource = { type: "route", id: "payroll.example/api/payroll" };
  assert.deepEqual(await answer.json(), { action: { name: "GET" }, resource, decisionId: "d1", isGuard: true });
  const asked = JSON.parse(point.asked[0]?.key ?? "") as { context: { http: { headers: string[][]; target: string } } };
  assert.equal(asked.context.http.target, "/api/payroll?month=3", "what the mount took off is there");
  assert.ok(asked.context.http.headers.some(([name, value]) => name === "authorization" && value === "Bearer t"));
  assert.equal("client_address" in asked.context.http, false);
});

test("a route without the layer has no guard", async () => {
  assert.equal((await get(`${await application(new Said(ALLOW))}/open`)).status, 503);
});

test("the client's address is the application's word", async () => {
  const point = new Said(ALLOW);
  const url = await application(point, { clientAddress: () => "::ffff:203.0.113.9" });
  await get(`${url}/api/payroll`, { "x-forwarded-for": "192.0.2.1" });
  assert.match(point.asked[0]?.key ?? "", /"client_address":"203\.0\.113\.9"/);
  assert.equal((await get(`${await application(point, { clientAddress: () => "nowhere" })}/api/payroll`)).status, 503);
});

test("each refusal has its form", async () => {
  const error = new CountersignError("deadline", "too late");
  const denied = (reason: string) => ({ decision: false, context: { reason } });
  const challenge = 'error="insufficient_user_authentication", error_description="a different authentication level is required", acr_values="phr", max_age="300"';
  const html = { accept: "text/html" };
  const cases: [object | Error, Record<string, string>, number, Record<string, string | null>][] = [
    [DENY, {}, 403, { "x-countersign-decision": "d2", "cache-control": "no-store", "www-authenticate": null }],
    [denied("no_credentials"), html, 401, { "www-authenticate": "Bearer" }],
    [denied("revoked"), {}, 401, { "www-authenticate": 'Bearer error="invalid_token"' }],
    [denied("revoked"), { authorization: "DPoP t", dpop: "p" }, 401, { "www-authenticate": 'DPoP error="invalid_token"' }],
    [denied("invalid_dpop_proof"), { dpop: "p" }, 401, { "www-authenticate": 'Bearer error="invalid_dpop_proof"' }],
    [denied("no_credentials"), { origin: "https://a.example", "access-control-request-method": "GET" }, 401, {}],
    [{ decision: false, context: { reason: "use_dpop_nonce", dpop_nonce: "n1" } }, { authorization: "DPoP t" }, 401,
      { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n1" }],
    [denied("facts_unavailable"), {}, 503, { "retry-after": "1" }],
    [denied("policy_error"), {}, 403, {}],
    [error, html, 503, { "cache-control": "no-store" }],
    [new TypeError("a mistake"), {}, 503, {}],
    [STEP_UP, html, 302, { location: STEP_UP.context.step_up.url, "x-countersign-decision": "d3" }],
    [STEP_UP, { "sec-fetch-mode": "navigate" }, 302, {}],
    [STEP_UP, { "sec-fetch-mode": "cors", ...html }, 401, { "x-countersign-page": STEP_UP.context.step_up.url, "www-authenticate": `Bearer ${challenge}` }],
    [STEP_UP, { authorization: "Bearer t", ...html }, 401, { "www-authenticate": `Bearer ${challenge}`, location: null }],
    [STEP_UP, { authorization: "DPoP t" }, 401, { "www-authenticate": `DPoP ${challenge}` }],
    [{ ...STEP_UP, context: { obligations: STEP_UP.context.obligations } }, html, 401, { "x-countersign-page": null }],
  ];
  for (const [answer, headers, status, expected] of cases) {
    const response = await get(`${await application(new Said(answer))}/api/payroll`, { accept: "*/*", ...headers });
    const what = JSON.stringify([answer, headers]);
    assert.equal(response.status, status, what);
    assert.equal(await response.text(), "");
    for (const [name, value] of Object.entries(expected)) assert.equal(response.headers.get(name), value, `${what} ${name}`);
  }
  const other = async (method: string, headers: Record<string, string>) => (await get(`${await application(new Said(STEP_UP))}/api/payroll`, headers, method)).status;
  assert.equal(await other("POST", html), 401);
  assert.equal(await other("POST", { "sec-fetch-mode": "navigate" }), 303);
  assert.equal(await other("GET", { ...html, "x-requested-with": "XMLHttpRequest" }), 401);
  assert.equal(await other("OPTIONS", { origin: "https://a.example", "access-control-request-method": "GET" }), 403);
});

/** What a server answers to bytes. */
async function raw(url: string, text: string): Promise<string> {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  socket.end(text, "latin1");
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

test("what two servers could read differently is refused without asking", async () => {
  const point = new Said(ALLOW);
  const url = await application(point);
  for (const target of ["/api//payroll", "/api/%70ayroll", "/api/./payroll", "/api/payroll;a", "http://evil.example/api/payroll"]) {
    assert.match(await raw(url, `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`), /^HTTP\/1\.1 (400|404)/, target);
  }
  for (const headers of ["authorization: Bearer a\r\nauthorization: Bearer b", "Accept: a\r\naccept: b", "user-agent: caf\u00e9"]) {
    assert.match(await raw(url, `GET /api/payroll HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${headers}\r\n\r\n`), /^HTTP\/1\.1 400/, headers);
  }
  assert.equal(point.asked.length, 0);
});

test("obligations are carried out before the request passes, each once, or it does not pass", async () => {
  const obligations = [{ id: "a", type: "notification", properties: { to: "x" } }, { id: "b", type: "watermark" }, { id: "c", type: "notification" },
    { id: "d", type: "break-glass" }];
  const done: string[] = [];
  const handlers = (fails: string): EnforceOptions => ({ obligations: {
    notification: async ({ id }, permitted) => {
      await Promise.resolve();
      done.push(`${id} ${permitted.action.name}`);
      if (id === fails) throw new Error("no post today");
    },
    watermark: ({ id }) => {
      done.push(id);
      if (id === fails) throw new Error("no ink today");
    },
  } });
  const point = new Said({ decision: true, context: { obligations } });
  assert.equal((await get(`${await application(point, handlers("none"))}/api/payroll`)).status, 200);
  assert.deepEqual(done.splice(0), ["a GET", "b", "c GET"]);
  assert.match(point.asked[0]?.key ?? "", /"supported_obligations":\["break-glass","notification","watermark"\]/);
  for (const fails of ["a", "b"]) {
    assert.equal((await get(`${await application(point, handlers(fails))}/api/payroll`)).status, 403);
    assert.deepEqual(done.splice(0), ["a GET", "b", "c GET"], "the others are carried out all the same");
  }
  assert.equal((await get(`${await application(point)}/api/payroll`)).status, 403, "what is not supported is no");
  const slow = { obligations: { notification: () => new Promise<void>(() => undefined), watermark: () => undefined }, obligationDeadlineMs: 20 };
  assert.equal((await get(`${await application(point, slow)}/api/payroll`)).status, 403, "what takes too long is not done");
  assert.throws(() => enforce(point, ORIGIN, { obligations: { "step-up": () => undefined } }), CountersignError);
});

test("an obligation that was carried out for a response is not carried out again for it", async () => {
  const one = { id: "a", type: "notification", properties: {} };
  const point = new Said({ decision: true, context: { obligations: [one] } });
  const done: string[] = [];
  await stream(await application(point, { obligations: { notification: ({ id }) => void done.push(id) } }));
  point.end({ decision: true, context: { obligations: [one, { ...one, id: "b" }] } });
  while (done.length < 2) await new Promise(setImmediate);
  assert.deepEqual(done, ["a", "b"]);
});

test("a floor of freshness goes with the question", async () => {
  const point = new Said(ALLOW);
  await get(`${await application(point, { atLeast: () => "00000000000000aa-7" })}/api/payroll`);
  assert.equal(point.asked[0]?.atLeast, "00000000000000aa-7");
});

async function stream(url: string): Promise<{ text: () => string; over: Promise<"ended" | "broken"> }> {
  const response = await get(`${url}/api/stream`);
  const reader = response.body?.getReader();
  assert.ok(reader);
  let text = "";
  const next = async (): Promise<"ended" | "broken"> => {
    for (;;) {
      const part = await reader.read() as { done: boolean; value?: Uint8Array };
      if (part.done) return "ended";
      text += Buffer.from(part.value ?? []).toString();
    }
  };
  const over = next().catch(() => "broken" as const);
  return { text: () => text, over };
}

test("a response that outlives its answer is asked about again, and broken off when it is not allowed any more", async () => {
  for (const answer of [DENY, STEP_UP, new CountersignError("unreachable", "gone")]) {
    const point = new Said(ALLOW);
    const { text, over } = await stream(await application(point));
    point.end(ALLOW);
    while (point.asked.length < 2) await new Promise(setImmediate);
    assert.deepEqual([point.asked[1]?.key === point.asked[0]?.key, (point.options[1] as { fresh: boolean }).fresh], [true, true]);
    // The end of the second answer.
    await new Promise((resolve) => setTimeout(resolve, 1));
    point.end(answer);
    assert.equal(await over, "broken");
    assert.equal(text(), "data: first\n\n");
    assert.equal(point.asked.length, 3);
  }
});

test("a response that is over is not asked about", async () => {
  const point = new Said(ALLOW);
  await (await get(`${await application(point)}/api/payroll`)).text();
  point.end(DENY);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(point.asked.length, 1);
});

/** A server of WebSockets behind the layer. */
async function sockets(point: DecisionPoint): Promise<string> {
  const server = http.createServer();
  const socketServer = new WebSocketServer({ noServer: true });
  const guard = enforceUpgrade(point, ORIGIN);
  server.on("upgrade", (request, socket, head) => {
    void guard(request, socket).then((permitted) => {
      if (permitted === undefined) return;
      socketServer.handleUpgrade(request, socket, head, (open) => {
        open.on("message", (data) => { open.send(`echo ${(data as Buffer).toString()}`); });
        open.send(permitted.resource.id);
      });
    });
  });
  return listen(server);
}

test("an upgrade is allowed with a guard, and cut when its decision ends", async () => {
  const point = new Said(ALLOW);
  const socket = new WebSocket(`${await sockets(point)}/live`);
  const [first] = (await once(socket, "message")) as [Buffer];
  assert.equal(first.toString(), "payroll.example/live");
  socket.send("a");
  assert.equal(String((await once(socket, "message") as [Buffer])[0]), "echo a");
  const closed = once(socket, "close");
  point.end(DENY);
  assert.deepEqual((await closed)[0] as number, 1006, "broken off, without a goodbye");
});

test("a refused upgrade gets the refusal", async () => {
  const url = await sockets(new Said(STEP_UP));
  const upgrade = "GET /live HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  const answer = await raw(url, upgrade);
  assert.match(answer, /^HTTP\/1\.1 401 Unauthorized\r\n/);
  assert.match(answer, /www-authenticate: Bearer error="insufficient_user_authentication"/);
  assert.match(await raw(await sockets(new Said(new Error("no"))), upgrade), /^HTTP\/1\.1 503 /);
  assert.match(await raw(await sockets(new Said(ALLOW)), upgrade.replace("/live", "/a/../live")), /^HTTP\/1\.1 400 /);
});

test("a guard cannot be made or put there by anybody else", () => {
  const request = { permitted: { action: { name: "GET" } } } as unknown as http.IncomingMessage;
  assert.throws(() => permittedOf(request), CountersignError);
  assert.equal(Permitted.is(Object.create(Permitted.prototype)), false);
  assert.ok(new Question(QUESTION).key);
});
