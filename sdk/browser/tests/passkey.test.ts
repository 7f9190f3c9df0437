// The JSON forms of passkeys where a browser does not make them by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base64url, bytes, creationOptions, requestOptions, toJson } from "../src/passkey.ts";

const buffer = (...values: number[]): ArrayBuffer => Uint8Array.from(values).buffer;

test("base64url goes there and back, without padding", () => {
  for (const text of ["", "AA", "-_8", "AAECAwQFBgc"]) assert.equal(base64url(bytes(text).buffer), text);
  assert.throws(() => bytes(undefined), TypeError);
  assert.throws(() => bytes("!"));
});

test("options are converted by hand where the browser cannot, and by the browser where it can", () => {
  Object.assign(globalThis, { PublicKeyCredential: {} });
  const request = requestOptions({ challenge: "AQI", allowCredentials: [{ id: "AwQ", type: "public-key" }], timeout: 5 });
  assert.deepEqual([request.challenge, request.timeout], [Uint8Array.of(1, 2), 5]);
  assert.deepEqual(request.allowCredentials?.[0]?.id, Uint8Array.of(3, 4));
  const creation = creationOptions({ challenge: "AQI", user: { id: "BQ", name: "a" }, rp: { id: "auth.example" } });
  assert.deepEqual([creation.user.id, creation.user.name, creation.excludeCredentials], [Uint8Array.of(5), "a", []]);
  const own = { isOwn: true };
  Object.assign(globalThis, { PublicKeyCredential: { parseRequestOptionsFromJSON: () => own, parseCreationOptionsFromJSON: () => own } });
  assert.equal(requestOptions({}), own);
  assert.equal(creationOptions({}), own);
});

test("a credential whose own form is refused is written out", () => {
  const response = { clientDataJSON: buffer(1), authenticatorData: buffer(2), signature: buffer(3), userHandle: null };
  const credential = {
    id: "AQ", rawId: buffer(1), type: "public-key", authenticatorAttachment: null, response,
    getClientExtensionResults: () => ({}),
    toJSON: () => { throw new TypeError("Illegal invocation"); },
  };
  const json = toJson(credential);
  assert.deepEqual(json["response"], { clientDataJSON: "AQ", authenticatorData: "Ag", signature: "Aw", userHandle: undefined });
  assert.throws(() => toJson(null), { name: "NotAllowedError" });
});
