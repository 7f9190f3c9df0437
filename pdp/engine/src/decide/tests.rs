//! The laws of a decision, the seed's story, and what the shipped policies do.

use countersign_risk::{Baseline, BindingState};
use countersign_sdk_types::GrantId;
use proptest::prelude::*;

use super::*;
use crate::facts::{DirectoryUser, Inventory, LiveGrant};
use crate::identify::IdentifiedBy;
use crate::matrix::world;
pub(crate) use crate::matrix::world::{CHROME, From, at, salts};
use crate::policy::{Policy, PolicySource, check_candidate};

const CURL: &str = "curl/8.5.0";

pub(crate) fn identified(action: &str, from: From, agent: &str, device: Option<&str>) -> Identified {
    world::identified(action, from, agent, device).expect("identified")
}

pub(crate) fn weekdays_in_paris() -> Baseline {
    world::weekdays_in_paris(BindingState::NotDeclared).expect("baseline")
}

pub(crate) fn facts(role: &str, from: From) -> Facts {
    world::facts(role, from, &weekdays_in_paris())
}

pub(crate) fn policy(text: &str) -> Policy {
    let file = ("authz.rego".to_owned(), text.as_bytes().to_vec());
    Policy::compile(&PolicySource::from_files("authz", [file]).expect("source")).expect("policy")
}

pub(crate) fn snapshot(policy: Policy) -> Snapshot {
    // What a busy machine takes longer for is no other answer.
    Snapshot { budget: std::time::Duration::from_secs(10), ..Snapshot::new(Revision::new("test").expect("revision"), policy) }
}

pub(crate) fn seed() -> Snapshot {
    snapshot(policy(include_str!("../../../../policies/examples/seed/authz.rego")))
}

fn starter_source() -> PolicySource {
    let files = [
        ("access.rego", include_str!("../../../../policies/starter/access.rego")),
        ("access_test.rego", include_str!("../../../../policies/starter/access_test.rego")),
        ("data.json", include_str!("../../../../policies/starter/data.json")),
    ];
    PolicySource::from_files("authz", files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))).expect("source")
}

pub(crate) fn starter() -> Snapshot {
    snapshot(Policy::compile(&starter_source()).expect("starter policy"))
}

/// What the server keeps of a finished ceremony.
pub(crate) fn grant(decided: &Decided, ladder: &countersign_sdk_types::Ladder, acr: &Acr, now: Timestamp) -> LiveGrant {
    LiveGrant {
        id: GrantId::new("g1").expect("grant"),
        acr: acr.clone(),
        satisfied: ladder.satisfied_by(acr).iter().cloned().collect(),
        answers: decided.trace.answerable.clone(),
        auth_time: now,
        expires: now.after(Seconds(600)),
    }
}

fn code(decided: &Decided) -> Option<DenialCode> {
    match &decided.decision {
        Decision::Deny(denial) => Some(denial.code()),
        _ => None,
    }
}

#[test]
fn the_seeds_story() {
    let (snapshot, now) = (seed(), at(3, 40));
    let home = decide(&identified("GET", From::Paris, CHROME, Some("laptop")), &facts("admin", From::Paris), &snapshot, at(9, 5));
    assert_eq!(home.decision.effect(), Effect::Allow, "{home:?}");
    let stolen = identified("GET", From::Singapore, CURL, None);
    let mut known = facts("admin", From::Singapore);
    let answer = decide(&stolen, &known, &snapshot, now);
    let Decision::StepUp(demand) = &answer.decision else { panic!("{answer:?}") };
    assert_eq!(demand.acr, Acr::phr());
    known.reachable.clear();
    assert_eq!(code(&decide(&stolen, &known, &snapshot, now)), Some(DenialCode::NotEnrolled));
    known.reachable = vec![Acr::phr()];
    known.grants = vec![grant(&answer, &snapshot.ladder, &Acr::phr(), now)];
    let after = decide(&stolen, &known, &snapshot, Timestamp(now.0 + 5_000));
    let Decision::Allow(permit) = &after.decision else { panic!("{after:?}") };
    assert_eq!((permit.subject(), permit.request()), (&stolen.subject, stolen.request.digest()));
}

