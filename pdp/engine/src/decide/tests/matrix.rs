//! The golden matrix: what the starter policy answers to whom, as a table that people read in review.

use std::path::Path;

use countersign_risk::Trail;

use super::*;

#[test]
fn the_matrix_is_what_people_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/matrix.golden");
    let matrix = matrix();
    #[expect(clippy::disallowed_methods, reason = "a test rewrites its golden file only when it is told to")]
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(&path, &matrix).expect("golden file is written");
    }
    let golden = std::fs::read_to_string(&path).expect("golden file");
    assert!(golden == matrix, "the matrix changed; read it, then run with UPDATE=1\n{matrix}");
}

const ACTIONS: [&str; 3] = ["GET", "POST", "DELETE"];

fn matrix() -> String {
    let snapshot = starter();
    let mut text = String::from("# The starter policy: ✔ allow  ▲ step-up  ✘ deny. Past: five weeks of working days in Paris.\n");
    text.push_str(&format!("{:<11}{:<12}{:<13}{:<11}", "persona", "device", "hour (Paris)", "place"));
    text.push_str(&ACTIONS.map(|action| format!("{action:<7}")).concat());
    for persona in ["employee", "unenrolled", "stranger"] {
        for device in ["own", "new", "unlisted"] {
            for (hour, now) in [("Tue 10:00", at(10, 0)), ("Tue 03:40", at(3, 40)), ("Sun 15:00", at(5 * 24 + 15, 0))] {
                for from in [From::Paris, From::Singapore, From::Nowhere] {
                    let place = format!("{from:?}");
                    text = text.trim_end().to_owned();
                    text.push_str(&format!("\n{persona:<11}{device:<12}{hour:<13}{place:<11}"));
                    for action in ACTIONS {
                        text.push_str(cell(&snapshot, persona, device, from, now, action));
                        text.push_str("      ");
                    }
                }
            }
        }
    }
    text = text.trim_end().to_owned();
    text.push_str("\n\n# Who is not the owner, with the owner's valid token: the attackers of docs/risk.md.\n");
    for attacker in ATTACKERS {
        text.push_str(&format!("{:<14}{:<52}", attacker.name, attacker.what));
        for action in ACTIONS {
            text.push_str(&format!("{:<7}", attacker.cell(&snapshot, action)));
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text.push_str(
        "\n# One session, Tue 11:00, begun in Paris an hour ago: an address that changes with the key of the past, and without one.\n",
    );
    for carried in CARRIED {
        text.push_str(&format!("{:<66}", carried.what));
        for action in ACTIONS {
            text.push_str(&format!("{:<7}", carried.cell(&snapshot, action)));
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text
}

/// A session that goes on somewhere, of a subject whose device always proved its key, or never had one.
struct Carried {
    what: &'static str,
    past: BindingState,
    now: BindingState,
    device: &'static str,
    from: From,
}

const fn carried(what: &'static str, past: BindingState, now: BindingState, device: &'static str, from: From) -> Carried {
    Carried { what, past, now, device, from }
}

const CARRIED: [Carried; 8] = [
    carried("key proved, the same address", BindingState::Proved, BindingState::Proved, "laptop", From::Paris),
    carried("key proved, another network in the city", BindingState::Proved, BindingState::Proved, "laptop", From::ParisElsewhere),
    carried("key proved, another country", BindingState::Proved, BindingState::Proved, "laptop", From::Singapore),
    carried("no key, another network in the city", BindingState::NotDeclared, BindingState::NotDeclared, "laptop", From::ParisElsewhere),
    carried("no key, another country", BindingState::NotDeclared, BindingState::NotDeclared, "laptop", From::Singapore),
    carried("another key proved, another country", BindingState::Proved, BindingState::Proved, "another", From::Singapore),
    carried("token bound to the key, without it, the same address", BindingState::Proved, BindingState::Missing, "laptop", From::Paris),
    carried(
        "token bound to the key, with another one, the same address",
        BindingState::Proved,
        BindingState::Mismatch,
        "laptop",
        From::Paris,
    ),
];

impl Carried {
    fn decided(&self, snapshot: &Snapshot, action: &str) -> Decided {
        let known = |from| Facts { baseline: weekdays_in_paris_by(self.past), ..facts("employee", from) };
        let who = |from, binding, device| Identified { binding, ..identified(action, from, CHROME, Some(device)) };
        let begun = sight(&who(From::Paris, self.past, "laptop"), &known(From::Paris), at(10, 0));
        let mut trail = Trail::begin(&begun);
        trail.pass(&begun);
        let facts = Facts { trail: Some(trail), ..known(self.from) };
        decide(&who(self.from, self.now, self.device), &facts, snapshot, at(11, 0))
    }

    fn cell(&self, snapshot: &Snapshot, action: &str) -> &'static str {
        symbol(self.decided(snapshot, action).decision.effect())
    }
}

#[test]
fn an_address_that_changes_with_the_key_is_not_suspicious_and_without_one_is() {
    let snapshot = starter();
    let [home, city, abroad, keyless_city, keyless_abroad, stranger, missing, mismatched] =
        CARRIED.map(|carried| carried.decided(&snapshot, "GET").trace.remaining.value());
    assert!(home <= city && city < 10 && abroad < 10, "{home} {city} {abroad}");
    assert!(keyless_city >= 30 && keyless_abroad >= 70 && stranger >= 70, "{keyless_city} {keyless_abroad} {stranger}");
    assert_eq!((missing, mismatched), (100, 100));
}

/// One attacker of the evaluation, against the same past.
struct Attacker {
    name: &'static str,
    what: &'static str,
    from: From,
    hour: i64,
    agent: &'static str,
    has_cookie: bool,
    has_session: bool,
    binding: BindingState,
}

const NOBODY: Attacker = Attacker {
    name: "",
    what: "",
    from: From::Singapore,
    hour: 11,
    agent: CHROME,
    has_cookie: false,
    has_session: false,
    binding: BindingState::NotDeclared,
};
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const ATTACKERS: [Attacker; 8] = [
    Attacker { name: "naive", what: "password, from anywhere, a popular client", agent: WINDOWS, ..NOBODY },
    Attacker {
        name: "vpn",
        what: "password, from the owner's country, popular client",
        agent: WINDOWS,
        from: From::FranceHosting,
        ..NOBODY
    },
    Attacker { name: "targeted", what: "password, from the owner's city, the same client", from: From::ParisElsewhere, ..NOBODY },
    Attacker { name: "token_far", what: "token and cookie copied, from far away", has_cookie: true, has_session: true, ..NOBODY },
    Attacker {
        name: "token_near",
        what: "token and cookie copied, from the owner's city",
        from: From::ParisElsewhere,
        has_cookie: true,
        has_session: true,
        ..NOBODY
    },
    Attacker {
        name: "odd_hour",
        what: "the same at night, from the owner's country",
        from: From::FranceHosting,
        hour: 21,
        has_cookie: true,
        has_session: true,
        ..NOBODY
    },
    Attacker {
        name: "bound_replay",
        what: "a token that is bound to a key, without it",
        binding: BindingState::Missing,
        from: From::Paris,
        ..NOBODY
    },
    Attacker { name: "slow_walk", what: "from far away, after walking there unverified", has_cookie: true, agent: WINDOWS, ..NOBODY },
];

impl Attacker {
    fn cell(&self, snapshot: &Snapshot, action: &str) -> &'static str {
        let mut known = facts("employee", self.from);
        let cookie = self.has_cookie.then_some("laptop");
        let mut who = identified(action, self.from, self.agent, cookie);
        who.binding = self.binding;
        if self.has_session {
            let owner = identified(action, From::Paris, CHROME, Some("laptop"));
            let mut trail = Trail::begin(&sight(&owner, &facts("employee", From::Paris), at(10, 0)));
            trail.pass(&sight(&owner, &facts("employee", From::Paris), at(10, 0)));
            known.trail = Some(trail);
        }
        symbol(decide(&who, &known, snapshot, at(self.hour, 0)).decision.effect())
    }
}

fn cell(snapshot: &Snapshot, persona: &str, device: &str, from: From, now: Timestamp, action: &str) -> &'static str {
    let mut known = facts(if persona == "stranger" { "" } else { "employee" }, from);
    if persona == "unenrolled" {
        known.reachable.clear();
    }
    if device == "unlisted" {
        known.device.inventory = None;
    }
    let presented = if device == "own" { "laptop" } else { "another" };
    symbol(decide(&identified(action, from, CHROME, Some(presented)), &known, snapshot, now).decision.effect())
}

const fn symbol(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "✔",
        Effect::StepUp => "▲",
        Effect::Deny => "✘",
    }
}
