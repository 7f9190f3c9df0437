//! Signatures that OpenSSH made, those of security keys put together by hand, and everything that only looks like one.

use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::git::testing::Kit;

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn mpint(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    string(&if bytes[0] >= 0x80 { [&[0], bytes].concat() } else { bytes.to_vec() })
}

/// A signature as OpenSSH would write it.
fn armored(key: &[u8], namespace: &str, reserved: &[u8], signature: &[u8]) -> Vec<u8> {
    let parts = [string(key), string(namespace.as_bytes()), string(reserved), string(b"sha512"), string(signature)].concat();
    let text = STANDARD.encode([&b"SSHSIG\0\0\0\x01"[..], &parts].concat());
    let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n")).into_bytes()
}

const PAYLOAD: &[u8] = b"tree 0\n\nhello\n";

/// Signs [`PAYLOAD`] as a security key does, with these flags.
fn security_key(flags: u8, curve: bool) -> Signed {
    let message = SshSig::signed_data("git", HashAlg::Sha512, PAYLOAD).unwrap();
    let trailer = [flags, 0, 0, 0, 7];
    let asked = [digest(&SHA256, b"ssh:").as_ref(), &trailer, digest(&SHA256, &message).as_ref()].concat();
    let (key, signature) = if curve {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let raw = pair.sign(&SystemRandom::new(), &asked).unwrap();
        let both = [mpint(&raw.as_ref()[..32]), mpint(&raw.as_ref()[32..])].concat();
        let kind = string(b"sk-ecdsa-sha2-nistp256@openssh.com");
        let key = [kind.clone(), string(b"nistp256"), string(pair.public_key().as_ref()), string(b"ssh:")].concat();
        (key, [kind, string(&both), trailer.to_vec()].concat())
    } else {
        let pair = Ed25519KeyPair::generate().unwrap();
        let kind = string(b"sk-ssh-ed25519@openssh.com");
        let key = [kind.clone(), string(pair.public_key().as_ref()), string(b"ssh:")].concat();
        (key, [kind, string(pair.sign(&asked).as_ref()), trailer.to_vec()].concat())
    };
    Signed { payload: PAYLOAD.to_vec(), armored: armored(&key, "git", b"", &signature) }
}

#[test]
fn security_keys_must_be_touched() {
    for curve in [false, true] {
        security_key(1, curve).by().unwrap();
        security_key(5, curve).by().unwrap();
        assert_eq!(security_key(0, curve).by().unwrap_err(), SignatureError::Untouched);
        let other = Signed { payload: b"something else".to_vec(), ..security_key(1, curve) };
        assert_eq!(other.by().unwrap_err(), SignatureError::Wrong);
    }
}

#[test]
fn keys_of_all_kinds() {
    let kit = Kit::new();
    for (kind, bits) in [("ed25519", ""), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")] {
        let name = format!("{kind}{bits}");
        let public = kit.key_of(&name, kind, bits);
        let commit = kit.commit(&format!("package {name}"), Some(&name));
        let raw = kit.repository().commit(commit).unwrap().raw;
        let signed = Signed::commit(&raw).unwrap();
        assert_eq!(ssh_key::PublicKey::from(signed.by().unwrap()).to_openssh().unwrap(), public, "{name}");
        kit.tag("live", Some(&name));
        let (tag, _) = kit.repository().peel(kit.repository().reference("refs/tags/live").unwrap()).unwrap();
        assert_eq!(Signed::tag(&tag.unwrap().raw).unwrap().by().unwrap(), signed.by().unwrap());
        // One byte of what was signed.
        let mut payload = signed.payload.clone();
        *payload.last_mut().unwrap() ^= 1;
        assert_eq!(Signed { payload, ..signed }.by().unwrap_err(), SignatureError::Wrong, "{name}");
    }
}