#[test]
fn what_a_passkey_does_not_answer_stays_denied() {
    let snapshot = seed();
    let who = identified("GET", From::Singapore, CURL, None);
    assert_eq!(code(&decide(&who, &facts("clerk", From::Singapore), &snapshot, at(3, 40))), Some(DenialCode::PolicyDenied));
    let mut unmanaged = facts("admin", From::Singapore);
    unmanaged.device.inventory = None;
    assert_eq!(code(&decide(&who, &unmanaged, &snapshot, at(3, 40))), Some(DenialCode::PolicyDenied));
    let mut replayed = who;
    replayed.binding = BindingState::Mismatch;
    let answer = decide(&replayed, &facts("admin", From::Singapore), &snapshot, at(3, 40));
    assert_eq!((code(&answer), answer.trace.remaining.value()), (Some(DenialCode::InvalidToken), 100));
}

#[test]
fn no_policy_is_asked_about_a_token_without_its_key() {
    let anybody = snapshot(policy("package authz\nallow = true"));
    let mut who = identified("GET", From::Paris, CHROME, Some("laptop"));
    for (binding, refused) in [
        (BindingState::NotDeclared, None),
        (BindingState::Proved, None),
        (BindingState::Missing, Some(DenialCode::InvalidToken)),
        (BindingState::Mismatch, Some(DenialCode::InvalidToken)),
    ] {
        who.binding = binding;
        let answer = decide(&who, &facts("admin", From::Paris), &anybody, at(9, 0));
        assert_eq!(code(&answer), refused, "{binding:?}");
        assert_eq!(refused.is_some(), answer.trace.remaining.value() == 100, "it is scored all the same");
    }
}

#[test]
fn revoked_and_locked_come_before_the_policy() {
    let snapshot = snapshot(policy("package authz\nallow = true"));
    let who = identified("GET", From::Paris, CHROME, Some("laptop"));
    let mut known = facts("admin", From::Paris);
    assert_eq!(decide(&who, &known, &snapshot, at(9, 0)).decision.effect(), Effect::Allow);
    known.locked_until = Some(at(10, 0));
    assert_eq!(code(&decide(&who, &known, &snapshot, at(9, 0))), Some(DenialCode::Locked));
    assert_eq!(code(&decide(&who, &known, &snapshot, at(10, 0))), None);
    known.revoked = Some("subject".to_owned());
    assert_eq!(code(&decide(&who, &known, &snapshot, at(10, 0))), Some(DenialCode::Revoked));
}

#[test]
fn a_level_in_a_token_counts_only_when_it_was_proved_here() {
    let snapshot = snapshot(policy("package authz\ndefault allow = false\nallow { input.session.acr_satisfied[_] == \"phr\" }"));
    let mut who = identified("GET", From::Paris, CHROME, Some("laptop"));
    who.token.acr = Some(Acr::phr());
    who.token.auth_time = Some(at(8, 0));
    let mut known = facts("admin", From::Paris);
    let effect = |who: &Identified, known: &Facts| decide(who, known, &snapshot, at(9, 0)).decision.effect();
    assert_eq!(effect(&who, &known), Effect::StepUp);
    known.demanded_at = Some(at(8, 30));
    assert_eq!(effect(&who, &known), Effect::StepUp);
    known.demanded_at = Some(at(7, 30));
    assert_eq!(effect(&who, &known), Effect::Allow);
    // A session cookie is the same before and after its owner's login: whoever stole it did not log in.
    let linked = Identified { by: IdentifiedBy::Session, ..who.clone() };
    assert_eq!(effect(&linked, &known), Effect::StepUp);
    known.demanded_at = None;
    who.binding = BindingState::Proved;
    assert_eq!(effect(&who, &known), Effect::Allow);
}

#[test]
fn a_policy_that_always_demands_never_loops() {
    let snapshot = snapshot(policy("package authz\ndecision = {\"effect\": \"step_up\", \"acr\": \"phr\"}"));
    let who = identified("GET", From::Paris, CHROME, Some("laptop"));
    let mut known = facts("admin", From::Paris);
    let first = decide(&who, &known, &snapshot, at(9, 0));
    assert_eq!(code(&first), Some(DenialCode::PolicyDenied));
    known.grants = vec![grant(&first, &snapshot.ladder, &Acr::phr(), at(9, 0))];
    assert_eq!(code(&decide(&who, &known, &snapshot, at(9, 1))), Some(DenialCode::StepUpExhausted));
}

