// Passkeys in the JSON forms of WebAuthn level 3, also in browsers that do not convert them by themselves.
// @ts-check

/** @typedef {Record<string, any>} Json */

/** Whether passkeys can be used on this page at all. */
export function supported() {
  return window.isSecureContext && typeof window.PublicKeyCredential === "function" && Boolean(navigator.credentials);
}

/**
 * Proves possession of a passkey.
 * @param {Json} publicKey the request's options, as JSON
 * @param {AbortSignal} [signal]
 * @returns {Promise<Json>} the credential, as JSON
 */
export async function prove(publicKey, signal) {
  const credential = await navigator.credentials.get({ publicKey: requestOptions(publicKey), signal });
  return toJson(/** @type {PublicKeyCredential | null} */ (credential));
}

/**
 * Creates a passkey.
 * @param {Json} publicKey the creation's options, as JSON
 * @param {AbortSignal} [signal]
 * @returns {Promise<Json>} the credential, as JSON
 */
export async function create(publicKey, signal) {
  const credential = await navigator.credentials.create({ publicKey: creationOptions(publicKey), signal });
  return toJson(/** @type {PublicKeyCredential | null} */ (credential));
}

/**
 * @param {Json} json
 * @returns {PublicKeyCredentialRequestOptions}
 */
export function requestOptions(json) {
  const parse = /** @type {any} */ (PublicKeyCredential).parseRequestOptionsFromJSON;
  if (typeof parse === "function") return parse.call(PublicKeyCredential, json);
  return /** @type {any} */ ({ ...json, challenge: bytes(json.challenge), allowCredentials: described(json.allowCredentials) });
}

/**
 * @param {Json} json
 * @returns {PublicKeyCredentialCreationOptions}
 */
export function creationOptions(json) {
  const parse = /** @type {any} */ (PublicKeyCredential).parseCreationOptionsFromJSON;
  if (typeof parse === "function") return parse.call(PublicKeyCredential, json);
  return /** @type {any} */ ({
    ...json,
    challenge: bytes(json.challenge),
    user: { ...json.user, id: bytes(json.user.id) },
    excludeCredentials: described(json.excludeCredentials),
  });
}

/**
 * @param {Json[] | undefined} list
 */
function described(list) {
  return (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
}

/**
 * @param {PublicKeyCredential | null} credential
 * @returns {Json}
 */
export function toJson(credential) {
  // Browsers answer with an error, never with null; a password manager that stands in for one might.
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  try {
    const json = /** @type {any} */ (credential).toJSON?.();
    if (json) return json;
  } catch {
    // The credential of a password manager may inherit a method that refuses it.
  }
  return {
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: responseJson(/** @type {any} */ (credential.response)),
  };
}

/**
 * @param {any} response of an assertion or of an attestation
 * @returns {Json}
 */
function responseJson(response) {
  const clientDataJSON = base64url(response.clientDataJSON);
  if (response.attestationObject) {
    const transports = response.getTransports?.() ?? [];
    return { clientDataJSON, attestationObject: base64url(response.attestationObject), transports };
  }
  return {
    clientDataJSON,
    authenticatorData: base64url(response.authenticatorData),
    signature: base64url(response.signature),
    userHandle: response.userHandle ? base64url(response.userHandle) : undefined,
  };
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {string} base64url without padding
 */
export function base64url(buffer) {
  let binary = "";
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * @param {string} text base64url
 * @returns {Uint8Array}
 */
export function bytes(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
