/** One address of a decision point: requests that are bounded in size and end when they are told to. Redirects are answers, and never followed. */

import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";

import { CountersignError } from "./error.js";

/** Who the enforcement point is to the decision point. */
export interface Credentials {
  /** Its name, and the secret that it shares with the decision point. */
  readonly pep?: { readonly id: string; readonly secret: string };
  /** A bearer token of its own. */
  readonly bearer?: string;
}

/** Whom to trust in TLS, and what to present. PEM. */
export interface Tls {
  /** Certificates that vouch for the decision point, in place of the machine's. */
  readonly ca?: string | Buffer;
  /** The client's certificate. */
  readonly cert?: string | Buffer;
  /** Its key. */
  readonly key?: string | Buffer;
}

/** What was answered. */
export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array;
}

/** Connections at once to one address. */
const CONNECTIONS = 256;
const KEPT_OPEN = 16;
const VERIFIED = { rejectUnauthorized: true, minVersion: "TLSv1.2" } as const;

/** An address, with its connections. */
export class Address {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly #agent: http.Agent;
  readonly #module: typeof http | typeof https;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #tls: Tls & Partial<typeof VERIFIED>;

  constructor(text: string, credentials: Credentials, tls: Tls, plain: "loopback" | "anywhere") {
    const url = parsed(text);
    if (url.protocol === "http:" && plain === "loopback" && !isLoopback(url.hostname)) {
      throw unusable("decision point must be reached by https, or by http on loopback");
    }
    this.origin = url.origin;
    this.#module = url.protocol === "https:" ? https : http;
    // Said outright, because an environment variable can switch off the default.
    this.#tls = url.protocol === "https:" ? { ...tls, ...VERIFIED } : {};
    this.#agent = new this.#module.Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: KEPT_OPEN, scheduling: "lifo", ...this.#tls });
    this.#headers = headersOf(credentials);
  }

  /** Posts a JSON body and reads the answer, up to `most` bytes of it. */
  async post(path: string, body: string, most: number, signal: AbortSignal): Promise<Reply> {
    const first = await this.#post(path, body, most, signal, this.#agent);
    // The server may close a kept connection just when it is used again: once more, on one of its own.
    return first === "closed" ? settled(await this.#post(path, body, most, signal, false)) : first;
  }

  /** Opens a stream of events: the answer's head, while its body goes to `hear`. Resolves when it is over. */
  async follow(path: string, more: Readonly<Record<string, string>>, signal: AbortSignal, opened: (status: number, type: string) => void,
    hear: (chunk: Uint8Array) => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const headers = { ...this.#headers, ...more, accept: "text/event-stream", "cache-control": "no-store" };
      const request = this.#module.request(this.origin + path, { method: "GET", headers, signal, agent: false, ...this.#tls });
      // A watch alone does not keep the process alive.
      request.on("socket", (socket) => socket.unref());
      request.on("error", reject);
      request.on("response", (response) => {
        response.on("error", reject);
        response.on("close", resolve);
        try {
          opened(response.statusCode ?? 0, response.headers["content-type"] ?? "");
        } catch (error) {
          request.destroy(error as Error);
          return;
        }
        response.on("data", (chunk: Buffer) => {
          try {
            hear(chunk);
          } catch (error) {
            request.destroy(error as Error);
          }
        });
      });
      request.end();
    });
  }

  /** Ends every connection. */
  close(): void {
    this.#agent.destroy();
  }

  #post(path: string, body: string, most: number, signal: AbortSignal, agent: http.Agent | false): Promise<Reply | "closed"> {
    return new Promise((resolve, reject) => {
      const headers = {
        ...this.#headers, accept: "application/json", "content-type": "application/json", "content-length": String(Buffer.byteLength(body)),
      };
      const request = this.#module.request(this.origin + path, { method: "POST", headers, signal, agent, ...this.#tls });
      request.on("error", (cause: NodeJS.ErrnoException) => {
        if (request.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE")) resolve("closed");
        else reject(new CountersignError("unreachable", "decision point cannot be reached", { cause }));
      });
      request.on("response", (response) => {
        readAll(response, most).then((read) => {
          resolve({ status: response.statusCode ?? 0, type: response.headers["content-type"] ?? "", body: read });
        }, (error: unknown) => {
          reject(error instanceof Error ? error : new CountersignError("malformed", "answer broke off", { cause: error }));
          request.destroy();
        });
      });
      request.end(body);
    });
  }
}

function settled(reply: Reply | "closed"): Reply {
  if (reply === "closed") throw new CountersignError("unreachable", "decision point closes its connections");
  return reply;
}

function readAll(response: http.IncomingMessage, most: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const broken = (cause?: unknown): void => {
      reject(new CountersignError("malformed", "answer is too large or broke off", { cause }));
    };
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > most) {
        broken();
        response.destroy();
      } else chunks.push(chunk);
    });
    response.on("error", broken);
    response.on("close", () => {
      if (response.complete) resolve(Buffer.concat(chunks));
      else broken();
    });
  });
}

/** Credentials in an address end up in logs, and a path or query would be dropped silently. */
function parsed(text: string): URL {
  const isBare = /^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text) && URL.canParse(text);
  if (!isBare) throw unusable("address of the decision point is not scheme, host and port");
  return new URL(text);
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function headersOf({ pep, bearer }: Credentials): Record<string, string> {
  const headers: Record<string, string> = {};
  if (pep !== undefined) {
    const isNamed = /^[!-9;-~]{1,64}$/.test(pep.id) && isSendable(pep.secret);
    if (!isNamed) throw unusable("name or secret of the enforcement point is missing or cannot be sent");
    headers["x-countersign-pep"] = `${pep.id}:${pep.secret}`;
  }
  if (bearer !== undefined) {
    if (!/^[!-~]+$/.test(bearer)) throw unusable("bearer token of the enforcement point is missing or cannot be sent");
    headers["authorization"] = `Bearer ${bearer}`;
  }
  return headers;
}

function isSendable(text: string): boolean {
  return /^[!-~](?:[ -~]*[!-~])?$/.test(text);
}

function unusable(message: string): CountersignError {
  return new CountersignError("configuration", message);
}
