// For applications that bundle their scripts: the same parts, and nothing happens by itself.

import { forgetDevice, tellDevice } from "./device.ts";
import { measure as begin, type Measuring, type Wanted } from "./measure.ts";

export { fetchAsked as fetch, StepUp, stepUpOf, type Asked } from "./ceremony.ts";
export { CONSENT_EVENT } from "./consent.ts";
export { FEATURES, Segmenter, type Action, type Kind } from "./pointer.ts";
export { create, prove, supported } from "./passkey.ts";
export type { Measuring, Subject, Wanted } from "./measure.ts";

/** Begins to measure on this page; a second call changes nothing. */
export function measure(wanted: Wanted): Measuring {
  return begin(wanted, { tell: tellDevice, forget: forgetDevice });
}
