// Where a refused script may send its page: to the ceremony of the page's own origin, and nowhere else.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchAsked, type StepUp, stepUpOf } from "../src/ceremony.ts";

const BASE = "https://payroll.example/app/page?x=1";
const PAGE = "https://payroll.example/.countersign/step-up?d=abc";

function answer(status: number, page?: string): Response {
  return new Response(null, { status, headers: page === undefined ? {} : { "x-countersign-page": page } });
}

test("a refusal that names the ceremony of this origin is a step-up", () => {
  assert.equal(stepUpOf(answer(401, PAGE), BASE)?.page.href, PAGE);
  assert.equal(stepUpOf(answer(401, "/.countersign/step-up?d=abc"), BASE)?.page.href, PAGE);
});

test("everything else is none", () => {
  const elsewhere = [
    "https://evil.example/.countersign/step-up?d=abc", "http://payroll.example/.countersign/step-up?d=abc", "//evil.example/.countersign/step-up",
    "javascript:alert(1)", "data:text/html,x", "https://payroll.example/logout", "/.countersign/step-up/../../logout", "", "https://", "blob:x",
  ];
  for (const page of elsewhere) assert.equal(stepUpOf(answer(401, page), BASE), undefined, page);
  for (const status of [200, 302, 403, 503]) {
    const carried = { status, headers: new Headers({ "x-countersign-page": PAGE }) };
    assert.equal(stepUpOf(carried, BASE), undefined, String(status));
  }
  assert.equal(stepUpOf(answer(401), BASE), undefined);
});

test("fetch asks once, gives the answer back, and goes nowhere unless told", async () => {
  const asked: unknown[] = [];
  const refused = answer(401, PAGE);
  const went: string[] = [];
  Object.assign(globalThis, {
    fetch: (...args: unknown[]) => { asked.push(args); return Promise.resolve(refused); },
    location: { href: BASE, assign: (to: string) => went.push(to) },
  });
  assert.equal(await fetchAsked("/api", { method: "POST" }), refused);
  assert.deepEqual([asked, went], [[["/api", { method: "POST" }]], []]);
  const told: StepUp[] = [];
  await fetchAsked("/api", { stepUp: (stepUp) => { told.push(stepUp); } });
  assert.deepEqual([told.length, went], [1, []]);
  told[0]?.go();
  await fetchAsked("/api", { stepUp: "go" });
  assert.deepEqual(went, [PAGE, PAGE]);
  assert.equal(asked.length, 3);
});
