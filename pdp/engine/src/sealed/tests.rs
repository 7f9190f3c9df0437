//! What is signed is read again, by its key, in its time, as what it is, and not otherwise.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_sdk_types::PepId;
use serde_json::json;

use super::*;
use crate::decide::tests::seed;
use crate::identify::Issuer;
use crate::keys::{ALGORITHMS, KeySet};

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn keys() -> (SigningKey, NamedKey) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let private = pair.to_pkcs8v1().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let signing = SigningKey::from_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).unwrap();
    (signing, NamedKey::public(pem("PUBLIC KEY", public.as_ref()).as_bytes()).unwrap())
}

fn issuer() -> Issuer {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "d": "kept at home",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    Issuer {
        keys: KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap(),
        check: crate::identify::Check::Signature,
        algorithms: ALGORITHMS.to_vec(),
        audiences: BTreeSet::from(["payroll".to_owned()]),
        takes_plain_jwt: false,
        clients: BTreeSet::new(),
        max_lifetime: Seconds(600),
        mapped_claims: BTreeSet::new(),
    }
}

fn sealed(made: Timestamp) -> Sealed {
    let asserts = BTreeSet::new();
    let pep = Pep { id: PepId::new("edge").unwrap(), asserts_subject: true, asserts_client: true, asserts };
    let by_iss = BTreeMap::from([("https://issuer.example".to_owned(), issuer())]);
    let parts = Parts {
        tenant: Tenant::new("main").unwrap(),
        pep,
        rules: RequestRules::default(),
        issuers: Issuers { by_iss, opaque: None, skew: Seconds(5) },
        claims: BTreeMap::new(),
        proofs: ProofRules { nonces: Some(vec!["secret".to_owned()]), ..ProofRules::default() },
        obligations: BTreeSet::new(),
        edge: EdgeTerms { risk_below: RiskScore::clamp(20.0), never: BTreeSet::new(), audit_required: true },
        consistency: None,
        server: Some(u64::MAX),
        made,
        life: Seconds(600),
    };
    Sealed::new(&seed(), parts)
}

const NOW: Timestamp = Timestamp(1_772_492_400_000);

#[test]
fn it_is_read_as_it_was_written_and_holds_no_secret() {
    let (signing, key) = keys();
    let text = sealed(NOW).sign(&signing).unwrap();
    let read = Sealed::open(&text, &key, NOW).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(sealed(NOW)).unwrap());
    assert_eq!(read.issuers.by_iss["https://issuer.example"].keys.len(), 1);
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert!(!payload.contains("kept at home") && !payload.contains("secret"), "{payload}");
    let snapshot = read.compile().unwrap();
    assert_eq!((snapshot.revision, snapshot.max_age), (seed().revision, seed().max_age));
}

#[test]
fn another_key_another_type_and_another_time_are_refused() {
    let ((signing, key), (other, _)) = (keys(), keys());
    let document = sealed(NOW);
    let refused = |text: &str, now: Timestamp| Sealed::open(text, &key, now).unwrap_err();
    assert!(matches!(refused(&document.sign(&other).unwrap(), NOW), SealedError::Signature(SignatureError::Wrong)));
    let untyped = signing.sign_typed("JWT", &document).unwrap();
    assert!(matches!(refused(&untyped, NOW), SealedError::Signature(SignatureError::Header(_))));
    let text = document.sign(&signing).unwrap();
    assert!(matches!(refused(&text, NOW.after(Seconds(600))), SealedError::Expired));
    assert!(matches!(refused(&text, Timestamp(NOW.0 - 61_000)), SealedError::Expired));
    let mut bytes = text.clone().into_bytes();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    assert!(matches!(refused(&String::from_utf8(bytes).unwrap(), NOW), SealedError::Signature(_)));
    let later = signing.sign_typed(TYP, &Sealed { format: 2, ..document.clone() }).unwrap();
    assert!(matches!(refused(&later, NOW), SealedError::Format(2)));
    let mut more = serde_json::to_value(&document).unwrap();
    more["more"] = json!(1);
    assert!(matches!(refused(&signing.sign_typed(TYP, &more).unwrap(), NOW), SealedError::Form(_)));
}
