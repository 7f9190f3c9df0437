//! Logs made here: what each format says of a log-in, what is learned of it and what is not, and what hostile files come to.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

/// 2026-03-03T02:40:00Z.
const NOW: Timestamp = Timestamp(1_772_505_600_000);
const ISS: &str = "https://issuer.example";
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

fn reading(format: Format) -> Reading {
    Reading {
        format,
        issuer: Some(ISS.to_owned()),
        field: SubjectField::Id,
        subjects: None,
        mapping: Mapping::of(format),
        kept: Kept::WithoutDevices,
        problems: 10,
        now: NOW,
    }
}

fn read_named(name: &str, bytes: &[u8], reading: &Reading) -> Result<Past, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path, reading, |_| {})
}

fn read_text(text: &str, reading: &Reading) -> Result<Past, ReadError> {
    read_named("log", text.as_bytes(), reading)
}

#[track_caller]
fn past(log: &Value, reading: &Reading) -> Past {
    let past = read_text(&log.to_string(), reading).unwrap();
    assert_eq!(past.problems, [], "{log}");
    past
}

impl Past {
    fn of(&self, sub: &str) -> &[PastLogin] {
        self.subjects.get(&(ISS.to_owned(), sub.to_owned())).map_or(&[], Vec::as_slice)
    }

    fn only(&self) -> &PastLogin {
        let all: Vec<_> = self.subjects.values().flatten().collect();
        assert_eq!(all.len(), 1, "{self:?}");
        all[0]
    }
}

fn okta(kind: &str, factor: Option<&str>) -> Value {
    json!({
        "uuid": "0001", "version": "0", "severity": "INFO", "eventType": kind, "published": "2026-03-02T08:05:00.000Z",
        "displayMessage": "Authentication of user via MFA", "outcome": {"result": "SUCCESS", "reason": null},
        "actor": {"id": "00uexample1", "type": "User", "alternateId": "ada@example.org", "displayName": "Ada", "detailEntry": null},
        "client": {"ipAddress": "192.0.2.10", "device": "Computer", "zone": "null", "userAgent": {"rawUserAgent": AGENT, "os": "Linux", "browser": "FIREFOX"}},
        "authenticationContext": {"credentialType": null, "externalSessionId": "102example", "authenticationStep": 0},
        "debugContext": {"debugData": {"factor": factor, "requestId": "x"}},
        "target": [{"id": "00uexample1", "type": "User", "alternateId": "ada@example.org", "displayName": "Ada", "detailEntry": null}],
    })
}

#[test]
fn okta_names_the_factor_of_the_classic_engine() {
    let all = reading(Format::Okta);
    let login = past(&json!([okta("user.authentication.auth_via_mfa", Some("FIDO_WEBAUTHN"))]), &all);
    assert_eq!(login.of("00uexample1").len(), 1);
    let login = login.only();
    assert_eq!((login.at, login.strength), (Timestamp(NOW.0 - (18 * 60 + 35) * 60_000), Strength::PhishingResistant));
    assert_eq!((login.client.address, login.client.user_agent.as_deref()), ("192.0.2.10".parse().ok(), Some(AGENT)));
    assert_eq!(login.client.session.as_deref(), Some("102example"));
    let push = past(&okta("user.authentication.auth_via_mfa", Some("OKTA_VERIFY_PUSH")), &all);
    assert_eq!(push.only().strength, Strength::SecondFactor);
    for (kind, factor) in [
        ("user.session.start", None),
        ("user.authentication.auth_via_mfa", Some("SMS_FACTOR")),
        ("user.authentication.sso", Some("FIDO_WEBAUTHN")),
    ] {
        let past = past(&okta(kind, factor), &all);
        assert_eq!((past.counts.not_verified, past.subjects.len()), (1, 0), "{kind} {factor:?}");
    }
    let by_login = Reading { field: SubjectField::Login, ..all };
    assert_eq!(past(&okta("user.authentication.verify", Some("U2F")), &by_login).of("ada@example.org").len(), 1);
}

