// Whether anything may be measured: the application asked for it, the person was asked where that is required, and the browser does not object.

/** The event by which a consent banner speaks to the script: `new CustomEvent("countersign:consent", { detail: true })`, on the document. */
export const CONSENT_EVENT = "countersign:consent";

/** What the browser says of its person's will. Both members are of older or newer drafts, so not in every browser. */
export interface Preferences {
  /** Global Privacy Control. */
  readonly globalPrivacyControl?: boolean | null;
  /** Do Not Track, which some browsers still send. */
  readonly doNotTrack?: string | null;
}

/** The browser says for its person that nothing be collected. It wins over every consent that a page tells of. */
export function objects(preferences: Preferences): boolean {
  return preferences.globalPrivacyControl === true || preferences.doNotTrack === "1" || preferences.doNotTrack === "yes";
}

/** The person's word, as the page told it. */
export class Consent {
  private given: boolean;
  private readonly told = new Set<(given: boolean) => void>();

  /** @param isRequired nothing is measured until {@link tell} says yes */
  constructor(
    isRequired: boolean,
    private readonly preferences: Preferences,
  ) {
    this.given = !isRequired;
  }

  /** Asked anew each time: a person may change their browser's setting while a page is open. */
  holds(): boolean {
    return this.given && !objects(this.preferences);
  }

  /** Gives or takes back. Only `true` itself is a yes. */
  tell(given: unknown): void {
    this.given = given === true;
    for (const listener of this.told) listener(this.holds());
  }

  /** Calls back whenever the person's word changes. */
  onChange(listener: (holds: boolean) => void): void {
    this.told.add(listener);
  }
}
