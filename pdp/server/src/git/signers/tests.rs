//! Files of signers as ssh-keygen(1) describes them, and others.

use proptest::prelude::*;

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJ1hBqTt7jKyxAWNMBIPhtNLVdpKcRbmbJDrNAWzJhR";

fn parse(line: &str) -> Result<Signer, String> {
    Signers::parse(line.as_bytes()).map(|mut signers| signers.all.remove(0)).map_err(|error| error.to_string())
}

#[track_caller]
fn may(options: &str, at: &str) -> Result<(), NotAllowed> {
    parse(&format!("ann@example.com {options} {KEY}")).unwrap().may(instant(at).unwrap())
}

#[test]
fn lines_as_ssh_keygen_writes_them() {
    let text =
        format!("# people\n\n  ann@example.com,ann namespaces=\"git,file\",valid-after=\"20200101Z\" {KEY} a comment\n\"b c\" {KEY}\n");
    let signers = Signers::parse(text.as_bytes()).unwrap();
    let names: Vec<&str> = signers.all.iter().map(|signer| signer.name.as_str()).collect();
    assert_eq!(names, ["ann@example.com,ann", "b c"]);
    assert_eq!(signers.all[0].namespaces, Some(vec!["git".to_owned(), "file".to_owned()]));
    assert_eq!(signers.all[0].after, Some(Timestamp(1_577_836_800_000)));
}

#[test]
fn options_say_what_and_when() {
    let now = "20260601Z";
    for (options, may_sign) in [
        ("", true),
        ("namespaces=\"git\"", true),
        ("namespaces=git", true),
        ("namespaces=\"file\"", false),
        ("namespaces=\"file,g*\"", true),
        ("namespaces=\"*,!git\"", false),
        ("namespaces=\"gi?\"", true),
        ("namespaces=\"git?\"", false),
        ("namespaces=\"\"", false),
        ("valid-after=\"20260601Z\"", true),
        ("valid-after=\"202606010001Z\"", false),
        ("valid-before=\"20260602Z\"", true),
        ("valid-before=\"20260601Z\"", false),
        ("valid-after=20260101Z,valid-before=20260501Z", false),
    ] {
        assert_eq!(may(options, now).is_ok(), may_sign, "{options}");
    }
}

#[test]
fn half_a_list_is_none() {
    for (line, why) in [
        (format!("ann cert-authority {KEY}"), "list the keys themselves"),
        (format!("ann no-such-thing {KEY}"), "is not known"),
        (format!("ann valid-before=\"20260101\" {KEY}"), "in UTC"),
        (format!("ann valid-before=\"20261301Z\" {KEY}"), "no date"),
        (format!("ann valid-before=\"2026010124Z\" {KEY}"), "no date"),
        (format!("ann valid-before=\"20260101Z\",valid-before=\"20270101Z\" {KEY}"), "twice"),
        (format!("ann namespaces=\"git {KEY}"), "quotation mark"),
        (format!("\"\" {KEY}"), "no names"),
        ("ann".to_owned(), "no key"),
        ("ann ssh-ed25519".to_owned(), "no key"),
        ("ann ssh-ed25519 AAAA".to_owned(), "no key"),
        (KEY.replacen("ssh-ed25519", "ann ssh-rsa", 1), "no key"),
        (KEY.to_owned(), "no key"),
    ] {
        let said = parse(&format!("bob {KEY}\n{line}")).unwrap_err();
        assert!(said.contains(why) && said.contains("line 2"), "{line}: {said}");
    }
    assert_eq!(Signers::parse(b"# nobody\n"), Err(SignersError::Empty));
    assert!(Signers::parse(b"\xff").is_err());
    assert!(Signers::read(Path::new("/nowhere")).is_err());
}

#[test]
fn patterns_end() {
    assert!(!is_like("*a".repeat(50).as_bytes(), "a".repeat(40).as_bytes()));
    assert!(is_like(b"*", b"") && is_like(b"**", b"x") && is_like(b"a*c", b"abbc") && !is_like(b"a*c", b"ab") && is_like(b"", b""));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer(raw in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _said = Signers::parse(&raw);
        let _said = Signers::parse(format!("ann {text} {KEY}").as_bytes());
        let _said = Signers::parse(format!("ann valid-before=\"{text}Z\" {KEY}\n{text}").as_bytes());
    }

    #[test]
    fn a_key_stays_the_key(name in "[a-z@.]{1,20}", comment in "[ a-z]{0,20}") {
        let signer = parse(&format!("{name} {KEY} {comment}")).unwrap();
        prop_assert_eq!(signer.name, name);
        prop_assert_eq!(PublicKey::from(signer.key).to_openssh().unwrap(), KEY);
    }
}
