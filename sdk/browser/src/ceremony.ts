// Brings a person from an application's script to the step-up ceremony. It retries nothing and goes nowhere by itself.

/** Where the decision point says that the page may go, beside a 401. */
const PAGE = "x-countersign-page";
/** On the page's own origin only, where the ceremony is tied to this browser. */
const CEREMONY = "/.countersign/step-up";

/** A request was refused, and a passkey would help. */
export class StepUp {
  /** @param page on this origin; the decision point brings the person back to the page that they were on */
  constructor(readonly page: URL) {}

  /** Leaves this page for the ceremony. */
  go(): void {
    location.assign(this.page.href);
  }
}

/**
 * What a response asks for: `undefined` where it asks for no ceremony of this origin. An address anywhere else is not followed, whoever wrote it.
 * @param base where the page is
 */
export function stepUpOf(response: Pick<Response, "status" | "headers">, base: string = location.href): StepUp | undefined {
  const said = response.status === 401 ? response.headers.get(PAGE) : null;
  if (said === null) return undefined;
  try {
    const [page, here] = [new URL(said, base), new URL(base)];
    return page.origin === here.origin && page.pathname === CEREMONY ? new StepUp(page) : undefined;
  } catch {
    return undefined;
  }
}

/** What `fetch` of this module takes beside what the browser's takes. */
export interface Asked extends RequestInit {
  /** "go": leave the page for the ceremony when it is asked for. A function decides by itself, and may call `go` later. Unless told, nothing happens. */
  readonly stepUp?: "go" | ((stepUp: StepUp) => void);
}

/** The browser's `fetch`, and when it is answered that a passkey is needed, what `stepUp` says. The response is given back either way. */
export async function fetchAsked(input: RequestInfo | URL, asked: Asked = {}): Promise<Response> {
  const { stepUp, ...init } = asked;
  const response = await fetch(input, init);
  const needed = stepUp === undefined ? undefined : stepUpOf(response);
  if (needed !== undefined) {
    if (stepUp === "go") needed.go();
    else stepUp?.(needed);
  }
  return response;
}