#[test]
fn okta_names_what_an_authenticator_of_the_identity_engine_proved() {
    let used = |method: &str, properties: &str| {
        let mut event = okta("user.authentication.auth_via_mfa", None);
        event["target"][0] = json!({"type": "AuthenticatorEnrollment", "displayName": "x",
            "detailEntry": {"methodTypeUsed": method, "methodUsedVerifiedProperties": properties}});
        let past = past(&event, &reading(Format::Okta));
        past.subjects.values().flatten().next().map(|login| login.strength)
    };
    assert_eq!(used("Use Okta FastPass", "[DEVICE_BOUND, PHISHING_RESISTANT, HARDWARE_PROTECTED]"), Some(Strength::PhishingResistant));
    assert_eq!(used("Get a push notification", "[USER_PRESENCE]"), Some(Strength::SecondFactor));
    assert_eq!(used("Password", "[USER_PRESENCE]"), None, "the event's name alone proves nothing");
    assert_eq!(used("Password", "[NOT_PHISHING_RESISTANT]"), None);
}

#[test]
fn okta_has_other_events_and_failures() {
    let mut failed = okta("user.session.start", None);
    failed["outcome"]["result"] = json!("FAILURE");
    let mut system = okta("user.authentication.auth_via_mfa", Some("FIDO_WEBAUTHN"));
    system["actor"]["type"] = json!("SystemPrincipal");
    let counts = past(&json!([failed, system, okta("user.account.lock", None)]), &reading(Format::Okta)).counts;
    assert_eq!((counts.records, counts.not_successful, counts.not_log_ins), (3, 1, 2));
}

fn entra(method: &str, detail: &str) -> Value {
    json!({
        "id": "66ea54eb", "createdDateTime": "2026-03-02T08:05:00Z", "userId": "d7cc485d", "userPrincipalName": "ada@example.org",
        "ipAddress": "2001:db8:1::7", "isInteractive": true, "status": {"errorCode": 0, "failureReason": "Other."},
        "authenticationRequirement": "multiFactorAuthentication", "sessionId": "5b9c", "appliedConditionalAccessPolicies": [],
        "deviceDetail": {"deviceId": "8f7e", "displayName": "LT-1", "operatingSystem": "Windows10", "browser": "Edge 117.0.2045", "isCompliant": true},
        "authenticationDetails": [
            {"authenticationMethod": "Password", "succeeded": true, "authenticationStepResultDetail": "Correct password"},
            {"authenticationMethod": method, "succeeded": true, "authenticationStepResultDetail": detail},
        ],
        "authenticationProcessingDetails": [{"key": "Is CAE Token", "value": "False"}],
    })
}

#[test]
fn entra_names_each_step_and_whether_it_was_taken_now() {
    let strength = |record: &Value| {
        let past = past(&json!({"@odata.context": "x", "value": [record], "@odata.nextLink": "y{[\"z"}), &reading(Format::Entra));
        past.subjects.values().flatten().next().map(|login| login.strength)
    };
    for method in [
        "FIDO2 security key",
        "Passkey (device-bound)",
        "Windows Hello for Business",
        "X.509 Certificate",
        "passkey (Microsoft Authenticator)",
    ] {
        assert_eq!(strength(&entra(method, "")), Some(Strength::PhishingResistant), "{method}");
    }
    assert_eq!(strength(&entra("Mobile app notification", "MFA successfully completed")), Some(Strength::SecondFactor));
    assert_eq!(strength(&entra("Text message", "MFA successfully completed")), None);
    assert_eq!(strength(&entra("FIDO2 security key", "MFA requirement satisfied by claim in the token")), None);
    assert_eq!(strength(&entra("Previously satisfied", "First factor requirement satisfied by claim in the token")), None);
    let mut failed = entra("FIDO2 security key", "");
    failed["authenticationDetails"][1]["succeeded"] = json!(false);
    assert_eq!(strength(&failed), None);
    let mut quiet = entra("FIDO2 security key", "");
    quiet["isInteractive"] = json!(false);
    assert_eq!(strength(&quiet), None);
}

