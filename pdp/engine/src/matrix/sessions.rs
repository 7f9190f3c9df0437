//! Sessions that go on, and attackers with a valid token.

use countersign_risk::BindingState;
use countersign_sdk_types::Effect;

use super::Table;
use super::world::{CHROME, From, at, begun, facts, identified};
use crate::decide::{Decided, decide};
use crate::facts::Facts;
use crate::identify::Identified;

/// A session that goes on somewhere, of a subject whose device always proved its key, or never had one.
pub(super) struct Carried {
    pub(super) what: &'static str,
    past: BindingState,
    now: BindingState,
    device: &'static str,
    from: From,
}

const fn carried(what: &'static str, past: BindingState, now: BindingState, device: &'static str, from: From) -> Carried {
    Carried { what, past, now, device, from }
}

pub(super) const CARRIED: [Carried; 8] = [
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
    pub(super) fn decided(&self, table: &Table<'_>, action: &str) -> Option<Decided> {
        let known = |from| Some(facts(table.owner(), from, table.pasts.of(self.past)?));
        let who = |from, binding, device| Some(Identified { binding, ..identified(action, from, CHROME, Some(device))? });
        let trail = begun(&who(From::Paris, self.past, "laptop")?, &known(From::Paris)?);
        let facts = Facts { trail: Some(trail), ..known(self.from)? };
        Some(decide(&who(self.from, self.now, self.device)?, &facts, table.snapshot, at(11, 0)))
    }
}

/// One attacker of the evaluation, against the same past.
pub(super) struct Attacker {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
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
pub(super) const ATTACKERS: [Attacker; 8] = [
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
    pub(super) fn effect(&self, table: &Table<'_>, action: &str) -> Option<Effect> {
        let past = table.pasts.of(BindingState::NotDeclared)?;
        let mut known = facts(table.owner(), self.from, past);
        let cookie = self.has_cookie.then_some("laptop");
        let mut who = identified(action, self.from, self.agent, cookie)?;
        who.binding = self.binding;
        if self.has_session {
            let owner = identified(action, From::Paris, CHROME, Some("laptop"))?;
            known.trail = Some(begun(&owner, &facts(table.owner(), From::Paris, past)));
        }
        Some(decide(&who, &known, table.snapshot, at(self.hour, 0)).decision.effect())
    }
}
