/** What an evaluation response means to an enforcement point. */

import { type DenialCode, isDenialCode } from "./codes.js";
import { CountersignError } from "./error.js";
import { isObject, type Json, type JsonObject, type Limits, member, parse } from "./json.js";
import { type Epoch, epoch, isConsistency, isTag } from "./positions.js";
import type { Question } from "./question.js";

/** The largest answer that is read. */
export const LIMITS: Limits = { bytes: 64 * 1024, depth: 16, values: 4_000 };

/** Something that an enforcement point must do with an answer (AuthZEN Obligations profile 1.0). */
export interface Obligation {
  /** Distinguishes obligations within one answer. */
  readonly id: string;
  /** What is to be done. */
  readonly type: string;
  /** What it is to be done with. */
  readonly properties: JsonObject;
}

/** Leave to repeat an allow for the same question without asking again, until one of these ends. */
export interface Lease {
  /** How long, at most, in milliseconds from when the question was asked. */
  readonly ttlMs: number;
  /** What was told before the facts were read: an ending that is told after it ends this lease. */
  readonly epoch: Epoch;
  /** The policy that allowed it. */
  readonly revision: string;
  /** The risk stays below this, or the decision point says that it ended. */
  readonly riskBelow: number;
  /** What it rests on. */
  readonly dependsOn: readonly string[];
}

interface AllowFields {
  readonly decisionId: string | undefined;
  readonly obligations: readonly Obligation[];
  readonly lease: Lease | undefined;
  readonly consistency: string | undefined;
}

/** Only reading a response makes an allow: this is not exported from the package. */
let allow: (fields: AllowFields) => Allow;

/** An allow: `decision: true`, with nothing to do that the enforcement point did not say it can. */
export class Allow {
  readonly kind = "allow";
  /** The id of the decision, for `countersign why`. */
  readonly decisionId: string | undefined;
  /** What the enforcement point must carry out before the request passes; each is of a type that it supports, or `break-glass`. */
  readonly obligations: readonly Obligation[];
  /** Leave to repeat this allow without asking. */
  readonly lease: Lease | undefined;
  /** How fresh the decision is. */
  readonly consistency: string | undefined;
  readonly #made = true;

  private constructor(fields: AllowFields) {
    this.decisionId = fields.decisionId;
    this.obligations = fields.obligations;
    this.lease = fields.lease;
    this.consistency = fields.consistency;
    Object.freeze(this);
  }

  static {
    allow = (fields) => new Allow(fields);
  }

  /** An operator let this subject pass in an emergency. There is nothing to do but to say so where somebody looks. */
  get glassIsBroken(): boolean {
    return this.obligations.some(({ type }) => type === BREAK_GLASS);
  }

  /** Whether a value is an allow that this package read from a response, and nothing that only looks like one. */
  static is(value: unknown): value is Allow {
    return typeof value === "object" && value !== null && #made in value;
  }
}

/** Not like this: prove it again. */
export interface StepUp {
  readonly kind: "step-up";
  /** The id of the decision. */
  readonly decisionId: string | undefined;
  /** The level that is asked for. */
  readonly acr: string;
  /** How old the proof may be, in seconds. */
  readonly maxAge: number | undefined;
  /** Where a browser performs the ceremony: an absolute `http` or `https` URL. */
  readonly ceremony: string | undefined;
  /** A nonce that the next proof of a key must name (RFC 9449 §8). */
  readonly dpopNonce: string | undefined;
}

/** No. */
export interface Deny {
  readonly kind: "deny";
  /** The id of the decision. */
  readonly decisionId: string | undefined;
  /** Why, where the decision point said so in a code that this version knows. */
  readonly code: DenialCode | undefined;
  /** A nonce that the next proof of a key must name (RFC 9449 §8). */
  readonly dpopNonce: string | undefined;
}

/** What a decision point answered. */
export type Answer = Allow | StepUp | Deny;

/** There is nothing to carry out: somebody lets the subject pass in an emergency. */
export const BREAK_GLASS = "break-glass";

/** Reads the body of a response. */
export function read(body: Uint8Array, question: Question): Answer {
  return fromResponse(strict(body, LIMITS), question);
}

/** Reads a body as strict JSON. */
export function strict(body: Uint8Array, limits: Limits): Json {
  try {
    return parse(body, limits);
  } catch (cause) {
    throw malformed("answer is not strict JSON", cause);
  }
}

/**
 * Reads a response.
 *
 * `decision: true` is an allow only where the question supports every obligation that comes with it, `break-glass` apart; what is not supported is a deny.
 * `decision: false` is a step-up when its only obligation is a `step-up`.
 */
