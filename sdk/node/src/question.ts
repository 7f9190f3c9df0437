/** What is asked, by an enforcement point that says what it can carry out and how fresh the answer must be. */

import { CountersignError } from "./error.js";
import { canonical, isObject, type JsonObject, member } from "./json.js";
import { isConsistency } from "./positions.js";

/** A subject or a resource. */
export interface Entity {
  /** The kind of entity, such as `user` or `record`. */
  readonly type: string;
  /** Its name within that kind. */
  readonly id: string;
  /** What the caller states of it. */
  readonly properties?: JsonObject;
}

/** What the subject wants to do. */
export interface Action {
  /** The name of the action, such as `read` or `GET`. */
  readonly name: string;
  /** What the caller states of it. */
  readonly properties?: JsonObject;
}

/** The body of an AuthZEN evaluation. */
export interface Asked {
  /** Who asks. */
  readonly subject: Entity;
  /** To do what. */
  readonly action: Action;
  /** With what. */
  readonly resource: Entity;
  /** Under which circumstances. */
  readonly context?: JsonObject;
}

/** How a question is asked. */
export interface QuestionOptions {
  /** The types of obligations that the enforcement point carries out. An allow with any other is a deny (AuthZEN Obligations profile). */
  readonly supported?: readonly string[];
  /** Refuses an answer that is less fresh: after a change, the consistency that came with it. */
  readonly atLeast?: string;
}

/** The largest question that is sent, in bytes; the decision point reads no more. */
const MOST_BYTES = 250 * 1024;
const DEPTH = 30;
/** Members of the context that this client writes itself. */
const OWN = ["countersign", "supported_obligations"];

/**
 * One question. It is written down when it is made: what happens to its parts later changes nothing.
 *
 * Throws a {@link CountersignError} of kind `configuration` when it cannot be asked.
 */
export class Question {
  /** What is asked, and what is carried out, in one form: two questions are the same exactly when these are. */
  readonly key: string;
  /** The types of obligations that the enforcement point carries out. */
  readonly supported: ReadonlySet<string>;
  /** How fresh the answer must be. */
  readonly atLeast: string | undefined;
  /** Whether it carries a proof that counts once, so that its answer must not be repeated. */
  readonly isSingleUse: boolean;
  readonly #members: ReadonlyMap<string, string>;
  readonly #context: string;

  constructor(asked: Asked, options: QuestionOptions = {}) {
    const supported = [...new Set(options.supported ?? [])].sort();
    this.supported = new Set(supported);
    this.atLeast = options.atLeast;
    if (this.atLeast !== undefined && !isConsistency(this.atLeast)) throw unaskable("floor of freshness is not one");
    const context = asked.context ?? {};
    if (OWN.some((name) => Object.hasOwn(context, name))) throw unaskable("context holds a member that the client writes itself");
    this.#members = new Map(parts(asked).map(([name, value]) => [name, written(value)]));
    const carried = supported.length === 0 ? context : { ...context, supported_obligations: supported };
    this.#context = written(carried);
    this.key = this.#body(this.#context);
    if (Buffer.byteLength(this.key) > MOST_BYTES) throw unaskable("question is too large");
    this.isSingleUse = isSingleUse(context);
  }

  /** The body that is sent, with what is wanted of the answer in `context.countersign`. */
  body(wanted: JsonObject): string {
    if (Object.keys(wanted).length === 0) return this.key;
    const member = `"countersign":${written(wanted)}`;
    const rest = this.#context.slice(1);
    return this.#body(rest === "}" ? `{${member}}` : `{${member},${rest}`);
  }

  #body(context: string): string {
    const members = [...this.#members].map(([name, text]) => `"${name}":${text}`);
    if (context !== "{}") members.push(`"context":${context}`);
    return `{${members.join(",")}}`;
  }
}

function parts(asked: Asked): [string, unknown][] {
  const { subject, action, resource } = asked;
  const texts: unknown[] = [subject.type, subject.id, action.name, resource.type, resource.id];
  if (!texts.every((text) => typeof text === "string")) throw unaskable("question lacks a type, an id or a name");
  return [["subject", entity(subject)], ["action", { name: action.name, properties: action.properties }], ["resource", entity(resource)]];
}

function entity({ type, id, properties }: Entity): object {
  return { type, id, properties };
}

function written(value: unknown): string {
  try {
    return canonical(value, DEPTH);
  } catch (cause) {
    throw unaskable("question cannot be written", cause);
  }
}

/** A header of another form than a pair of texts is for the decision point to refuse. */
function isSingleUse(context: JsonObject): boolean {
  const http = context["http"];
  const headers = isObject(http) ? member(http, "headers") : undefined;
  return Array.isArray(headers) && headers.some((header: unknown) => isProof(Array.isArray(header) ? (header as unknown[]) : []));
}

function isProof([name, value]: readonly unknown[]): boolean {
  if (typeof name !== "string" || typeof value !== "string") return true;
  return /^dpop$/i.test(name) || (/^authorization$/i.test(name) && /^\s*dpop\b/i.test(value));
}

function unaskable(message: string, cause?: unknown): CountersignError {
  return new CountersignError("configuration", message, { cause });
}
