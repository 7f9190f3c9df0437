// What the pages share: messages in the page's language, the live region, the button, and requests to the own origin.

import type { Json } from "./passkey.ts";

const ANSWER_WITHIN = 15000;

/** A refusal by the server, or an answer that did not come. */
export class Refusal extends Error {
  /** @param code of a message of the page */
  constructor(
    readonly code: string,
    readonly attemptsLeft?: number,
  ) {
    super(code);
  }
}

/** An element that the page must have. */
export function part(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/** A message of the page, by its code; the one for "unavailable" when there is none. */
function message(code: string): HTMLElement {
  const all = [...(part("messages") as HTMLTemplateElement).content.querySelectorAll("p")];
  const found = (wanted: string): HTMLElement | undefined => all.find((one) => one.dataset["code"] === wanted);
  return found(code) ?? found("unavailable") ?? document.createElement("p");
}

/** Tells the person how it goes, aloud too. */
export function tell(code: string): void {
  show(message(code).textContent, "");
}

function show(text: string, tone: "" | "bad"): void {
  const status = part("status");
  status.textContent = text;
  status.dataset["tone"] = tone;
}

/** Tells what went wrong. The button stays when to try again can help. */
export function tellTrouble(error: unknown): void {
  const { code, attemptsLeft } = refusal(error);
  const found = message(code);
  const left = attemptsLeft === undefined ? "" : ` ${message("attempts_left").textContent} ${attemptsLeft}`;
  show(`${found.textContent}${left}`, "bad");
  const over = "final" in found.dataset || attemptsLeft === 0;
  // Where a code is typed, another code may be.
  if (over && !document.getElementById("code")) part("start").hidden = true;
}

function refusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "AbortError") return new Refusal("cancelled");
  if (name === "InvalidStateError") return new Refusal("known");
  if (name === "SecurityError" || name === "NotSupportedError") return new Refusal("unsupported");
  return new Refusal("unavailable");
}

/** Runs one attempt at a time. The button keeps its focus meanwhile, so that a keyboard does not lose its place. */
export function oneAtATime(attempt: () => Promise<void>): () => void {
  let running = false;
  const start = part("start");
  const run = async (): Promise<void> => {
    running = true;
    start.setAttribute("aria-disabled", "true");
    try {
      await attempt();
    } catch (error) {
      tellTrouble(error);
    } finally {
      running = false;
      start.removeAttribute("aria-disabled");
    }
  };
  return () => {
    if (!running && !start.hidden) void run();
  };
}

/**
 * Posts JSON to the own origin.
 * @returns the answer, empty for 204
 */
export async function post(path: string, body: unknown): Promise<Json> {
  const answer = await send(path, body);
  const json = (await answer.json().catch(() => ({}))) as Json;
  if (answer.ok) return json;
  const { trouble, attempts_left: left } = json;
  if (typeof trouble === "string") throw new Refusal(trouble, typeof left === "number" ? left : undefined);
  throw new Refusal(answer.status === 429 ? "too_many" : "unavailable");
}

async function send(path: string, body: unknown): Promise<Response> {
  try {
    return await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      mode: "same-origin",
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
  } catch {
    throw new Refusal("offline");
  }
}
