/** Enforces inside an application: a middleware for Express and its like, and the same for upgrades. Only what is allowed passes. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout } from "node:timers/promises";

import { type Allow, type Answer, BREAK_GLASS, type Obligation } from "./answer.js";
import { CountersignError } from "./error.js";
import { canonical } from "./json.js";
import { type Action, type Entity, Question } from "./question.js";
import { AMBIGUOUS, type Asker, askerOf, deny, type Refusal, stepUp, UNAVAILABLE, undone } from "./refusal.js";
import { ask, origin as readOrigin, presented } from "./request.js";

/** Whoever decides: a {@link Client}, or another decision point. */
export interface DecisionPoint {
  /** Answers one question. */
  evaluate(question: Question, options?: { readonly signal?: AbortSignal; readonly fresh?: boolean }): Promise<Answer>;
  /** Resolves when an allow must not be relied on any longer without asking again, or when `signal` is aborted. */
  ended(allow: Allow, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** Carries out one obligation. When it throws or rejects, the request is refused. */
export type ObligationHandler = (obligation: Obligation, permitted: Permitted) => void | Promise<void>;

/** How a layer enforces. */
export interface EnforceOptions {
  /** What carries out obligations, by their type. An allow with any other is a deny. */
  readonly obligations?: Readonly<Record<string, ObligationHandler>>;
  /** How long one obligation may take. Five seconds unless told. */
  readonly obligationDeadlineMs?: number;
  /** How fresh the answer to a request must be, from what the application keeps of an earlier decision or change. */
  readonly atLeast?: (request: IncomingMessage) => string | undefined;
  /** The address of the client, from the application's own connection, never from a header that a client can send. */
  readonly clientAddress?: (request: IncomingMessage) => string | undefined;
}

/** Makes a guard: not exported from the package. */
let permit: (allow: Allow, action: Action, resource: Entity) => Permitted;

/** The guard: this request was allowed, for this action on this resource. Only the layer makes one, and only out of an allow. */
export class Permitted {
  /** What was allowed to be done. */
  readonly action: Action;
  /** With what it was allowed to be done. */
  readonly resource: Entity;
  /** What was to be carried out with it. */
  readonly obligations: readonly Obligation[];
  /** The id of the decision, for `countersign why`. */
  readonly decisionId: string | undefined;
  readonly #made = true;

  private constructor(allow: Allow, action: Action, resource: Entity) {
    this.action = action;
    this.resource = resource;
    this.obligations = allow.obligations;
    this.decisionId = allow.decisionId;
    Object.freeze(this);
  }

  static {
    permit = (allow, action, resource) => new Permitted(allow, action, resource);
  }

  /** Whether a value is a guard, and nothing that only looks like one. */
  static is(value: unknown): value is Permitted {
    return typeof value === "object" && value !== null && #made in value;
  }
}

/** The guard of a request. Throws where the layer does not stand before the handler: a mistake of the application. */
export function permittedOf(request: IncomingMessage): Permitted {
  const { permitted } = request;
  if (!Permitted.is(permitted)) throw new CountersignError("configuration", "this route is not enforced");
  return permitted;
}

/** A middleware of Express, Connect and their like. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * Asks about every request to the application published at `origin`.
 *
 * What is refused gets its answer here, and `next` is not called; what is allowed goes on with its guard in `request.permitted`. A response that outlives its
 * answer is asked about again when that ends, and broken off when it is not allowed any more.
 */
export function enforce(point: DecisionPoint, origin: string, options: EnforceOptions = {}): Middleware {
  const layer = new Layer(point, origin, options);
  return (request, response, next) => {
    // A guard of an outer layer was for another origin.
    guard(request, undefined);
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort();
    });
    void layer.decide(request, gone.signal).then((passed) => {
      if (gone.signal.aborted || response.headersSent) return;
      if (!("permitted" in passed)) {
        response.writeHead(passed.status, passed.headers).end();
        return;
      }
      guard(request, passed.permitted);
      void layer.hold(passed, gone, () => {
        // Whoever reads must see that it broke off.
        response.destroy();
        response.socket?.destroy();
      });
      next();
    });
  };
}

/** Asks about an upgrade, as of a WebSocket. Answers what is refused on the socket, and tells nothing then. */
export type UpgradeGuard = (request: IncomingMessage, socket: Duplex) => Promise<Permitted | undefined>;

/**
 * The same for `server.on("upgrade")`: the guard, or `undefined` when the client got its refusal. The socket is broken off when its decision ends and the same
 * question is not allowed again.
 */
export function enforceUpgrade(point: DecisionPoint, origin: string, options: EnforceOptions = {}): UpgradeGuard {
  const layer = new Layer(point, origin, options);
  return async (request, socket) => {
    const gone = new AbortController();
    const leave = (): void => {
      gone.abort();
    };
    socket.once("close", leave);
    // Until somebody takes the socket, nobody else listens for its errors.
    socket.on("error", leave);
    const passed = await layer.decide(request, gone.signal);
    if (gone.signal.aborted) return undefined;
    if (!("permitted" in passed)) {
      socket.end(raw(passed), () => {
        socket.destroy();
      });
      return undefined;
    }
    void layer.hold(passed, gone, () => {
      socket.destroy();
    });
    return passed.permitted;
  };
}

