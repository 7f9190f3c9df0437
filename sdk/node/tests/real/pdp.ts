/** The real decision point: started with a policy and an issuer of its own, operated by its own commands, ended by its id. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const ISS = "https://issuer.example";
const AUDIENCE = "countersign";
const SECRET = "application-secret-of-this-test";
export const ORIGIN = "https://payroll.example";

export const POLICY = `package authz

import rego.v1

notify := {"id": "n", "type": "notification", "properties": {"to": "sec@example.org"}}

default decision := {"effect": "deny"}

decision := {"effect": "allow"} if {
	input.request.path in {"/payroll", "/api/payroll", "/api/stream"}
	input.user.role == "admin"
}

decision := {"effect": "allow", "obligations": [notify]} if input.request.path in {"/notify", "/api/notify"}

decision := {"effect": "allow"} if {
	input.request.path in {"/secret", "/api/secret"}
	"phr" in input.session.acr_satisfied
}
`;

const binary = process.env["COUNTERSIGN_BIN"] ?? "";

/** Ports of loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  }));
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

/** A running decision point. */
export class Pdp {
  readonly folder = mkdtempSync(join(tmpdir(), "countersign-node-"));
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #ports: readonly number[];
  #child: ChildProcess | undefined;

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  static async start(more = ""): Promise<Pdp> {
    if (binary === "") throw new Error("COUNTERSIGN_BIN does not say where the binary is; `sdk/node/test` builds it");
    const pdp = new Pdp(await freePorts(3));
    pdp.#write(more);
    await pdp.run();
    return pdp;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#ports[0])}`;
  }

  /** Who the application is. */
  get pep(): { id: string; secret: string } {
    return { id: "app", secret: SECRET };
  }