#[test]
fn entra_without_an_agent_has_its_parts_and_devices_are_kept_when_asked_for() {
    let kept = Reading { kept: Kept::WithDevices, ..reading(Format::Entra) };
    let record = entra("FIDO2 security key", "");
    let with = past(&json!([record]), &kept);
    let family = |past: &Past| {
        let client = countersign_risk::Client::read(past.only().client.user_agent.as_deref(), &countersign_risk::Hints::default());
        client.unwrap().family
    };
    assert_eq!(String::from(family(&with)), "Edge/Windows/desktop");
    assert_eq!(with.only().client.device.as_deref(), Some("8f7e"));
    assert_eq!(past(&json!([record]), &reading(Format::Entra)).only().client.device, None);
    let mut agent = record;
    agent["userAgent"] = json!(AGENT);
    assert_eq!(String::from(family(&past(&agent, &kept))), "Firefox/Linux/desktop");
    let mut failed = agent;
    failed["status"]["errorCode"] = json!(50_126);
    assert_eq!(past(&failed, &kept).counts.not_successful, 1);
}

#[test]
fn entra_without_steps_is_judged_by_what_was_required_when_somebody_says_so() {
    let mut record = entra("", "");
    record.as_object_mut().unwrap().remove("authenticationDetails");
    let mut trusting = reading(Format::Entra);
    assert_eq!(past(&record, &trusting).counts.not_verified, 1);
    trusting.mapping.add(&"multiFactorAuthentication=second_factor".parse().unwrap());
    assert_eq!(past(&record, &trusting).only().strength, Strength::SecondFactor);
}

fn keycloak(kind: &str, credential: Option<&str>) -> Value {
    json!({
        "time": NOW.0 - 3_600_000, "type": kind, "realmId": "staff", "clientId": "payroll", "userId": "0815f7c5", "sessionId": "3e1a",
        "ipAddress": "198.51.100.7", "details": {"auth_method": "openid-connect", "username": "ada", "credential_type": credential},
    })
}

#[test]
fn keycloak_names_the_credential() {
    let all = reading(Format::Keycloak);
    let mut older = keycloak("LOGIN", None);
    older["details"]["web_authn_authenticator_user_verification_checked"] = json!("true");
    for (record, strength) in [
        (keycloak("LOGIN", Some("webauthn")), Some(Strength::PhishingResistant)),
        (keycloak("LOGIN", Some("webauthn-passwordless")), Some(Strength::PhishingResistant)),
        (older, Some(Strength::PhishingResistant)),
        (keycloak("LOGIN", Some("otp")), Some(Strength::SecondFactor)),
        (keycloak("LOGIN", Some("password")), None),
        (keycloak("LOGIN", None), None),
    ] {
        let past = past(&record, &all);
        assert_eq!(past.of("0815f7c5").first().map(|login| login.strength), strength, "{record}");
    }
    let counts = past(&json!([keycloak("LOGIN_ERROR", None), keycloak("LOGOUT", None)]), &all).counts;
    assert_eq!((counts.not_successful, counts.not_log_ins), (1, 1));
    let mut level = keycloak("LOGIN", Some("password"));
    level["details"]["acr"] = json!("gold");
    let mut trusting = reading(Format::Keycloak);
    trusting.mapping.add(&"acr:gold=phishing_resistant".parse().unwrap());
    assert_eq!(past(&level, &trusting).only().client.session.as_deref(), Some("3e1a"));
}

fn line(at: i64, sub: &str) -> Value {
    json!({"at": at, "sub": sub, "address": "192.0.2.10", "user_agent": AGENT, "methods": ["passkey"]})
}

#[test]
fn our_own_format_is_read_to_the_letter() {
    let all = Reading { kept: Kept::WithDevices, ..reading(Format::Jsonl) };
    let full = json!({
        "at": "2026-03-02T09:05:00+01:00", "iss": "https://other.example", "sub": "ada", "address": "192.0.2.10", "user_agent": AGENT,
        "device": "laptop-7", "session": "s1", "time_zone": "Europe/Paris", "methods": ["pwd", "otp"], "success": true,
    });
    let read = past(&full, &all);
    assert!(read.subjects.contains_key(&("https://other.example".to_owned(), "ada".to_owned())));
    let login = read.only();
    assert_eq!((login.strength, login.client.device.as_deref()), (Strength::SecondFactor, Some("laptop-7")));
    assert_eq!((login.client.time_zone.as_deref(), login.at), (Some("Europe/Paris"), Timestamp(NOW.0 - (18 * 60 + 35) * 60_000)));
    for (name, wrong) in [
        ("at", json!("yesterday")),
        ("at", json!(1.5)),
        ("sub", json!(7)),
        ("sub", json!(" ")),
        ("sub", json!("a\nb")),
        ("sub", json!("x".repeat(513))),
        ("address", json!("192.0.2.300")),
        ("device", json!("d\u{7}")),
        ("time_zone", json!("Mars/Olympus")),
        ("methods", json!("passkey")),
        ("more", json!(1)),
    ] {
        let mut record = full.clone();
        record[name] = wrong.clone();
        let past = read_text(&record.to_string(), &all).unwrap();
        assert_eq!((past.counts.problems, past.subjects.len()), (1, 0), "{name}: {wrong}");
        assert_eq!(past.problems[0].record, 1);
        assert!(!past.problems[0].problem.contains("192.0.2"), "{past:?}");
    }
    let anonymous = Reading { issuer: None, ..all };
    assert_eq!(read_text(&line(NOW.0, "ada").to_string(), &anonymous).unwrap().counts.problems, 1);
}

