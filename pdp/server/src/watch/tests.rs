//! The stream with its followers: nothing lost, nothing twice, first who must be first, and ends.

use std::collections::BTreeSet;

use futures_util::{FutureExt as _, StreamExt as _};

use super::*;

fn hub_of(terms: LeaseTerms) -> Arc<Hub> {
    Arc::new(Hub::new(terms, Revision::new("r1").unwrap(), Arc::new(Metrics::new())).unwrap())
}

fn hub() -> Arc<Hub> {
    hub_of(LeaseTerms::default())
}

fn tag(n: u8) -> Tag {
    Tag([n; 16])
}

fn name(text: &str) -> WatchName {
    WatchName::try_from(text.to_owned()).unwrap()
}

fn watch(hub: &Arc<Hub>, text: &str, last: Option<Epoch>) -> Following {
    follow(hub, Some(name(text)), last, None).unwrap()
}

/// What is there by now.
fn heard(watch: &mut Following) -> Vec<Arc<Event>> {
    std::iter::from_fn(|| watch.next().now_or_never().flatten())
        .filter_map(|told| match told {
            Told::Event(event) => Some(event),
            Told::Alive => None,
        })
        .collect()
}

fn places(events: &[Arc<Event>]) -> Vec<(u64, &'static str)> {
    events.iter().map(|event| (event.at.seq, sse::name(&event.event))).collect()
}

#[tokio::test]
async fn a_watch_begins_where_the_stream_is() {
    let hub = hub();
    hub.reset();
    let mut watch = watch(&hub, "a", None);
    // Between its beginning and its first look.
    hub.end(Ending::Revoked, vec![tag(1)]);
    let events = heard(&mut watch);
    assert_eq!(places(&events), [(1, "hello"), (2, "ended")]);
    let WatchEvent::Hello { heartbeat, floor, revision } = &events[0].event else { panic!("{events:?}") };
    assert_eq!((*heartbeat, *floor, revision.as_str()), (Millis(3_000), Millis(2_000), "r1"));
}

#[tokio::test]
async fn a_watch_that_comes_back_hears_what_it_missed() {
    let hub = hub();
    for n in 0..5 {
        hub.end(Ending::Device, vec![tag(n)]);
    }
    let mut watch = watch(&hub, "a", Some(Epoch { seq: 2, ..hub.epoch() }));
    assert_eq!(places(&heard(&mut watch)), [(2, "hello"), (3, "ended"), (4, "ended"), (5, "ended")]);
}

#[tokio::test]
async fn what_cannot_be_resumed_is_a_reset() {
    let hub = hub();
    hub.reset();
    let now = hub.epoch();
    for last in [Epoch { life: now.life ^ 1, seq: 1 }, Epoch { seq: 9, ..now }, Epoch { life: 0, seq: u64::MAX }] {
        assert_eq!(places(&heard(&mut watch(&hub, "a", Some(last)))), [(1, "hello"), (1, "reset")], "{last}");
    }
    assert_eq!(places(&heard(&mut watch(&hub, "a", Some(now)))), [(1, "hello")]);
}

#[tokio::test]
async fn a_slow_watch_is_told_that_it_missed_something() {
    let hub = hub();
    let mut watch = watch(&hub, "a", None);
    assert_eq!(places(&heard(&mut watch)), [(0, "hello")]);
    for _ in 0..20_000 {
        hub.reset();
    }
    hub.end(Ending::Locked, vec![tag(1)]);
    assert_eq!(places(&heard(&mut watch)), [(20_001, "reset")]);
    hub.end(Ending::Locked, vec![tag(1)]);
    assert_eq!(places(&heard(&mut watch)), [(20_002, "ended")]);
}

#[tokio::test]
async fn there_are_as_many_watches_as_may_be() {
    let hub = hub_of(LeaseTerms { watches: 2, ..LeaseTerms::default() });
    let (one, _two) = (watch(&hub, "a", None), watch(&hub, "b", None));
    assert!(follow(&hub, None, None, None).is_err());
    drop(one);
    assert!(follow(&hub, None, None, None).is_ok());
    assert!(lock(&hub.slots).by_name.keys().eq([&name("b")]), "what ended is forgotten");
}

