// The enrolment page: creates a passkey for the holder of a one-time code or of a ticket.
// @ts-check

import { create, supported } from "./passkey.js";
import { oneAtATime, part, post, Refusal, tell } from "./page.js";

const form = /** @type {HTMLFormElement} */ (part("enroll"));

/**
 * What the server answered to the code: kept when the prompt is closed, because a code begins only once.
 * @type {{ by: string, enrolment: string, publicKey: Record<string, any> } | undefined}
 */
let begun;

async function attempt() {
  if (!supported()) throw new Refusal("unsupported");
  tell("working");
  const { enrolment, publicKey } = await begin();
  const credential = await create(publicKey);
  tell("checking");
  // A proof of possession is spent with its first use, accepted or not.
  begun = undefined;
  await post("/enroll/finish", { enrolment, label: field("label"), credential });
  finished();
}

async function begin() {
  const { ticket } = form.dataset;
  const body = ticket === undefined ? { code: field("code") } : { ticket };
  const by = JSON.stringify(body);
  if (begun?.by !== by) {
    const { enrolment, publicKey } = await post("/enroll/begin", body);
    begun = { by, enrolment, publicKey };
  }
  return begun;
}

/**
 * @param {string} id
 * @returns {string}
 */
function field(id) {
  return /** @type {HTMLInputElement} */ (part(id)).value.trim();
}

function finished() {
  form.hidden = true;
  const done = part("done");
  done.hidden = false;
  done.focus();
}

const start = oneAtATime(attempt);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
