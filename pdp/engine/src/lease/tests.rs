//! Which allows are leased, how long, and that they would be given again at any instant of it.

use std::cell::RefCell;

use countersign_risk::BindingState;
use countersign_sdk_types::{DeviceId, Digest, Effect};
use proptest::prelude::*;

use super::*;
use crate::decide::decide;
use crate::decide::tests::{CHROME, From, at, circumstances, facts, grant, identified, policy, seed, snapshot, starter};

const TTL: Millis = Millis(30_000);

/// What a lease is asked for, and on which terms.
struct Asked {
    identified: Identified,
    credentials: Credentials,
    facts: Facts,
    snapshot: Snapshot,
    never: BTreeSet<String>,
    until: Option<Timestamp>,
    ttl: Millis,
    now: Timestamp,
}

impl Asked {
    fn usual() -> Self {
        Self {
            identified: identified("GET", From::Paris, CHROME, Some("laptop")),
            credentials: Credentials::default(),
            facts: facts("admin", From::Paris),
            snapshot: seed(),
            never: BTreeSet::new(),
            until: None,
            ttl: TTL,
            now: at(9, 5),
        }
    }

    fn by(text: &str) -> Self {
        Self { snapshot: snapshot(policy(&format!("package authz\nimport rego.v1\n{text}"))), ..Self::usual() }
    }

    fn mint(&self) -> Option<Leased> {
        let Self { identified, credentials, facts, snapshot, now, .. } = self;
        let decided = decide(identified, facts, snapshot, *now);
        let made = Made { identified, credentials, facts, snapshot, now: *now, decided: &decided };
        let risk_below = RiskScore::new(30).unwrap();
        mint(&made, &Terms { ttl: self.ttl, risk_below, never: &self.never, until: self.until, also: &[] })
    }

    #[track_caller]
    fn check(&self, ttl: Option<u64>) {
        assert_eq!(self.mint().map(|leased| leased.ttl), ttl.map(Millis));
    }
}

#[test]
fn a_plain_allow_is_leased_for_as_long_as_is_asked() {
    Asked::usual().check(Some(30_000));
    Asked { ttl: Millis(1_500), ..Asked::usual() }.check(Some(1_500));
    Asked { ttl: Millis(0), ..Asked::usual() }.check(None);
    Asked { ttl: Millis(99), ..Asked::usual() }.check(None);
    // Ten beginnings of minutes are looked at, and no more is given than was looked at.
    Asked { ttl: Millis(u64::MAX), ..Asked::usual() }.check(Some(600_000));
}

#[test]
fn what_is_no_plain_allow_is_not_leased() {
    let stolen = identified("GET", From::Singapore, "curl/8.5.0", None);
    Asked { identified: stolen, now: at(3, 40), facts: facts("admin", From::Singapore), ..Asked::usual() }.check(None);
    Asked::by("allow := false").check(None);
    Asked { never: BTreeSet::from(["GET".to_owned()]), ..Asked::usual() }.check(None);
    Asked { never: BTreeSet::from(["get".to_owned(), "POST".to_owned()]), ..Asked::usual() }.check(Some(30_000));
    let mut broken = Asked::usual();
    broken.facts.break_glass = true;
    broken.check(None);
    // Allowed whatever the risk is, and the risk is high.
    let mut risky = Asked::by("allow := true");
    risky.identified = identified("GET", From::Singapore, "curl/8.5.0", None);
    risky.facts = facts("admin", From::Singapore);
    risky.check(None);
}

#[test]
fn a_proof_for_one_request_is_not_repeated() {
    let mut bound = Asked::usual();
    bound.identified.binding = BindingState::Proved;
    bound.check(Some(30_000));
    bound.credentials.token = Some((Scheme::Dpop, "t".to_owned()));
    bound.check(None);
    bound.credentials.token = Some((Scheme::Bearer, "t".to_owned()));
    bound.credentials.proof = Some("p".to_owned());
    bound.check(None);
}

#[test]
fn a_lease_ends_no_later_than_what_it_rests_on() {
    let now = at(9, 5);
    let mut asked = Asked::usual();
    asked.identified.token.expires = Some(Timestamp(now.0 + 12_345));
    asked.check(Some(12_345));
    asked.until = Some(Timestamp(now.0 + 5_000));
    asked.check(Some(5_000));
    // Within the skew of clocks a token still counts, and nothing is left of it.
    for gone in [99, 0, -3_000] {
        asked.identified.token.expires = Some(Timestamp(now.0 + gone));
        asked.check(None);
    }
    let mut granted = Asked::usual();
    let decided = decide(&granted.identified, &granted.facts, &granted.snapshot, now);
    let mut live = grant(&decided, &granted.snapshot.ladder, &countersign_sdk_types::Acr::phr(), now);
    live.expires = Timestamp(now.0 + 7_000);
    granted.facts.grants = vec![live.clone()];
    granted.check(Some(7_000));
    // One that is over already says nothing.
    live.expires = now;
    granted.facts.grants = vec![live];
    granted.check(Some(30_000));
}

#[test]
fn a_policy_that_would_say_no_before_the_end_shortens_it() {
    let open = |until: i64| format!("default allow := false\nallow if input.context.time < {until}");
    let now = at(9, 5).0;
    Asked::by(&open(now + 30_001)).check(Some(30_000));
    Asked::by(&open(now + 30_000)).check(Some(15_000));
    Asked::by(&open(now + 15_000)).check(Some(7_500));
    Asked::by(&open(now + 3_751)).check(Some(3_750));
    Asked::by(&open(now + 3_750)).check(None);
    // An hour that ends within it is met to the millisecond.
    let hours = "default allow := false\nallow if time.clock(input.context.time * 1000000)[0] == 8";
    let mut asked = Asked::by(hours);
    asked.now = Timestamp(at(9, 59).0 + 50_000);
    asked.check(Some(9_999));
    // A minute in which the policy says no, and that is over before the end.
    let gap = "default allow := false\nallow if time.clock(input.context.time * 1000000)[1] != 7";
    let mut asked = Asked::by(gap);
    (asked.now, asked.ttl) = (at(9, 5), Millis(600_000));
    asked.check(Some(119_999));
}

