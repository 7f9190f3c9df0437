/** Asks decision points: within one deadline, at several addresses, with leases. Anything but a clean allow is no allow. */

import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";

import { Address, type Credentials, type Reply, type Tls } from "./address.js";
import { Allow, type Answer, fromResponse, LIMITS, malformed, read, strict } from "./answer.js";
import { Breaker, type BreakerState } from "./breaker.js";
import { type Clock, MONOTONIC } from "./clock.js";
import { CountersignError } from "./error.js";
import { isObject, type Json, type JsonObject, member } from "./json.js";
import { Held, Leases } from "./leases.js";
import { isAtLeast } from "./positions.js";
import { type Asked, Question } from "./question.js";
import { Watch, type WatchState } from "./watch.js";

/** How long an allow without a lease is relied on by whatever outlives its request, in milliseconds from when it was asked for. */
export const UNLEASED_MS = 5_000;

/** The terms on which allows are repeated without asking. */
export interface LeaseOptions {
  /** The longest lease. 30 s unless told. */
  readonly ttlMs?: number;
  /** The longest while no watch lives; the decision point may say less. 2 s unless told. */
  readonly floorMs?: number;
  /** How often the watch is to be heard. 3 s unless told. */
  readonly heartbeatMs?: number;
  /** How many are kept. 10,000 unless told. */
  readonly entries?: number;
  /** How many bytes they may have together, by estimate. 32 MiB unless told. */
  readonly bytes?: number;
}

/** What a client is made of. */
export interface ClientOptions extends Credentials {
  /** The addresses of the decision point, such as `https://pdp.example`, the preferred first. */
  readonly addresses: string | readonly string[];
  /** How long a question may take, from connecting to the last byte of the answer, over all addresses. One second unless told. */
  readonly deadlineMs?: number;
  /** On which terms allows are repeated without asking; `false` asks each time. */
  readonly leases?: LeaseOptions | false;
  /** Whom to trust, and what to present. */
  readonly tls?: Tls;
  /** Lets the secret and the tokens cross a network unencrypted. Without it, `http:` is for loopback addresses only. */
  readonly dangerousPlainHttp?: boolean;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** How a question is put. */
export interface AskOptions {
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal;
  /** Asks, whatever was answered before. */
  readonly fresh?: boolean;
}

/** How a client stands. */
export interface Status {
  /** Each address, and how it is seen. */
  readonly addresses: readonly { readonly origin: string; readonly breaker: BreakerState }[];
  /** How the watch stands. */
  readonly watch: WatchState;
  /** Whether every ending is heard as it is told. */
  readonly isWatched: boolean;
  /** How many leases are kept. */
  readonly leases: number;
}

const EVALUATION = "/access/v1/evaluation";
const EVALUATIONS = "/access/v1/evaluations";
/** What one batch holds at most; the decision point takes no more than 256 KiB and 20,000 values. */
const BATCH = { questions: 100, bytes: 200 * 1024, values: 15_000 };
/** How often an answer that is over when it arrives is asked for again. */
const AGAIN = 2;
const LONGEST_TTL_MS = 60 * 60 * 1_000;

interface Place {
  readonly address: Address;
  readonly breaker: Breaker;
}

/** The end of an allow: a lease, or an instant. */
interface End {
  readonly held: Held | undefined;
  readonly until: number;
}

/** A client of one decision point, at one address or several. */
export class Client {
  readonly #places: readonly Place[];
  readonly #deadlineMs: number;
  readonly #clock: Clock;
  readonly #wantsLeases: boolean;
  readonly #ttlMs: number;
  readonly #name = randomBytes(16).toString("hex");
  readonly #leases: Leases;
  readonly #watch: Watch;
  readonly #ends = new WeakMap<Allow, End>();
  readonly #closing = new AbortController();

