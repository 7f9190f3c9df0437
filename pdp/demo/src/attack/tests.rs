//! What counts as stopped: a demand for the passkey, or a refusal; never a breakdown, and never an answer that carries the payroll.

use super::{REACHED, judged};
use crate::visitor::Page;

#[track_caller]
fn check(status: u16, location: Option<&str>, body: &str, stopped: bool, seen: &str) {
    let page = Page { url: String::new(), status, location: location.map(ToOwned::to_owned), decision: None, body: body.to_owned() };
    let attempt = judged("tries", &page);
    assert_eq!((attempt.stopped, attempt.seen.as_str()), (stopped, seen));
}

#[test]
fn a_demand_stops() {
    check(302, Some("http://payroll.localhost/.countersign/step-up?d=1"), "", true, "asked for a passkey (302)");
}

#[test]
fn a_refusal_stops() {
    check(401, None, "", true, "asked to sign in (401)");
    check(403, None, "", true, "refused (403)");
    check(410, None, "", true, "refused: it is spent (410)");
}

#[test]
fn what_carries_the_payroll_does_not_stop() {
    check(200, None, REACHED, false, "let in (200)");
    check(403, None, REACHED, false, "refused (403)");
}

#[test]
fn any_other_success_does_not_stop() {
    check(200, None, "{}", false, "accepted (200)");
    check(302, Some("http://payroll.localhost/payroll"), "", false, "something else (302)");
}

#[test]
fn a_breakdown_is_not_a_success_of_ours() {
    check(500, None, "", false, "something else (500)");
    check(503, None, "", false, "something else (503)");
}
