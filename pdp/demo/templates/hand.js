// Draws how the risk of a session follows the hand at the pointer. The measuring is the product's own script; this one only asks and draws.
// @ts-check

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 200, 34, 18];
const SECONDS = 120;
/** @type {{at: number, score: number}[]} */
const samples = [];
let known = false;

/** @param {string} id */
function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function drawn(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {number} score */
const height = (score) => 8 + (HEIGHT - BOTTOM - 8) * (1 - score / 100);

/** @param {number} asksFrom */
function draw(asksFrom) {
  const now = performance.now();
  const along = (/** @type {number} */ at) => LEFT + (WIDTH - LEFT - 8) * (1 - (now - at) / (SECONDS * 1000));
  const seen = samples.filter(({ at }) => now - at <= SECONDS * 1000);
  const line = seen.map(({ at, score }) => `${along(at).toFixed(1)},${height(score).toFixed(1)}`);
  const first = seen[0];
  const last = seen[seen.length - 1];
  const grid = [0, 50, 100].flatMap((score) => [
    drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - 8, y1: height(score), y2: height(score) }),
    drawn("text", { x: LEFT - 6, y: height(score) + 4, "text-anchor": "end" }, String(score)),
  ]);
  const limit = [
    drawn("rect", { class: "asks", x: LEFT, y: height(100), width: WIDTH - 8 - LEFT, height: height(asksFrom) - height(100) }),
    drawn("line", { class: "limit", x1: LEFT, x2: WIDTH - 8, y1: height(asksFrom), y2: height(asksFrom) }),
    drawn("text", { class: "limit", x: LEFT - 6, y: height(asksFrom) + 4, "text-anchor": "end" }, String(asksFrom)),
  ];
  const curve = first && last
    ? [
        drawn("polygon", { class: "area", points: [`${along(first.at).toFixed(1)},${height(0)}`, ...line, `${along(last.at).toFixed(1)},${height(0)}`].join(" ") }),
        drawn("polyline", { class: "curve", points: line.join(" ") }),
        drawn("circle", { class: "now", cx: along(last.at).toFixed(1), cy: height(last.score).toFixed(1), r: 4 }),
      ]
    : [];
  const times = [120, 60, 0].map((ago) =>
    drawn("text", { x: along(now - ago * 1000), y: HEIGHT - 3, "text-anchor": ago === 0 ? "end" : ago === 120 ? "start" : "middle" }, ago === 0 ? "now" : `${ago} s ago`));
  part("chart").replaceChildren(...limit, ...grid, ...curve, ...times);
}

/** @param {{score: number, points: number, says: string | null, movements: number, known: boolean, asks_from: number}} hand */
function show(hand) {
  known = hand.known;
  samples.push({ at: performance.now(), score: hand.score });
  if (samples.length > 4 * SECONDS) samples.shift();
  const score = part("score");
  score.textContent = String(hand.score);
  score.className = hand.score >= 60 ? "big bad" : hand.score >= hand.asks_from ? "big warn" : "big good";
  const says = hand.says === null ? "Nothing is told yet." : `${hand.says[0]?.toUpperCase() ?? ""}${hand.says.slice(1)}${hand.points > 0 ? ` (+${hand.points})` : ""}.`;
  if (part("says").textContent !== says) part("says").textContent = says;
  const enough = Number(part("hand").dataset.enough);
  /** @type {HTMLProgressElement} */ (part("progress")).value = hand.known ? enough : Math.min(enough, hand.movements);
  part("count").textContent = `${hand.movements} movements${hand.known ? " since it was learned" : ` of ${enough}`}`;
  const learn = /** @type {HTMLButtonElement} */ (part("learn"));
  learn.disabled = hand.movements < enough;
  learn.textContent = hand.known ? "This was alice's hand, too" : "This was alice's hand";
  if (hand.known) part("task").textContent = "Alice's hand is known. Go on as before, then let somebody else try, or move like a machine: straight, and always at the same pace.";
  draw(hand.asks_from);
}

async function look() {
  const answer = await fetch("/hand/now", { cache: "no-store" });
  if (answer.ok) show(await answer.json());
}

/** The dot goes to a new place, never on its old one. */
function jump() {
  const [field, dot] = [part("field"), part("dot")];
  const place = () => [Math.random() * (field.clientWidth - 44), Math.random() * (field.clientHeight - 44)];
  const [x = 0, y = 0] = place();
  dot.style.left = `${x}px`;
  dot.style.top = `${y}px`;
}

if (document.getElementById("hand")) {
  part("dot").addEventListener("click", jump);
  part("learn").addEventListener("click", async () => {
    await window.countersign?.flush();
    await fetch("/hand/learn", { method: "POST" });
    await look();
  });
  jump();
  const again = () => { look().catch(() => undefined).finally(() => setTimeout(again, known ? 500 : 1000)); };
  again();
}
