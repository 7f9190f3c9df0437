/** Answers: only a clean allow is one. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { LIMITS, read } from "../src/answer.js";
import { Allow, CountersignError, DENIAL_CODES, faultOf, Question } from "../src/index.js";
import { QUESTION } from "./fake.js";

function check(body: string, expected: string, supported: string[] = []): void {
  let seen = "";
  try {
    seen = read(Buffer.from(body), new Question(QUESTION, { supported })).kind;
  } catch (error) {
    assert.ok(error instanceof CountersignError && error.kind === "malformed", body);
    seen = "error";
  }
  assert.equal(seen, expected, body);
}

test("only a clean true is an allow", () => {
  check('{"decision":true}', "allow");
  check('{"decision":true,"context":{"id":"d1","obligations":[]}}', "allow");
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"notification"}]}}', "deny");
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"notification"}]}}', "allow", ["notification"]);
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"step-up","properties":{"acr_value":"phr"}}]}}', "deny");
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"step-up","properties":{"acr_value":"phr"}}]}}', "deny", ["step-up"]);
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"break-glass","properties":{}}]}}', "allow");
  check('{"decision":true,"context":{"obligations":[{"id":"o","type":"break-glass"},{"id":"p","type":"x"}]}}', "deny");
  for (const obligations of ["null", "{}", '[{"type":"x"}]', '[{"id":"o","type":"x","more":1}]', '[{"id":"o","type":"x","properties":null}]', "[1]"]) {
    check(`{"decision":true,"context":{"obligations":${obligations}}}`, "error", ["x"]);
  }
  check('{"decision":true,"context":null}', "error");
  check('{"decision":true,"context":{"id":""}}', "error");
  check('{"decision":true,"context":{"id":"a\\nb"}}', "error");
});

test("what is no boolean is an error", () => {
  for (const body of ["", "true", "[]", "{}", '{"decision":1}', '{"decision":"true"}', '{"decision":null}', '{"Decision":true}', '{"decision":true} x']) {
    check(body, "error");
  }
  check('{"decision":false,"decision":true}', "error");
  check('{"decision":true,"context":{"a":1,"a":2}}', "error");
  check(`{"decision":true,"context":{"a":${"[".repeat(40)}${"]".repeat(40)}}}`, "error");
  check(`{"decision":true${" ".repeat(LIMITS.bytes)}}`, "error");
  check('{"__proto__":{"decision":true}}', "error");
});

test("a lease has its shape, or the answer is none", () => {
  const lease = { ttl_ms: 1, epoch: "3-9", revision: "r", risk_below: 30, depends_on: ["0".repeat(32)] };
  const body = (one: unknown) => JSON.stringify({ decision: true, context: { lease: one } });
  check(body(lease), "allow");
  for (const wrong of [null, [], { ...lease, ttl_ms: -1 }, { ...lease, ttl_ms: 0.5 }, { ...lease, epoch: "3" }, { ...lease, epoch: "+3-9" }, { ...lease, epoch: 3 },
    { ...lease, revision: null }, { ...lease, risk_below: 101 }, { ...lease, depends_on: ["x"] }, { ...lease, depends_on: ["0".repeat(31) + "A"] },
    { ...lease, depends_on: null }, { ...lease, epoch: "99999999999999999999-1" }]) check(body(wrong), "error");
  const answer = read(Buffer.from(body({ ...lease, epoch: "18446744073709551615-9" })), new Question(QUESTION));
  assert.ok(answer.kind === "allow");
  assert.deepEqual(answer.lease?.epoch, { life: "18446744073709551615", seq: 9 });
  check('{"decision":true,"context":{"consistency":"00000000000000ff-7"}}', "allow");
  check('{"decision":true,"context":{"consistency":"ff-7"}}', "error");
});

test("a denial keeps its code and survives an unknown one", () => {
  check('{"decision":false}', "deny");
  check('{"decision":false,"context":{"reason":"of_a_later_version"}}', "deny");
  check('{"decision":false,"context":{"reason":"toString"}}', "deny");
  const answer = read(Buffer.from('{"decision":false,"context":{"reason":"no_credentials","id":"d9"}}'), new Question(QUESTION));
  assert.deepEqual(answer, { kind: "deny", decisionId: "d9", code: "no_credentials", dpopNonce: undefined });
});

test("a step-up is read whole", () => {
  const body = { decision: false, context: { id: "d2", step_up: { url: "https://app.example/.countersign/step-up?d=1" },
    obligations: [{ id: "o1", type: "step-up", properties: { acr_value: "phr", max_age: 300 } }] } };
  const answer = read(Buffer.from(JSON.stringify(body)), new Question(QUESTION));
  const expected = { kind: "step-up", decisionId: "d2", acr: "phr", maxAge: 300, ceremony: "https://app.example/.countersign/step-up?d=1", dpopNonce: undefined };
  assert.deepEqual(answer, expected);
});

test("a step-up with something else to do is a denial, and a malformed one an error", () => {
  check('{"decision":false,"context":{"obligations":[{"id":"1","type":"step-up","properties":{"acr_value":"phr"}},{"id":"2","type":"x"}]}}', "deny");
  check('{"decision":false,"context":{"obligations":[{"id":"1","type":"step-up"}]}}', "error");
  for (const acr of ["", "a b", 'a"b', "a\\\\b", "a,b"]) {
    check(`{"decision":false,"context":{"obligations":[{"id":"1","type":"step-up","properties":{"acr_value":${JSON.stringify(acr)}}}]}}`, "error");
  }
  for (const url of ["javascript:alert(1)", "/relative", "", "ftp://a.example/", "https:///", "https://a.example/\r\nset-cookie: a", "https:\\\\a.example", "https://"]) {
    const context = { step_up: { url }, obligations: [{ id: "1", type: "step-up", properties: { acr_value: "phr" } }] };
    check(JSON.stringify({ decision: false, context }), "error");
  }
});

test("nothing but a response makes an allow", () => {
  const genuine = read(Buffer.from('{"decision":true}'), new Question(QUESTION));
  assert.ok(Allow.is(genuine));
  assert.equal(Allow.is({ kind: "allow", obligations: [] }), false);
  assert.equal(Allow.is(Object.create(Allow.prototype)), false);
  assert.throws(() => {
    (genuine as unknown as { obligations: unknown }).obligations = [];
  });
});

test("the codes are those of the decision point", () => {
  const source = readFileSync(new URL("../../../types/src/decision.rs", import.meta.url), "utf8");
  const codes = [...source.matchAll(/^ {4}\w+ = "(\w+)" => (\w+),$/gm)].map(([, code, fault]) => [code, fault?.toLowerCase()]);
  assert.deepEqual(DENIAL_CODES.map((code) => [code, faultOf(code)]), codes);
});
