//! What the demonstration takes for having happened: only what alice was let in to, and only attacks that were stopped.

use super::{Happened, MOST, Outcome, Timeline, Visit, Who};
use crate::attack::{Attack, Attempt};
use crate::backstage::Place;

fn visit(who: Who, place: Place, outcome: Outcome) -> Visit {
    Visit { at: "Tue 10:00".to_owned(), who, place, outcome, decision: None, risk: None }
}

fn attack(stopped: bool) -> Attack {
    let attempt = Attempt { tried: "tries".to_owned(), seen: String::new(), stopped };
    Attack { at: "Wed 03:40".to_owned(), attempts: vec![attempt], decision: None }
}

#[test]
fn the_story_happens_in_order() {
    let timeline = Timeline::default();
    timeline.saw(visit(Who::Alice, Place::Paris, Outcome::Allowed));
    assert_eq!(timeline.happened(), Happened { worked: true, ..Happened::default() });
    timeline.attacked(attack(true));
    assert_eq!(timeline.happened(), Happened { worked: true, attacked: true, ..Happened::default() });
    timeline.saw(visit(Who::Alice, Place::Singapore, Outcome::Asked));
    assert!(!timeline.happened().travelled, "asked is not let in");
    timeline.saw(visit(Who::Alice, Place::Singapore, Outcome::Allowed));
    assert!(!timeline.happened().attacked_again, "that attack came before");
    timeline.attacked(attack(true));
    assert!(timeline.happened().attacked_again);
}

#[test]
fn an_attack_that_gets_through_is_no_success() {
    let timeline = Timeline::default();
    timeline.saw(visit(Who::Attacker, Place::Singapore, Outcome::Allowed));
    timeline.attacked(attack(false));
    assert_eq!(timeline.happened(), Happened::default());
}

#[test]
fn the_latest_come_first_and_the_oldest_are_forgotten() {
    let timeline = Timeline::default();
    for n in 0..=MOST {
        timeline.saw(Visit { at: n.to_string(), ..visit(Who::Alice, Place::Paris, Outcome::Refused) });
    }
    let kept: Vec<_> = timeline.visits().iter().map(|visit| visit.at.clone()).collect();
    assert_eq!((kept.len(), kept[0].as_str(), kept[MOST - 1].as_str()), (MOST, "40", "1"));
}
