//! The token of a page: where the next one begins, sealed by a key of this process and bound to the query. It says nothing to whoever holds it, is good for
//! the same caller and the same query only, and ends with the process.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_engine::record::SearchKind;
use countersign_pdp_engine::request::RawCheck;

use crate::adapter::authzen::Refusal;

/// The longest token that is read.
const LONGEST: usize = 4 * 1024;

/// The key.
#[derive(Debug)]
pub(in crate::adapter::authzen) struct Seal(RandomizedNonceKey);

/// What a token is bound to: who asks what of whom. The size of a page may change.
pub(super) struct Query([u8; 32]);

impl Query {
    pub(super) fn of(kind: SearchKind, raw: &RawCheck) -> Self {
        let bound = serde_json::to_vec(&(kind, &raw.tenant, &raw.pep.id, &raw.asked)).unwrap_or_default();
        Self(*blake3::Hasher::new_derive_key("countersign authzen search 1").update(&bound).finalize().as_bytes())
    }
}

impl Seal {
    /// A fresh key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(in crate::adapter::authzen) fn new() -> Result<Self, String> {
        let mut secret = [0; 32];
        let key = aws_lc_rs::rand::fill(&mut secret).and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &secret));
        key.map(Self).map_err(|_| "there is no randomness for the tokens of pages".to_owned())
    }

    /// Seals a position.
    pub(super) fn close(&self, position: &str, query: &Query) -> Result<String, Refusal> {
        let mut sealed = position.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(query.0), &mut sealed);
        let nonce = nonce.map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the token of the next page could not be made"))?;
        let nonce: &[u8] = nonce.as_ref();
        Ok(URL_SAFE_NO_PAD.encode([nonce, &sealed].concat()))
    }

    /// The position in a token.
    pub(super) fn open(&self, token: &str, query: &Query) -> Result<String, Refusal> {
        self.read(token, query)
            .ok_or_else(|| Refusal::malformed("`page.token` is not one of this query, this caller and this process; begin again"))
    }

    fn read(&self, token: &str, query: &Query) -> Option<String> {
        let sealed = Some(token).filter(|token| token.len() <= LONGEST).and_then(|token| URL_SAFE_NO_PAD.decode(token).ok())?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let (nonce, mut sealed) = (Nonce::try_assume_unique_for_key(nonce).ok()?, sealed.to_vec());
        let position = self.0.open_in_place(nonce, Aad::from(query.0), &mut sealed).ok()?;
        String::from_utf8(position.to_vec()).ok()
    }
}