#[test]
fn arrays_pages_lines_and_printed_objects_are_all_logs() {
    let (a, b) = (line(NOW.0 - 1_000, "a"), line(NOW.0 - 2_000, "b"));
    let page = format!("{{\"next\": [1], \"value\" :\n [{a},{b}], \"x\": {{\"]\": \"}}\"}}}}");
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(format!("{a}\n{b}\n").as_bytes()).unwrap();
    for (name, log) in [
        ("log", format!("[{a},\n {b}]").into_bytes()),
        ("log", format!("{a}\n{b}").into_bytes()),
        ("log", format!("[{a}]\n[{b}]").into_bytes()),
        ("log", format!("{a:#}\n{b:#}\n").into_bytes()),
        ("log", page.into_bytes()),
        ("log.gz", zipped.finish().unwrap()),
    ] {
        let past = read_named(name, &log, &reading(Format::Jsonl)).unwrap();
        assert_eq!((past.of("a").len(), past.of("b").len(), past.counts.records), (1, 1, 2), "{}", String::from_utf8_lossy(&log));
    }
    let nothing = read_text("", &reading(Format::Jsonl)).unwrap();
    assert_eq!(nothing.counts, Counts::default());
}

#[test]
fn hostile_records_are_counted_and_hurt_no_other() {
    let deep = format!("{{\"sub\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let many = format!("{{\"methods\":[{}0]}}", "0,".repeat(30_000));
    let long = format!("{{\"sub\":\"{}\"}}", "x".repeat(300_000));
    let twice = format!("{{\"at\":{0},\"at\":{0},\"sub\":\"ada\",\"methods\":[\"passkey\"]}}", NOW.0);
    let good = line(NOW.0 - 1, "ada").to_string();
    let records = [deep, many, long, twice, "{\"sub\":}".to_owned(), "{\"sub\":\"\\ud800\"}".to_owned(), good];
    let past = read_text(&format!("[{}]", records.join(",")), &Reading { problems: 3, ..reading(Format::Jsonl) }).unwrap();
    assert_eq!((past.counts.records, past.counts.problems, past.of("ada").len()), (7, 6, 1));
    let described: Vec<_> = past.problems.iter().map(|problem| problem.record).collect();
    assert_eq!(described, [1, 2, 3], "the first three");
    assert!(past.problems.iter().all(|problem| problem.problem.len() < 200), "{:?}", past.problems);
}

#[test]
fn what_is_no_log_is_refused_as_a_whole() {
    let good = line(NOW.0, "ada").to_string();
    for log in [
        "7",
        "\"x\"",
        "null",
        "}",
        "]",
        &format!("[{good}"),
        &good[..good.len() - 1],
        "[[{}]]",
        "{\"value\":[{}",
        "{\"value\":[]",
        "\u{0}",
        "[,}",
    ] {
        let refused = read_text(log, &reading(Format::Jsonl));
        assert!(matches!(refused, Err(ReadError::Form { .. })), "{log}: {refused:?}");
    }
    assert!(read_named("log.gz", b"no gzip", &reading(Format::Jsonl)).is_err());
    assert!(read(Path::new("/dev/zero"), &reading(Format::Jsonl), |_| {}).is_err(), "a device has no end");
}

#[test]
fn times_have_bounds_and_any_order() {
    const DAY: i64 = 86_400_000;
    let times = [NOW.0 - DAY, NOW.0 + 1, NOW.0 - 3 * DAY, NOW.0 - 181 * DAY, NOW.0, i64::MIN, i64::MAX, NOW.0 - 2 * DAY];
    let log: Vec<_> = times.iter().map(|at| line(*at, "ada")).collect();
    let past = read_text(&json!(log).to_string(), &reading(Format::Jsonl)).unwrap();
    assert_eq!((past.counts.too_old, past.counts.problems), (2, 2));
    let kept: Vec<_> = past.of("ada").iter().map(|login| (NOW.0 - login.at.0) / DAY).collect();
    assert_eq!(kept, [3, 2, 1, 0]);
    assert_eq!(past.problems[0], RecordProblem { record: 2, problem: "it lies in the future".to_owned() });
}

#[test]
fn a_subject_and_a_day_have_bounds() {
    const DAY: i64 = 86_400_000;
    let often: Vec<_> = (0..10).map(|n| line(NOW.0 - n * 1_000, "often")).collect();
    let long: Vec<_> = (0..179).flat_map(|day| (0..5).map(move |n| line(NOW.0 - day * DAY - n * 1_000, "long"))).collect();
    let past = read_text(&json!([often, long].concat()).to_string(), &reading(Format::Jsonl)).unwrap();
    assert_eq!((past.of("often").len(), past.of("long").len()), (4, MOST_OF_A_SUBJECT));
    assert_eq!(past.counts.beyond_bounds, 6 + 179 * 5 - 200);
    assert!(past.of("long")[0].at.0 > NOW.0 - 51 * DAY, "the newest are kept");
}

#[test]
fn a_map_names_subjects_and_leaves_out_the_others() {
    let subjects = Subjects::parse("id,sub\nd7cc485d,AAAA_pairwise-1\n\n other , x \r\n").unwrap();
    let mapped = Reading { subjects: Some(subjects), ..reading(Format::Jsonl) };
    let past = past(&json!([line(NOW.0, "d7cc485d"), line(NOW.0, "nobody"), line(NOW.0, "other")]), &mapped);
    assert_eq!((past.of("AAAA_pairwise-1").len(), past.of("x").len(), past.counts.unknown_subject), (1, 1, 1));
    for wrong in ["a", "a,", ",b", "a,b,c", "a,\"b\"", "a,b\na,c", "a,b\u{7}"] {
        assert!(Subjects::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn methods_are_worth_what_is_said_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mapping.toml");
    std::fs::write(&path, "[methods]\n\"text message\" = \"second_factor\"\n\"Passkey (synced)\" = \"none\"\n").unwrap();
    let mut mapping = Mapping::of(Format::Entra);
    mapping.load(&path).unwrap();
    mapping.add(&"FIDO2 old=none".parse().unwrap());
    for (method, worth) in [
        ("Text Message", Worth::SecondFactor),
        ("Passkey (synced)", Worth::None),
        ("Passkey (device-bound)", Worth::PhishingResistant),
        ("FIDO2 old", Worth::None),
        (" fido2 security KEY ", Worth::PhishingResistant),
        ("Password", Worth::None),
        ("", Worth::None),
    ] {
        assert_eq!(mapping.worth(method), worth, "{method}");
    }
    assert_eq!("a=b=phishing_resistant".parse::<Rule>().unwrap(), "a=b= phishing_resistant".parse().unwrap());
    for wrong in ["passkey", "passkey=", "passkey=strong", "passkey=bound_low_risk", "passkey=step_up"] {
        assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
    }
    std::fs::write(&path, "[methods]\nx = \"strong\"\n").unwrap();
    assert!(mapping.load(&path).is_err());
}

#[test]
fn a_report_names_methods_and_how_often_they_were_seen() {
    let past = past(&json!([keycloak("LOGIN", Some("otp")), keycloak("LOGIN", Some("password"))]), &reading(Format::Keycloak));
    assert_eq!(past.methods["otp"], Seen { worth: Worth::SecondFactor, records: 1 });
    assert_eq!(past.methods["password"], Seen { worth: Worth::None, records: 1 });
    let flood: Vec<_> = (0..500).map(|n| json!({"at": NOW.0, "sub": "ada", "methods": [format!("m{n}")]})).collect();
    let flood = read_text(&json!(flood).to_string(), &reading(Format::Jsonl)).unwrap();
    assert_eq!((flood.methods.len(), flood.counts.not_verified), (MOST_METHODS, 500));
}
