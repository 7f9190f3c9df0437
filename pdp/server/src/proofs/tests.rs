//! A proof counts once, in bounded memory; nonces turn.

use super::*;

const START: Timestamp = Timestamp(1_800_000_000_000);

fn proofs(requires_nonce: bool) -> Proofs {
    Proofs::new(Settings { requires_nonce, ..Settings::default() }, Seconds(5), START).unwrap()
}

fn proof(key: u32, name: u32) -> ProofId {
    let digest = |of: u32| Digest(*blake3::hash(&of.to_le_bytes()).as_bytes());
    ProofId { key: digest(key), proof: digest(name) }
}

fn at(secs: i64) -> Timestamp {
    Timestamp(START.0 + secs * 1_000)
}

#[test]
fn dpop_02_a_proof_counts_once_for_as_long_as_it_could_count() {
    let proofs = proofs(false);
    for used in [0, 65, 69, 70, 71, 200] {
        let name = u32::try_from(used).unwrap();
        assert_eq!(proofs.spend(&proof(1, name), at(used)), Ok(()));
        for later in [0, 1, 69, 70] {
            let again = proofs.spend(&proof(1, name), at(used + later)).map_err(|denial| denial.code());
            assert_eq!(again, Err(DenialCode::InvalidProof), "used at {used}, again {later} s later");
        }
    }
}

#[test]
fn dpop_02_the_book_is_bounded_and_forgets_nothing_that_counts() {
    let proofs = proofs(false);
    for name in 0..MOST_OF_ONE {
        proofs.spend(&proof(1, name), START).unwrap();
    }
    let over = proofs.spend(&proof(1, MOST_OF_ONE), START).map_err(|denial| denial.code());
    assert_eq!(over, Err(DenialCode::Overloaded), "one client fills its own share only");
    assert_eq!(proofs.spend(&proof(2, MOST_OF_ONE), START), Ok(()));
    assert_eq!(proofs.spend(&proof(1, 0), START).map_err(|denial| denial.code()), Err(DenialCode::InvalidProof));
    // Later there is room again.
    assert_eq!(proofs.spend(&proof(1, MOST_OF_ONE + 1), at(71)), Ok(()));
    let book = proofs.book.lock().unwrap();
    assert!(book.before.proofs.len() + book.current.proofs.len() <= MOST);
}

#[test]
fn a_nonce_turns_and_the_last_one_still_counts() {
    let proofs = proofs(true);
    let first = proofs.terms(START).nonce.unwrap();
    let counts = |nonce: &String, secs| proofs.rules(at(secs)).nonces.unwrap().contains(nonce);
    assert!(counts(&first, 0) && counts(&first, 120) && !counts(&first, 240));
    assert_ne!(proofs.terms(at(120)).nonce.as_ref(), Some(&first));
    assert!(!counts(&self::proofs(true).terms(START).nonce.unwrap(), 0), "another process draws its own");
    assert_eq!(self::proofs(false).rules(START).nonces, None);
    assert_eq!(self::proofs(false).terms(START), Terms { algorithms: "ES256 ES384 EdDSA PS256".to_owned(), nonce: None });
    assert!(!format!("{proofs:?}").contains(&first));
}
