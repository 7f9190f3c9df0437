/** What a client sees when it may not pass. The wire carries the level and the age only, never a reason. */

import type { Deny, StepUp } from "./answer.js";
import { faultOf } from "./codes.js";
import type { Presented } from "./request.js";

/** A refusal. Its status is never one of success. */
export interface Refusal {
  readonly status: 302 | 400 | 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
}

/** Who asks: a person who can be led through a ceremony, or a program that is told what is missing. And with which scheme it would try again. */
export interface Asker {
  readonly isBrowser: boolean;
  readonly scheme: "Bearer" | "DPoP";
}

/** Reads it off a request. */
export function askerOf({ method, headers }: Presented): Asker {
  const values = (wanted: string): string[] => headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  const [mode] = values("sec-fetch-mode");
  const [authorization] = values("authorization");
  const navigates = mode === undefined ? (values("accept")[0] ?? "").includes("text/html") : mode === "navigate";
  const proves = values("dpop").length > 0 || /^dpop\b/i.test(authorization ?? "");
  return { isBrowser: method === "GET" && authorization === undefined && navigates, scheme: proves ? "DPoP" : "Bearer" };
}

/** A step-up: the ceremony for a navigation, the challenge of RFC 9470 for anything else. */
export function stepUp(demand: StepUp, asker: Asker): Refusal {
  const { ceremony } = demand;
  if (asker.isBrowser && ceremony !== undefined) return refuse(302, { location: ceremony }, demand);
  const age = demand.maxAge === undefined ? "" : `, max_age="${String(demand.maxAge)}"`;
  const what = 'error="insufficient_user_authentication", error_description="a different authentication level is required"';
  const page = ceremony === undefined ? {} : { "x-countersign-page": ceremony };
  return refuse(401, { "www-authenticate": `${asker.scheme} ${what}, acr_values="${demand.acr}"${age}`, ...page }, demand);
}

/** A denial, by who is at fault. */
export function deny(denial: Deny, asker: Asker): Refusal {
  const fault = denial.code === undefined ? "forbidden" : faultOf(denial.code);
  if (fault === "unauthenticated") return refuse(401, { "www-authenticate": challenge(denial, asker) }, denial);
  return refuse(fault === "unavailable" ? 503 : 403, {}, denial);
}

function challenge({ code }: Deny, { scheme }: Asker): string {
  if (code === "no_credentials") return scheme;
  const isProofs = code === "invalid_dpop_proof" || code === "use_dpop_nonce";
  return isProofs ? `DPoP error="${code}"` : `${scheme} error="invalid_token"`;
}

/** There is no answer. */
export const UNAVAILABLE: Refusal = { status: 503, headers: { "cache-control": "no-store" } };
/** Two readers could read two requests. */
export const AMBIGUOUS: Refusal = { status: 400, headers: { "cache-control": "no-store" } };
/** What an allow obliges to could not be done. */
export const UNDONE: Refusal = { status: 403, headers: { "cache-control": "no-store" } };

function refuse(status: Refusal["status"], headers: Record<string, string>, { decisionId, dpopNonce }: StepUp | Deny): Refusal {
  // The id of the decision, by which an operator finds it. A name beyond ASCII cannot be a header.
  const named = decisionId !== undefined && /^[ -~]+$/.test(decisionId) ? { "x-countersign-decision": decisionId } : {};
  const nonce = dpopNonce === undefined ? {} : { "dpop-nonce": dpopNonce };
  return { status, headers: { ...headers, ...named, ...nonce, "cache-control": "no-store" } };
}