#[test]
fn a_demand_for_a_younger_proof_is_made_once() {
    let text = "package authz\ndefault allow = false\nallow { input.context.time / 1000 - input.session.auth_time < 1 }";
    let snapshot = snapshot(policy(text));
    let who = identified("GET", From::Paris, CHROME, Some("laptop"));
    let mut known = facts("admin", From::Paris);
    let first = decide(&who, &known, &snapshot, at(9, 0));
    assert_eq!(first.decision.effect(), Effect::StepUp);
    known.grants = vec![grant(&first, &snapshot.ladder, &Acr::phr(), at(9, 0))];
    assert_eq!(code(&decide(&who, &known, &snapshot, Timestamp(at(9, 0).0 + 10_000))), Some(DenialCode::StepUpExhausted));
    assert_eq!(decide(&who, &known, &snapshot, at(9, 5)).decision.effect(), Effect::StepUp);
    known.repeated_demand = true;
    assert_eq!(code(&decide(&who, &known, &snapshot, at(9, 5))), Some(DenialCode::StepUpExhausted));
}

#[test]
fn a_higher_level_is_asked_for_only_where_the_lower_does_not_help() {
    let snapshot = snapshot(policy("package authz\ndefault allow = false\nallow { input.session.acr_satisfied[_] == \"phrh\" }"));
    let who = identified("GET", From::Paris, CHROME, Some("laptop"));
    let mut known = facts("admin", From::Paris);
    assert_eq!(code(&decide(&who, &known, &snapshot, at(9, 0))), Some(DenialCode::NotEnrolled));
    known.reachable = vec![Acr::phr(), Acr::phrh()];
    let answer = decide(&who, &known, &snapshot, at(9, 0));
    let Decision::StepUp(demand) = &answer.decision else { panic!("{answer:?}") };
    assert_eq!(demand.acr, Acr::phrh());
    assert_eq!(answer.trace.tried.len(), 2);
}

#[test]
fn an_error_in_the_counterfactual_is_a_deny() {
    let text =
        "package authz\ndefault allow = false\nallow { count(input.session.acr_satisfied) / (count(input.session.acr_satisfied) - 1) > 9 }";
    let answer = decide(&identified("GET", From::Paris, CHROME, None), &facts("admin", From::Paris), &snapshot(policy(text)), at(9, 0));
    assert_eq!(code(&answer), Some(DenialCode::PolicyError));
}

#[test]
fn a_final_no_has_no_remedy() {
    let text = "package authz\nimport rego.v1\ndecision := {\"effect\": \"deny\", \"final\": true} if count(input.session.acr_satisfied) == 0\n\
                decision := {\"effect\": \"allow\"} if count(input.session.acr_satisfied) > 0";
    let answer = decide(&identified("GET", From::Paris, CHROME, None), &facts("admin", From::Paris), &snapshot(policy(text)), at(9, 0));
    assert_eq!(code(&answer), Some(DenialCode::PolicyDenied));
    assert!(answer.trace.tried.is_empty());
}

#[test]
fn broken_glass_is_a_role_and_an_obligation_and_nothing_else() {
    let snapshot = snapshot(policy("package authz\ndefault allow = false\nallow { input.user.roles[_] == \"break_glass\" }"));
    let who = identified("GET", From::Paris, CHROME, None);
    let mut known = facts("admin", From::Paris);
    known.user = Some(DirectoryUser { role: "admin".to_owned(), roles: ["break_glass".to_owned()].into() });
    assert_eq!(code(&decide(&who, &known, &snapshot, at(9, 0))), Some(DenialCode::PolicyDenied));
    known.break_glass = true;
    let answer = decide(&who, &known, &snapshot, at(9, 0));
    let Decision::Allow(permit) = &answer.decision else { panic!("{answer:?}") };
    assert_eq!(permit.obligations().first().map(|obligation| obligation.kind.as_str()), Some("break-glass"));
}

