// The step-up page: asks for the passkey, sends the proof, and goes back to where the person came from.

import { oneAtATime, part, post, Refusal, tell, tellTrouble } from "./page.ts";
import { type Json, prove, supported } from "./passkey.ts";

const { ceremony = "", expiresIn = "0" } = part("step-up").dataset;
const path = `/step-up/${encodeURIComponent(ceremony)}`;
const expiry = new AbortController();

async function attempt(): Promise<void> {
  if (!supported()) throw new Refusal("unsupported");
  tell("working");
  const { publicKey } = await post(`${path}/challenge`, {});
  const credential = await prove(publicKey as Json, expiry.signal);
  tell("checking");
  const { location } = await post(`${path}/proof`, credential);
  leave(String(location));
}

/** Only to a web address: the server names it, and an address of another kind would run as code. */
function leave(location: string): void {
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

function expire(): void {
  expiry.abort();
  tellTrouble(new Refusal("expired"));
}

part("start").addEventListener("click", start);
// A page that comes back from the browser's memory shows a ceremony that is over.
window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
setTimeout(expire, Number(expiresIn) * 1000);
if (document.hasFocus()) start();
