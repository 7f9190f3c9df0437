/** Asks a Countersign decision point, keeps its leases, and enforces inside Node applications. Anything but a clean allow is no allow. */

export type { Credentials, Tls } from "./address.js";
export { Allow, type Answer, type Deny, type Lease, type Obligation, type StepUp } from "./answer.js";
export type { BreakerState } from "./breaker.js";
export { type AskOptions, Client, type ClientOptions, type LeaseOptions, type Status, UNLEASED_MS } from "./client.js";
export type { Clock } from "./clock.js";
export { DENIAL_CODES, type DenialCode, type Fault, faultOf } from "./codes.js";
export {
  type DecisionPoint, enforce, type EnforceOptions, enforceUpgrade, type Middleware, type ObligationHandler, Permitted, permittedOf,
  type UpgradeGuard,
} from "./enforce.js";
export { CountersignError, type ErrorKind } from "./error.js";
export type { Json, JsonObject } from "./json.js";
export type { Epoch } from "./positions.js";
export { type Action, type Asked, type Entity, Question, type QuestionOptions } from "./question.js";
export type { WatchState } from "./watch.js";
