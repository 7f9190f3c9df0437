//! What each method of logging in is worth to learning. Of a method that is not named nothing is learned.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use countersign_risk::Strength;
use serde::{Deserialize, Serialize};

use super::Format;
use crate::files;

/// The largest file of a mapping.
const LARGEST: u64 = 1024 * 1024;

/// What a method is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Worth {
    /// Nothing is learned from it.
    None,
    /// A second factor that can be phished.
    SecondFactor,
    /// Resistant to phishing.
    PhishingResistant,
}

impl Worth {
    pub(crate) const fn strength(self) -> Option<Strength> {
        match self {
            Self::None => None,
            Self::SecondFactor => Some(Strength::SecondFactor),
            Self::PhishingResistant => Some(Strength::PhishingResistant),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecondFactor => "second_factor",
            Self::PhishingResistant => "phishing_resistant",
        }
    }
}

/// One method and what it is worth, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    method: String,
    worth: Worth,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (method, worth) = text.rsplit_once('=').ok_or("it is `METHOD=phishing_resistant`, `METHOD=second_factor` or `METHOD=none`")?;
        let worth = [Worth::PhishingResistant, Worth::SecondFactor, Worth::None].into_iter().find(|known| known.name() == worth.trim());
        let worth = worth.ok_or("a method is worth `phishing_resistant`, `second_factor` or `none`")?;
        Ok(Self { method: method.to_owned(), worth })
    }
}

/// What methods are worth, whatever case they are written in. A name that ends in `*` stands for all that begin so; of several the longest counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    exact: BTreeMap<String, Worth>,
    beginnings: BTreeMap<String, Worth>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    methods: BTreeMap<String, Worth>,
}

impl Mapping {
    /// The defaults of a format.
    pub(crate) fn of(format: Format) -> Self {
        let mut mapping = Self::default();
        format.phishing_resistant().iter().for_each(|method| mapping.set(method, Worth::PhishingResistant));
        format.second_factors().iter().for_each(|method| mapping.set(method, Worth::SecondFactor));
        mapping
    }

    /// Reads further rules from a TOML file with a table `methods`.
    ///
    /// # Errors
    /// When the file cannot be read, or has something else in it.
    pub(crate) fn load(&mut self, path: &Path) -> Result<(), String> {
        let bytes = files::read(path, LARGEST).map_err(|error| error.to_string())?;
        let file: File = toml::from_slice(&bytes).map_err(|error| error.to_string())?;
        file.methods.iter().for_each(|(method, worth)| self.set(method, *worth));
        Ok(())
    }

    /// Adds a rule, over what was said of the same method before.
    pub(crate) fn add(&mut self, rule: &Rule) {
        self.set(&rule.method, rule.worth);
    }

    fn set(&mut self, method: &str, worth: Worth) {
        let method = canonical(method);
        match method.strip_suffix('*') {
            Some(beginning) => self.beginnings.insert(beginning.to_owned(), worth),
            None => self.exact.insert(method, worth),
        };
    }

    pub(crate) fn worth(&self, method: &str) -> Worth {
        let method = canonical(method);
        let begins = || self.beginnings.iter().filter(|(beginning, _)| method.starts_with(beginning.as_str()));
        let longest = || begins().max_by_key(|(beginning, _)| beginning.len()).map(|(_, worth)| *worth);
        self.exact.get(&method).copied().or_else(longest).unwrap_or(Worth::None)
    }
}

fn canonical(method: &str) -> String {
    method.trim().to_lowercase()
}
