//! DPoP proofs (RFC 9449 §4.3): that whoever sends a token holds its key, now, for this request. Pure: that a proof is used once is for the keeper of the
//! book of proofs to say, who is asked by [`super::Provisional::confirm`].

use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{DenialCode, Digest, Seconds, Timestamp};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use crate::Denial;
use crate::keys::{self, sha256};
use crate::path::{CanonicalPath, canonical_host};
use crate::request::HttpRequest;

/// What a proof must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRules {
    /// The algorithms that clients may sign with.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be.
    pub window: Seconds,
    /// The nonces of which a proof must name one; none are asked for where there is no list.
    pub nonces: Option<Vec<String>>,
    /// Proofs made before this count no more: the book of used ones begins here.
    pub since: Timestamp,
}

impl Default for ProofRules {
    fn default() -> Self {
        let algorithms = vec![Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256];
        Self { algorithms, window: Seconds(60), nonces: None, since: Timestamp(0) }
    }
}

/// Which proof was used, as digests: what a book of used proofs keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofId {
    /// Whose it is.
    pub key: Digest,
    /// Key and `jti`.
    pub proof: Digest,
}

/// A proof that holds, if it is used for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of the key that signed it (RFC 7638).
    pub thumbprint: String,
    /// Its name in a book of used proofs.
    pub id: ProofId,
}

const LONGEST: usize = 8 * 1024;

/// Checks a proof that came with a token on a request.
///
/// # Errors
/// `invalid_dpop_proof`, or `use_dpop_nonce` where only a current nonce is missing.
pub fn verify(proof: &str, token: &str, http: &HttpRequest, rules: &ProofRules, skew: Seconds, now: Timestamp) -> Result<Proof, Denial> {
    if proof.len() > LONGEST {
        return Err(invalid("proof is longer than 8 KiB"));
    }
    let signed = keys::verify_self_signed(proof, &rules.algorithms).map_err(|error| invalid(format!("DPoP proof: {error}")))?;
    if !signed.typ.is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
        return Err(invalid("`typ` does not say that this is a DPoP proof"));
    }
    let claims = strict::value(&signed.payload, Limits::CLAIMS).map_err(|error| invalid(error.to_string()))?;
    let claims = Claims::of_proof(claims.as_object().ok_or_else(|| invalid("claims of the proof are no object"))?);
    let jti = claims.text("jti")?.filter(|jti| (1..=256).contains(&jti.len()));
    let jti = jti.ok_or_else(|| invalid("`jti` of the proof is missing, empty or longer than 256 bytes"))?;
    check_request(&claims, http)?;
    check_time(&claims, rules, skew, now)?;
    if claims.text("ath")?.as_deref() != Some(&sha256(token.as_bytes())) {
        return Err(invalid("`ath` of the proof is not the hash of this token"));
    }
    check_nonce(&claims, rules)?;
    let id = ProofId { key: digest(&[&signed.thumbprint]), proof: digest(&[&signed.thumbprint, &jti]) };
    Ok(Proof { thumbprint: signed.thumbprint, id })
}

fn invalid(why: impl Into<String>) -> Denial {
    Denial::new(DenialCode::InvalidProof, why)
}

/// The request is the one that the proof was made for: its method, and its URL without query and fragment.
fn check_request(claims: &Claims<'_>, http: &HttpRequest) -> Result<(), Denial> {
    if claims.text("htm")?.as_ref() != Some(&http.method) {
        return Err(invalid("`htm` of the proof is another method"));
    }
    match claims.text("htu")? {
        Some(htu) if is_url_of(&htu, http) => Ok(()),
        _ => Err(invalid("`htu` of the proof is another URL than the trusted one of this request")),
    }
}

/// Both in canonical form (RFC 3986 §6.2.2, §6.2.3): what could mean two URLs is none.
fn is_url_of(htu: &str, http: &HttpRequest) -> bool {
    let url = htu.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    scheme == http.scheme
        && canonical_host(authority, &scheme).is_ok_and(|host| host == http.host)
        && CanonicalPath::parse(path).is_ok_and(|path| path == http.path)
}

fn check_time(claims: &Claims<'_>, rules: &ProofRules, skew: Seconds, now: Timestamp) -> Result<(), Denial> {
    let made = claims.time("iat")?.ok_or_else(|| invalid("`iat` of the proof is missing"))?;
    if made > now.after(skew) {
        return Err(invalid("`iat` of the proof lies in the future"));
    }
    if now > made.after(rules.window).after(skew) {
        return Err(invalid("proof is too old"));
    }
    // Whole seconds: a proof of the second in which the book began may be in no book.
    if made.secs() <= rules.since.secs() {
        return Err(invalid("proof is older than the book of used proofs"));
    }
    Ok(())
}

fn check_nonce(claims: &Claims<'_>, rules: &ProofRules) -> Result<(), Denial> {
    let Some(nonces) = &rules.nonces else { return Ok(()) };
    match claims.text("nonce")? {
        Some(nonce) if nonces.contains(&nonce) => Ok(()),
        _ => Err(Denial::new(DenialCode::UseNonce, "the proof names no current nonce")),
    }
}

fn digest(parts: &[&str]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("countersign dpop proof 1");
    parts.iter().for_each(|part| {
        hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
    });
    Digest(*hasher.finalize().as_bytes())
}
