//! Signatures of commits and tags, made with SSH keys (`PROTOCOL.sshsig` of OpenSSH): what was signed, by which key, and whether that holds.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, HashAlg, SshSig};

/// What a signature of git is made for; one that was made for a file is none.
const NAMESPACE: &str = "git";
/// The longest signature.
const LONGEST: usize = 16 * 1024;
/// The line that a signature begins with.
const BEGIN_SSH: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
const BEGIN_OTHERS: [&[u8]; 3] = [b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----", b"-----BEGIN SIGNED MESSAGE-----"];
/// A security key was touched.
const PRESENT: u8 = 1;
/// The trailer of a security key's signature: flags and a counter.
const TRAILER: usize = 5;

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("it is not signed")]
    Unsigned,
    #[error("it is signed with PGP or X.509, and only SSH signatures are read: `git config gpg.format ssh`")]
    OtherFormat,
    #[error("it has more than one signature")]
    Several,
    #[error("its signature cannot be read")]
    Malformed,
    #[error("its signature was made for `{0}`, not for git")]
    Namespace(String),
    #[error("its signature is of a kind that is not accepted: {0}")]
    Kind(String),
    #[error("its security key was not touched")]
    Untouched,
    #[error("its signature does not hold")]
    Wrong,
}

/// What was signed, and the signature over it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    payload: Vec<u8>,
    armored: Vec<u8>,
}

impl Signed {
    /// Of a commit: its only `gpgsig` header, over everything else.
    pub(super) fn commit(raw: &[u8]) -> Result<Self, SignatureError> {
        let head = raw.windows(2).position(|pair| pair == b"\n\n").map_or(raw.len(), |end| end + 1);
        let (head, rest) = raw.split_at_checked(head).ok_or(SignatureError::Malformed)?;
        let (mut payload, mut armored, mut inside) = (Vec::with_capacity(raw.len()), Vec::new(), false);
        for line in head.split_inclusive(|byte| *byte == b'\n') {
            if let Some(more) = line.strip_prefix(b" ").filter(|_| inside) {
                armored.extend_from_slice(more);
            } else if let Some(first) = line.strip_prefix(b"gpgsig ") {
                if !armored.is_empty() {
                    return Err(SignatureError::Several);
                }
                (armored, inside) = (first.to_vec(), true);
            } else if line.starts_with(b"gpgsig") {
                // Of another object format: which one counts would be a matter of taste.
                return Err(SignatureError::Several);
            } else {
                inside = false;
                payload.extend_from_slice(line);
            }
        }
        payload.extend_from_slice(rest);
        Self { payload, armored }.checked()
    }

    /// Of a tag: from the last line on that begins a signature, over everything before it.
    pub(super) fn tag(raw: &[u8]) -> Result<Self, SignatureError> {
        let mut at = 0;
        let mut begin = None;
        for line in raw.split_inclusive(|byte| *byte == b'\n') {
            if BEGIN_OTHERS.iter().chain([&BEGIN_SSH]).any(|start| line.starts_with(start)) {
                begin = Some(at);
            }
            at += line.len();
        }
        let (payload, armored) = begin.and_then(|begin| raw.split_at_checked(begin)).ok_or(SignatureError::Unsigned)?;
        Self { payload: payload.to_vec(), armored: armored.to_vec() }.checked()
    }

    fn checked(self) -> Result<Self, SignatureError> {
        match self.armored.as_slice() {
            [] => Err(SignatureError::Unsigned),
            armored if armored.len() > LONGEST => Err(SignatureError::Malformed),
            armored if armored.starts_with(BEGIN_SSH) => Ok(self),
            _ => Err(SignatureError::OtherFormat),
        }
    }

