// An Express application behind a decision point: a page, an obligation, a step-up, a stream and a WebSocket that end with their decision.
//
//   sdk/node/examples/express/run
//
// starts it with a decision point of its own. To start it alone:
//
//   COUNTERSIGN_SECRET=… node app.js http://127.0.0.1:8180 http://app.localhost:8080 [where /.countersign/ goes]
// @ts-check

import http from "node:http";

import { Client, enforce, enforceUpgrade, permittedOf } from "@countersign/node";
import express from "express";
import { WebSocketServer } from "ws";

const [address = "http://127.0.0.1:8180", origin = "http://app.localhost:8080", ceremonies] = process.argv.slice(2);
const client = new Client({
  addresses: address,
  pep: { id: "express-app", secret: process.env.COUNTERSIGN_SECRET ?? "" },
});

/** How both layers enforce. @type {import("@countersign/node").EnforceOptions} */
const options = {
  // From the connection, never from a header that a client can send.
  clientAddress: (request) => request.socket.remoteAddress,
  obligations: {
    notification: ({ properties }, { action, resource }) => {
      console.log(`to ${String(properties.to)}: ${action.name} ${resource.id}`);
    },
  },
};

const app = express();
app.disable("x-powered-by");
// The pages of the ceremony are the decision point's, before the layer.
if (ceremonies !== undefined) app.use("/.countersign", handOn(ceremonies));
app.use(enforce(client, origin, options));

app.get("/payroll", (request, response) => {
  const { action, resource, decisionId } = permittedOf(request);
  response.json({ action: action.name, resource: resource.id, decision: decisionId });
});
app.get(["/notify", "/secret"], (request, response) => {
  response.send(`${permittedOf(request).resource.id}\n`);
});
// It goes on for as long as it may: the layer breaks it off.
app.get("/stream", (request, response) => {
  permittedOf(request);
  response.writeHead(200, { "content-type": "text/event-stream" });
  const tick = () => response.write(`data: ${new Date().toISOString()}\n\n`);
  tick();
  const timer = setInterval(tick, 1_000);
  response.on("close", () => clearInterval(timer));
});

const server = http.createServer(app);
const guard = enforceUpgrade(client, origin, options);
const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", async (request, socket, head) => {
  const permitted = await guard(request, socket);
  if (permitted === undefined) return;
  sockets.handleUpgrade(request, socket, head, (open) => {
    open.send(permitted.resource.id);
    open.on("message", (data) => open.send(String(data)));
  });
});

const port = Number(new URL(origin).port || 80);
server.listen(port, "127.0.0.1", () => console.log(`listening on ${origin}`));
process.on("SIGTERM", () => {
  client.close();
  server.close();
  server.closeAllConnections();
});

/** Hands requests on, as a proxy does. @param {string} to @returns {express.RequestHandler} */
function handOn(to) {
  return (request, response) => {
    const headers = {
      ...request.headers,
      "x-forwarded-for": request.socket.remoteAddress,
      "x-countersign-pep": `express-app:${process.env.COUNTERSIGN_SECRET ?? ""}`,
    };
    const passed = http.request(to + request.originalUrl, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.writableEnded || response.status(502).end());
    request.pipe(passed);
  };
}
