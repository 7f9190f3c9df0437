// Nothing is measured against anybody's will, whoever says it first.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Consent, objects } from "../src/consent.ts";
import { wantedBy } from "../src/measure.ts";

test("the browser's objection wins over every consent", () => {
  for (const preferences of [{ globalPrivacyControl: true }, { doNotTrack: "1" }, { doNotTrack: "yes" }]) {
    const consent = new Consent(false, preferences);
    assert.ok(objects(preferences) && !consent.holds());
    consent.tell(true);
    assert.equal(consent.holds(), false);
  }
  for (const preferences of [{}, { globalPrivacyControl: false, doNotTrack: null }, { doNotTrack: "unspecified" }, { doNotTrack: "0" }]) {
    assert.ok(!objects(preferences) && new Consent(false, preferences).holds());
  }
});

test("an objection that comes later counts from then on", () => {
  const preferences = { globalPrivacyControl: false };
  const consent = new Consent(false, preferences);
  assert.equal(consent.holds(), true);
  preferences.globalPrivacyControl = true;
  assert.equal(consent.holds(), false);
});

test("where consent is required only a plain yes is one, and it can be taken back", () => {
  const consent = new Consent(true, {});
  const told: boolean[] = [];
  consent.onChange((holds) => told.push(holds));
  for (const unclear of [undefined, null, 1, "true", {}, false]) {
    consent.tell(unclear);
    assert.equal(consent.holds(), false);
  }
  consent.tell(true);
  assert.equal(consent.holds(), true);
  consent.tell(false);
  assert.equal(consent.holds(), false);
  assert.deepEqual(told.slice(-2), [true, false]);
});

test("a tag says what it wants; what it misspells is not measured", () => {
  const all = ["pointer", "device"] as const;
  assert.deepEqual(wantedBy({}, all), { what: ["pointer", "device"], consent: "given", every: undefined });
  assert.deepEqual(wantedBy({ measure: "device", consent: "required", every: "10" }, all), { what: ["device"], consent: "required", every: 10 });
  assert.deepEqual(wantedBy({ measure: "", consent: "requierd" }, all), { what: [], consent: "required", every: undefined });
  assert.deepEqual(wantedBy({ measure: "keyboard pointer" }, all).what, ["pointer"]);
  assert.deepEqual(wantedBy({ consent: "given" }, all).consent, "given");
});