#[test]
fn the_shipped_policies_pass_their_own_checks() {
    let report = check_candidate(&starter_source());
    assert!(report.is_accepted(), "{report:#?}");
    assert_eq!(report.tests.len(), 8);
}

pub(crate) fn circumstances() -> impl Strategy<Value = (Identified, Facts, Timestamp)> {
    let from = prop::sample::select(vec![From::Paris, From::Singapore, From::Nowhere]);
    let action = prop::sample::select(vec!["GET", "POST", "DELETE"]);
    let role = prop::sample::select(vec!["", "admin", "employee"]);
    let device = prop::sample::select(vec![None, Some("laptop"), Some("other")]);
    let agent = prop::sample::select(vec![CHROME, CURL]);
    let rest = (0_i64..168 * 60, any::<Option<bool>>(), any::<Option<bool>>(), 0_u32..12);
    (from, action, role, device, agent, rest).prop_map(|(from, action, role, device, agent, (minute, compliant, managed, failures))| {
        let mut known = facts(role, from);
        known.device.inventory = Some(Inventory { compliant, managed });
        known.failures.subject = failures;
        known.reachable = vec![Acr::phr(), Acr::phrh()];
        (identified(action, from, agent, device), known, at(0, minute))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_the_ceremony_the_answer_is_allow((who, mut known, now) in circumstances()) {
        for snapshot in [seed(), starter()] {
            known.grants.clear();
            let before = decide(&who, &known, &snapshot, now);
            if let Decision::StepUp(demand) = &before.decision {
                known.grants = vec![grant(&before, &snapshot.ladder, &demand.acr, now)];
                let after = decide(&who, &known, &snapshot, now);
                prop_assert_eq!(after.decision.effect(), Effect::Allow, "{:?}", after);
            }
        }
    }

    #[test]
    fn more_assurance_never_removes_an_allow((who, mut known, now) in circumstances()) {
        for snapshot in [seed(), starter()] {
            known.grants.clear();
            let before = decide(&who, &known, &snapshot, now);
            for acr in [Acr::phr(), Acr::phrh()] {
                known.grants.push(grant(&before, &snapshot.ladder, &acr, now));
                let after = decide(&who, &known, &snapshot, now);
                prop_assert!(before.decision.effect() != Effect::Allow || after.decision.effect() == Effect::Allow);
                prop_assert!(after.trace.remaining <= before.trace.remaining);
            }
        }
    }

    #[test]
    fn the_same_arguments_give_the_same_answer((who, known, now) in circumstances()) {
        let snapshot = starter();
        let (once, again) = (decide(&who, &known, &snapshot, now), decide(&who, &known, &snapshot, now));
        prop_assert_eq!(serde_json::to_vec(&once.trace).ok(), serde_json::to_vec(&again.trace).ok());
        prop_assert_eq!(once.decision, again.decision);
    }

    #[test]
    fn a_failing_policy_denies_whatever_is_known((who, known, now) in circumstances()) {
        for text in ["allow { 1 / 0 > 1 }", "allow = 1", "allow = true\nallow = false", "allow { input.nothing.here }"] {
            let broken = snapshot(policy(&format!("package authz\n{text}")));
            prop_assert_eq!(decide(&who, &known, &broken, now).decision.effect(), Effect::Deny);
        }
    }
}

#[test]
fn a_strange_pointer_asks_for_a_proof_and_the_proof_answers_what_it_saw() {
    let (who, snapshot, now) = (identified("GET", From::Paris, "curl/8.5.0", Some("laptop")), seed(), at(0, 600));
    let told = |nats| Some(countersign_risk::Behavior { nats, is_replay: false, text: "the pointer".to_owned() });
    let silent = facts("admin", From::Paris);
    let with = |behavior| Facts { behavior, ..silent.clone() };
    let (before, own) = (decide(&who, &silent, &snapshot, now), decide(&who, &with(told(0.0)), &snapshot, now));
    assert_eq!(before.trace.remaining, own.trace.remaining);
    let strange = decide(&who, &with(told(3.0)), &snapshot, now);
    assert!(strange.trace.remaining > own.trace.remaining, "{strange:?}");
    let after = |seen: &Decided| {
        let grants = vec![grant(seen, &snapshot.ladder, &Acr::phr(), now)];
        decide(&who, &Facts { grants, ..with(told(3.0)) }, &snapshot, now).trace.remaining
    };
    assert!(after(&strange) <= own.trace.remaining, "the proof was given with this pointer");
    assert!(after(&own) > after(&strange), "the proof was given with another pointer");
}

mod obligations {
    //! What a policy obliges to, and what an enforcement point supports.

    use super::*;

    const OBLIGING: &str = "package authz\nimport rego.v1\n\
        o := {\"id\": \"n\", \"type\": \"notification\"}\n\
        decision := {\"effect\": effect, \"obligations\": [o]}\n\
        effect := \"allow\" if input.context.risk_score < 30\n\
        effect := \"deny\" if input.context.risk_score >= 30\n";

    fn snapshot(policy: &str) -> Snapshot {
        let files = [("authz.rego".to_owned(), policy.as_bytes().to_vec())];
        let source = PolicySource::from_files("authz", files).expect("source");
        Snapshot::new(Revision::new("obliging").expect("revision"), Policy::compile(&source).expect("policy"))
    }

    fn supporting(from: From, supported: Option<&[&str]>) -> Identified {
        let mut identified = identified("GET", from, CHROME, Some("laptop"));
        identified.request.supported_obligations = supported.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        identified
    }

    fn decided(from: From, supported: Option<&[&str]>) -> Decision {
        decide(&supporting(from, supported), &facts("admin", from), &snapshot(OBLIGING), at(9, 0)).decision
    }

    #[test]
    fn an_allow_carries_them_unless_they_are_not_supported() {
        for supported in [None, Some(&["notification"][..])] {
            let Decision::Allow(permit) = decided(From::Paris, supported) else { panic!("no allow") };
            assert_eq!(permit.obligations()[0].kind, "notification");
        }
        for supported in [&[][..], &["step-up"]] {
            let Decision::Deny(denial) = decided(From::Paris, Some(supported)) else { panic!("no deny") };
            assert_eq!(denial.code(), DenialCode::ObligationUnsupported);
        }
    }

    #[test]
    fn no_step_up_is_asked_for_that_would_end_in_what_is_not_supported() {
        let mut facts = facts("admin", From::Singapore);
        facts.reachable = vec![Acr::phr()];
        let asked = |supported| decide(&supporting(From::Singapore, supported), &facts, &snapshot(OBLIGING), at(9, 0)).decision;
        assert!(matches!(asked(None), Decision::StepUp(_)));
        assert!(matches!(asked(Some(&[][..])), Decision::Deny(_)));
    }

    #[test]
    fn a_denial_carries_what_the_policy_obliges_to() {
        let facts = Facts { reachable: Vec::new(), ..facts("admin", From::Singapore) };
        let decided = decide(&supporting(From::Singapore, None), &facts, &snapshot(OBLIGING), at(9, 0));
        let Decision::Deny(denial) = decided.decision else { panic!("no deny") };
        assert_eq!(denial.obligations().len(), 1);
    }

    #[test]
    fn a_search_would_allow_exactly_what_a_decision_allows() {
        let (snapshot, obliging) = (snapshot(OBLIGING), facts("admin", From::Paris));
        for from in [From::Paris, From::Singapore] {
            for supported in [None, Some(&[][..])] {
                let (identified, facts) = (supporting(from, supported), Facts { place: from.place(), ..obliging.clone() });
                let decision = decide(&identified, &facts, &snapshot, at(9, 0)).decision;
                let (action, resource) = (identified.request.action.clone(), identified.request.resource.clone());
                let mut standing = crate::standing::Standing::of(identified, &facts, &snapshot, at(9, 0));
                let would = standing.would_allow(action, resource);
                match decision {
                    Decision::Allow(permit) => assert_eq!(would.as_deref(), Some(permit.obligations())),
                    Decision::StepUp(_) | Decision::Deny(_) => assert_eq!(would, None),
                }
            }
        }
    }
}
