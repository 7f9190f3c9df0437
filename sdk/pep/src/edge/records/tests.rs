//! How decisions become lines, and what happens where there is no room.

use super::*;

fn allowed<'a>(under: &'a DecisionId, resource: &'a Entity, at: i64) -> Allowed<'a> {
    Allowed { under, action: "GET", resource, at: Timestamp(at), risk: RiskScore::clamp(3.0) }
}

fn entity(id: &str) -> Entity {
    Entity { kind: "route".to_owned(), id: id.to_owned(), properties: serde_json::Map::new() }
}

fn names() -> (DecisionId, DecisionId) {
    (DecisionId::new("main.1.1").unwrap(), DecisionId::new("main.1.2").unwrap())
}

#[test]
fn equal_decisions_are_one_line() {
    let (records, (one, two)) = (Records::new(7), names());
    let (a, b, c) = (entity("h/api/orders/1"), entity("h/api/orders/22"), entity("h/api/people"));
    let note = |under, resource, at| records.note(&allowed(under, resource, at), Without::Refused).unwrap();
    assert_eq!([note(&one, &a, 10), note(&one, &b, 14), note(&two, &a, 15), note(&one, &c, 16), note(&one, &a, 12)], [1, 1, 2, 3, 1]);
    let batch = records.next().unwrap();
    let written = r#"{"life":"0000000000000007","batch":1,"at":10,"of":["main.1.1","main.1.2"],"lines":[[1,0,"GET","route:h/api/orders/*",3,0,4,3],[2,1,"GET","route:h/api/orders/*",1,5,0,3],[3,0,"GET","route:h/api/people",1,6,0,3]]}"#;
    assert_eq!(serde_json::to_string(&batch).unwrap(), written);
    assert_eq!(serde_json::from_str::<EdgeBatch>(written).unwrap(), batch);
    assert!(batch.check(Timestamp(0)).is_ok(), "{:?}", batch.check(Timestamp(0)));
    assert!(records.next().is_none());
    records.failed();
    assert_eq!(records.next().unwrap(), batch, "until it is kept");
    records.kept();
    assert!(records.next().is_none() && records.is_told());
    assert_eq!(note(&one, &a, 20), 4, "a line of another batch has another number");
}

#[test]
fn a_full_batch_is_closed() {
    let (records, (one, _)) = (Records::new(7), names());
    for number in 0..600 {
        let resource = entity(&format!("h/{}", "a".repeat(number % 40 + 1)));
        records.note(&allowed(&one, &resource, 0), Without::Refused).unwrap();
    }
    let counted = || records.next().unwrap().lines.iter().map(|line| line.count).sum::<u32>();
    assert_eq!((counted(), counted()), (512, 88));
}

#[test]
fn without_room_nothing_is_decided_or_it_is_counted() {
    let (records, (one, _)) = (Records::new(7), names());
    let resource = entity("h/a");
    let note = |without| records.note(&allowed(&one, &resource, 0), without);
    for _ in 0..WAITING * EDGE_BATCH + 1 {
        note(Without::Refused).unwrap();
    }
    assert_eq!(note(Without::Refused), None);
    assert!(note(Without::Counted).is_some());
    assert_eq!(records.lost_ever(), 1);
    let first = records.next().unwrap();
    records.failed();
    assert_eq!(note(Without::Refused), None, "nobody takes them");
    assert_eq!(records.next().unwrap(), first, "it is told again");
    records.kept();
    assert!(note(Without::Refused).is_some());
    let mut lost = 0;
    while let Some(batch) = records.next() {
        lost += batch.lost;
    }
    assert_eq!(lost, 1, "it is told what was lost");
    records.give_up();
    assert!(records.lost_ever() > 1000 && !records.is_told(), "and what nobody takes is lost, and told");
}

#[test]
fn patterns_name_no_single_thing_and_are_short() {
    let check = |id: &str, expected: &str| assert_eq!(pattern(&entity(id)), format!("route:{expected}"));
    check("h.example/api/orders/17/lines", "h.example/api/orders/*/lines");
    check("h.example/", "h.example/");
    check("h.example/people/6f1f7f1e-8a0c-4c1e-9a54-2f7f4f7f4f7f", "h.example/people/*");
    assert!(pattern(&entity(&"é/".repeat(500))).len() <= EDGE_NAME);
    assert!(!pattern(&entity(&"a/\u{7}".repeat(500))).contains('\u{7}'));
}
