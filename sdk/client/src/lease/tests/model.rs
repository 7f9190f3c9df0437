//! Random lives of a decision point, a network and a client. The model keeps the whole history and says of each lease whether it could be used; the client may
//! refuse more, and must never use more.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const FLOOR: u64 = 2_000;
const SILENCE: u64 = 2_500;
const TTL: u64 = 30_000;

#[derive(Debug, Clone)]
enum Step {
    /// A question is asked; its answer is under way.
    Ask {
        resource: u8,
        tag: u8,
    },
    /// One of the answers arrives, in any order.
    Answer {
        which: prop::sample::Index,
    },
    /// Something ends.
    End {
        tag: u8,
    },
    Activate,
    Restart,
    /// The decision point keeps only the newest events.
    Forget {
        kept: u8,
    },
    /// The watch connects; hello names how far the stream is, or where it goes on.
    Connect {
        says_how_far: bool,
    },
    /// The next thing that was sent arrives.
    Hear,
    Beat,
    /// The client notices that the connection is gone.
    Lose,
    Wait {
        millis: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..3_u8).prop_map(|(resource, tag)| Step::Ask { resource, tag }),
        6 => any::<prop::sample::Index>().prop_map(|which| Step::Answer { which }),
        3 => (0..3_u8).prop_map(|tag| Step::End { tag }),
        1 => Just(Step::Activate),
        1 => Just(Step::Restart),
        1 => (0..3_u8).prop_map(|kept| Step::Forget { kept }),
        3 => any::<bool>().prop_map(|says_how_far| Step::Connect { says_how_far }),
        8 => Just(Step::Hear),
        3 => Just(Step::Beat),
        2 => Just(Step::Lose),
        5 => prop_oneof![0..50_u16, 0..2_000_u16, 0..12_000_u16].prop_map(|millis| Step::Wait { millis }),
    ]
}

#[derive(Debug, Clone)]
enum Sent {
    Hello { at: Epoch, truly: u64, resumed: bool, revision: Revision },
    Event { at: Epoch, what: Told },
    Reset { at: Epoch },
    Beat,
}

#[derive(Debug, Clone, PartialEq)]
enum Told {
    Ended(u8),
    Policy(Revision),
}

/// What one lease is, and everything that was told of it.
#[derive(Debug, Clone)]
struct Given {
    asked: u64,
    epoch: Epoch,
    tag: u8,
    revision: Revision,
    is_ended: bool,
    /// The last instant at which a watch of its life lived that had heard everything since its epoch.
    safe: Option<u64>,
}

#[derive(Default)]
struct World {
    now: u64,
    life: u64,
    seq: u64,
    revision: u32,
    events: BTreeMap<u64, Told>,
    /// What is on the way to the client.
    line: Option<VecDeque<Sent>>,
    asked: Vec<(u8, Given)>,
    given: Vec<(String, Given)>,
    /// Of the connection, as the client has heard it: its life, up to where, and how far the stream was at hello.
    heard: Option<(u64, u64, u64)>,
    last: u64,
    /// What the client has heard of each life: events, and places before which it may have missed some.
    told: BTreeMap<(u64, u64), Told>,
    missed: BTreeMap<u64, u64>,
    hits: u64,
}

impl World {
    fn named(&self) -> Revision {
        revision(&format!("r{}", self.revision))
    }

    fn tell(&mut self, what: Told) {
        self.seq += 1;
        self.events.insert(self.seq, what.clone());
        let at = Epoch { life: self.life, seq: self.seq };
        if let Some(line) = &mut self.line {
            line.push_back(Sent::Event { at, what });
        }
    }

    /// The life of which everything was heard, and until when the watch has lived.
    fn heard_all(&self) -> Option<(u64, u64)> {
        self.heard.filter(|(_, seq, truly)| seq >= truly).map(|(life, ..)| (life, self.now.min(self.last + SILENCE)))
    }

