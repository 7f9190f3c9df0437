// What a repeated allow costs, beside a plain look into a map with the same key: `npm run bench`.

import http from "node:http";

import { Client, Question } from "../dist/index.js";

const ROUNDS = 20_000;
const tag = "0".repeat(32);
const asked = {
  subject: { type: "token", id: "presented" },
  action: { name: "GET" },
  resource: { type: "route", id: "payroll.example/payroll" },
  context: {
    http: {
      method: "GET", scheme: "https", host: "payroll.example", target: "/payroll", client_address: "203.0.113.9",
      headers: [["authorization", `Bearer ${"t".repeat(700)}`], ["user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"]],
    },
  },
};

// A decision point that allows everything, with a lease of ten minutes.
const server = http.createServer((request, response) => {
  if (request.method === "GET") {
    const hello = { type: "hello", heartbeat_ms: 60_000, floor_ms: 2_000, revision: "r" };
    response.writeHead(200, { "content-type": "text/event-stream" }).write(`id: 1-0\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`);
    return;
  }
  const lease = { ttl_ms: 600_000, epoch: "1-0", revision: "r", risk_below: 30, depends_on: [tag] };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ decision: true, context: { lease } }));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const client = new Client({ addresses: `http://127.0.0.1:${server.address().port}`, pep: { id: "app", secret: "secret" }, leases: { ttlMs: 600_000 } });
const prepared = new Question(asked);
await client.evaluate(prepared);
while (!client.status().isWatched) await new Promise((resolve) => setTimeout(resolve, 5));
const allow = await client.evaluate(prepared, { fresh: true });
const map = new Map([[prepared.key, allow]]);

/** The best of some runs, in nanoseconds a round: what is slower was disturbed. */
async function time(work) {
  let best = Infinity;
  for (let run = 0; run < 8; run += 1) {
    const begun = process.hrtime.bigint();
    await work();
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / ROUNDS);
  }
  return best;
}

async function hits(question) {
  for (let round = 0; round < ROUNDS; round += 1) if ((await client.evaluate(question)) !== allow) throw new Error("not the allow that is kept");
}

const plain = await time(async () => {
  for (let round = 0; round < ROUNDS; round += 1) if ((await Promise.resolve(map.get(prepared.key))) !== allow) throw new Error("not the allow that is kept");
});
for (const [what, question] of [["a prepared question", prepared], ["a question made anew", asked]]) {
  const hit = await time(() => hits(question));
  console.log(`${what}: ${hit.toFixed(0)} ns, ${(hit / plain).toFixed(1)} times a map that is awaited (${plain.toFixed(0)} ns)`);
}
client.close();
server.close();
server.closeAllConnections();