  /** Connects to nothing yet. Throws a {@link CountersignError} of kind `configuration` for what cannot work. */
  constructor(options: ClientOptions) {
    const texts = typeof options.addresses === "string" ? [options.addresses] : options.addresses;
    const clock = options.clock ?? MONOTONIC;
    const random = options.random ?? Math.random;
    // Everything that waits listens to it.
    setMaxListeners(0, this.#closing.signal);
    const { ttlMs, floorMs, heartbeatMs, entries, bytes } = terms(options.leases === false ? {} : options.leases);
    if (texts.length === 0) throw configuration("client has no address");
    if (!options.pep && options.bearer === undefined && options.tls?.cert === undefined) throw configuration("enforcement point has no credentials");
    this.#deadlineMs = positive(options.deadlineMs ?? 1_000, 60 * 60 * 1_000);
    const plain = options.dangerousPlainHttp === true ? "anywhere" : "loopback";
    this.#places = texts.map((text) => ({ address: new Address(text, options, options.tls ?? {}, plain), breaker: new Breaker(clock, random) }));
    this.#clock = clock;
    this.#wantsLeases = options.leases !== false;
    this.#ttlMs = ttlMs;
    this.#leases = new Leases({ entries, bytes }, ttlMs, floorMs);
    const addresses = this.#places.map(({ address }) => address);
    this.#watch = new Watch({ addresses, leases: this.#leases, clock, random, name: this.#name, heartbeatMs });
  }

  /**
   * Asks one question, or repeats an allow whose lease still counts.
   *
   * Rejects with a {@link CountersignError} whenever there is no clean answer in time. An error is never an allow: the caller refuses the request.
   */
  async evaluate(asked: Question | Asked, options: AskOptions = {}): Promise<Answer> {
    const question = asked instanceof Question ? asked : new Question(asked);
    return this.#kept(question, options) ?? this.#within(options.signal, (limit) => this.#decide(question, limit));
  }

  /**
   * Asks many questions, in as few requests as may be. Each answer is in the place of its question; where there is none, there is the error.
   */
  async evaluateAll(asked: readonly (Question | Asked)[], options: AskOptions = {}): Promise<(Answer | CountersignError)[]> {
    const questions = asked.map((one) => (one instanceof Question ? one : new Question(one)));
    const answers = new Map<Question, Answer | CountersignError>();
    for (const question of questions) {
      const kept = this.#kept(question, options);
      if (kept !== undefined) answers.set(question, kept);
    }
    const left = [...new Set(questions)].filter((question) => !answers.has(question));
    await this.#within(options.signal, async (limit) => {
      for (const batch of batches(left)) {
        const told = await this.#decideAll(batch, limit).catch((error: unknown) => batch.map(() => asError(error)));
        batch.forEach((question, at) => answers.set(question, told[at] ?? malformed("batch lacks an answer")));
      }
    });
    return questions.map((question) => answers.get(question) ?? malformed("batch lacks an answer"));
  }