    fn lives(&self) -> bool {
        self.heard_all().is_some_and(|(_, until)| until == self.now && self.now < self.last + SILENCE)
    }

    /// Whether something that was told ends it, or something that was not told may.
    fn is_over(&self, given: &Given) -> bool {
        let missed = self.missed.get(&given.epoch.life).copied().unwrap_or(0);
        let ends = |what: &Told| match what {
            Told::Ended(tag) => *tag == given.tag,
            Told::Policy(revision) => *revision != given.revision,
        };
        let later = (given.epoch.life, given.epoch.seq + 1)..=(given.epoch.life, u64::MAX);
        given.epoch.seq < missed || self.told.range(later).any(|(_, what)| ends(what))
    }

    /// Marks what is ended, and until when it is safe.
    fn settle(&mut self) {
        let heard_all = self.heard_all();
        for at in 0..self.given.len() {
            let is_over = self.is_over(&self.given[at].1);
            let given = &mut self.given[at].1;
            given.is_ended |= is_over || heard_all.is_some_and(|(life, _)| life != given.epoch.life);
            if let Some((_, until)) = heard_all.filter(|_| !given.is_ended) {
                given.safe = Some(until);
            }
        }
    }

    fn may_be_used(&self, given: &Given) -> bool {
        let unwatched = given.asked.max(given.safe.unwrap_or(0)) + FLOOR;
        !given.is_ended && self.now < given.asked + TTL && (self.now < unwatched || self.lives())
    }
}

fn run(steps: &[Step], questions: &[Question; 3]) -> u64 {
    let rules = Rules::new(Terms { room: Room { entries: 16, bytes: 1 << 20 }, ..TERMS });
    let mut world = World { life: 1, ..World::default() };
    for step in steps {
        take(&rules, &mut world, step, questions);
        world.settle();
        for question in questions {
            let Some(found) = rules.find(at(world.now), question) else { continue };
            let id = found.decision_id().unwrap().as_str();
            let (_, given) = world.given.iter().find(|(own, _)| own == id).unwrap();
            assert!(world.may_be_used(given), "at {}: {given:?} was used after {step:?}", world.now);
            world.hits += 1;
        }
    }
    world.hits
}

fn take(rules: &Rules, world: &mut World, step: &Step, questions: &[Question; 3]) {
    match step {
        Step::Ask { resource, tag } => {
            let epoch = Epoch { life: world.life, seq: world.seq };
            let given = Given { asked: world.now, epoch, tag: *tag, revision: world.named(), is_ended: false, safe: None };
            world.asked.push((*resource, given));
        }
        Step::Answer { which } if !world.asked.is_empty() => {
            let (resource, given) = world.asked.remove(which.index(world.asked.len()));
            let id = format!("d{}", world.given.len());
            let lease = lease(given.epoch, &[given.tag], given.revision.as_str());
            let question = &questions[usize::from(resource)];
            let allow = answer(json!({"id": id, "lease": lease}), at(given.asked), question);
            rules.arrived(question, &allow);
            world.given.push((id, given));
        }
        Step::Answer { .. } => {}
        Step::End { tag } => world.tell(Told::Ended(*tag)),
        Step::Activate => {
            world.revision += 1;
            world.tell(Told::Policy(world.named()));
        }
        Step::Restart => {
            (world.life, world.seq) = (world.life + 1, 0);
            world.events.clear();
            // What was sent before may still arrive; nothing follows it.
            if let Some(line) = world.line.take() {
                let _ = line.into_iter().all(|sent| hear(rules, world, sent));
            }
            lose(rules, world);
        }
        Step::Forget { kept } => {
            let first = world.seq.saturating_sub(u64::from(*kept)) + 1;
            world.events = world.events.split_off(&first);
        }
        Step::Connect { says_how_far } => {
            lose(rules, world);
            world.line = Some(connect(rules.position(), world, *says_how_far));
        }
        Step::Hear => {
            if let Some(sent) = world.line.as_mut().and_then(VecDeque::pop_front) {
                let _ = hear(rules, world, sent);
            }
        }
        Step::Beat => {
            if let Some(line) = &mut world.line {
                line.push_back(Sent::Beat);
            }
        }
        Step::Lose => lose(rules, world),
        Step::Wait { millis } => world.now += u64::from(*millis),
    }
}

