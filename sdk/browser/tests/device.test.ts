// A component leaves as a digest that says nothing on another host, and one that a browser hides is left out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { digest, digests, read } from "../src/device.ts";

test("a digest is of one host, one component and one value", async () => {
  const one = await digest("payroll.example", "screen", "1080 1920 24");
  assert.match(one, /^[0-9a-f]{16}$/);
  assert.equal(await digest("payroll.example", "screen", "1080 1920 24"), one);
  const others: [string, string, string][] = [["wiki.example", "screen", "1080 1920 24"], ["payroll.example", "system", "1080 1920 24"], ["payroll.example", "screen", "1080 1920 30"]];
  for (const other of others) assert.notEqual(await digest(...other), one);
  // The first 64 bits of SHA-256, as any other program makes them: `printf 'countersign device 1\nh\nscreen\nv' | sha256sum`.
  assert.equal(await digest("h", "screen", "v"), "636250a150d32930");
});

test("where nothing is shown nothing is told of it", async () => {
  // Node has no screen, no canvas, no sound: only its clock answers.
  assert.deepEqual(Object.keys(await read()), ["clock"]);
  const told = await digests("payroll.example");
  assert.deepEqual(Object.keys(told), ["clock"]);
  assert.match(told.clock ?? "", /^[0-9a-f]{16}$/);
});
