//! Who is attacked, and from where: one session a subject, and the networks of the log. Bounded, and the same whatever order the log is in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use countersign_pdp_engine::decide::Summary;
use countersign_pdp_engine::record::{Circumstances, Record};
use countersign_risk::{Keyed, Sighting};
use countersign_sdk_types::Kilometers;

/// Subjects that are attacked, and networks that attackers come from, at most.
const MOST_VICTIMS: usize = 1_000;
const MOST_SCENES: usize = 2_048;
/// Subjects that are counted.
const MOST_SUBJECTS: usize = 1_000_000;
/// Others of the organisation from which on a network is an office: no thief sits in one.
const OFFICE: u8 = 3;
/// What is far at least.
const FAR: f64 = 1_000.0;

/// A network of the log as a request from it shows it.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) circumstances: Circumstances,
    draw: u64,
}

/// A session that is attacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Victim<'a> {
    pub(super) record: &'a Record,
    /// What is drawn for the subject.
    draw: u64,
}

/// The subjects and networks of a log, drawn by a seed.
#[derive(Debug)]
pub(super) struct Cast {
    seed: u64,
    /// By what is drawn for the subject, with what is drawn for the record: the lowest are kept.
    victims: BTreeMap<u64, (u64, Box<Record>)>,
    scenes: BTreeMap<u64, (u64, Box<Scene>)>,
    subjects: BTreeSet<u64>,
}

impl Cast {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, victims: BTreeMap::new(), scenes: BTreeMap::new(), subjects: BTreeSet::new() }
    }

    /// Takes a decision of the log.
    pub(super) fn see(&mut self, record: Record) {
        let Some(circumstances) = record.circumstances() else { return };
        let draw = self.draw("record", record.id.to_string().as_bytes());
        if let Some(prefix) = circumstances.sighting.shared.prefix.filter(|_| is_scene(&circumstances)) {
            let network = self.draw("network", &prefix.0.to_be_bytes());
            let scene = || Box::new(Scene { circumstances, draw: network });
            keep(&mut self.scenes, MOST_SCENES, network, draw, scene);
        }
        let is_let_through = matches!(record.summary, Summary::Allow(_));
        let Some((subject, _)) = record.whose().filter(|_| is_let_through) else { return };
        let subject = self.draw("subject", format!("{}\0{}\0{}", subject.tenant, subject.iss, subject.sub).as_bytes());
        if self.subjects.len() < MOST_SUBJECTS {
            self.subjects.insert(subject);
        }
        keep(&mut self.victims, MOST_VICTIMS, subject, draw, || Box::new(record));
    }

    pub(super) fn victims(&self) -> impl Iterator<Item = Victim<'_>> {
        self.victims.iter().map(|(draw, (_, record))| Victim { record, draw: *draw })
    }

    pub(super) fn subjects(&self) -> u64 {
        super::count(self.subjects.len())
    }

    /// A place in a country that is new to the subject, and far.
    pub(super) fn far(&self, victim: &Victim<'_>, own: &Circumstances) -> Option<&Circumstances> {
        let is_new = |scene: &Circumstances| own.facts.baseline.familiarity(&scene.sighting).country == Some(0.0);
        let is_far = |scene: &Circumstances| {
            let points = own.sighting.point.zip(scene.sighting.point);
            points.is_none_or(|(here, there)| countersign_risk::distance(here, there) >= Kilometers(FAR))
        };
        let is_abroad = |scene: &Circumstances| scene.sighting.country.is_some() && scene.sighting.country != own.sighting.country;
        self.drawn(victim, |scene| is_abroad(scene) && is_new(scene) && is_far(scene))
    }

    /// Another network in the subject's country.
    pub(super) fn elsewhere(&self, victim: &Victim<'_>, own: &Circumstances) -> Option<&Circumstances> {
        let is_new = |scene: &Circumstances| own.facts.baseline.familiarity(&scene.sighting).network == Some(0.0);
        let is_here = |scene: &Circumstances| own.sighting.country.is_some() && scene.sighting.country == own.sighting.country;
        self.drawn(victim, |scene| is_here(scene) && is_new(scene) && scene.sighting.asn != own.sighting.asn)
    }

    fn drawn(&self, victim: &Victim<'_>, is_fit: impl Fn(&Circumstances) -> bool) -> Option<&Circumstances> {
        let fit = self.scenes.values().filter(|(_, scene)| is_fit(&scene.circumstances));
        fit.min_by_key(|(_, scene)| victim.number("place", scene.draw)).map(|(_, scene)| &scene.circumstances)
    }

    fn draw(&self, what: &str, of: &[u8]) -> u64 {
        number(self.seed, what, of)
    }
}

impl Victim<'_> {
    /// A number for one thing about this victim.
    pub(super) fn number(&self, what: &str, of: u64) -> u64 {
        number(self.draw, what, &of.to_be_bytes())
    }

    /// A network, and an address in it, that no list of the subject holds.
    pub(super) fn move_to_new_network(&self, sighting: &mut Sighting, own: &Circumstances) {
        let keyed = |what: &str, attempt: u64| Some(Keyed(u32::from_be_bytes(first(self.number(what, attempt).to_be_bytes()))));
        // One collision in millions; not two in a row.
        for attempt in 0..4 {
            (sighting.prefix, sighting.host) = (keyed("prefix", attempt), keyed("host", attempt));
            sighting.shared.prefix = keyed("shared prefix", attempt);
            let known = own.facts.baseline.familiarity(sighting);
            if (known.prefix, known.address) == (Some(0.0), Some(0.0)) {
                return;
            }
        }
    }
}

/// A thief may sit there: it has a place, and is no office.
fn is_scene(circumstances: &Circumstances) -> bool {
    let Circumstances { sighting, facts, .. } = circumstances;
    (sighting.asn.is_some() || sighting.country.is_some()) && facts.organisation.prefix < OFFICE
}

/// Keeps the lowest `most` keys, and of each the thing with the lowest draw.
fn keep<T>(all: &mut BTreeMap<u64, (u64, T)>, most: usize, key: u64, draw: u64, thing: impl FnOnce() -> T) {
    let is_late = all.len() >= most && all.last_key_value().is_some_and(|(last, _)| key > *last);
    if is_late || all.get(&key).is_some_and(|(kept, _)| *kept <= draw) {
        return;
    }
    all.insert(key, (draw, thing()));
    if all.len() > most {
        all.pop_last();
    }
}

/// The next network: another /24 of IPv4, another /48 of IPv6.
pub(super) fn next_door(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) ^ 1 << 8).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) ^ 1 << 80).into()),
    }
}

fn number(seed: u64, what: &str, of: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("countersign inject 1");
    hasher.update(&seed.to_be_bytes()).update(what.as_bytes()).update(&[0]).update(of);
    u64::from_be_bytes(first(*hasher.finalize().as_bytes()))
}

/// The first bytes of more.
fn first<const N: usize, const ALL: usize>(all: [u8; ALL]) -> [u8; N] {
    let mut first = [0; N];
    first.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    first
}