/// What a decision point sends to a watch that was there up to `last`.
fn connect(last: Option<Epoch>, world: &World, says_how_far: bool) -> VecDeque<Sent> {
    let resumed = last.filter(|last| last.life == world.life && last.seq <= world.seq);
    let is_kept = |last: &Epoch| (last.seq + 1..=world.seq).all(|seq| world.events.contains_key(&seq));
    let from = resumed.filter(is_kept);
    let goes_on = from.map_or(world.seq, |from| if says_how_far { world.seq } else { from.seq });
    let place = |seq| Epoch { life: world.life, seq };
    let hello = Sent::Hello { at: place(goes_on), truly: world.seq, resumed: resumed.is_some(), revision: world.named() };
    let mut line = VecDeque::from([hello]);
    match from {
        Some(from) => {
            let missed = world.events.range(from.seq + 1..);
            line.extend(missed.map(|(seq, what)| Sent::Event { at: place(*seq), what: what.clone() }));
        }
        None if last.is_some() => line.push_back(Sent::Reset { at: place(world.seq) }),
        None => {}
    }
    line
}

fn lose(rules: &Rules, world: &mut World) {
    // The client knows when it heard something last; what it held is safe up to then and no longer.
    world.settle();
    rules.lost(at(world.now));
    (world.line, world.heard) = (None, None);
}

/// False when the client follows this connection no longer.
fn hear(rules: &Rules, world: &mut World, sent: Sent) -> bool {
    let now = at(world.now);
    world.settle();
    if rules.heard(now).is_err() {
        lose(rules, world);
        return false;
    }
    world.last = world.now;
    let told = match sent {
        Sent::Beat => {
            rules.quiet();
            return true;
        }
        Sent::Hello { at, truly, resumed, revision } => {
            let hello = WatchEvent::Hello { heartbeat: Millis(1_000), floor: Millis(FLOOR), revision };
            if !resumed {
                missed(world, at);
            }
            world.heard = Some((at.life, if resumed { heard_before(world, at) } else { at.seq }, truly));
            rules.told(now, at, &hello)
        }
        Sent::Event { at, what } => {
            world.told.insert((at.life, at.seq), what.clone());
            world.heard = world.heard.map(|(life, _, truly)| (life, at.seq, truly));
            let event = match what {
                Told::Ended(name) => ended(name),
                Told::Policy(revision) => WatchEvent::Policy { revision },
            };
            rules.told(now, at, &event)
        }
        Sent::Reset { at } => {
            missed(world, at);
            world.heard = Some((at.life, at.seq, at.seq));
            rules.told(now, at, &WatchEvent::Reset {})
        }
    };
    told.unwrap();
    true
}

/// Up to where this life was heard before.
fn heard_before(world: &World, at: Epoch) -> u64 {
    let heard = world.told.range((at.life, 0)..=(at.life, u64::MAX)).next_back().map_or(0, |((_, seq), _)| *seq);
    heard.max(world.missed.get(&at.life).copied().unwrap_or(0))
}

fn missed(world: &mut World, at: Epoch) {
    let before = world.missed.entry(at.life).or_insert(0);
    *before = at.seq.max(*before);
}

#[test]
fn no_lease_is_used_that_the_model_does_not_allow() {
    let hits = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    let lives = prop::collection::vec(step(), 1..120);
    let questions = ["0", "1", "2"].map(question);
    let ran = runner.run(&lives, |steps| {
        hits.set(hits.get() + run(&steps, &questions));
        Ok(())
    });
    ran.unwrap();
    // It is no test of a client that keeps nothing.
    assert!(hits.get() > 10_000, "{}", hits.get());
}