#[test]
fn what_is_obliged_to_later_is_not_left_out_by_a_lease() {
    let mut asked = Asked::by(&format!(
        "decision := {{\"effect\": \"allow\", \"obligations\": [o | some o in [{{\"id\": \"n\", \"type\": \"notification\"}}]; input.context.time >= {}]}}",
        at(9, 5).0 + 20_000
    ));
    asked.check(Some(15_000));
    asked.now = Timestamp(at(9, 5).0 + 20_000);
    asked.check(Some(30_000));
}

#[test]
fn a_lease_names_everything_that_it_rests_on_and_names_tell_nothing() {
    let mut asked = Asked::usual();
    let (tenant, subject) = (asked.identified.subject.tenant.clone(), asked.identified.subject.clone());
    let without = asked.mint().unwrap().depends_on;
    asked.identified.token.jti = Some("t1".to_owned());
    asked.identified.token.digest = Some(Digest([3; 32]));
    let tags = asked.mint().unwrap().depends_on;
    let device = DeviceId::new("laptop").unwrap();
    let always = [
        tag::subject(&subject),
        tag::session(&tenant, &asked.identified.session),
        tag::user(&tenant, "alice"),
        tag::device(&tenant, &device),
    ];
    let address = "192.0.2.10".parse().unwrap();
    let addresses = [tag::address(&tenant, address), tag::network(&tenant, address)];
    assert_eq!(without, [always.as_slice(), &addresses].concat());
    let token = [tag::token_id(&tenant, &subject.iss, "t1"), tag::token(&tenant, &Digest([3; 32]))];
    assert_eq!(tags, [always.as_slice(), &token, &addresses].concat());
    assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), 8, "each thing has a name of its own");
}

#[test]
fn no_more_instants_are_looked_at_than_was_said() {
    let seen = RefCell::new(Vec::new());
    let look = |ttl: i64, answer: bool| {
        seen.borrow_mut().clear();
        let held = hold(Timestamp(59_000), Timestamp(59_000 + ttl), |at| {
            seen.borrow_mut().push(at.0);
            answer
        });
        (held.map(|held| held.0), seen.borrow().clone())
    };
    assert_eq!(look(500, true), (Some(500), vec![59_500]));
    assert_eq!(look(30_000, true), (Some(30_000), vec![60_000, 89_000]));
    assert_eq!(look(30_000, false), (None, vec![60_000, 59_999, 59_499, 59_249, 59_124]));
    assert_eq!(look(i64::MAX / 2, true).1.len(), 11);
}

/// A policy of random minutes of the hour, and one that ends at a random instant.
fn windows() -> impl Strategy<Value = Snapshot> {
    (any::<u64>(), 0_i64..90_000, 0_usize..4).prop_map(|(minutes, ends, which)| match which {
        0 => seed(),
        1 => starter(),
        2 => {
            let open: Vec<String> = (0..60).filter(|minute| minutes & (1 << minute) != 0).map(|minute| minute.to_string()).collect();
            let text = format!(
                "open := {{{}}}\ndefault allow := false\nallow if time.clock(input.context.time * 1000000)[1] in open",
                open.join(", ")
            );
            snapshot(policy(&format!("package authz\nimport rego.v1\n{}", if open.is_empty() { "allow := false" } else { &text })))
        }
        _ => {
            let text = format!(
                "package authz\nimport rego.v1\ndefault allow := false\nallow if input.context.time % 86400000 < {}",
                30_000_000 + ends * 60
            );
            snapshot(policy(&text))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn within_its_lease_a_question_would_be_allowed_again(
        (who, known, now) in circumstances(),
        snapshot in windows(),
        ttl in 0_u64..180_000,
        expires in prop::option::of(-5_000_i64..60_000),
        granted in prop::option::of(0_u64..60),
        parts in prop::collection::vec(0.0_f64..=1.0, 12),
    ) {
        let mut asked = Asked { identified: who, facts: known, snapshot, ttl: Millis(ttl), now, ..Asked::usual() };
        asked.identified.token.expires = expires.map(|by| Timestamp(now.0 + by));
        if let Some(life) = granted {
            let seen = decide(&asked.identified, &asked.facts, &asked.snapshot, now);
            let mut live = grant(&seen, &asked.snapshot.ladder, &countersign_sdk_types::Acr::phr(), now);
            live.expires = now.after(countersign_sdk_types::Seconds(life));
            asked.facts.grants.push(live);
        }
        if let Some(Leased { ttl: given, .. }) = asked.mint() {
            prop_assert!(given <= Millis(ttl));
            prop_assert!(expires.is_none_or(|by| i64::try_from(given.0).is_ok_and(|given| given <= by)));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a lease of minutes")]
            let instants = parts.iter().map(|part| now.after(Millis((given.0 as f64 * part) as u64)));
            for at in instants {
                let again = decide(&asked.identified, &asked.facts, &asked.snapshot, at);
                prop_assert_eq!(again.decision.effect(), Effect::Allow, "at {} of {}", at.since(now).0, given.0);
                prop_assert!(again.trace.remaining < RiskScore::new(30).unwrap());
            }
        }
    }
}
