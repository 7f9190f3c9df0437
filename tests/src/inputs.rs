//! Input documents for policies: of contract 1, with most of the weight on the values at which policies change their mind, and free ones, in
//! which anything is missing or of another type.
//!
//! Every strategy shrinks towards the calmest value, so that a difference is shown by what matters to it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_pdp_engine::input::GOLDEN;
use countersign_pdp_engine::policy::PolicySource;
use countersign_sdk_types::contract::{CONTRACT, Context, Device, Input, Request, Risk, Session, Token, User};
use countersign_sdk_types::{
    Acr, Action, Asn, Coordinates, Country, Entity, Kilometers, Place, PlaceGap, PlaceRecord, Reason, RiskScore, Signal, Tenant,
};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::{collection, option};
use serde_json::{Map, Value, json};

/// Documents of contract 1.
pub fn contract() -> impl Strategy<Value = Input> {
    let parties = (tenant(), entity(&["user", "service", ""], &SUBJECTS), action(), entity(&["route", "record", ""], &RESOURCES));
    (parties, user(), device(), session(), token(), request(), context()).prop_map(
        |((tenant, subject, action, resource), user, device, session, token, request, context)| Input {
            contract: CONTRACT,
            tenant,
            subject,
            action,
            resource,
            user,
            device,
            session,
            token,
            request,
            context,
        },
    )
}

/// The same for a policy with an entity directory: half of the documents are about who and what the policy itself names, for of others it hardly knows any.
pub fn contract_of(policy: &PolicySource) -> BoxedStrategy<Input> {
    let named = |side: &str| {
        let kinds = policy.data["entities"][side].as_object().into_iter().flatten();
        let all = kinds.flat_map(|(kind, ids)| ids.as_object().into_iter().flatten().map(move |(id, properties)| (kind, id, properties)));
        let entity = |(kind, id, properties): (&String, &String, &Value)| Entity {
            kind: kind.clone(),
            id: id.clone(),
            properties: properties.as_object().cloned().unwrap_or_default(),
        };
        all.map(entity).collect::<Vec<_>>()
    };
    let (subjects, resources) = (named("subjects"), named("resources"));
    if subjects.is_empty() || resources.is_empty() {
        return contract().boxed();
    }
    let words: BTreeSet<String> = policy.files.iter().flat_map(|file| file.text.split('"').skip(1).step_by(2)).map(str::to_owned).collect();
    let parties = (select(subjects), select(words.into_iter().collect::<Vec<_>>()), select(resources));
    let about = (contract(), parties).prop_map(|(input, (subject, name, resource))| Input {
        subject,
        action: Action { name, ..input.action },
        resource,
        ..input
    });
    prop_oneof![contract(), about].boxed()
}

/// Documents that were of contract 1 before some of their members were removed, or became something else.
pub fn free() -> impl Strategy<Value = Value> {
    let spoiling = (select(pointers()), option::weighted(0.6, select(anything())));
    (contract(), collection::vec(spoiling, 0..6)).prop_map(|(input, spoilings)| {
        let mut document = serde_json::to_value(input).unwrap();
        for (place, with) in spoilings {
            spoil(&mut document, &place, with);
        }
        document
    })
}

/// The members of the golden example.
fn pointers() -> Vec<String> {
    let mut members = Vec::new();
    list(&serde_json::from_str(GOLDEN).unwrap(), "", &mut members);
    members
}

/// Puts another value at a place, or takes the member away, where the document has it.
fn spoil(document: &mut Value, place: &str, with: Option<Value>) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent), with) {
        (Some(Value::Object(object)), Some(with)) => drop(object.insert(name.to_owned(), with)),
        (Some(Value::Object(object)), None) => drop(object.remove(name)),
        _ => {}
    }
}

/// The pointers (RFC 6901) of all members.
fn list(value: &Value, at: &str, members: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member)).collect(),
        Value::Array(array) => array.iter().enumerate().map(|(index, member)| (index.to_string(), member)).collect(),
        _ => Vec::new(),
    };
    for (name, member) in inner {
        let at = format!("{at}/{name}");
        list(member, &at, members);
        members.push(at);
    }
}

