//! Which built-ins a policy may name, those that the library lacks, and bounded forms of those that no timer can stop.
//!
//! An extension of the same name takes the place of a built-in, so the bounded forms cannot be avoided by a policy. Nothing in here reads a clock,
//! entropy or the network: time and chance are a [`Moment`] that comes with the question.

mod asked;
mod aws;
mod bounded;
mod call;
mod collections;
mod globs;
mod hash;
mod json;
mod jwt;
mod net;
mod operators;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod x509;

use std::collections::BTreeSet;

use countersign_sdk_types::Timestamp;
use regorus::unstable::BUILTINS;
use regorus::{Engine, Value};

use call::{Builtin, Call, Fault};

/// Why a policy may not name a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It reads a clock, entropy or the environment: a record could not be replayed.
    NotDeterministic,
    /// It would leave the process, or answers `undefined` always.
    Stubbed,
    /// Its cost grows without bound and cannot be stopped.
    Unbounded,
    /// Nobody defines it.
    Missing,
}

impl Refused {
    /// The sentence about a name.
    #[must_use]
    pub fn sentence(self, name: &str) -> String {
        match self {
            Self::NotDeterministic => format!("built-in `{name}` is refused: its answer is not a function of the input"),
            Self::Stubbed => format!("built-in `{name}` is refused: a decision asks nobody else"),
            Self::Unbounded => format!("built-in `{name}` is refused: its cost has no bound"),
            Self::Missing => format!("function `{name}` is not defined"),
        }
    }
}

/// Whose rules say which built-ins there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// A policy that decides: its answer is a function of its input, and an error of a built-in ends the evaluation.
    Contract,
    /// OPA's: time and chance come with the question.
    Opa,
}

impl Semantics {
    /// What is said of a name wherever it stands in a policy: called, replaced by `with`, or used as a replacement.
    #[must_use]
    pub fn denied(self, name: &str) -> Option<Refused> {
        match name {
            "http.send" | "net.lookup_ip_addr" if self == Self::Contract => Some(Refused::Stubbed),
            "graph.reachable_paths" if self == Self::Contract => Some(Refused::Unbounded),
            "time.now_ns" | "rand.intn" | "uuid.rfc4122" | "opa.runtime" if self == Self::Contract => Some(Refused::NotDeterministic),
            _ => None,
        }
    }

    /// Whether a name that no rule defines may be called.
    #[must_use]
    pub fn called(self, name: &str) -> Option<Refused> {
        let known = BUILTINS.contains_key(name) || find(name).is_some() || name == "print";
        self.denied(name).or_else(|| (!known).then_some(Refused::Missing))
    }
}

/// When and with which luck a built-in is asked.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The instant of the question.
    pub now: Timestamp,
    /// What chance is derived from.
    pub seed: [u8; 32],
}

/// What happens when a built-in fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuiltinErrors {
    /// The call is undefined: OPA's default.
    #[default]
    Undefined,
    /// The evaluation ends with the error.
    Fatal,
}

/// Every family of extensions.
const FAMILIES: &[&[Builtin]] = &[
    asked::TABLE,
    aws::TABLE,
    bounded::TABLE,
    collections::TABLE,
    globs::TABLE,
    hash::TABLE,
    json::TABLE,
    jwt::TABLE,
    net::TABLE,
    operators::TABLE,
    template::TABLE,
    text::TABLE,
    x509::TABLE,
];

fn find(name: &str) -> Option<&'static Builtin> {
    FAMILIES.iter().copied().flatten().find(|builtin| builtin.name == name)
}

/// How many arguments an extension takes that the library knows nothing of.
pub(crate) fn extended(name: &str) -> Option<u8> {
    find(name).filter(|_| !BUILTINS.contains_key(name)).map(|builtin| builtin.arguments)
}

/// How many arguments a built-in takes.
pub(crate) fn arity(name: &str) -> Option<u8> {
    find(name).map(|builtin| builtin.arguments).or_else(|| BUILTINS.get(name).map(|(_, arguments)| *arguments))
}

/// The extensions that a policy names. Only these are put into its engine: an engine is cloned for every evaluation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extensions {
    /// Their answers depend on their arguments alone.
    fixed: Vec<&'static Builtin>,
    /// Their answers depend on the moment too.
    momentary: Vec<&'static Builtin>,
}

impl Extensions {
    /// Sorts out the names of a policy.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let (momentary, fixed) = names.into_iter().filter_map(find).partition(|builtin| builtin.momentary);
        Self { fixed, momentary }
    }

    /// These, and others.
    pub(crate) fn and(&self, others: &Self) -> Self {
        let all = self.fixed.iter().chain(&self.momentary).chain(&others.fixed).chain(&others.momentary);
        Self::of(all.map(|builtin| builtin.name))
    }

    /// Whether any answer depends on the moment.
    pub(crate) fn know_the_moment(&self) -> bool {
        !self.momentary.is_empty()
    }

    /// Puts those that need no moment into an engine.
    pub(crate) fn install_fixed(&self, engine: &mut Engine, errors: BuiltinErrors) -> Result<(), String> {
        let never = Moment { now: Timestamp(0), seed: [0; 32] };
        self.fixed.iter().try_for_each(|builtin| install(engine, builtin, never, errors))
    }

    /// Puts those that need a moment into an engine that is asked once.
    pub(crate) fn install_momentary(&self, engine: &mut Engine, moment: Moment, errors: BuiltinErrors) -> Result<(), String> {
        self.momentary.iter().try_for_each(|builtin| install(engine, builtin, moment, errors))
    }
}

fn install(engine: &mut Engine, builtin: &'static Builtin, moment: Moment, errors: BuiltinErrors) -> Result<(), String> {
    let extension = move |values: Vec<Value>| {
        let call = Call { name: builtin.name, values: &values, moment: &moment };
        match ((builtin.answer)(&call), errors) {
            (Ok(answer), _) => Ok(answer),
            // A bound always ends the evaluation: `not f(x)` must not come true because `f` was stopped.
            (Err(failure), BuiltinErrors::Undefined) if failure.fault == Fault::Operand => Ok(Value::Undefined),
            (Err(failure), _) => Err(failure.into()),
        }
    };
    engine.add_extension(builtin.name.to_owned(), builtin.arguments, Box::new(extension)).map_err(|error| error.to_string())
}