#[tokio::test]
async fn a_name_is_the_newest_watchs() {
    let hub = hub();
    let first = watch(&hub, "a", None);
    let _second = watch(&hub, "a", None);
    drop(first);
    assert_eq!(lock(&hub.slots).by_name.len(), 1, "the old one takes the name of the new one with it");
}

#[tokio::test]
async fn whoever_holds_a_lease_is_woken_at_once_and_the_others_in_turn() {
    let hub = hub();
    let (mut holder, mut other) = (watch(&hub, "holder", None), watch(&hub, "other", None));
    heard(&mut holder);
    heard(&mut other);
    hub.leased(Some(&name("holder")), &[tag(1)], clock::now());
    let (mut holder, mut other) = (tokio_test(holder), tokio_test(other));
    assert!(holder.poll().is_none() && other.poll().is_none());
    hub.end(Ending::Revoked, vec![tag(1)]);
    assert_eq!((holder.is_woken(), other.is_woken()), (true, false), "before anything else runs");
    let running = tokio::spawn(Arc::clone(&hub).run());
    assert!(reached(|| other.is_woken()).await);
    running.abort();
    assert!(holder.poll().is_some() && other.poll().is_some());
}

#[tokio::test]
async fn every_watch_is_woken_however_many_there_are() {
    let hub = hub();
    let mut watches: Vec<_> = (0..3 * CHUNK + 7).map(|n| tokio_test(watch(&hub, &format!("w{n}"), None))).collect();
    for watch in &mut watches {
        while watch.poll().is_some() {}
    }
    let running = tokio::spawn(Arc::clone(&hub).run());
    hub.activated(&Revision::new("r2").unwrap());
    assert!(reached(|| watches.iter().all(Woken::is_woken)).await);
    running.abort();
    assert!(watches.iter_mut().all(|watch| matches!(watch.poll(), Some(Told::Event(event)) if sse::name(&event.event) == "policy")));
}

#[tokio::test]
async fn a_policy_is_told_once() {
    let hub = hub();
    hub.activated(&Revision::new("r1").unwrap());
    assert_eq!(hub.epoch().seq, 0, "it was active before");
    hub.activated(&Revision::new("r2").unwrap());
    hub.activated(&Revision::new("r2").unwrap());
    assert_eq!(hub.epoch().seq, 1);
}

#[tokio::test]
async fn what_ends_more_tells_several() {
    let hub = hub();
    hub.end(Ending::Revoked, (0..=200).map(tag).collect());
    assert_eq!(hub.epoch().seq, 2);
}

