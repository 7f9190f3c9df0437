//! Alice's colleagues, as far as the demonstration needs them: made-up hands, so that there is a population to compare hers with.

use countersign_pdp_store::{StateEvent, View};
use countersign_risk::pointer::{CountedAction, Point, PointKind, PointerProfile, Segmenter};
use countersign_risk::{Keyed, SessionTag};
use countersign_sdk_types::{SubjectId, Timestamp};

/// Each with a pace and a swing of their own.
const HANDS: [(&str, u32); 4] = [("bob", 1), ("carol", 2), ("dave", 3), ("erin", 4)];
const SESSIONS: u32 = 2;
const MOVEMENTS: u32 = 60;

/// What two verified sessions of each would have taught; nothing of those who are known already.
pub(super) fn lessons(alice: &SubjectId, view: &View, at: Timestamp) -> Vec<StateEvent> {
    let of = |sub: &str| SubjectId { sub: sub.to_owned(), ..alice.clone() };
    let is_new = |subject: &SubjectId| view.pointer(subject).is_ok_and(|profile| !profile.is_known());
    let new = HANDS.iter().map(|(sub, hand)| (of(sub), *hand)).filter(|(subject, _)| is_new(subject));
    new.flat_map(|(subject, hand)| (1..=SESSIONS).map(move |session| lesson(subject.clone(), hand, session, at))).collect()
}

fn lesson(subject: SubjectId, hand: u32, session: u32, at: Timestamp) -> StateEvent {
    let lesson = Box::new(PointerProfile::empty().lesson(Keyed(session), &movements(hand, session)));
    StateEvent::PointerLearned { subject, session: SessionTag(session), lesson, at }
}

/// Curves of a length, a pace, a height and a press that depend on the hand, and a little on chance that is none.
fn movements(hand: u32, session: u32) -> Vec<CountedAction> {
    let mut segmenter = Segmenter::default();
    let mut actions = Vec::new();
    for nth in 0..MOVEMENTS {
        let chance = (nth * 7 + session * 13) % 31;
        let (steps, reach) = (20 + hand * 9 + chance, f64::from(120 + hand * 90 + chance * 5));
        let start = i64::from(nth) * 8000;
        let place = |step: u32| {
            let way = f64::from(step) / f64::from(steps);
            let eased = way * way * (3.0 - 2.0 * way);
            (200.0 + reach * eased, 400.0 + (way * 3.1).sin() * f64::from(hand * 25 + chance))
        };
        let mut push = |millis: i64, (x, y): (f64, f64), kind: PointKind| {
            actions.extend(segmenter.push(Point { at: Timestamp(millis), x, y, kind }).as_ref().map(CountedAction::from));
        };
        (0..=steps).for_each(|step| push(start + i64::from(step) * 20, place(step), PointKind::Move));
        let pressed = start + i64::from(steps) * 20 + i64::from(hand * 70 + chance);
        push(pressed, place(steps), PointKind::Press);
        push(pressed + i64::from(50 + hand * 30 + chance), place(steps), PointKind::Release);
    }
    actions
}
