/** The Express example, with the package as it is packed: started by its command, driven over HTTP. */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { WebSocket } from "ws";

import { freePorts, passkey, Pdp } from "../real/pdp.js";

/** A copy of the example beside an installed package, that `sdk/node/test` made; and the example in its place. */
const folder = process.env["EXAMPLE"] ?? "";
const command = new URL("../../../examples/express/run", import.meta.url).pathname;

let ports: number[];
let example: Example;

class Example {
  readonly child: ChildProcess;
  said = "";

  constructor(program: string, parameters: string[], cwd: string, taken: number[]) {
    this.child = spawn(program, parameters, { cwd, env: { ...process.env, EXAMPLE_PORTS: taken.join(",") }, stdio: ["ignore", "pipe", "pipe"] });
    for (const output of [this.child.stdout, this.child.stderr]) output?.on("data", (text: Buffer) => (this.said += text.toString()));
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.said);
      if (found !== null) return found;
      if (this.child.exitCode !== null) throw new Error(`ended with ${String(this.child.exitCode)}:\n${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill("SIGTERM");
    await once(this.child, "exit");
  }
}

before(async () => {
  assert.notEqual(folder, "", "EXAMPLE does not say where the copy is; `sdk/node/test` makes it");
  ports = await freePorts(5);
  example = new Example(process.execPath, ["start.js"], folder, ports);
  await example.says(/^ready$/m);
});

after(() => example.stop());

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

async function open(port: number | undefined, path: string, headers: Record<string, string>, body?: object): Promise<http.IncomingMessage> {
  const request = http.request({ host: "127.0.0.1", port, path, headers, method: body === undefined ? "GET" : "POST", agent: false });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return response;
}

async function send(port: number | undefined, path: string, headers: Record<string, string>, body?: object): Promise<Answer> {
  const response = await open(port, path, headers, body);
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, text };
}

function token(who: string): string {
  const path = new RegExp(`\\$\\(cat (\\S+/${who}\\.token)\\)`).exec(example.said)?.[1] ?? "";
  return readFileSync(path, "utf8");
}

const get = (path: string, headers: Record<string, string> = {}) => send(ports[0], path, { host: `app.localhost:${String(ports[0])}`, ...headers });
const as = (who: string) => ({ authorization: `Bearer ${token(who)}` });

test("alice may, bob may not, and nobody is asked who they are", async () => {
  const allowed = await get("/payroll", as("alice"));
  assert.equal(allowed.status, 200, allowed.text);
  const said = JSON.parse(allowed.text) as { action: string; resource: string };
  assert.deepEqual([said.action, said.resource], ["GET", `app.localhost:${String(ports[0])}/payroll`]);
  assert.equal((await get("/payroll", as("bob"))).status, 403);
  const nobody = await get("/payroll");
  assert.deepEqual([nobody.status, nobody.headers["www-authenticate"]], [401, "Bearer"]);
  assert.equal((await get("/payroll//", as("alice"))).status, 400);
});

test("an obligation is carried out", async () => {
  assert.equal((await get("/notify", as("bob"))).status, 200);
  await example.says(/to security@app\.example: GET app\.localhost:\d+\/notify/);
});

test("a step-up leads a browser to the ceremony, and gives a program the challenge", async () => {
  const auth = `http://auth.localhost:${String(ports[1])}`;
  const page = (path: string, body: object) => send(ports[1], path, { host: new URL(auth).host, origin: auth, "content-type": "application/json" }, body);
  const [, code] = await example.says(/code (\S+)\)/);
  const begun = await page("/enroll/begin", { code });
  const { enrolment, publicKey } = JSON.parse(begun.text) as { enrolment: string; publicKey: Parameters<typeof passkey>[0] };
  assert.equal((await page("/enroll/finish", { enrolment, label: "key", credential: passkey(publicKey, auth) })).status, 204);
  const program = await get("/secret", as("alice"));
  assert.equal(program.status, 401);
  assert.match(program.headers["www-authenticate"] ?? "", /insufficient_user_authentication.*acr_values="phr"/);
  // A browser that logged in navigates there.
  const login = await send(ports[2], "/as/alice", {});
  const cookie = login.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const browser = { cookie, accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const navigation = await get("/secret", browser);
  assert.equal(navigation.status, 302, navigation.text);
  const ceremony = new URL(navigation.headers.location ?? "");
  assert.deepEqual([ceremony.host, ceremony.pathname], [`app.localhost:${String(ports[0])}`, "/.countersign/step-up"]);
  const opened = await get(ceremony.pathname + ceremony.search, browser);
  assert.equal(opened.status, 303, opened.text);
  assert.match(opened.headers.location ?? "", new RegExp(`^${auth}/step-up/`));
});

test("a stream and a socket end with their decision", async () => {
  const response = await open(ports[0], "/stream", as("alice"));
  assert.equal(response.statusCode, 200);
  const broken = new Promise<string>((resolve) => {
    response.on("error", () => { resolve("broken"); });
    response.on("end", () => { resolve("ended"); });
  });
  await once(response, "data");
  response.resume();
  const socket = new WebSocket(`ws://127.0.0.1:${String(ports[0])}/live`, { headers: as("alice") });
  const [said] = (await once(socket, "message")) as [Buffer];
  assert.equal(said.toString(), `app.localhost:${String(ports[0])}/live`);
  const closed = once(socket, "close");
  const [, line = ""] = await example.says(/that ends with:\s+(.+)/);
  const [program = "", ...parameters] = line.split(" ");
  await promisify(execFile)(program, parameters);
  assert.equal(await broken, "broken");
  assert.equal((await closed)[0] as number, 1006);
  assert.equal((await get("/payroll", as("alice"))).status, 401);
});

test("the command starts it where it stands", async () => {
  const own = new Example(command, [], "/", await freePorts(5));
  await own.says(/^ready$/m);
  await own.stop();
});

test("the example of the guide runs as it is written", async () => {
  const guide = readFileSync(new URL("../../../../../docs/node.md", import.meta.url), "utf8");
  const [, program = ""] = /```js\n(\/\/ ask\.mjs.*?)```/s.exec(guide) ?? [];
  writeFileSync(join(folder, "ask.mjs"), program);
  const pdp = await Pdp.start();
  const ask = async (token: string) => {
    const env = { ...process.env, COUNTERSIGN_URL: pdp.url, COUNTERSIGN_SECRET: pdp.pep.secret, TOKEN: token };
    return (await promisify(execFile)(process.execPath, ["ask.mjs"], { cwd: folder, env })).stdout;
  };
  assert.deepEqual([await ask(pdp.token("alice")), await ask(pdp.token("bob"))], ["allowed\n", "refused: policy_denied\n"]);
  await pdp.stop();
});
