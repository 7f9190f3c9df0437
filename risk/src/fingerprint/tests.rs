//! What resembles what, and that older forms are read.

use super::*;

const SALT: SubjectSalt = SubjectSalt::new([7; 32]);
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

fn chromium() -> Hints<'static> {
    Hints {
        platform: Some("\"Linux\""),
        platform_version: Some("\"6.8\""),
        language: Some("fr-FR"),
        mobile: Some("?0"),
        ..Hints::default()
    }
}

/// What a script told, by small numbers; 0 is nothing.
fn told(digests: [u64; PARTS]) -> Option<Components> {
    Some(Told(digests.map(|digest| (digest != 0).then_some(digest))).keyed(&SALT))
}

fn print(hints: &Hints<'_>, components: Option<Components>) -> Fingerprint {
    Fingerprint::new(Some(FIREFOX), hints, components, &SALT).unwrap()
}

#[track_caller]
fn check(one: Fingerprint, other: Fingerprint, resembles: bool) {
    assert_eq!((one.resembles(other), other.resembles(one)), (resembles, resembles), "{one:?} and {other:?}");
}

#[test]
fn what_only_one_tells_changes_nothing() {
    let other = Hints { platform_version: Some("\"5.4\""), language: Some("de"), ..chromium() };
    let script = told([1, 2, 3, 4, 5, 6]);
    check(print(&chromium(), script), print(&chromium(), None), true);
    check(print(&chromium(), script), print(&other, None), false);
    check(print(&chromium(), None), print(&chromium(), None), true);
}

#[test]
fn one_of_a_scripts_components_may_differ_and_no_more() {
    let firefox = Hints { language: Some("fr-FR"), ..Hints::default() };
    for (components, resembles) in [
        ([1, 2, 3, 4, 5, 6], true),
        ([123, 2, 3, 4, 5, 6], true),
        ([123, 123, 3, 4, 5, 6], false),
        ([0, 2, 3, 4, 5, 6], true),
        // What is left out is no match.
        ([0, 0, 3, 4, 5, 6], false),
        ([0, 123, 3, 4, 5, 6], false),
    ] {
        let known = print(&firefox, told([1, 2, 3, 4, 5, 6]));
        assert_eq!(known.resembles(print(&firefox, told(components))), resembles, "{components:?}");
    }
    // What the known one did not tell is not asked for; three are not enough to compare.
    let known = |components| Fingerprint { told: told(components).unwrap(), ..print(&firefox, told([1; PARTS])) };
    let whole = print(&firefox, told([1, 2, 3, 4, 5, 6]));
    assert!(known([0, 0, 3, 4, 5, 6]).resembles(whole) && known([0, 0, 3, 4, 5, 123]).resembles(whole));
    assert!(!known([0, 0, 0, 4, 5, 6]).resembles(whole));
}

#[test]
fn a_script_cannot_make_up_for_headers_that_differ() {
    let script = told([1, 2, 3, 4, 5, 6]);
    let other = Hints { platform_version: Some("\"5.4\""), language: Some("de"), ..chromium() };
    check(print(&chromium(), script), print(&other, script), false);
    // Nor headers for a script: the device says that it is another one.
    check(print(&chromium(), script), print(&chromium(), told([1, 2, 3, 9, 9, 9])), false);
    // Of a browser without hints two components are there: both must be the same.
    let (french, german) = (Hints { language: Some("fr"), ..Hints::default() }, Hints { language: Some("de"), ..Hints::default() });
    check(print(&french, script), print(&german, script), false);
    check(print(&french, script), print(&french, script), true);
}

#[test]
fn too_little_is_no_fingerprint() {
    assert_eq!(Fingerprint::new(Some(FIREFOX), &Hints::default(), told([1, 2, 3, 0, 0, 0]), &SALT), None);
    assert!(Fingerprint::new(None, &Hints::default(), told([1, 2, 3, 4, 0, 0]), &SALT).is_some());
}

#[test]
fn the_same_component_is_another_byte_for_another_subject_and_name() {
    let keyed = |salt: u8| Told([Some(5); PARTS]).keyed(&SubjectSalt::new([salt; 32])).each();
    assert_ne!(keyed(1), keyed(2));
    assert!(keyed(1).iter().any(|byte| *byte != keyed(1)[0]), "each component has a key of its own: {:?}", keyed(1));
}

#[test]
fn forms_from_before_are_read() {
    let (plain, full) = (print(&chromium(), None), print(&chromium(), told([1, 2, 3, 4, 5, 6])));
    for print in [plain, full] {
        let text = serde_json::to_string(&print).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), print, "{text}");
        let bytes = postcard::to_extend(&Look(print), Vec::new()).unwrap();
        assert_eq!((bytes.len(), postcard::from_bytes::<Look>(&bytes).unwrap()), (9, Look(print)));
        let bytes = postcard::to_extend(&print, Vec::new()).unwrap();
        assert_eq!((bytes.len(), postcard::from_bytes::<Fingerprint>(&bytes).ok()), (6, print.of_headers()));
    }
    assert_eq!(serde_json::to_value(plain).unwrap().as_array().unwrap().len(), 6, "as it was before there were scripts");
    assert_eq!(
        serde_json::from_str::<Fingerprint>("[1,2,3,4,5,6]").unwrap(),
        Fingerprint { said: [1, 2, 3, 4, 5, 6], told: Components::NONE }
    );
    for refused in
        ["[]", "[1,2,3]", "[1,2,3,4,5,6,7]", "[1,2,3,4,5,6,7,8]", "[1,2,3,4,5,6,7,8,9,10]", "[1,2,3,4,5,256]", "\"abcdef\"", "null"]
    {
        assert!(serde_json::from_str::<Fingerprint>(refused).is_err(), "{refused}");
    }
}