  /**
   * Resolves when an allow must not be relied on any longer without asking again: when its lease is over or is ended, or after {@link UNLEASED_MS}.
   * An allow that this client did not give is over. Resolves as well when `signal` is aborted.
   */
  async ended(allow: Allow, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const end = this.#ends.get(allow);
    if (end === undefined || this.#closing.signal.aborted || options.signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      this.#whenOver(end, options.signal, resolve);
    });
  }

  /** How it stands. */
  status(): Status {
    return {
      addresses: this.#places.map(({ address, breaker }) => ({ origin: address.origin, breaker: breaker.state })),
      watch: this.#watch.state,
      isWatched: this.#leases.isWatched(this.#clock.now()),
      leases: this.#leases.size,
    };
  }

  /** Ends its connections and every lease. Whatever is asked from now on is an error. */
  close(): void {
    this.#closing.abort();
    this.#watch.close();
    this.#leases.forget();
    for (const { address } of this.#places) address.close();
  }

  #kept(question: Question, { fresh }: AskOptions): Allow | undefined {
    const isKept = this.#wantsLeases && fresh !== true && !question.isSingleUse && !this.#closing.signal.aborted;
    return isKept ? this.#leases.find(question, this.#clock.now()) : undefined;
  }

  #wanted(question: Question): JsonObject {
    const lease = this.#wantsLeases && !question.isSingleUse ? { lease: { ttl_ms: this.#ttlMs, watch: this.#name } } : {};
    if ("lease" in lease) this.#watch.start();
    return { ...lease, ...(question.atLeast === undefined ? {} : { at_least: question.atLeast }) };
  }

  async #decide(question: Question, limit: Limit): Promise<Answer> {
    for (let again = 0; again <= AGAIN; again += 1) {
      const asked = this.#clock.now();
      const { answer, address } = await this.#ask(EVALUATION, question.body(this.#wanted(question)), LIMITS.bytes, limit, question.atLeast !== undefined,
        (body) => read(body, question));
      if (this.#settle(question, answer, asked, address)) return answer;
    }
    throw new CountersignError("unavailable", "decision was over before it arrived, again and again");
  }

  async #decideAll(batch: readonly Question[], limit: Limit): Promise<(Answer | CountersignError)[]> {
    const asked = this.#clock.now();
    const body = `{"evaluations":[${batch.map((question) => question.body(this.#wanted(question))).join(",")}]}`;
    const hasFloor = batch.some(({ atLeast }) => atLeast !== undefined);
    const most = { bytes: LIMITS.bytes * batch.length, depth: LIMITS.depth + 2, values: LIMITS.values * batch.length };
    const { answer: items, address } = await this.#ask(EVALUATIONS, body, most.bytes, limit, hasFloor, (bytes) => list(strict(bytes, most), batch.length));
    const settle = async (question: Question, at: number): Promise<Answer | CountersignError> => {
      try {
        const answer = itemOf(items[at], question);
        return this.#settle(question, answer, asked, address) ? answer : await this.#decide(question, limit);
      } catch (error) {
        return asError(error);
      }
    };
    return Promise.all(batch.map(settle));
  }

  /** Remembers how long an allow counts. False when it does not count any more. */
  #settle(question: Question, answer: Answer, asked: number, address: Address): boolean {
    if (!(answer instanceof Allow)) return true;
    if (question.atLeast !== undefined && !isAtLeast(answer.consistency, question.atLeast)) throw malformed("answer is less fresh than was asked");
    const kept = this.#wantsLeases ? this.#leases.keep(question, answer, asked, this.#clock.now()) : "unkept";
    if (kept === "over") return false;
    const held = kept === "unkept" ? undefined : kept;
    // Nobody tells of a lease that is not kept.
    const unkept = answer.lease === undefined ? UNLEASED_MS : Math.min(answer.lease.ttlMs, this.#leases.floor);
    this.#ends.set(answer, { held, until: asked + unkept });
    if (answer.lease !== undefined && answer.lease.epoch.life !== this.#leases.position?.life) this.#watch.follow(address);
    return true;
  }

  /** Asks one address after the other, in what is left of the time. */
  async #ask<T>(path: string, body: string, most: number, limit: Limit, hasFloor: boolean, take: (body: Uint8Array) => T,
  ): Promise<{ answer: T; address: Address }> {
    let last: CountersignError | undefined;
    const open = this.#places.filter(({ breaker }) => breaker.state !== "open");
    const order = [...open].sort((a, b) => rank(a) - rank(b));
    for (const [at, { address, breaker }] of order.entries()) {
      limit.check();
      if (!breaker.enter()) continue;
      try {
        const reply = await limit.share(order.length - at, (signal) => address.post(path, body, most, signal));
        const answer = take(answered(reply));
        breaker.good();
        return { answer, address };
      } catch (error) {
        last = asError(error);
        if (limit.isGivenUp) breaker.unknown();
        // What the caller did is no failure of the address; nor is that it is not as fresh as one question wants.
        else if (last.kind === "refused" || (last.kind === "unavailable" && hasFloor)) breaker.good();
        else breaker.bad();
        if (last.kind === "refused") throw last;
      }
    }
    limit.check();
    throw last ?? new CountersignError("unreachable", "every address failed lately and is left alone for a moment");
  }

  async #within<T>(signal: AbortSignal | undefined, work: (limit: Limit) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw configuration("client is closed");
    const limit = new Limit(this.#deadlineMs, signal === undefined ? [this.#closing.signal] : [signal, this.#closing.signal]);
    try {
      return await work(limit);
    } finally {
      limit.end();
    }
  }

  #whenOver(end: End, signal: AbortSignal | undefined, resolve: () => void): void {
    const { held } = end;
    let cancel: () => void = () => undefined;
    const finish = (): void => {
      cancel();
      if (held !== undefined) this.#leases.unwait(held, look);
      signal?.removeEventListener("abort", finish);
      this.#closing.signal.removeEventListener("abort", finish);
      resolve();
    };
    const look = (): void => {
      cancel();
      const left = (held?.until ?? end.until) - this.#clock.now();
      if (held?.isOver === true || left <= 0) finish();
      else cancel = this.#clock.after(left, look);
    };
    if (held !== undefined && !this.#leases.wait(held, look)) {
      resolve();
      return;
    }
    signal?.addEventListener("abort", finish);
    this.#closing.signal.addEventListener("abort", finish);
    look();
  }
}

/** One deadline over everything that one call does. */
class Limit {
  readonly #end: number;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #signals: readonly AbortSignal[];
  #isLate = false;