export function fromResponse(response: Json, question: Question): Answer {
  if (!isObject(response)) throw malformed("answer is no object");
  const decision = member(response, "decision");
  const context = member(response, "context") ?? {};
  if (typeof decision !== "boolean" || member(response, "context") === null || !isObject(context)) throw malformed("answer is not an evaluation");
  const decisionId = optional(context, "id", name);
  const obligations = optional(context, "obligations", obligationsOf) ?? [];
  if (decision && obligations.every(({ type }) => type === BREAK_GLASS || (type !== STEP_UP && question.supported.has(type)))) {
    const lease = optional(context, "lease", leaseOf);
    const consistency = optional(context, "consistency", (value) => (isText(value) && isConsistency(value) ? value : undefined));
    return allow({ decisionId, obligations, lease, consistency });
  }
  const dpopNonce = optional(context, "dpop_nonce", nonce);
  const [only, ...others] = obligations;
  if (!decision && only?.type === STEP_UP && others.length === 0) return stepUp(decisionId, only, context, dpopNonce);
  return { kind: "deny", decisionId, code: codeOf(member(context, "reason")), dpopNonce };
}

const STEP_UP = "step-up";

function stepUp(decisionId: string | undefined, { properties }: Obligation, context: JsonObject, dpopNonce: string | undefined): StepUp {
  const acr = optional(properties, "acr_value", level);
  if (acr === undefined) throw malformed("step-up names no level");
  const maxAge = optional(properties, "max_age", count);
  return { kind: "step-up", decisionId, acr, maxAge, ceremony: optional(context, "step_up", ceremonyOf), dpopNonce };
}

/** A code of a later version is still a denial. */
function codeOf(value: Json | undefined): DenialCode | undefined {
  return isText(value) && isDenialCode(value) ? value : undefined;
}

/** A member of the wrong shape, `null` among them, is an error and no absence. */
function optional<T>(object: JsonObject, named: string, read: (value: Json) => T | undefined): T | undefined {
  const value = member(object, named);
  if (value === undefined) return undefined;
  const found = read(value);
  if (found === undefined) throw malformed("member of the answer has the wrong shape");
  return found;
}

function isText(value: Json | undefined): value is string {
  return typeof value === "string";
}

/** A name goes into headers and logs: one to 128 characters, none of control. */
function name(value: Json): string | undefined {
  return isText(value) && value.length > 0 && Buffer.byteLength(value) <= 128 && !/\p{Cc}/u.test(value) ? value : undefined;
}

function level(value: Json): string | undefined {
  return isText(value) && /^[!#-+\--[\]-~]{1,128}$/.test(value) ? value : undefined;
}

/** RFC 9449 §8.1: NQCHAR. */
function nonce(value: Json): string | undefined {
  return isText(value) && /^[!#-[\]-~]{1,256}$/.test(value) ? value : undefined;
}

function count(value: Json): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function obligationsOf(value: Json): Obligation[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const read = (value as readonly Json[]).map(obligationOf);
  return read.every((one) => one !== undefined) ? read : undefined;
}

function obligationOf(value: Json): Obligation | undefined {
  if (!isObject(value) || !Object.keys(value).every((key) => ["id", "type", "properties"].includes(key))) return undefined;
  const [id, type, properties] = [member(value, "id"), member(value, "type"), member(value, "properties") ?? {}];
  if (!isText(id) || !isText(type) || member(value, "properties") === null || !isObject(properties)) return undefined;
  return Object.freeze({ id, type, properties });
}

function leaseOf(value: Json): Lease | undefined {
  if (!isObject(value)) return undefined;
  const [ttlMs, riskBelow] = [count(member(value, "ttl_ms") ?? null), count(member(value, "risk_below") ?? null)];
  const [at, revision] = [member(value, "epoch"), name(member(value, "revision") ?? null)];
  const told = isText(at) ? epoch(at) : undefined;
  const dependsOn = tags(member(value, "depends_on"));
  if (ttlMs === undefined || riskBelow === undefined || riskBelow > 100 || !told || revision === undefined || !dependsOn) return undefined;
  return Object.freeze({ ttlMs, epoch: told, revision, riskBelow, dependsOn });
}

/** The names of what decisions rest on, or `undefined` when it is no list of such. */
export function tags(value: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = value as readonly Json[];
  return list.every((one) => isText(one) && isTag(one)) ? (list as readonly string[]) : undefined;
}

function ceremonyOf(value: Json): string | undefined {
  const text = isObject(value) ? member(value, "url") : undefined;
  // What a browser would mend (spaces, backslashes, control characters) is no address.
  if (!isText(text) || !/^https?:\/\/[!-[\]-~]+$/i.test(text) || !URL.canParse(text)) return undefined;
  return text;
}

/** An answer that is none. */
export function malformed(message: string, cause?: unknown): CountersignError {
  return new CountersignError("malformed", message, { cause });
}
