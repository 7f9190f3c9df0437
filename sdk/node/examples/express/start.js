// Starts the example: a decision point with a policy and an issuer of its own, the application, and a stand-in for logging in.
// @ts-check

import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PORTS = ["8080", "8081", "8082", "8180", "8183"];
const here = fileURLToPath(new URL(".", import.meta.url));
const binary = process.env.COUNTERSIGN_BIN;
if (binary === undefined) throw new Error("COUNTERSIGN_BIN does not say where the binary `countersign` is; `run` builds it");
// Other ports, in the order of those above, comma-separated: for tests.
const [app = "", auth = "", login = "", decision = "", operations = ""] = process.env.EXAMPLE_PORTS?.split(",") ?? PORTS;
const origin = `http://app.localhost:${app}`;

const folder = mkdtempSync(join(tmpdir(), "countersign-express-"));
const secret = randomBytes(24).toString("hex");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ports = [app, auth, login, decision, operations];
const configuration = readFileSync(join(here, "countersign.toml"), "utf8").replace(/:(80[0-9]{2}|818[0-9])"/g, (_, port) => `:${ports[PORTS.indexOf(port)]}"`);
cpSync(join(here, "policy"), join(folder, "policy"), { recursive: true });
write("countersign.toml", configuration);
write("secret", secret);
write("jwks.json", JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "example", alg: "ES256", use: "sig" }] }));
write("users.json", JSON.stringify({ alice: { role: "admin" }, bob: { role: "user" } }));

const pdp = child("countersign", binary, ["serve", "--config", join(folder, "countersign.toml")]);
await listening(Number(decision));
await listening(Number(auth));
child("app", process.execPath, [join(here, "app.js"), `http://127.0.0.1:${decision}`, origin, `http://127.0.0.1:${auth}`]);
await listening(Number(app));

// What an identity provider does: `/as/alice` on the application's host gives the browser a token. Cookies do not know ports.
http.createServer((request, response) => {
  const who = /^\/as\/([a-z]+)$/.exec(request.url ?? "")?.[1];
  if (who === undefined) return response.writeHead(404).end();
  const cookie = `access_token=${token(who)}; HttpOnly; SameSite=Lax; Path=/`;
  return response.writeHead(302, { "set-cookie": cookie, location: `${origin}/payroll` }).end();
}).listen(Number(login), "127.0.0.1");

const socket = join(folder, "data", "control.sock");
const issuer = "--iss https://issuer.example";
const enrol = JSON.parse(execFileSync(binary, ["enroll-code", ...issuer.split(" "), "--sub", "alice", "--socket", socket, "--json"]).toString());
for (const who of ["alice", "bob"]) write(`${who}.token`, token(who));
console.log(`
alice may:            curl -H "authorization: Bearer $(cat ${join(folder, "alice.token")})" ${origin}/payroll
bob may not:          curl -i -H "authorization: Bearer $(cat ${join(folder, "bob.token")})" ${origin}/payroll
an obligation:        curl -H "authorization: Bearer $(cat ${join(folder, "bob.token")})" ${origin}/notify
a stream:             curl -N -H "authorization: Bearer $(cat ${join(folder, "alice.token")})" ${origin}/stream
… that ends with:     ${binary} revoke subject ${issuer} --sub alice --reason test --socket ${socket}
a step-up:            open http://auth.localhost:${auth}/enroll (code ${enrol.code}),
                      then http://app.localhost:${login}/as/alice, then ${origin}/secret
ready`);

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(0));

/** @param {string} name @param {string} text */
function write(name, text) {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
}

/** A program that lives as long as this one. @param {string} name @param {string} program @param {string[]} parameters */
function child(name, program, parameters) {
  const started = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, COUNTERSIGN_SECRET: secret } });
  let ends = false;
  process.on("exit", () => {
    ends = true;
    started.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });
  const say = (/** @type {Buffer} */ text) => name === "app" || process.env.VERBOSE ? void process.stdout.write(`${name}: ${text.toString()}`) : undefined;
  started.stdout.on("data", say);
  started.stderr.on("data", say);
  started.on("exit", (code) => {
    if (!ends) {
      console.error(`${name} ended with ${String(code)}`);
      process.exit(1);
    }
  });
  return started;
}

/** @param {number} port */
async function listening(port) {
  for (let polls = 0; polls < 1_500 && pdp.exitCode === null; polls += 1) {
    const connection = net.connect(port, "127.0.0.1");
    const isOpen = await new Promise((resolve) => {
      connection.once("connect", () => resolve(true));
      connection.once("error", () => resolve(false));
    });
    connection.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nobody listens on port ${String(port)}`);
}

/** An access token (RFC 9068). @param {string} sub */
function token(sub) {
  const now = Math.floor(Date.now() / 1_000);
  const header = { alg: "ES256", kid: "example", typ: "at+jwt" };
  const claims = { iss: "https://issuer.example", aud: "express-app", sub, iat: now, exp: now + 8 * 60 * 60 };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}
