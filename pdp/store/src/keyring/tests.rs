//! The keyring: one salt a subject, destroyed for good.

use super::*;
use countersign_sdk_types::Tenant;

fn subject(name: &str) -> SubjectId {
    SubjectId { tenant: Tenant::new("acme").unwrap(), iss: "i".to_owned(), sub: name.to_owned() }
}

#[test]
fn a_salt_is_made_once_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let first = Keyring::open(&path).unwrap().salt(&subject("alice"), || Some([1; 32])).unwrap();
    assert_eq!(Keyring::open(&path).unwrap().salt(&subject("alice"), || Some([2; 32])).unwrap(), first);
}

#[test]
fn a_destroyed_salt_is_nowhere_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let keyring = Keyring::open(&path).unwrap();
    keyring.salt(&subject("alice"), || Some([0xab; 32])).unwrap();
    keyring.salt(&subject("bob"), || Some([0xcd; 32])).unwrap();
    keyring.destroy(&subject("alice")).unwrap();
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(!text.contains(&"ab".repeat(32)) && text.contains(&"cd".repeat(32)));
    keyring.salt(&subject("carol"), || Some([3; 32])).unwrap();
    drop(keyring);
    let keyring = Keyring::open(&path).unwrap();
    assert_eq!(keyring.salt(&subject("bob"), || Some([4; 32])).unwrap(), Salt([0xcd; 32]));
    assert_eq!(keyring.salt(&subject("carol"), || Some([4; 32])).unwrap(), Salt([3; 32]));
    assert_eq!(keyring.salt(&subject("alice"), || Some([5; 32])).unwrap(), Salt([5; 32]));
}

#[test]
fn an_interrupted_entry_is_dropped_and_a_damaged_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let keyring = Keyring::open(&path).unwrap();
    keyring.salt(&subject("alice"), || Some([1; 32])).unwrap();
    let kept = fs::metadata(&path).unwrap().len() as usize;
    keyring.salt(&subject("bob"), || Some([2; 32])).unwrap();
    drop(keyring);
    let whole = fs::read(&path).unwrap();
    for length in kept..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(Keyring::open(&path).unwrap().salt(&subject("alice"), || Some([9; 32])).unwrap(), Salt([1; 32]));
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, kept);
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        fs::write(&path, &flipped).unwrap();
        assert!(matches!(Keyring::open(&path), Err(KeyringError::Damaged(_))), "byte {at}");
    }
}

#[test]
fn without_random_numbers_there_is_no_new_salt_and_the_old_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let keyring = Keyring::open(&path).unwrap();
    assert!(matches!(keyring.salt(&subject("alice"), || None), Err(KeyringError::NoEntropy)));
    assert_eq!(keyring.salt(&subject("alice"), || Some([1; 32])).unwrap(), Salt([1; 32]));
    assert_eq!(keyring.salt(&subject("alice"), || None).unwrap(), Salt([1; 32]), "nothing is drawn for a salt that is there");
}
