/** From an HTTP request to the question that is asked about it. */

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

import { CountersignError } from "./error.js";
import type { Asked } from "./question.js";

/** Scheme and host under which the application is published. It is configured, because a `Host` header is the client's word. */
export interface Origin {
  readonly scheme: string;
  readonly host: string;
}

/** What of a request a question is made of. */
export interface Presented {
  readonly method: string;
  /** Path and query as the client sent them. */
  readonly target: string;
  /** Every header as it was sent, also where a name is repeated. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The address of the client, as the application knows it from its connection. */
  readonly clientAddress?: string | undefined;
}

/** The headers that the decision point is shown, when they are there. */
const SHOWN = ["authorization", "dpop", "user-agent", "accept", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user"] as const;

/** Reads an origin, such as `https://payroll.example`: `http` or `https`, a host, and nothing else. */
export function origin(text: string): Origin {
  const [, scheme, host] = /^(https?):\/\/([^/?#@\\\s]+)$/.exec(text) ?? [];
  if (scheme === undefined || host === undefined || !URL.canParse(text)) {
    throw new CountersignError("configuration", "origin is not `http` or `https`, a host, and nothing else");
  }
  return { scheme, host: host.toLowerCase() };
}

/** The question whether this request may pass, or `undefined` when two readers could read two requests. Who asks is for the decision point to find out. */
export function ask(presented: Presented, { scheme, host }: Origin): Asked | undefined {
  const { method, target } = presented;
  const path = plainPath(target);
  const headers = shown(presented.headers);
  if (path === undefined || headers === undefined) return undefined;
  const address = presented.clientAddress;
  const http = { method, scheme, host, target, headers, ...(address === undefined ? {} : { client_address: address }) };
  return {
    subject: { type: "token", id: "presented" },
    action: { name: method },
    resource: { type: "route", id: `${host}${path}` },
    context: { http },
  };
}

/** A request of Node's server. Express takes the mount path off `url` and leaves `originalUrl`. */
export function presented(request: IncomingMessage & { originalUrl?: string }, clientAddress?: string): Presented {
  const raw = request.rawHeaders;
  const headers = Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at] ?? "", raw[2 * at + 1] ?? ""] as const);
  const target = request.originalUrl ?? request.url ?? "";
  return { method: request.method ?? "", target, headers, clientAddress: clientAddress === undefined ? undefined : plainAddress(clientAddress) };
}

/** An address without a zone, and an IPv4 address as one. */
function plainAddress(text: string): string {
  const address = text.replace(/%.*$/, "").replace(/^::ffff:(?=[0-9.]+$)/i, "");
  if (isIP(address) === 0) throw new CountersignError("configuration", "client address is no IP address");
  return address;
}

function shown(all: Presented["headers"]): [string, string][] | undefined {
  const list: [string, string][] = [];
  for (const name of SHOWN) {
    const values = valuesOf(all, name);
    const [value] = values;
    if (value === undefined) continue;
    if (values.length > 1 || !isText(value)) return undefined;
    list.push([name, value]);
  }
  // HTTP/2 may split cookies over several fields (RFC 9113 §8.2.3); everything else appears once.
  const cookies = valuesOf(all, "cookie");
  if (!cookies.every(isText)) return undefined;
  if (cookies.length > 0) list.push(["cookie", cookies.join("; ")]);
  return list;
}

function valuesOf(all: Presented["headers"], wanted: string): string[] {
  return all.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
}

function isText(value: string): boolean {
  return /^[\t -~]*$/.test(value);
}

/**
 * The path of a target that every server reads alike: no empty or dot segments, no parameters, and nothing encoded but octets beyond ASCII. The query is
 * printable ASCII; a fragment never reaches a server.
 */
export function plainPath(target: string): string | undefined {
  const [path = ""] = target.split("?", 1);
  const isQuery = /^[!"$-~]*$/.test(target.slice(path.length));
  const segments = path.split("/");
  const first = segments.shift();
  const last = segments.at(-1);
  const isEmpty = segments.slice(0, -1).includes("");
  if (!isQuery || first !== "" || last === undefined || isEmpty) return undefined;
  return segments.every((segment) => segment !== "." && segment !== ".." && PLAIN.test(segment)) ? path : undefined;
}

const PLAIN = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[89A-F][0-9A-F])*$/;