/// Values of every type, among them those that look like another one.
pub fn anything() -> Vec<Value> {
    vec![
        json!(null),
        json!(false),
        json!(true),
        json!(0),
        json!(29),
        json!(30),
        json!(-1),
        json!(29.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("false"),
        json!("29"),
        json!("admin"),
        json!("\u{0}"),
        json!([]),
        json!([null]),
        json!(["admin", 30, {}]),
        json!({}),
        json!({ "role": "admin", "risk_score": 5, "": null }),
    ]
}

const SUBJECTS: [&str; 5] = ["alice", "bob", "", "Alice", "zoë"];
const RESOURCES: [&str; 7] =
    ["payroll.example/salaries", "wiki.example/", "record-1", "secret-1", "", "payroll.example/salaries/2026/../7", "ä/ö"];
const ACTIONS: [&str; 14] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "read", "write", "delete", "export", "", "get", "Delete", "GET "];
const ROLES: [&str; 9] = ["employee", "admin", "", "break_glass", "staff", "auditor", "Admin", "admin ", "ädmin"];
const TEXTS: [&str; 10] = ["", "a", "0", "30", "null", "true", "é\u{301}", "a\"b\\c\n\t", "😀", "%v %d {}"];
const ADDRESSES: [&str; 10] =
    ["192.0.2.7", "", "203.0.113.7", "10.0.0.1", "10.255.255.255", "11.0.0.0", "127.0.0.1", "2001:db8::1", "::1", "fe80::1"];
/// 29 and 30, 19 and 20 are where our own policies change their mind, 69 and 70 where the band does.
const SCORES: [u8; 14] = [0, 1, 5, 19, 20, 21, 29, 30, 31, 69, 70, 71, 99, 100];
/// Midnights, leap days, and the ends of what a clock may say.
const TIMES: [i64; 12] = [
    1_772_505_600_000,
    0,
    1,
    -1,
    1_772_524_799_999,
    1_772_524_800_000,
    1_709_164_800_000,
    1_774_746_000_000,
    1_774_749_600_000,
    253_402_300_799_999,
    4_102_444_800_000,
    999,
];

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn texts(of: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    subsequence(of, 0..=of.len().min(4)).prop_map(|some| some.into_iter().map(str::to_owned).collect())
}

fn score() -> impl Strategy<Value = RiskScore> {
    prop_oneof![3 => select(&SCORES[..]), 1 => 0..=100_u8].prop_map(|score| RiskScore::new(score).unwrap())
}

/// Members that a caller may add: of any type, and with names that are no identifiers.
fn members() -> impl Strategy<Value = Map<String, Value>> {
    let name = select(&["ticket", "department", "amount", "a b", "", "ü", "level"][..]).prop_map(str::to_owned);
    collection::btree_map(name, select(anything()), 0..4).prop_map(|members| members.into_iter().collect())
}

fn tenant() -> impl Strategy<Value = Tenant> {
    select(&["default", "other", "München"][..]).prop_map(|name| Tenant::new(name).unwrap())
}

fn entity(kinds: &'static [&'static str], ids: &'static [&'static str]) -> impl Strategy<Value = Entity> {
    (text(kinds), text(ids), members()).prop_map(|(kind, id, properties)| Entity { kind, id, properties })
}

fn action() -> impl Strategy<Value = Action> {
    (text(&ACTIONS), members()).prop_map(|(name, properties)| Action { name, properties })
}

fn user() -> impl Strategy<Value = User> {
    (text(&SUBJECTS), text(&ROLES), texts(&ROLES)).prop_map(|(id, role, roles)| User { id, role, roles })
}

fn device() -> impl Strategy<Value = Device> {
    let id = text(&["laptop-7", "", "x5t:0123"]);
    (id, any::<[bool; 4]>()).prop_map(|(id, [compliant, managed, known, bound])| Device { id, compliant, managed, known, bound })
}

fn session() -> impl Strategy<Value = Session> {
    let levels = subsequence(&["phr", "phrh", "urn:mfa", "PHR"][..], 0..=4);
    let levels = levels.prop_map(|some| some.into_iter().map(|level| Acr::new(level).unwrap()).collect());
    let auth_time = prop_oneof![
        select(&[0, 1_772_502_000, 1_772_505_600, 1_772_505_299, 1_772_505_300, 1_772_505_301, -1, i64::MAX, i64::MIN][..]),
        0..2_000_000_000_i64,
    ];
    (text(&["sid:5c1f", "", "cookie:0"]), levels, auth_time).prop_map(|(id, acr_satisfied, auth_time)| Session {
        id,
        acr_satisfied,
        auth_time,
    })
}

fn token() -> impl Strategy<Value = Token> {
    let names = (text(&["https://issuer.example", "", "pep:gateway"]), text(&SUBJECTS), text(&["", "phr", "urn:mfa"]));
    (names, texts(&["pwd", "otp", "hwk", "mfa"]), texts(&["payroll", "openid", "payroll:read", "PAYROLL"]), members())
        .prop_map(|((iss, sub, acr), amr, scopes, claims)| Token { iss, sub, acr, amr, scopes, claims })
}

