/** Questions: what of a request goes to the decision point, and what identifies a question. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CountersignError, Question } from "../src/index.js";
import { ask, origin, plainPath } from "../src/request.js";
import { QUESTION } from "./fake.js";

interface Vectors {
  readonly origin: string;
  readonly cases: readonly {
    readonly name: string;
    readonly request: { readonly method: string; readonly target: string; readonly headers: [string, string][]; readonly client_address?: string };
    readonly question: unknown;
  }[];
}

test("every language asks the same", () => {
  const vectors = JSON.parse(readFileSync(new URL("../../../vectors/question.json", import.meta.url), "utf8")) as Vectors;
  assert.ok(vectors.cases.length > 40, "the file is whole");
  for (const { name, request, question } of vectors.cases) {
    const { client_address: clientAddress, ...rest } = request;
    const asked = ask({ ...rest, clientAddress }, origin(vectors.origin)) ?? null;
    assert.deepEqual(asked, question, name);
  }
});

test("what Node hands on and HTTP does not allow is refused", () => {
  for (const target of ["", "payroll", "http://evil.example/", "/a b", "/a#b", "/?a#b", "/?a b", "/\u00e9", "/?\u00e9", "/a\\b", "/a\nb", "/?\t", '/?"']) {
    assert.equal(plainPath(target), target === '/?"' ? "/" : undefined, JSON.stringify(target));
  }
});

test("an origin is scheme and host", () => {
  assert.deepEqual(origin("https://Payroll.Example:8443"), { scheme: "https", host: "payroll.example:8443" });
  for (const text of ["", "a.example", "ftp://a.example", "https://a.example/", "https://a.example/x", "https://u@a.example", "https://a.example?q", "https://a b"]) {
    assert.throws(() => origin(text), CountersignError, text);
  }
});

test("a question is what was asked when it was made", () => {
  const asked = { ...QUESTION, context: { note: ["a"] } };
  const question = new Question(asked, { supported: ["b", "a", "b"] });
  asked.context.note.push("c");
  const body = JSON.parse(question.body({ at_least: "x" })) as Record<string, unknown>;
  assert.deepEqual(body, { ...QUESTION, context: { note: ["a"], supported_obligations: ["a", "b"], countersign: { at_least: "x" } } });
  assert.deepEqual(JSON.parse(new Question(QUESTION).body({})), QUESTION);
  assert.deepEqual(JSON.parse(new Question(QUESTION).body({ a: 1 })), { ...QUESTION, context: { countersign: { a: 1 } } });
});

test("every part of a question counts", () => {
  const key = (asked: object, supported: string[] = []) => new Question({ ...QUESTION, ...asked }, { supported }).key;
  const keys = [key({}), key({ subject: { type: "user", id: "bob" } }), key({ subject: { type: "user", id: "alice", properties: { a: 1 } } }),
    key({ action: { name: "write" } }), key({ resource: { type: "record", id: "8" } }), key({ context: { a: 1 } }), key({ context: { a: "1" } }),
    key({}, ["notification"]), key({}, ["notification", "watermark"])];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(key({ context: { a: 1, b: 2 } }), key({ context: { b: 2, a: 1 } }));
});

test("what cannot be asked is said at once", () => {
  const refused = (asked: object, options = {}) => {
    assert.throws(() => new Question({ ...QUESTION, ...asked }, options), (error) => error instanceof CountersignError && error.kind === "configuration");
  };
  refused({ subject: { type: "user" } });
  refused({ action: {} });
  refused({ context: { countersign: {} } });
  refused({ context: { supported_obligations: [] } });
  refused({ context: { a: new Date() } });
  refused({ context: { a: "x".repeat(300_000) } });
  refused({}, { atLeast: "soon" });
});

test("a proof that counts once is seen", () => {
  const isSingleUse = (headers: string[][]) => new Question({ ...QUESTION, context: { http: { headers } } }).isSingleUse;
  assert.equal(isSingleUse([["authorization", "Bearer t"]]), false);
  assert.equal(isSingleUse([["authorization", "Bearer dpop"]]), false);
  assert.equal(isSingleUse([["DPoP", "p"]]), true);
  assert.equal(isSingleUse([["authorization", "dpop t"]]), true);
});
