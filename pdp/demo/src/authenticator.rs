//! A software authenticator together with the browser around it: passkeys in memory, answers in the shape of `PublicKeyCredential.toJSON()`.
//!
//! It is for demonstrations and tests. It verifies no user; it says what its [`Quirks`] tell it to say.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use url::Url;

mod cbor;

/// Why the authenticator does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorError {
    /// A member of the options is absent or of the wrong kind.
    #[error("option `{0}` is missing or malformed")]
    Options(&'static str),
    /// A browser lets no page use the passkeys of another host.
    #[error("page may not use passkeys of this relying party")]
    ForeignPage,
    /// One of the excluded passkeys is in here.
    #[error("a passkey of this account is already registered here")]
    Excluded,
    /// None of the allowed passkeys is in here.
    #[error("no passkey of this account is here")]
    NoPasskey,
    /// A key could not be made or used.
    #[error("key cannot be made or used")]
    Key,
}

/// How to misbehave. The default is honest; what is wrong is then signed as if it were right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quirks {
    /// Says that the user was not verified.
    pub unverified: bool,
    /// Says that no user was present.
    pub absent: bool,
    /// The origin that is written instead of the page's.
    pub origin: Option<String>,
    /// Says that the page was framed by another origin.
    pub cross_origin: bool,
    /// The origin of the framing page.
    pub top_origin: Option<String>,
    /// The relying party that is signed instead of the one in the options.
    pub rp_id: Option<String>,
    /// Members that are put over those of the client data; `null` removes one.
    pub client_data: Map<String, Value>,
    /// The counter that is reported, instead of one more than the last.
    pub counter: Option<u32>,
    /// Says that the passkey may be backed up (BE).
    pub backup_eligible: bool,
    /// Says that the passkey is backed up (BS).
    pub backed_up: bool,
    /// Signs other bytes than it sends.
    pub bogus_signature: bool,
    /// Results of client extensions, instead of those that belong there.
    pub extension_results: Option<Value>,
    /// The user handle that is told instead of the stored one.
    pub user_handle: Option<Vec<u8>>,
    /// Bytes that follow the authenticator data, and are signed with it.
    pub leftover: Vec<u8>,
}

/// Holds passkeys (ES256), and answers for a browser.
#[derive(Default)]
pub struct SoftAuthenticator {
    /// How it misbehaves.
    pub quirks: Quirks,
    passkeys: Vec<Passkey>,
}

struct Passkey {
    id: Vec<u8>,
    key: EcdsaKeyPair,
    rp_id: String,
    user_handle: Vec<u8>,
    counter: u32,
}

/// Attested credential data is included (WebAuthn Level 3 §6.1).
const ATTESTED: u8 = 0x40;

impl SoftAuthenticator {
    /// An honest one, without passkeys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that misbehaves, without passkeys.
    #[must_use]
    pub const fn with(quirks: Quirks) -> Self {
        Self { quirks, passkeys: Vec::new() }
    }

    /// Makes a passkey for the options `{"publicKey": …}` of a creation, on a page of `origin`.
    ///
    /// # Errors
    /// When a browser or an authenticator would refuse the options, or no key can be made.
    pub fn register(&mut self, options: &Value, origin: &str) -> Result<Value, AuthenticatorError> {
        let rp_id = text(options, "/publicKey/rp/id")?;
        check_page(origin, rp_id)?;
        if self.find(rp_id, &ids(options, "/publicKey/excludeCredentials")).is_some() {
            return Err(AuthenticatorError::Excluded);
        }
        let user_handle = bytes(options, "/publicKey/user/id")?;
        let passkey = Passkey::new(rp_id, user_handle, self.quirks.counter.unwrap_or(1))?;
        let client_data = self.client_data("webauthn.create", options, origin)?;
        let answer = self.attest(&passkey, &client_data);
        self.passkeys.push(passkey);
        Ok(answer)
    }

    /// Answers the options `{"publicKey": …}` of a request, on a page of `origin`.
    ///
    /// # Errors
    /// When a browser would refuse the options, no allowed passkey is here, or signing fails.
    pub fn assert(&mut self, options: &Value, origin: &str) -> Result<Value, AuthenticatorError> {
        let rp_id = text(options, "/publicKey/rpId")?;
        check_page(origin, rp_id)?;
        let at = self.find(rp_id, &ids(options, "/publicKey/allowCredentials")).ok_or(AuthenticatorError::NoPasskey)?;
        let client_data = self.client_data("webauthn.get", options, origin)?;
        let next = self.quirks.counter;
        let passkey = self.passkeys.get_mut(at).ok_or(AuthenticatorError::NoPasskey)?;
        passkey.counter = next.unwrap_or_else(|| passkey.counter.saturating_add(1));
        let passkey = self.passkeys.get(at).ok_or(AuthenticatorError::NoPasskey)?;
        self.sign(passkey, &client_data)
    }

    /// Answers for somebody else's passkey with a fresh key under its name. Nobody should believe it.
    ///
    /// # Errors
    /// When the options allow no passkey, or signing fails.
    pub fn forge(&self, options: &Value, origin: &str) -> Result<Value, AuthenticatorError> {
        let victim = ids(options, "/publicKey/allowCredentials").into_iter().next().ok_or(AuthenticatorError::NoPasskey)?;
        let own = Passkey::new(text(options, "/publicKey/rpId")?, Vec::new(), 1_000)?;
        self.sign(&Passkey { id: victim, ..own }, &self.client_data("webauthn.get", options, origin)?)
    }

