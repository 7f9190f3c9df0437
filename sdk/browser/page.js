// What the pages share: messages in the page's language, the live region, the button, and requests to the own origin.
// @ts-check

const ANSWER_WITHIN = 15000;

/** A refusal by the server, or an answer that did not come. */
export class Refusal extends Error {
  /**
   * @param {string} code of a message of the page
   * @param {number} [attemptsLeft]
   */
  constructor(code, attemptsLeft) {
    super(code);
    this.code = code;
    this.attemptsLeft = attemptsLeft;
  }
}

/**
 * An element that the page must have.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * A message of the page, by its code; the one for "unavailable" when there is none.
 * @param {string} code
 * @returns {HTMLElement}
 */
function message(code) {
  const template = /** @type {HTMLTemplateElement} */ (part("messages"));
  /** @type {HTMLElement[]} */
  const all = [...template.content.querySelectorAll("p")];
  const found = (/** @type {string} */ wanted) => all.find((one) => one.dataset.code === wanted);
  return found(code) ?? found("unavailable") ?? document.createElement("p");
}

/**
 * Tells the person how it goes, aloud too.
 * @param {string} code
 */
export function tell(code) {
  show(message(code).textContent ?? "", "");
}

/**
 * @param {string} text
 * @param {"" | "bad"} tone
 */
function show(text, tone) {
  const status = part("status");
  status.textContent = text;
  status.dataset.tone = tone;
}

/**
 * Tells what went wrong. The button stays when to try again can help.
 * @param {unknown} error
 */
export function tellTrouble(error) {
  const { code, attemptsLeft } = refusal(error);
  const found = message(code);
  const left = attemptsLeft === undefined ? "" : ` ${message("attempts_left").textContent} ${attemptsLeft}`;
  show(`${found.textContent}${left}`, "bad");
  const over = "final" in found.dataset || attemptsLeft === 0;
  // Where a code is typed, another code may be.
  if (over && !document.getElementById("code")) part("start").hidden = true;
}

/**
 * @param {unknown} error
 * @returns {Refusal}
 */
function refusal(error) {
  if (error instanceof Refusal) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "AbortError") return new Refusal("cancelled");
  if (name === "InvalidStateError") return new Refusal("known");
  if (name === "SecurityError" || name === "NotSupportedError") return new Refusal("unsupported");
  return new Refusal("unavailable");
}

/**
 * Runs one attempt at a time. The button keeps its focus meanwhile, so that a keyboard does not lose its place.
 * @param {() => Promise<void>} attempt
 * @returns {() => Promise<void>}
 */
export function oneAtATime(attempt) {
  let running = false;
  const start = part("start");
  return async () => {
    if (running || start.hidden) return;
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
}

/**
 * Posts JSON to the own origin.
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<Record<string, any>>} the answer, empty for 204
 */
export async function post(path, body) {
  const answer = await send(path, body);
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  if (typeof json.trouble === "string") throw new Refusal(json.trouble, json.attempts_left);
  throw new Refusal(answer.status === 429 ? "too_many" : "unavailable");
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<Response>}
 */
async function send(path, body) {
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
