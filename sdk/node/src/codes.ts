/** The codes of denials, and who is at fault for each. */

/** Who is at fault for a denial. */
export type Fault = "malformed" | "unauthenticated" | "forbidden" | "policy" | "unavailable";

const FAULTS = {
  malformed_request: "malformed",
  ambiguous_header: "malformed",
  ambiguous_path: "malformed",
  reserved_name: "malformed",
  not_assertable: "malformed",
  unknown_host: "malformed",
  no_credentials: "unauthenticated",
  conflicting_credentials: "unauthenticated",
  invalid_token: "unauthenticated",
  invalid_dpop_proof: "unauthenticated",
  use_dpop_nonce: "unauthenticated",
  expired_token: "unauthenticated",
  unknown_key: "unauthenticated",
  revoked: "unauthenticated",
  locked: "forbidden",
  policy_denied: "forbidden",
  not_enrolled: "forbidden",
  step_up_exhausted: "forbidden",
  obligation_unsupported: "forbidden",
  policy_undefined: "policy",
  policy_shape: "policy",
  policy_conflict: "policy",
  policy_error: "policy",
  policy_budget: "policy",
  policy_panic: "policy",
  no_policy: "unavailable",
  facts_unavailable: "unavailable",
  audit_unavailable: "unavailable",
  step_up_unavailable: "unavailable",
  overloaded: "unavailable",
  deadline: "unavailable",
  internal: "unavailable",
} as const satisfies Record<string, Fault>;

/** Why a request was denied: a stable code. */
export type DenialCode = keyof typeof FAULTS;

/** Every code that this version knows. */
export const DENIAL_CODES = Object.keys(FAULTS) as readonly DenialCode[];

/** Whether a text is a code that this version knows. */
export function isDenialCode(text: string): text is DenialCode {
  return Object.hasOwn(FAULTS, text);
}

/** Who is at fault. */
export function faultOf(code: DenialCode): Fault {
  return FAULTS[code];
}
