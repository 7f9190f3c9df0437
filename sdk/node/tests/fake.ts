/** A decision point that answers as it is told, and a clock that stands until it is moved. */

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

import type { Clock } from "../src/clock.js";
import { type Asked, Client, type ClientOptions, type Json, type JsonObject } from "../src/index.js";

export const SECRET = "application-secret-of-this-test";
export const PEP = { id: "app", secret: SECRET };

/** What the fake answers: a JSON body with status 200, or whatever else. */
export type Answered = { readonly json: Json } | ((response: http.ServerResponse) => void);

/** One question as it arrived. */
export interface Received {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: JsonObject;
}

/** One watch that is open at the fake. */
export interface OpenWatch {
  readonly url: URL;
  readonly headers: http.IncomingHttpHeaders;
  readonly response: http.ServerResponse;
  readonly tell: (id: string | undefined, event: JsonObject & { readonly type: string }) => void;
}

export class Fake {
  readonly received: Received[] = [];
  readonly watches: OpenWatch[] = [];
  /** The next answers; the last one stays. */
  answers: ((received: Received) => Answered | Promise<Answered>)[] = [];
  /** What a new watch hears first; nothing where it is absent. */
  greeting: ((watch: OpenWatch) => void) | undefined;
  readonly server: http.Server;
  readonly #changed = new Set<() => void>();

  private constructor(server: http.Server) {
    this.server = server;
  }

  static async start(port = 0): Promise<Fake> {
    const server = http.createServer();
    const fake = new Fake(server);
    server.on("request", (request, response) => void fake.#take(request, response));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return fake;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}`;
  }

  answer(...answers: Answered[]): void {
    this.answers = answers.map((answer) => () => answer);
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    if (this.server.listening) await once(this.server, "close");
  }

  /** Waits until a condition holds, looked at whenever something arrived. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.add(resolve));
  }

  async watch(at = 0): Promise<OpenWatch> {
    await this.until(() => this.watches.length > at);
    return this.watches[at]!;
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", this.url);
    if (url.pathname === "/countersign/v1/watch") {
      this.#open(url, request, response);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const received = { path: url.pathname, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) as Received["body"] };
    this.received.push(received);
    this.#tellAll();
    const next = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    const answer = await next?.(received);
    if (answer === undefined) return;
    if (typeof answer === "function") answer(response);
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer.json));
  }

  #open(url: URL, request: http.IncomingMessage, response: http.ServerResponse): void {
    if (this.greeting === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const tell: OpenWatch["tell"] = (id, event) => {
      response.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    };
    const watch = { url, headers: request.headers, response, tell };
    this.watches.push(watch);
    this.greeting(watch);
    this.#tellAll();
  }

  #tellAll(): void {
    const waiting = [...this.#changed];
    this.#changed.clear();
    for (const call of waiting) call();
  }
}

/** Time that stands until it is moved. */
export class StillClock implements Clock {
  #now = 1_000;
  readonly #timers = new Set<{ readonly at: number; readonly call: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.max(ms, 0), call };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Moves on, and fires nothing: a process that does not get to its timers. */
  skip(ms: number): void {
    this.#now += ms;
  }

  /** Moves on, and fires what is due in its order. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.call();
    }
    this.#now = end;
  }
}

export const ALLOW: Answered = { json: { decision: true, context: { id: "d1" } } };
export const DENY: Answered = { json: { decision: false, context: { id: "d2", reason: "policy_denied" } } };
export const TAG = "0".repeat(31) + "1";
export const OTHER_TAG = "0".repeat(31) + "2";

/** An allow with a lease. */
export function leased(epoch: string, more: JsonObject = {}, context: JsonObject = {}): Answered {
  const lease = { ttl_ms: 30_000, epoch, revision: "r1", risk_below: 30, depends_on: [TAG], ...more };
  return { json: { decision: true, context: { id: "d3", lease, ...context } } };
}

export const QUESTION: Asked = {
  subject: { type: "user", id: "alice" },
  action: { name: "read" },
  resource: { type: "record", id: "7" },
};

/** A question about another record. */
export function about(id: string): Asked {
  return { ...QUESTION, resource: { type: "record", id } };
}

const clients: Client[] = [];

/** A client of these addresses, with time for a slow machine. */
export function clientOf(addresses: string | string[], more: Partial<ClientOptions> = {}): Client {
  const client = new Client({ addresses, pep: PEP, deadlineMs: 20_000, ...more });
  clients.push(client);
  return client;
}

/** Ends what a test began. */
export function closeClients(): void {
  for (const client of clients.splice(0)) client.close();
}

/** Asks until somebody answers. */
export async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (let times = 0; times < 500; times += 1) {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error("nobody answers");
}

/** Waits for a condition of the client that no event tells of. */
export async function eventually(condition: () => boolean): Promise<void> {
  for (let polls = 0; polls < 2_000; polls += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("the condition does not come to hold");
}
