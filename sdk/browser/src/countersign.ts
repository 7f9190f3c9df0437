// For applications to include with one line. Its tag says what is measured; without a tag (an `import`) nothing is.

import { fetch, measure, type Measuring, stepUpOf } from "./index.ts";
import { tagOf, wantedBy } from "./measure.ts";

export * from "./index.ts";

/** What the script gives to the other scripts of the page, as `window.countersign`. */
export interface Countersign extends Measuring {
  readonly fetch: typeof fetch;
  readonly stepUpOf: typeof stepUpOf;
}

declare global {
  interface Window {
    readonly countersign?: Countersign;
  }
}

const tag = tagOf(import.meta.url);
if (tag) {
  const measuring = measure(wantedBy(tag.dataset, ["pointer", "device"]));
  const countersign: Countersign = { fetch, stepUpOf, ...measuring };
  Object.defineProperty(window, "countersign", { value: Object.freeze(countersign) });
}