fn request() -> impl Strategy<Value = Request> {
    let path = text(&["/salaries", "/", "", "/salaries/2026", "/admin/users/7", "/admin", "/Admin/x", "/a.b/c-d_e", "/ä/%C3%A4"]);
    let value = || collection::vec(text(&TEXTS), 0..3);
    let headers = collection::btree_map(text(&["accept", "x-request-id", "x-api-version", "user-agent"]), value(), 0..3);
    (text(&ACTIONS), text(&["payroll.example", "", "wiki.example:8443"]), path, text(&["", "year=2026", "a=1&a=2&b", "%zz"]), headers)
        .prop_map(|(method, host, path, query, headers)| Request { method, host, raw_path: path.clone(), path, query, headers })
}

fn context() -> impl Strategy<Value = Context> {
    let time = prop_oneof![3 => select(&TIMES[..]), 1 => 0..4_102_444_800_000_i64];
    let flags = select(&["baseline", "device.compliant", "device.managed", "ip", "place", "user"][..]).prop_map(str::to_owned);
    let known = collection::btree_map(flags, any::<bool>(), 0..=6);
    (risk(), text(&ADDRESSES), place(), time, known, members(), members()).prop_map(
        |((risk_score, risk), ip, place, time, known, caller, asserted)| Context {
            risk_score,
            risk,
            ip,
            place,
            time,
            known,
            caller,
            asserted,
        },
    )
}

fn risk() -> impl Strategy<Value = (RiskScore, Risk)> {
    let reason = (select(&Signal::ALL[..]), -25..=100_i8, text(&TEXTS)).prop_map(|(signal, points, text)| Reason { signal, points, text });
    (score(), score(), collection::vec(reason, 0..4))
        .prop_map(|(remaining, inherent, reasons)| (remaining, Risk { inherent, level: remaining.level(), reasons }))
}

fn place() -> impl Strategy<Value = Place> {
    let gap = select(&[PlaceGap::NoAddress, PlaceGap::Private, PlaceGap::NoDatabase, PlaceGap::Stale, PlaceGap::NotFound][..]);
    prop_oneof![Just(Place::Known(PlaceRecord::default())), gap.prop_map(Place::Unknown), record().prop_map(Place::Known)]
}

fn record() -> impl Strategy<Value = PlaceRecord> {
    let country = option::of(select(&["FR", "US", "SG", "ZZ"][..]).prop_map(|code| Country::new(code).unwrap()));
    let degrees = || select(&[0.0, -0.5, 1.3, 48.8566, -74.006, 90.0, 1e-7][..]);
    let at = option::of((degrees(), degrees()).prop_map(|(lat, lon)| Coordinates { lat, lon }));
    let radius = option::of(select(&[0.0, 0.5, 20.0, 1000.0, 20_037.508][..]).prop_map(Kilometers));
    let zone = option::of(text(&["Europe/Paris", "America/New_York", "Asia/Singapore", "UTC"]));
    let asn = option::of(select(&[64500, 0, u32::MAX][..]).prop_map(Asn));
    (country, option::of(text(&TEXTS)), at, radius, zone, asn, option::of(text(&TEXTS)), option::of(any::<bool>())).prop_map(
        |(country, city, at, radius, time_zone, asn, operator, anonymizer)| PlaceRecord {
            country,
            city,
            at,
            radius,
            time_zone,
            asn,
            operator,
            anonymizer,
        },
    )
}

/// The members of a document that are not as in another one, as `pointer: value`. What is left out is the same in both.
#[must_use]
pub fn differing(document: &Value, from: &Value) -> BTreeMap<String, String> {
    let leaves = |value: &Value| {
        let mut members = Vec::new();
        list(value, "", &mut members);
        let text = |at: &str| value.pointer(at).map(ToString::to_string).unwrap_or_default();
        members.into_iter().map(|at| (at.clone(), text(&at))).collect::<BTreeMap<_, _>>()
    };
    let (own, other) = (leaves(document), leaves(from));
    let mut differing: BTreeMap<_, _> =
        own.iter().filter(|(at, text)| other.get(*at) != Some(text)).map(|(at, text)| (at.clone(), text.clone())).collect();
    differing.extend(other.keys().filter(|at| !own.contains_key(*at)).map(|at| (at.clone(), "(missing)".to_owned())));
    let whole: Vec<String> =
        differing.keys().filter(|at| differing.keys().any(|inner| inner.starts_with(&format!("{at}/")))).cloned().collect();
    for at in whole {
        differing.remove(&at);
    }
    differing
}

/// Whether two documents are the same, whatever their numbers look like: `1` is `1.0`, and so is a number beyond what a float tells apart.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b))),
        _ => a == b,
    }
}