  constructor(ms: number, signals: readonly AbortSignal[]) {
    this.#end = performance.now() + ms;
    this.#signals = signals;
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, ms);
    for (const signal of signals) {
      if (signal.aborted) this.#controller.abort();
      signal.addEventListener("abort", this.#abort);
    }
  }

  /** The caller waits no longer. */
  get isGivenUp(): boolean {
    return this.#controller.signal.aborted && !this.#isLate;
  }

  /** Throws when the time is over. */
  check(): void {
    if (this.#controller.signal.aborted) throw late();
  }

  /** Does something in an equal share of the time that is left. */
  async share<T>(parts: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const attempt = new AbortController();
    const stop = (): void => {
      attempt.abort();
    };
    const timer = setTimeout(stop, Math.max(0, (this.#end - performance.now()) / parts));
    this.#controller.signal.addEventListener("abort", stop);
    try {
      return await work(attempt.signal);
    } catch (error) {
      throw attempt.signal.aborted ? late(error) : error;
    } finally {
      clearTimeout(timer);
      this.#controller.signal.removeEventListener("abort", stop);
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => {
    this.#controller.abort();
  };
}

function late(cause?: unknown): CountersignError {
  return new CountersignError("deadline", "decision point did not answer in time", { cause });
}

function rank({ breaker }: Place): number {
  return breaker.state === "closed" ? 0 : 1;
}

function answered({ status, type, body }: Reply): Uint8Array {
  // Too many requests, or too slow a one, say nothing against the question: another address may answer.
  if (status === 408 || status === 429) throw new CountersignError("unavailable", "decision point cannot answer now");
  if (status >= 400 && status < 500) throw new CountersignError("refused", "decision point refused the question or the caller");
  if (status >= 500 && status < 600) throw new CountersignError("unavailable", "decision point cannot answer now");
  if (status !== 200) throw malformed("decision point answered with an unexpected status");
  if (type.split(";")[0]?.trim().toLowerCase() !== "application/json") throw malformed("answer is not JSON");
  return body;
}

function list(response: Json, length: number): readonly Json[] {
  const items = isObject(response) ? member(response, "evaluations") : undefined;
  if (!Array.isArray(items) || items.length !== length) throw malformed("batch lacks an answer");
  return items as readonly Json[];
}

/** One answer of a batch; what would have been an HTTP error is in its place. */
function itemOf(item: Json | undefined, question: Question): Answer {
  const context = isObject(item) ? member(item, "context") : undefined;
  const error = isObject(context) ? member(context, "error") : undefined;
  if (error !== undefined) {
    const status = isObject(error) ? member(error, "status") : undefined;
    if (typeof status === "number" && status >= 500) throw new CountersignError("unavailable", "decision point cannot answer now");
    throw new CountersignError("refused", "decision point refused the question");
  }
  return fromResponse(item ?? null, question);
}

function batches(questions: readonly Question[]): Question[][] {
  const all: Question[][] = [];
  let [bytes, values] = [Infinity, Infinity];
  for (const question of questions) {
    const [size, count] = [Buffer.byteLength(question.key) + 256, question.key.split(/[,:[{]/).length + 8];
    const last = all.at(-1);
    [bytes, values] = [bytes + size, values + count];
    if (last !== undefined && last.length < BATCH.questions && bytes <= BATCH.bytes && values <= BATCH.values) last.push(question);
    else {
      all.push([question]);
      [bytes, values] = [size, count];
    }
  }
  return all;
}

function asError(error: unknown): CountersignError {
  return error instanceof CountersignError ? error : new CountersignError("unreachable", "decision point cannot be asked", { cause: error });
}

function terms(given: LeaseOptions = {}): Required<LeaseOptions> {
  return {
    ttlMs: Math.ceil(positive(given.ttlMs ?? 30_000, LONGEST_TTL_MS)),
    floorMs: positive(given.floorMs ?? 2_000, LONGEST_TTL_MS),
    heartbeatMs: Math.ceil(positive(given.heartbeatMs ?? 3_000, 60_000)),
    entries: positive(given.entries ?? 10_000, 10_000_000),
    bytes: positive(given.bytes ?? 32 * 1024 * 1024, Number.MAX_SAFE_INTEGER),
  };
}

function positive(value: number, most: number): number {
  if (!(value > 0 && value <= most)) throw configuration("a time or a bound is not above zero, or too large");
  return value;
}

function configuration(message: string): CountersignError {
  return new CountersignError("configuration", message);
}
