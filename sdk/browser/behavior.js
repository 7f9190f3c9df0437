// For applications to include: tells the decision point how the pointer moves, as a few numbers an action. Points never leave this script.
// @ts-check

import { FEATURES, Segmenter } from "./pointer.js";

const PATH = "/.countersign/behavior";
/** Milliseconds between two batches, at least; a page that is left sends what it has. */
const EVERY = 30000;
/** Actions of a batch, and what is kept for it: the newest. */
const MOST = 50;

const segmenter = new Segmenter();
/** @type {import("./pointer.js").Action[]} */
let actions = [];
/** Of this page: the first batch waits like any other. */
let sentAt = performance.now();
let isOver = false;

/** @type {Record<string, import("./pointer.js").Kind>} */
const KINDS = { pointerdown: "press", pointerup: "release" };

/** @param {PointerEvent} event */
function take(event) {
  if (isOver || event.pointerType !== "mouse" || !event.isTrusted) return;
  const kind = KINDS[event.type] ?? (event.buttons === 0 ? "move" : "drag");
  keep(segmenter.push(Math.floor(event.timeStamp), event.screenX, event.screenY, kind));
}

/** @param {import("./pointer.js").Action | undefined} action */
function keep(action) {
  if (action === undefined) return;
  actions.push(action);
  if (actions.length > MOST) actions.shift();
}

/** Sends a batch when one is due. */
function tick() {
  if (performance.now() - sentAt >= EVERY) void send();
}

async function send() {
  if (isOver || actions.length === 0) return;
  const batch = { features: FEATURES, actions };
  actions = [];
  sentAt = performance.now();
  try {
    const answer = await fetch(PATH, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch),
      mode: "same-origin",
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      // The page may be gone before the answer is there.
      keepalive: true,
    });
    // Nobody is signed in, or nothing is asked for here: the next page tries again. Too many, or not now: the next batch does.
    isOver = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
  } catch {
    // Nothing is sent twice: what is lost raises no risk and lowers none.
  }
}

for (const type of /** @type {const} */ (["pointermove", "pointerdown", "pointerup"])) {
  window.addEventListener(type, take, { capture: true, passive: true });
}
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    keep(segmenter.finish());
    void send();
  }
});
setInterval(tick, 1000);
