// Passkeys in the JSON forms of WebAuthn level 3, also in browsers that do not convert them by themselves.

/** An object of JSON. */
export type Json = Record<string, unknown>;

/** What newer browsers bring. */
interface Converts {
  parseRequestOptionsFromJSON?(json: Json): PublicKeyCredentialRequestOptions;
  parseCreationOptionsFromJSON?(json: Json): PublicKeyCredentialCreationOptions;
}

/** Whether passkeys can be used on this page at all. */
export function supported(): boolean {
  return window.isSecureContext && typeof window.PublicKeyCredential === "function" && Boolean(navigator.credentials);
}

/**
 * Proves possession of a passkey.
 * @param publicKey the request's options, as JSON
 * @returns the credential, as JSON
 */
export async function prove(publicKey: Json, signal?: AbortSignal): Promise<Json> {
  const asked: CredentialRequestOptions = { publicKey: requestOptions(publicKey) };
  if (signal) asked.signal = signal;
  return toJson((await navigator.credentials.get(asked)) as PublicKeyCredential | null);
}

/**
 * Creates a passkey.
 * @param publicKey the creation's options, as JSON
 * @returns the credential, as JSON
 */
export async function create(publicKey: Json, signal?: AbortSignal): Promise<Json> {
  const asked: CredentialCreationOptions = { publicKey: creationOptions(publicKey) };
  if (signal) asked.signal = signal;
  return toJson((await navigator.credentials.create(asked)) as PublicKeyCredential | null);
}

/** The options of an assertion. */
export function requestOptions(json: Json): PublicKeyCredentialRequestOptions {
  const converts = PublicKeyCredential as unknown as Converts;
  if (converts.parseRequestOptionsFromJSON) return converts.parseRequestOptionsFromJSON(json);
  const options = { ...json, challenge: bytes(json["challenge"]), allowCredentials: described(json["allowCredentials"]) };
  return options as unknown as PublicKeyCredentialRequestOptions;
}

/** The options of a registration. */
export function creationOptions(json: Json): PublicKeyCredentialCreationOptions {
  const converts = PublicKeyCredential as unknown as Converts;
  if (converts.parseCreationOptionsFromJSON) return converts.parseCreationOptionsFromJSON(json);
  const user = json["user"] as Json;
  const options = {
    ...json,
    challenge: bytes(json["challenge"]),
    user: { ...user, id: bytes(user["id"]) },
    excludeCredentials: described(json["excludeCredentials"]),
  };
  return options as unknown as PublicKeyCredentialCreationOptions;
}

function described(list: unknown): Json[] {
  const all = Array.isArray(list) ? (list as Json[]) : [];
  return all.map((one) => ({ ...one, id: bytes(one["id"]) }));
}

/** What is sent: the platform's own form where there is one. */
export function toJson(credential: PublicKeyCredential | null): Json {
  // Browsers answer with an error, never with null; a password manager that stands in for one might.
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  try {
    const json = (credential as { toJSON?: () => unknown }).toJSON?.();
    if (json) return json as Json;
  } catch {
    // The credential of a password manager may inherit a method that refuses it.
  }
  return {
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: responseJson(credential.response),
  };
}

function responseJson(response: AuthenticatorResponse): Json {
  const clientDataJSON = base64url(response.clientDataJSON);
  if ("attestationObject" in response) {
    const made = response as AuthenticatorAttestationResponse;
    const transports = (made as { getTransports?: () => string[] }).getTransports?.() ?? [];
    return { clientDataJSON, attestationObject: base64url(made.attestationObject), transports };
  }
  const proof = response as AuthenticatorAssertionResponse;
  return {
    clientDataJSON,
    authenticatorData: base64url(proof.authenticatorData),
    signature: base64url(proof.signature),
    userHandle: proof.userHandle ? base64url(proof.userHandle) : undefined,
  };
}

/** Base64url without padding. */
export function base64url(buffer: ArrayBuffer): string {
  let binary = "";
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of a text in base64url. */
export function bytes(text: unknown): Uint8Array<ArrayBuffer> {
  if (typeof text !== "string") throw new TypeError("not base64url");
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
