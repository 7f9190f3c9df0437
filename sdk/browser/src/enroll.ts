// The enrolment page: creates a passkey for the holder of a one-time code or of a ticket.

import { oneAtATime, part, post, Refusal, tell } from "./page.ts";
import { create, type Json, supported } from "./passkey.ts";

const form = part("enroll");

/** What the server answered to the code: kept when the prompt is closed, because a code begins only once. */
interface Begun {
  readonly by: string;
  readonly enrolment: unknown;
  readonly publicKey: Json;
}
let begun: Begun | undefined;

async function attempt(): Promise<void> {
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

async function begin(): Promise<Begun> {
  const { ticket } = form.dataset;
  const body = ticket === undefined ? { code: field("code") } : { ticket };
  const by = JSON.stringify(body);
  if (begun?.by !== by) {
    const { enrolment, publicKey } = await post("/enroll/begin", body);
    begun = { by, enrolment, publicKey: publicKey as Json };
  }
  return begun;
}

function field(id: string): string {
  return (part(id) as HTMLInputElement).value.trim();
}

function finished(): void {
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