#[tokio::test]
async fn a_risk_is_told_where_somebody_may_hold_a_lease() {
    let hub = hub();
    hub.stir(&[tag(1)]);
    assert!(!hub.stirs.load(Ordering::Acquire), "nobody holds anything");
    hub.leased(None, &[tag(1)], clock::now());
    assert!(hub.may_be_leased(&tag(1)) && !hub.may_be_leased(&tag(2)));
    let mut watch = watch(&hub, "a", None);
    heard(&mut watch);
    let running = tokio::spawn(Arc::clone(&hub).run());
    hub.stir(&[tag(1), tag(2)]);
    assert!(reached(|| hub.epoch().seq == 1).await);
    running.abort();
    let events = heard(&mut watch);
    assert!(
        matches!(&events[..], [event] if event.event == WatchEvent::Ended { reason: Ending::Risk, depends_on: vec![tag(1)] }),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_storm_of_refusals_is_one_event_a_second_for_a_name() {
    let hub = hub();
    hub.leased(None, &[tag(1), tag(2)], clock::now());
    let mut watch = watch(&hub, "a", None);
    heard(&mut watch);
    // As the task would, with a clock of its own.
    let mut told = 0;
    for now in 0..3_000 {
        hub.stir(&[tag(1), tag(2)]);
        let due = lock(&hub.stirred).due(Millis(now));
        told += usize::from(due != stir::Due::Tags(Vec::new()));
    }
    assert_eq!(told, 3);
}

#[tokio::test]
async fn a_watch_is_told_that_it_lives_and_never_more_often_than_it_may() {
    let hub = hub();
    let mut watch = follow(&hub, None, None, Some(Millis(5))).unwrap();
    heard(&mut watch);
    let begun = tokio::time::Instant::now();
    assert_eq!(watch.next().await, Some(Told::Alive));
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_told_is_a_sign_of_life() {
    let hub = hub();
    let mut watch = follow(&hub, None, None, Some(Millis(1_000))).unwrap();
    heard(&mut watch);
    tokio::time::sleep(Duration::from_millis(700)).await;
    hub.reset();
    assert_eq!(heard(&mut watch).len(), 1);
    let begun = tokio::time::Instant::now();
    assert_eq!(watch.next().await, Some(Told::Alive));
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_leaves_with_its_connection() {
    let hub = hub();
    let (leave, leaving) = tokio::sync::watch::channel(false);
    let line = crate::front_door::Line::new(leaving, crate::front_door::Hangup::default());
    let mut watch = watch(&hub, "a", None).on(&line);
    heard(&mut watch);
    leave.send(true).unwrap();
    let events = heard(&mut watch);
    assert!(matches!(&events[..], [event] if event.event == WatchEvent::Draining { within: Millis(5_000) }), "{events:?}");
    // What is told meanwhile is still told.
    hub.reset();
    assert_eq!(places(&heard(&mut watch)), [(1, "reset")]);
    let begun = tokio::time::Instant::now();
    assert_eq!(watch.next().await, None);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_that_does_not_read_is_closed_with_its_connection() {
    let hub = hub();
    let (_leave, leaving) = tokio::sync::watch::channel(false);
    let line = crate::front_door::Line::new(leaving, crate::front_door::Hangup::default());
    let mut watch = tokio_test(watch(&hub, "a", None).on(&line));
    while watch.poll().is_some() {}
    let slot = Arc::clone(&lock(&hub.slots).by_id[&0]);
    assert!(!slot.is_slow(Millis(1_000_000), SLOW), "there is nothing to read");
    slot.wake(Millis(0));
    slot.wake(Millis(9_000));
    assert!(!slot.is_slow(Millis(9_999), SLOW) && slot.is_slow(Millis(10_000), SLOW), "since the first");
    assert!(slot.close() && !slot.close());
    assert!(line.hangup().wanted().now_or_never().is_some());
    assert_eq!(watch.polled(), Some(None), "its stream ends as well");
}

#[tokio::test]
async fn who_takes_one_of_two_events_is_behind_from_then_on() {
    let hub = hub();
    let mut watch = tokio_test(watch(&hub, "a", None));
    while watch.poll().is_some() {}
    let slot = Arc::clone(&lock(&hub.slots).by_id[&0]);
    hub.reset();
    hub.reset();
    assert!(watch.poll().is_some());
    assert!(slot.is_slow(Millis(1_000_000), SLOW), "the second is there, and nobody wakes it again");
    while watch.poll().is_some() {}
    assert!(!slot.is_slow(Millis(1_000_000), SLOW));
}

#[tokio::test]
async fn who_reads_is_not_slow() {
    let hub = hub();
    let mut watch = watch(&hub, "a", None);
    let slot = Arc::clone(&lock(&hub.slots).by_id[&0]);
    slot.wake(Millis(0));
    heard(&mut watch);
    assert!(!slot.is_slow(Millis(1_000_000), SLOW));
}

#[test]
fn two_lives_have_two_names() {
    let lives: BTreeSet<u64> = (0..100).map(|_| hub().epoch().life).collect();
    assert_eq!(lives.len(), 100);
}

/// A watch with a waker that remembers.
struct Woken {
    watch: Following,
    flag: Arc<Flag>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn tokio_test(watch: Following) -> Woken {
    Woken { watch, flag: Arc::default() }
}

impl Woken {
    fn polled(&mut self) -> Option<Option<Told>> {
        let waker = std::task::Waker::from(Arc::clone(&self.flag));
        match self.watch.poll_next_unpin(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(told) => Some(told),
            std::task::Poll::Pending => None,
        }
    }

    fn poll(&mut self) -> Option<Told> {
        self.polled().flatten()
    }

    fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::SeqCst)
    }
}

async fn reached(condition: impl Fn() -> bool) -> bool {
    for _ in 0..2_000 {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}
