/** Strict JSON: whatever two readers could read differently is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { canonical, JsonError, parse } from "../src/json.js";

const LIMITS = { bytes: 1_000, depth: 4, values: 20 };

function reads(text: string, expected: unknown): void {
  assert.deepEqual(parse(Buffer.from(text), LIMITS), expected);
}

function refuses(text: string | Buffer): void {
  assert.throws(() => parse(Buffer.from(text), LIMITS), JsonError, String(text));
}

test("what is JSON is read", () => {
  reads(' {"a" : [1, -2.5e3, true, false, null, "x\\n\\u00e9\\ud83d\\ude00"] } ', { a: [1, -2500, true, false, null, "x\né😀"] });
  reads("[]", []);
  reads("{}", {});
  reads('"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t');
});

test("what is not JSON is refused", () => {
  for (const text of ["", " ", "{", "[1,]", "{,}", '{"a":1,}', "[1 2]", '{"a" 1}', "{a:1}", "'a'", "01", "+1", "1.", ".5", "1e", "NaN", "Infinity", "1e999",
    "tru", "nul", '"', '"\\x"', '"\\u12g4"', '"a\nb"', "1 2", "[]]", "undefined", "\u00a01", "\ufeff{}", "--1", "[,1]", '{"a":}', "// x\n1"]) refuses(text);
});

test("text that is not Unicode is refused", () => {
  for (const text of ['"\\ud800"', '"\\udc00\\ud800"', Buffer.from([0x22, 0xff, 0x22]), Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])]) refuses(text);
});

test("a repeated name is refused, however it is written", () => {
  for (const text of ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"b":2,"a":3}}', '{"__proto__":1,"__proto__":2}']) refuses(text);
});

test("a name that JavaScript knows is a name like any other", () => {
  const read = parse(Buffer.from('{"__proto__":{"polluted":1},"constructor":2,"toString":3}'), LIMITS) as object;
  assert.deepEqual(Object.keys(read), ["__proto__", "constructor", "toString"]);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
  assert.equal("polluted" in {}, false);
});

test("size, depth and number of values are bounded", () => {
  reads("[[[1]]]", [[[1]]]);
  refuses("[[[[1]]]]");
  refuses(`[${"1,".repeat(20)}1]`);
  refuses(`"${"x".repeat(1_000)}"`);
  refuses("[".repeat(100_000));
});

test("it reads what JSON.stringify writes, and nothing that JSON.parse refuses", () => {
  const wide = { bytes: 1e7, depth: 100, values: 1e6 };
  fc.assert(fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
    const text = JSON.stringify(value);
    assert.deepEqual(parse(Buffer.from(text), wide), JSON.parse(text));
  }));
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...Array.from("{}[]:,\"\\ 01-e.ntu")) }), (text) => {
    let mine: { value: unknown } | undefined;
    try {
      mine = { value: parse(Buffer.from(text), wide) };
    } catch {
      return;
    }
    assert.deepEqual(mine.value, JSON.parse(text));
  }), { numRuns: 5_000 });
});

test("a canonical form is the same exactly when the values are", () => {
  assert.equal(canonical({ b: 1, a: [true, null, "é"] }, 9), '{"a":[true,null,"é"],"b":1}');
  assert.equal(canonical({ b: undefined, a: 1 }, 9), '{"a":1}');
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
    const isSame = canonical(a, 100) === canonical(b, 100);
    assert.deepEqual(parse(Buffer.from(canonical(a, 100)), { bytes: 1e7, depth: 100, values: 1e6 }), JSON.parse(JSON.stringify(a)));
    if (isSame) assert.deepEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
  }));
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.integer()), (object) => {
    const turned = Object.fromEntries(Object.entries(object).reverse());
    assert.equal(canonical(turned, 9), canonical(object, 9));
  }));
});

test("what is no JSON has no form", () => {
  for (const value of [undefined, NaN, Infinity, 1n, () => 1, Symbol("x"), new Date(0), new Map(), [undefined], "\ud800", { "\ud800": 1 }, { a: { b: {} } }]) {
    assert.throws(() => canonical(value, 3), JsonError);
  }
});