/** Between two questions about one response, at least. */
const PACE_MS = 200;

async function pause(ms: number): Promise<void> {
  if (ms > 0) await setTimeout(ms, undefined, { ref: false });
}

interface Passed {
  readonly permitted: Permitted;
  readonly question: Question;
  readonly allow: Allow;
}

class Layer {
  readonly #point: DecisionPoint;
  readonly #origin;
  readonly #options: EnforceOptions;
  readonly #handlers: ReadonlyMap<string, ObligationHandler>;

  constructor(point: DecisionPoint, origin: string, options: EnforceOptions) {
    this.#point = point;
    this.#origin = readOrigin(origin);
    this.#options = options;
    this.#handlers = new Map(Object.entries(options.obligations ?? {}));
    if (this.#handlers.has("step-up")) throw new CountersignError("configuration", "a step-up is never carried out with an allow");
  }

  /** What becomes of a request. Never rejects. */
  async decide(request: IncomingMessage, signal: AbortSignal): Promise<Passed | Refusal> {
    try {
      return await this.#decide(request, signal);
    } catch {
      return UNAVAILABLE;
    }
  }

  /** Watches over what was allowed, until it is gone, or must go. Never rejects. */
  async hold(passed: Passed, { signal }: AbortController, cut: () => void): Promise<void> {
    let { allow } = passed;
    const isGone = (): boolean => signal.aborted;
    for (;;) {
      const asked = performance.now();
      const isOver = await this.#point.ended(allow, { signal }).then(() => true, () => false);
      if (isGone()) return;
      await pause(asked + PACE_MS - performance.now());
      const again = isOver ? await this.#again(passed, allow, signal) : undefined;
      if (isGone()) return;
      if (again === undefined) {
        cut();
        return;
      }
      allow = again;
    }
  }

  /** Asks again. An allow that obliges to more than the one before is one only when that is carried out. */
  async #again({ question, permitted }: Passed, before: Allow, signal: AbortSignal): Promise<Allow | undefined> {
    try {
      const answer = await this.#point.evaluate(question, { fresh: true, signal });
      return answer.kind === "allow" && (await this.#carryOut(answer, before.obligations, permitted)) ? answer : undefined;
    } catch {
      return undefined;
    }
  }

  async #decide(request: IncomingMessage, signal: AbortSignal): Promise<Passed | Refusal> {
    const shown = presented(request, this.#options.clientAddress?.(request));
    const asked = ask(shown, this.#origin);
    if (asked === undefined) return AMBIGUOUS;
    const atLeast = this.#options.atLeast?.(request);
    const question = new Question(asked, { supported: this.#supported(), ...(atLeast === undefined ? {} : { atLeast }) });
    const answer = await this.#point.evaluate(question, { signal });
    if (answer.kind !== "allow") return refusalOf(answer, askerOf(shown));
    const permitted = permit(answer, asked.action, asked.resource);
    return (await this.#carryOut(answer, [], permitted)) ? { permitted, question, allow: answer } : undone(answer);
  }

  /** Who carries out nothing says nothing. */
  #supported(): string[] {
    return this.#handlers.size === 0 ? [] : [...this.#handlers.keys(), BREAK_GLASS];
  }

  /** Carries out, in their order, what an allow obliges to and `before` did not. What fails does not keep the rest from being done. */
  async #carryOut({ obligations }: Allow, before: readonly Obligation[], permitted: Permitted): Promise<boolean> {
    const done = new Set(before.map((obligation) => canonical(obligation, 30)));
    let isDone = true;
    for (const obligation of obligations) {
      if (done.has(canonical(obligation, 30))) continue;
      isDone = (await this.#carry(obligation, permitted)) && isDone;
    }
    return isDone;
  }

  async #carry(obligation: Obligation, permitted: Permitted): Promise<boolean> {
    const handler = this.#handlers.get(obligation.type);
    if (handler === undefined) return obligation.type === BREAK_GLASS;
    const patience = new AbortController();
    const late = setTimeout(this.#options.obligationDeadlineMs ?? 5_000, false, { signal: patience.signal }).catch(() => false);
    const carried = (async () => {
      await handler(obligation, permitted);
      return true;
    })().catch(() => false);
    const isDone = await Promise.race([carried, late]);
    patience.abort();
    return isDone;
  }
}

function refusalOf(answer: Exclude<Answer, Allow>, asker: Asker): Refusal {
  return answer.kind === "step-up" ? stepUp(answer, asker) : deny(answer, asker);
}

function guard(request: IncomingMessage, permitted: Permitted | undefined): void {
  Object.defineProperty(request, "permitted", { value: permitted, configurable: true, enumerable: false, writable: false });
}

function raw({ status, headers }: Refusal): string {
  const lines = Object.entries({ ...headers, connection: "close", "content-length": "0" }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`;
}

declare module "http" {
  interface IncomingMessage {
    /** The guard. There is none where the layer does not stand before the handler. */
    readonly permitted?: Permitted;
  }
}
