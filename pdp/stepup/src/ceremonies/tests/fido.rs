//! The negatives of the FIDO server conformance list for assertions, and its positives.
//!
//! Client data is changed before it is signed, so that the signature is never the reason. Level 3 dropped `tokenBinding`, so what it says
//! is ignored (F-17), though it must still have its shape; and it requires user presence. Results of extensions are refused, since none is
//! asked for.

use serde_json::json;

use super::*;

enum Change {
    /// Before signing.
    Device(Quirks),
    /// A member of the client data, before signing.
    Data(&'static str, Value),
    /// A member of the response, after signing; `null` removes it.
    Response(&'static str, Value),
}

use Change::{Data, Device, Response};

const GOOD: &str = "good";

fn quirk(change: impl Fn(&mut Quirks)) -> Change {
    let mut quirks = Quirks::default();
    change(&mut quirks);
    Device(quirks)
}

fn structure() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        ("F-1", Response("/id", Value::Null), "member `id` is missing or malformed"),
        ("F-2", Response("/id", json!(7)), "member `id` is missing or malformed"),
        ("F-3", Response("/id", json!("+/+=")), "member `id` is missing or malformed"),
        ("F-4", Response("/type", Value::Null), "member `type` is missing or malformed"),
        ("F-5", Response("/type", json!(7)), "member `type` is missing or malformed"),
        ("F-6", Response("/type", json!("pubkey")), "the response is of another kind"),
        ("F-7", Response("/response", Value::Null), "member `response` is missing or malformed"),
        ("F-8", Response("/response", json!("text")), "member `response` is missing or malformed"),
        ("F-9", Response("/response/clientDataJSON", Value::Null), "member `clientDataJSON` is missing or malformed"),
        ("F-10", Response("/response/clientDataJSON", json!({})), "member `clientDataJSON` is missing or malformed"),
        ("F-11", Response("/response/clientDataJSON", json!("")), "member `clientDataJSON` is missing or malformed"),
        ("F-12", Response("/response/authenticatorData", Value::Null), "member `authenticatorData` is missing or malformed"),
        ("F-13", Response("/response/authenticatorData", json!([])), "member `authenticatorData` is missing or malformed"),
        ("F-14", Response("/response/authenticatorData", json!("+/+=")), "member `authenticatorData` is missing or malformed"),
        ("F-15", Response("/response/authenticatorData", json!("")), "member `authenticatorData` is missing or malformed"),
        ("F-16", Response("/response/signature", Value::Null), "member `signature` is missing or malformed"),
        ("F-17", Response("/response/signature", json!(7)), "member `signature` is missing or malformed"),
        ("F-18", Response("/response/signature", json!("+/+=")), "member `signature` is missing or malformed"),
        ("F-19", Response("/response/signature", json!("")), "member `signature` is missing or malformed"),
        ("F-20", Response("/response/signature", json!("AAAA")), "the response does not verify"),
        ("F-21", Response("/response/userHandle", json!(7)), "member `userHandle` is missing or malformed"),
    ]
}

fn client_data() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        ("F-1", Data("type", Value::Null), "member `type` is missing or malformed"),
        ("F-2", Data("type", json!(7)), "member `type` is missing or malformed"),
        ("F-3", Data("type", json!("")), "member `type` is missing or malformed"),
        ("F-4", Data("type", json!("webauthn.got")), "the response is of another kind"),
        ("F-5", Data("type", json!("webauthn.create")), "the response is of another kind"),
        ("F-6", Data("challenge", Value::Null), "member `challenge` is missing or malformed"),
        ("F-7", Data("challenge", json!(7)), "member `challenge` is missing or malformed"),
        ("F-8", Data("challenge", json!("")), "member `challenge` is missing or malformed"),
        ("F-9", Data("challenge", json!("+/+=")), "member `challenge` is missing or malformed"),
        ("F-10", Data("challenge", json!("AAAAAAAAAAAAAAAAAAAAAA")), "the response answers another challenge"),
        ("F-11", Data("origin", Value::Null), "member `origin` is missing or malformed"),
        ("F-12", Data("origin", json!(7)), "member `origin` is missing or malformed"),
        ("F-13", Data("origin", json!("")), "member `origin` is missing or malformed"),
        ("F-14", Data("origin", json!("http://evil.localhost:8080")), "the response was made on another origin"),
        ("F-15", Data("tokenBinding", json!("text")), "the response does not verify"),
        ("F-16", Data("tokenBinding", json!({})), "the response does not verify"),
        ("F-17", Data("tokenBinding", json!({"status": "odd"})), GOOD),
    ]
}