    /// The key that signed, if its signature holds. Whether anybody trusts the key is another question.
    pub(super) fn by(&self) -> Result<KeyData, SignatureError> {
        let signature = SshSig::from_pem(&self.armored).map_err(|_| SignatureError::Malformed)?;
        if signature.namespace() != NAMESPACE {
            return Err(SignatureError::Namespace(super::names::shown(signature.namespace())));
        }
        if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
            return Err(SignatureError::Malformed);
        }
        let message = SshSig::signed_data(NAMESPACE, signature.hash_alg(), &self.payload).map_err(|_| SignatureError::Malformed)?;
        verify(signature.public_key(), &signature.algorithm(), signature.signature_bytes(), &message)?;
        Ok(signature.public_key().clone())
    }
}

fn verify(key: &KeyData, algorithm: &Algorithm, signature: &[u8], message: &[u8]) -> Result<(), SignatureError> {
    match (key, algorithm) {
        (KeyData::Ed25519(key), Algorithm::Ed25519) => holds(&ED25519, key.as_ref(), message, signature),
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if key.curve() == *curve => ecdsa(key, message, signature),
        (KeyData::Rsa(key), Algorithm::Rsa { hash: Some(hash) }) => {
            let (n, e) = (key.n.as_positive_bytes(), key.e.as_positive_bytes());
            let (n, e) = n.zip(e).ok_or(SignatureError::Malformed)?;
            let parameters = match hash {
                HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                _ => return Err(SignatureError::Kind(algorithm.to_string())),
            };
            let signature = padded(signature, n.len()).ok_or(SignatureError::Wrong)?;
            RsaPublicKeyComponents { n, e }.verify(parameters, message, &signature).map_err(|_| SignatureError::Wrong)
        }
        (KeyData::SkEd25519(key), Algorithm::SkEd25519) => {
            let (message, signature) = touched(key.application(), message, signature)?;
            holds(&ED25519, key.public_key().as_ref(), &message, signature)
        }
        (KeyData::SkEcdsaSha2NistP256(key), Algorithm::SkEcdsaSha2NistP256) => {
            let (message, signature) = touched(key.application(), message, signature)?;
            ecdsa(&EcdsaPublicKey::NistP256(*key.ec_point()), &message, signature)
        }
        _ => Err(SignatureError::Kind(super::names::shown(algorithm.as_str()))),
    }
}

fn holds(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| SignatureError::Wrong)
}

/// Two numbers, each with its length before it (RFC 5656, section 3.1.2).
fn ecdsa(key: &EcdsaPublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let (algorithm, size): (&'static dyn VerificationAlgorithm, usize) = match key {
        EcdsaPublicKey::NistP256(_) => (&ECDSA_P256_SHA256_FIXED, 32),
        EcdsaPublicKey::NistP384(_) => (&ECDSA_P384_SHA384_FIXED, 48),
        EcdsaPublicKey::NistP521(_) => (&ECDSA_P521_SHA512_FIXED, 66),
    };
    let (r, rest) = number(signature).ok_or(SignatureError::Malformed)?;
    let (s, rest) = number(rest).ok_or(SignatureError::Malformed)?;
    let both = padded(r, size).zip(padded(s, size)).filter(|_| rest.is_empty()).ok_or(SignatureError::Malformed)?;
    holds(algorithm, key.as_sec1_bytes(), message, &[both.0, both.1].concat())
}

/// What a security key signs (`PROTOCOL.u2f`), and its signature without the trailer. A key that was not touched may have been asked by anything.
fn touched<'a>(application: &str, message: &[u8], signature: &'a [u8]) -> Result<(Vec<u8>, &'a [u8]), SignatureError> {
    let split = signature.len().checked_sub(TRAILER).ok_or(SignatureError::Malformed)?;
    let (signature, trailer) = signature.split_at_checked(split).ok_or(SignatureError::Malformed)?;
    if trailer.first().is_none_or(|flags| flags & PRESENT == 0) {
        return Err(SignatureError::Untouched);
    }
    let (application, message) = (digest(&SHA256, application.as_bytes()), digest(&SHA256, message));
    Ok(([application.as_ref(), trailer, message.as_ref()].concat(), signature))
}

fn number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// A number in exactly that many bytes.
fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..)?;
    let missing = size.checked_sub(number.len())?;
    Some([&vec![0; missing], number].concat())
}

#[cfg(test)]
mod tests;
