/** The one error of this package: opaque, with a kind. None of them ever means allow. */

/**
 * What went wrong, by who can mend it.
 *
 * - `configuration`: the client, the layer or the question was made of something that cannot work.
 * - `deadline`: no answer within the deadline, or the caller gave up.
 * - `unreachable`: no connection, or it broke, or every address failed lately and is left alone for a moment.
 * - `refused`: the decision point does not accept this caller or this question (a 4xx status).
 * - `unavailable`: the decision point said that it cannot answer (a 5xx status).
 * - `malformed`: the answer is not one: too large, not strict JSON, of the wrong shape, less fresh than was asked.
 */
export type ErrorKind = "configuration" | "deadline" | "unreachable" | "refused" | "unavailable" | "malformed";

/** Why there is no answer. */
export class CountersignError extends Error {
  override readonly name = "CountersignError";
  /** What went wrong. */
  readonly kind: ErrorKind;

  /** The message must hold no secret. */
  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