  /** Starts the process, and waits until it listens. */
  async run(): Promise<void> {
    const log = createWriteStream(join(this.folder, "pdp.log"), { flags: "a" });
    const child = spawn(binary, ["serve", "--config", this.#config], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    for (const port of this.#ports) await this.#listening(child, port);
  }

  /** Ends the process. */
  async kill(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGCONT");
    child.kill(signal);
    await once(child, "exit");
  }

  /** Stops the process in its tracks, until {@link thaw}. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** An access token (RFC 9068). */
  token(sub: string, more: object = {}): string {
    const now = Math.floor(Date.now() / 1_000);
    const header = { alg: "ES256", kid: "test", typ: "at+jwt" };
    const claims = { iss: ISS, aud: AUDIENCE, sub, iat: now, exp: now + 600, ...more };
    const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signature = sign("sha256", Buffer.from(signed), { key: this.#keys.privateKey, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }

  /** A command of an operator on the running server. */
  async operate(...command: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(binary, [...command, "--socket", join(this.folder, "data", "control.sock"), "--json"]);
    return stdout;
  }

  async revoke(sub: string): Promise<void> {
    await this.operate("revoke", "subject", "--iss", ISS, "--sub", sub, "--reason", "test");
  }

  /** Enrols a passkey for a subject, as a browser with an authenticator does. */
  async enroll(sub: string): Promise<void> {
    const { code } = JSON.parse(await this.operate("enroll-code", "--iss", ISS, "--sub", sub)) as { code: string };
    const begun = await this.#post("/enroll/begin", { code }) as { enrolment: string; publicKey: { challenge: string; rp: { id: string } } };
    const credential = passkey(begun.publicKey, this.#auth);
    await this.#post("/enroll/finish", { enrolment: begun.enrolment, label: "key", credential });
  }

  get log(): string {
    return readFileSync(join(this.folder, "pdp.log"), "utf8");
  }

  get #config(): string {
    return join(this.folder, "countersign.toml");
  }

  get #auth(): string {
    return `http://auth.localhost:${String(this.#ports[2])}`;
  }

  #write(more: string): void {
    const write = (name: string, text: string) => {
      writeFileSync(join(this.folder, name), text);
    };
    const [decision, operations, published] = this.#ports;
    mkdirSync(join(this.folder, "policy"));
    write("policy/authz.rego", POLICY);
    write("secret", SECRET);
    write("jwks.json", JSON.stringify({ keys: [{ ...this.#keys.publicKey.export({ format: "jwk" }), kid: "test", alg: "ES256", use: "sig" }] }));
    write("users.json", JSON.stringify({ alice: { role: "admin" }, carol: { role: "admin" } }));
    write("countersign.toml", `
[listen]
decision = "127.0.0.1:${String(decision)}"
operations = "127.0.0.1:${String(operations)}"
public = "127.0.0.1:${String(published)}"
[proxy]
trusted = ["127.0.0.1"]
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = { client_address = true }
[[host]]
origin = "${ORIGIN}"
[[issuer]]
iss = "${ISS}"
jwks_file = "jwks.json"
algorithms = ["ES256"]
audiences = ["${AUDIENCE}"]
[step_up]
origin = "${this.#auth}"
[directory]
users = "users.json"
[policy]
path = "policy"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
${more}
`);
  }

  async #listening(child: ChildProcess, port: number): Promise<void> {
    for (let polls = 0; polls < 1_500; polls += 1) {
      if (child.exitCode !== null) throw new Error(`ended with ${String(child.exitCode)}:\n${this.log}`);
      const socket = net.connect(port, "127.0.0.1");
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => { resolve(true); });
        socket.once("error", () => { resolve(false); });
      });
      socket.destroy();
      if (isOpen) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`does not listen:\n${this.log}`);
  }

  /** A request of the script of a page of the auth origin, which a proxy hands on. */
  async #post(path: string, body: object): Promise<unknown> {
    const [, , port] = this.#ports;
    const host = new URL(this.#auth).host;
    const headers = { host, origin: this.#auth, "content-type": "application/json", "x-countersign-pep": `app:${SECRET}`, "x-forwarded-for": "203.0.113.9" };
    const request = http.request({ host: "127.0.0.1", port, path, method: "POST", headers, agent: false });
    request.end(JSON.stringify(body));
    const [response] = await once(request, "response") as [http.IncomingMessage];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    if (response.statusCode !== 200 && response.statusCode !== 204) throw new Error(`${path}: ${String(response.statusCode)} ${text}\n${this.log}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** A new passkey as an authenticator attests it: ES256, no attestation (WebAuthn Level 3 §6.5). */
export function passkey({ challenge, rp }: { challenge: string; rp: { id: string } }, origin: string): object {
  const { x, y } = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const id = randomBytes(16);
  const bytes = (value: Buffer) => Buffer.concat([Buffer.from(value.length < 256 ? [0x58, value.length] : [0x59, value.length >> 8, value.length & 255]), value]);
  const coordinate = (text: string | undefined) => bytes(Buffer.from(text ?? "", "base64url"));
  const key = Buffer.concat([Buffer.from([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]), coordinate(x), Buffer.from([0x22]), coordinate(y)]);
  // User present, user verified, attested data; the counter at 1; a zero AAGUID.
  const head = Buffer.concat([createHash("sha256").update(rp.id).digest(), Buffer.from([0x45, 0, 0, 0, 1]), Buffer.alloc(16)]);
  const data = Buffer.concat([head, Buffer.from([0, id.length]), id, key]);
  const attestation = Buffer.concat([Buffer.from("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", "latin1"), bytes(data)]);
  const client = Buffer.from(JSON.stringify({ type: "webauthn.create", challenge, origin, crossOrigin: false }));
  const [rawId, clientDataJSON, attestationObject] = [id, client, attestation].map((part) => part.toString("base64url"));
  const response = { clientDataJSON, attestationObject, authenticatorData: data.toString("base64url"), transports: ["internal"], publicKeyAlgorithm: -7 };
  return { id: rawId, rawId, type: "public-key", authenticatorAttachment: "platform", clientExtensionResults: {}, response };
}
