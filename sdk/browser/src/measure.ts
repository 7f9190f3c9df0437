// Begins to measure on a page that asked for it, at most once.

import { AT_LEAST, Collector, EVERY } from "./collect.ts";
import { Consent, CONSENT_EVENT } from "./consent.ts";

/** What may be measured. */
export type Subject = "pointer" | "device";

/** How a page wants it. */
export interface Wanted {
  /** What is measured. */
  readonly what: readonly Subject[];
  /** "required": nothing before {@link Measuring.consent} says yes. */
  readonly consent: "given" | "required";
  /** Seconds between two batches, 30 unless told, 5 at least. */
  readonly every?: number | undefined;
}

/** How the device is told and forgotten; a page that does not measure it does not carry it either. */
export interface Device {
  tell(consent: Consent): Promise<void>;
  forget(): void;
}

/** A page that measures. */
export interface Measuring {
  /** The person's word: only `true` is a yes. It may be taken back at any time; what was not sent is dropped then. */
  readonly consent: (given: boolean) => void;
  /** Whether something may be measured now. */
  readonly isMeasuring: () => boolean;
  /** Sends what there is, before its time. */
  readonly flush: () => Promise<void>;
}

let begun: Measuring | undefined;

/** Begins, on the first call. */
export function measure({ what, consent, every }: Wanted, device?: Device): Measuring {
  begun ??= begin({ what, consent, every }, device);
  return begun;
}

function begin({ what, consent: asked, every }: Wanted, device?: Device): Measuring {
  const consent = new Consent(asked === "required", navigator);
  const collector = new Collector(consent, Math.max(AT_LEAST, every === undefined || Number.isNaN(every) ? EVERY : every));
  if (what.includes("pointer")) collector.start();
  if (what.includes("device") && device) {
    void device.tell(consent);
    consent.onChange((holds) => {
      if (holds) void device.tell(consent);
      else device.forget();
    });
  }
  document.addEventListener(CONSENT_EVENT, (event) => { consent.tell((event as CustomEvent<unknown>).detail); });
  return {
    consent: (given) => { consent.tell(given); },
    isMeasuring: () => consent.holds(),
    flush: () => collector.flush(),
  };
}

/** What the script tag of a page says. */
export function wantedBy(tag: DOMStringMap, all: readonly Subject[]): Wanted {
  const named = tag["measure"]?.split(/\s+/);
  return {
    what: named ? all.filter((one) => named.includes(one)) : all,
    // Any other word is no consent: a misspelled one must not measure.
    consent: tag["consent"] === undefined || tag["consent"] === "given" ? "given" : "required",
    every: tag["every"] === undefined ? undefined : Number(tag["every"]),
  };
}

/** The tag that loaded a module; an application's bundle, or an `import`, has none. */
export function tagOf(url: string): HTMLScriptElement | undefined {
  return [...document.querySelectorAll("script")].find((script) => script.src === url);
}