    fn find(&self, rp_id: &str, ids: &[Vec<u8>]) -> Option<usize> {
        self.passkeys.iter().position(|passkey| passkey.rp_id == rp_id && ids.contains(&passkey.id))
    }

    fn client_data(&self, kind: &str, options: &Value, origin: &str) -> Result<String, AuthenticatorError> {
        let challenge = text(options, "/publicKey/challenge")?;
        let origin = self.quirks.origin.as_deref().unwrap_or(origin);
        let top = self.quirks.top_origin.as_ref();
        let data = json!({
            "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": self.quirks.cross_origin, "topOrigin": top,
        });
        let mut members: Map<_, _> = data.as_object().cloned().unwrap_or_default();
        members.extend(self.quirks.client_data.clone());
        members.retain(|_, member| !member.is_null());
        Ok(Value::Object(members).to_string())
    }

    /// Authenticator data without anything attested (WebAuthn Level 3 §6.1).
    fn authenticator_data(&self, passkey: &Passkey, flags: u8) -> Vec<u8> {
        let rp_id = self.quirks.rp_id.as_ref().unwrap_or(&passkey.rp_id);
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(flags | self.flags());
        data.extend(passkey.counter.to_be_bytes());
        data
    }

    fn flags(&self) -> u8 {
        let flag = |set: bool, bit: u8| u8::from(set) << bit;
        let Quirks { absent, unverified, backup_eligible, backed_up, .. } = self.quirks;
        flag(!absent, 0) | flag(!unverified, 2) | flag(backup_eligible, 3) | flag(backed_up, 4)
    }

    fn attest(&self, passkey: &Passkey, client_data: &str) -> Value {
        let mut data = self.authenticator_data(passkey, ATTESTED);
        data.extend(cbor::attested(&passkey.id, passkey.key.public_key().as_ref()));
        data.extend(&self.quirks.leftover);
        let response = json!({
            "clientDataJSON": encode(client_data), "attestationObject": encode(cbor::attestation_object(&data)),
            "authenticatorData": encode(&data), "transports": ["internal"], "publicKeyAlgorithm": -7,
        });
        self.answer(passkey, &json!({"credProps": {"rk": true}}), &response)
    }

    fn sign(&self, passkey: &Passkey, client_data: &str) -> Result<Value, AuthenticatorError> {
        let mut data = self.authenticator_data(passkey, 0);
        data.extend(&self.quirks.leftover);
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, client_data.as_bytes()).as_ref());
        if self.quirks.bogus_signature {
            signed.push(0);
        }
        let signature = passkey.key.sign(&SystemRandom::new(), &signed).map_err(|_| AuthenticatorError::Key)?;
        let user_handle = self.quirks.user_handle.as_ref().unwrap_or(&passkey.user_handle);
        let response = json!({
            "clientDataJSON": encode(client_data), "authenticatorData": encode(&data),
            "signature": encode(signature), "userHandle": (!user_handle.is_empty()).then(|| encode(user_handle)),
        });
        Ok(self.answer(passkey, &json!({}), &response))
    }

    fn answer(&self, passkey: &Passkey, results: &Value, response: &Value) -> Value {
        let id = encode(&passkey.id);
        let results = self.quirks.extension_results.as_ref().unwrap_or(results);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": results, "response": response,
        })
    }
}

impl Passkey {
    fn new(rp_id: &str, user_handle: Vec<u8>, counter: u32) -> Result<Self, AuthenticatorError> {
        let mut id = vec![0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| AuthenticatorError::Key)?;
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| AuthenticatorError::Key)?;
        Ok(Self { id, key, rp_id: rp_id.to_owned(), user_handle, counter })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn text<'a>(options: &'a Value, pointer: &'static str) -> Result<&'a str, AuthenticatorError> {
    options.pointer(pointer).and_then(Value::as_str).ok_or(AuthenticatorError::Options(pointer))
}

fn bytes(options: &Value, pointer: &'static str) -> Result<Vec<u8>, AuthenticatorError> {
    URL_SAFE_NO_PAD.decode(text(options, pointer)?).map_err(|_| AuthenticatorError::Options(pointer))
}

fn ids(options: &Value, pointer: &str) -> Vec<Vec<u8>> {
    let descriptors = options.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    descriptors.iter().filter_map(|one| URL_SAFE_NO_PAD.decode(one.get("id")?.as_str()?).ok()).collect()
}

/// The relying party is the host of the page, or a parent of it.
fn check_page(origin: &str, rp_id: &str) -> Result<(), AuthenticatorError> {
    let page = Url::parse(origin).map_err(|_| AuthenticatorError::ForeignPage)?;
    let host = page.host_str().unwrap_or_default();
    let ours = host == rp_id || host.strip_suffix(rp_id).is_some_and(|rest| rest.ends_with('.'));
    ours.then_some(()).ok_or(AuthenticatorError::ForeignPage)
}

#[cfg(test)]
mod tests;
