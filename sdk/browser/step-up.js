// The step-up page: asks for the passkey, sends the proof, and goes back to where the person came from.
// @ts-check

import { prove, supported } from "./passkey.js";
import { oneAtATime, part, post, Refusal, tell, tellTrouble } from "./page.js";

const { ceremony = "", expiresIn = "0" } = part("step-up").dataset;
const path = `/step-up/${encodeURIComponent(ceremony)}`;
const expiry = new AbortController();

async function attempt() {
  if (!supported()) throw new Refusal("unsupported");
  tell("working");
  const { publicKey } = await post(`${path}/challenge`, {});
  const credential = await prove(publicKey, expiry.signal);
  tell("checking");
  const { location } = await post(`${path}/proof`, credential);
  leave(location);
}

/**
 * Only to a web address: the server names it, and an address of another kind would run as code.
 * @param {string} location
 */
function leave(location) {
  const target = new URL(location);
  if (!["https:", "http:"].includes(target.protocol)) throw new Refusal("unavailable");
  window.location.replace(target.href);
}

const start = oneAtATime(async () => {
  try {
    await attempt();
  } catch (error) {
    throw expiry.signal.aborted ? new Refusal("expired") : error;
  }
});

function expire() {
  expiry.abort();
  tellTrouble(new Refusal("expired"));
}

part("start").addEventListener("click", start);
// A page that comes back from the browser's memory shows a ceremony that is over.
window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
setTimeout(expire, Number(expiresIn) * 1000);
if (document.hasFocus()) start();
