/**
 * What a client sees when it may not pass. The wire carries the level and the age only, never a reason.
 *
 * | client | step-up | no token, or none that is accepted | another no | something of ours |
 * |---|---|---|---|---|
 * | navigation of a browser | 302 to the ceremony, 303 where the method changes something; without one as a program | 401 | 403 | 503 |
 * | program, script | 401 with the challenge of RFC 9470, `X-Countersign-Page` where there is a ceremony | 401 with a challenge | 403 | 503 |
 * | WebSocket handshake | 401 with the challenge | 401 with a challenge | 403 | 503 |
 * | preflight | 403 | 403 | 403 | 503 |
 */

import type { Allow, Deny, StepUp } from "./answer.js";
import { type DenialCode, faultOf } from "./codes.js";
import type { Presented } from "./request.js";

/** A refusal. Its status is never one of success. */
export interface Refusal {
  readonly status: 302 | 303 | 400 | 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
}

/** The client that waits. */
export interface Asker {
  /** How a refusal is said to it. */
  readonly kind: "navigation" | "program" | "websocket" | "preflight";
  /** How it presents its token. */
  readonly scheme: "Bearer" | "DPoP";
  /** Its method changes nothing. */
  readonly isSafe: boolean;
}

/** Reads it off a request. */
export function askerOf({ method, headers }: Presented): Asker {
  const sent = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]));
  const isDpop = /^dpop( |$)/i.test(sent.get("authorization") ?? "");
  return { kind: kindOf(method, sent), scheme: isDpop ? "DPoP" : "Bearer", isSafe: ["GET", "HEAD", "OPTIONS", "TRACE"].includes(method) };
}

/** The rules are those of the decision point for clients behind a proxy. Whoever sends a token in a header itself is a program. */
function kindOf(method: string, sent: ReadonlyMap<string, string>): Asker["kind"] {
  const hasCredentials = ["authorization", "cookie", "dpop"].some((name) => sent.has(name));
  if (method === "OPTIONS" && sent.has("origin") && sent.has("access-control-request-method") && !hasCredentials) return "preflight";
  const mode = sent.get("sec-fetch-mode");
  const upgrades = (sent.get("upgrade") ?? "").split(",").some((protocol) => protocol.trim().toLowerCase() === "websocket");
  if (upgrades || sent.has("sec-websocket-key") || mode === "websocket") return "websocket";
  if (sent.has("authorization")) return "program";
  if (mode !== undefined) return mode === "navigate" ? "navigation" : "program";
  const readsPages = (sent.get("accept") ?? "").includes("text/html") && !sent.has("x-requested-with");
  return (method === "GET" || method === "HEAD") && readsPages ? "navigation" : "program";
}

/** A step-up: the ceremony for a navigation, the challenge of RFC 9470 for anything else. */
export function stepUp(demand: StepUp, asker: Asker): Refusal {
  const { ceremony, maxAge, acr } = demand;
  if (asker.kind === "navigation" && ceremony !== undefined) {
    // 302 lets some browsers repeat a POST; 303 never does (RFC 9110 §15.4.4).
    return refuse(asker.isSafe ? 302 : 303, demand.decisionId, { location: ceremony });
  }
  const age = maxAge === undefined ? "" : `, max_age="${String(maxAge)}"`;
  const what = 'error="insufficient_user_authentication", error_description="a different authentication level is required"';
  const page: Record<string, string> = asker.kind === "program" && ceremony !== undefined ? { "x-countersign-page": ceremony } : {};
  return challenged(demand, `${asker.scheme} ${what}, acr_values="${acr}"${age}`, asker, page);
}

/** A denial, by who is at fault. */
export function deny(denial: Deny, asker: Asker): Refusal {
  const { code, decisionId } = denial;
  const fault = code === undefined ? "forbidden" : faultOf(code);
  if (code !== undefined && fault === "unauthenticated") return challenged(denial, `${asker.scheme}${errorOf(code)}`, asker, {});
  return fault === "unavailable" ? refuse(503, decisionId, RETRY) : refuse(403, decisionId, {});
}

/** What was wrong with what was presented, if anything was. */
function errorOf(code: DenialCode): string {
  if (code === "no_credentials") return "";
  return ` error="${code === "invalid_dpop_proof" || code === "use_dpop_nonce" ? code : "invalid_token"}"`;
}

/** What an allow obliges to could not be done. */
export function undone({ decisionId }: Allow): Refusal {
  return refuse(403, decisionId, {});
}

const RETRY = { "retry-after": "1" };

/** There is no answer. */
export const UNAVAILABLE: Refusal = refuse(503, undefined, RETRY);
/** Two readers could read two requests. */
export const AMBIGUOUS: Refusal = refuse(400, undefined, {});

/** What the client can change by proving something. A preflight proves nothing. */
function challenged({ decisionId, dpopNonce }: StepUp | Deny, challenge: string, { kind }: Asker, more: Record<string, string>): Refusal {
  if (kind === "preflight") return refuse(403, decisionId, {});
  const nonce: Record<string, string> = dpopNonce === undefined ? {} : { "dpop-nonce": dpopNonce };
  return refuse(401, decisionId, { "www-authenticate": challenge, ...nonce, ...more });
}

function refuse(status: Refusal["status"], decisionId: string | undefined, headers: Record<string, string>): Refusal {
  // The id of the decision, by which an operator finds it. A name beyond ASCII cannot be a header.
  const named: Record<string, string> = decisionId !== undefined && /^[ -~]+$/.test(decisionId) ? { "x-countersign-decision": decisionId } : {};
  return { status, headers: { ...headers, ...named, "cache-control": "no-store" } };
}