#[test]
fn weak_keys_and_weak_hashes_are_refused() {
    let kit = Kit::new();
    kit.key_of("weak", "rsa", "1024");
    let commit = kit.commit("package weak", Some("weak"));
    let weak = Signed::commit(&kit.repository().commit(commit).unwrap().raw).unwrap();
    assert_eq!(weak.by().unwrap_err(), SignatureError::Wrong);
    let key = [string(b"ssh-rsa"), mpint(&[1, 0, 1]), mpint(&[0xff; 256])].concat();
    let sha1 = [string(b"ssh-rsa"), string(&[1; 256])].concat();
    let sha1 = Signed { payload: PAYLOAD.to_vec(), armored: armored(&key, "git", b"", &sha1) };
    assert!(matches!(sha1.by().unwrap_err(), SignatureError::Malformed | SignatureError::Kind(_)));
}

#[test]
fn a_signature_for_something_else_is_none_for_git() {
    let kit = Kit::new();
    kit.key("ann");
    std::fs::write(kit.at("payload"), PAYLOAD).unwrap();
    for (namespace, expected) in [("git", Ok(())), ("file", Err(SignatureError::Namespace("file".to_owned())))] {
        let _none_yet = std::fs::remove_file(kit.at("payload.sig"));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(kit.at("ann")).arg(kit.at("payload"));
        assert!(command.output().unwrap().status.success());
        let signed = Signed { payload: PAYLOAD.to_vec(), armored: std::fs::read(kit.at("payload.sig")).unwrap() };
        assert_eq!(signed.by().map(drop), expected);
    }
}

#[test]
fn what_was_signed_is_everything_but_the_signature() {
    let commit = |head: &str| Signed::commit(format!("tree 0\n{head}author a\n\nhello\n").as_bytes()).map(|signed| signed.payload);
    let ssh = "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n";
    assert_eq!(commit(ssh).unwrap(), b"tree 0\nauthor a\n\nhello\n");
    assert_eq!(commit(""), Err(SignatureError::Unsigned));
    assert_eq!(commit(&format!("{ssh}{ssh}")), Err(SignatureError::Several));
    assert_eq!(commit(&format!("{ssh}gpgsig-sha256 x\n")), Err(SignatureError::Several));
    assert_eq!(commit("gpgsig -----BEGIN PGP SIGNATURE-----\n AAAA\n"), Err(SignatureError::OtherFormat));
    // Lines of another header stay part of what was signed.
    let merged = format!("mergetag object 0\n gpgsig -----BEGIN SSH SIGNATURE-----\n{ssh}");
    assert_eq!(commit(&merged).unwrap(), b"tree 0\nmergetag object 0\n gpgsig -----BEGIN SSH SIGNATURE-----\nauthor a\n\nhello\n");
    // In the message it is only text.
    assert_eq!(Signed::commit(b"tree 0\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n"), Err(SignatureError::Unsigned));
    let tag = |text: &str| Signed::tag(text.as_bytes()).map(|signed| signed.payload);
    assert_eq!(tag("object 0\n\nhi\n-----BEGIN SSH SIGNATURE-----\nAAAA\n").unwrap(), b"object 0\n\nhi\n");
    assert_eq!(tag("object 0\n\nhi\n"), Err(SignatureError::Unsigned));
    assert_eq!(tag("object 0\n\n-----BEGIN SSH SIGNATURE-----\n-----BEGIN PGP SIGNATURE-----\n"), Err(SignatureError::OtherFormat));
    assert_eq!(tag(&format!("-----BEGIN SSH SIGNATURE-----\n{}", "A".repeat(20_000))), Err(SignatureError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(raw in prop::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}", at in 0_usize..500, bits in any::<u8>()) {
        for raw in [raw.clone(), [b"gpgsig ", BEGIN_SSH, b"\n", text.as_bytes()].concat(), [BEGIN_SSH, b"\n", &raw].concat()] {
            let _said = Signed::commit(&raw).and_then(|signed| signed.by());
            let _said = Signed::tag(&raw).and_then(|signed| signed.by());
        }
        // Whatever lies within the armor of a signature.
        let junk = Signed { payload: raw.clone(), armored: armored(&raw, "git", b"", &raw) };
        prop_assert!(junk.by().is_err());
        // One flipped byte of a good one: never another key that it would hold for.
        let good = security_key(1, bits & 1 == 0);
        let key = good.by().unwrap();
        let mut armored = good.armored.clone();
        let at = at % armored.len();
        armored[at] ^= bits;
        if let Ok(by) = (Signed { armored, ..good }).by() {
            prop_assert_eq!(by, key);
        }
    }
}