fn authenticator_data() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        ("F-1", quirk(|quirks| quirks.leftover = vec![0]), "member `authenticatorData` is missing or malformed"),
        ("F-2", quirk(|quirks| quirks.rp_id = Some("localhost".to_owned())), "the response was made for another relying party"),
        ("F-3", quirk(|quirks| quirks.bogus_signature = true), "the response does not verify"),
        ("F-4", quirk(|quirks| quirks.counter = Some(1)), "the counter of the passkey went backwards"),
        ("F-5", quirk(|quirks| quirks.unverified = true), "the user was not verified"),
    ]
}

fn outcome(world: &mut World, change: Change) -> String {
    let ceremony = world.open();
    let mut changed = None;
    match change {
        Device(quirks) => world.device.quirks = quirks,
        Data(name, value) => drop(world.device.quirks.client_data.insert(name.to_owned(), value)),
        Response(pointer, value) => changed = Some((pointer, value)),
    }
    let mut response = world.answer(&ceremony);
    if let Some((pointer, value)) = changed {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = response.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(name.to_owned(), value).unwrap();
        parent.retain(|_, member| !member.is_null());
    }
    world.prove(&ceremony, &response).map_or_else(|failure| failure.to_string(), |_| GOOD.to_owned())
}

#[test]
fn the_43_negatives_of_the_list() {
    let lists = [("structure", structure()), ("client data", client_data()), ("authenticator data", authenticator_data())];
    assert_eq!(lists.iter().map(|(_, list)| list.len()).collect::<Vec<_>>(), [21, 17, 5]);
    let mut refused = 0;
    for (list, cases) in lists {
        for (name, change, expected) in cases {
            assert_eq!(outcome(&mut World::new(), change), expected, "{list} {name}");
            refused += usize::from(expected != GOOD);
        }
    }
    assert_eq!(refused, 42, "Level 3 dropped one of them");
}

#[test]
fn the_positives_of_the_list() {
    let always_zero = Quirks { counter: Some(0), ..Quirks::default() };
    let mut world = World::with(Limits::default(), always_zero.clone());
    assert_eq!(outcome(&mut world, Device(always_zero)), GOOD);
    assert_eq!(outcome(&mut World::new(), Device(Quirks::default())), GOOD);
    let unknown = Data("new_member", json!(["ignored"]));
    assert_eq!(outcome(&mut World::new(), unknown), GOOD);
}

#[test]
fn beyond_the_list() {
    let cases = [
        (Response("/rawId", json!("AAAA")), "the credential is named in two ways"),
        (quirk(|quirks| quirks.absent = true), "no user was present"),
        (quirk(|quirks| quirks.cross_origin = true), "the response was made inside another page"),
        (quirk(|quirks| quirks.top_origin = Some(ORIGIN.to_owned())), "the response was made inside another page"),
        (
            quirk(|quirks| quirks.extension_results = Some(json!({"appid": true}))),
            "the response has results of extensions that were not asked for",
        ),
        (quirk(|quirks| quirks.user_handle = Some(b"mallory".to_vec())), "the passkey belongs to another user"),
        (quirk(|quirks| quirks.backup_eligible = true), "the backup state of the passkey has changed"),
        (quirk(|quirks| quirks.backed_up = true), "the backup state of the passkey has changed"),
    ];
    for (change, expected) in cases {
        assert_eq!(outcome(&mut World::new(), change), expected);
    }
}

#[test]
fn only_the_exact_origin() {
    for origin in [
        "http://auth.localhost",
        "https://auth.localhost:8080",
        "http://auth.localhost:8081",
        "http://a.auth.localhost:8080",
        "http://localhost:8080",
    ] {
        let elsewhere = quirk(|quirks| quirks.origin = Some(origin.to_owned()));
        assert_eq!(outcome(&mut World::new(), elsewhere), "the response was made on another origin", "{origin}");
    }
}
