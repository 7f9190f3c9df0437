//! The golden matrix: what a policy answers to whom, as a table that people read in review. A change of policy, weights or risk model that moves a cell shows
//! as a changed line.

mod bands;
mod sessions;
#[cfg(test)]
mod tests;
pub(crate) mod world;

use std::fmt::Write as _;
use std::time::Duration;

use countersign_sdk_types::{Effect, Timestamp};

use crate::decide::decide;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use sessions::{ATTACKERS, CARRIED};
use world::{CHROME, From, Pasts, at, facts, identified};

/// What a busy machine takes longer for is no other answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most names of a plan, and the most letters of one.
const MOST: usize = 16;
const LONGEST: usize = 24;

/// Who asks for what. It stands in the first lines of a matrix, so that the next one can be made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Roles of the directory. A stranger without any comes along.
    pub roles: Vec<String>,
    /// Names of actions, a column each.
    pub actions: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { roles: vec!["employee".to_owned()], actions: ["GET", "POST", "DELETE"].map(str::to_owned).to_vec() }
    }
}

const ROLES: &str = "# Roles: ";
const ACTIONS: &str = "# Actions: ";

impl Plan {
    /// The plan that a matrix was made by; nothing where the text is none.
    #[must_use]
    pub fn of(matrix: &str) -> Option<Self> {
        let named = |line: &str| {
            let names = matrix.lines().find_map(|text| text.strip_prefix(line))?;
            Some(names.split(", ").map(str::to_owned).collect())
        };
        Some(Self { roles: named(ROLES)?, actions: named(ACTIONS)? })
    }

    /// What keeps a matrix from being made by this plan.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let is_odd = |name: &String| {
            let odd = |letter: char| letter.is_control() || letter == ',';
            name.is_empty() || name.trim() != name || name.chars().count() > LONGEST || name.chars().any(odd)
        };
        let names = || self.roles.iter().chain(&self.actions);
        match names().find(|name| is_odd(name)) {
            Some(name) => Some(format!("`{name}` is no name of a row or column: 1 to {LONGEST} letters, and no comma")),
            None if self.roles.len() > MOST || self.actions.len() > MOST => {
                Some(format!("there are at most {MOST} roles and {MOST} actions"))
            }
            None if self.actions.is_empty() => Some("there is no action".to_owned()),
            None => None,
        }
    }
}

/// Makes the matrix of a policy. Nothing where the plan is at fault.
#[must_use]
pub fn matrix(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    if plan.fault().is_some() {
        return None;
    }
    let snapshot = Snapshot { budget: PATIENCE, ..snapshot.clone() };
    let pasts = Pasts::new()?;
    let table = Table { snapshot: &snapshot, plan, pasts: &pasts };
    let mut text = format!(
        "# What the policy answers: ✔ allow  ▲ step-up  ✘ deny. Past: five weeks of working days in Paris.\n{ROLES}{}\n{ACTIONS}{}\n",
        plan.roles.join(", "),
        plan.actions.join(", ")
    );
    table.people(&mut text)?;
    table.attackers(&mut text)?;
    table.sessions(&mut text)?;
    bands::write(&snapshot.policy, plan, &mut text)?;
    Some(text)
}

/// What all rows have in common.
struct Table<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    pasts: &'a Pasts,
}

/// Somebody on something, at some hour, somewhere.
struct Row<'a> {
    role: &'a str,
    has_passkey: bool,
    device: &'a str,
    from: From,
    now: Timestamp,
}

impl Table<'_> {
    fn people(&self, text: &mut String) -> Option<()> {
        let width = self.plan.roles.iter().map(|role| role.chars().count()).max().unwrap_or(0).max("stranger".len()) + 2;
        let head = format!("{:<width$}{:<9}{:<10}{:<14}{:<11}", "role", "passkey", "device", "hour (Paris)", "place");
        self.line(text, &head, |action| Some(action.to_owned()))?;
        let known = self.plan.roles.iter().flat_map(|role| [(role.as_str(), true), (role.as_str(), false)]);
        for (role, has_passkey) in known.chain([("", true)]) {
            for device in ["own", "new", "unlisted"] {
                for (hour, now) in [("Tue 10:00", at(10, 0)), ("Tue 03:40", at(3, 40)), ("Sun 15:00", at(5 * 24 + 15, 0))] {
                    for from in [From::Paris, From::Singapore, From::Nowhere] {
                        let name = if role.is_empty() { "stranger" } else { role };
                        let passkey = if has_passkey { "yes" } else { "no" };
                        let head = format!("{name:<width$}{passkey:<9}{device:<10}{hour:<14}{:<11}", format!("{from:?}"));
                        let row = Row { role, has_passkey, device, from, now };
                        self.line(text, &head, |action| self.effect(&row, action).map(|effect| symbol(effect).to_owned()))?;
                    }
                }
            }
        }
        Some(())
    }

    fn effect(&self, row: &Row<'_>, action: &str) -> Option<Effect> {
        let mut known = facts(row.role, row.from, self.pasts.of(countersign_risk::BindingState::NotDeclared)?);
        if !row.has_passkey {
            known.reachable.clear();
        }
        if row.device == "unlisted" {
            known.device.inventory = None;
        }
        let presented = if row.device == "own" { "laptop" } else { "another" };
        Some(decide(&identified(action, row.from, CHROME, Some(presented))?, &known, self.snapshot, row.now).decision.effect())
    }

    fn attackers(&self, text: &mut String) -> Option<()> {
        text.push_str("\n# Who is not the owner, with the owner's valid token: the attackers of docs/risk.md.\n");
        ATTACKERS.iter().try_for_each(|attacker| {
            self.line(text, &format!("{:<14}{:<52}", attacker.name, attacker.what), |action| {
                attacker.effect(self, action).map(|effect| symbol(effect).to_owned())
            })
        })
    }

    fn sessions(&self, text: &mut String) -> Option<()> {
        text.push_str(
            "\n# One session, Tue 11:00, begun in Paris an hour ago: an address that changes with the key of the past, and without one.\n",
        );
        CARRIED.iter().try_for_each(|carried| {
            self.line(text, &format!("{:<66}", carried.what), |action| {
                carried.decided(self, action).map(|decided| symbol(decided.decision.effect()).to_owned())
            })
        })
    }

    /// The role of whoever is attacked.
    fn owner(&self) -> &str {
        self.plan.roles.first().map_or("", String::as_str)
    }

    fn line(&self, text: &mut String, head: &str, cell: impl FnMut(&str) -> Option<String>) -> Option<()> {
        line(&self.plan.actions, text, head, cell)
    }
}

/// A row: its head, and a cell for each action.
fn line(actions: &[String], text: &mut String, head: &str, mut cell: impl FnMut(&str) -> Option<String>) -> Option<()> {
    let mut row = head.to_owned();
    for action in actions {
        let width = action.chars().count().max(5) + 2;
        let _ = write!(row, "{:<width$}", cell(action)?);
    }
    text.push_str(row.trim_end());
    text.push('\n');
    Some(())
}

const fn symbol(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "✔",
        Effect::StepUp => "▲",
        Effect::Deny => "✘",
    }
}

/// Whether the policy can be asked at all is said elsewhere; here every answer that is none is a no.
fn said(policy: &Policy, input: &countersign_sdk_types::contract::Input) -> Effect {
    policy.evaluate_within(input, PATIENCE).map_or(Effect::Deny, |verdict| verdict.effect)
}
