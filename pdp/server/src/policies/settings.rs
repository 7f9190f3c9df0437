//! The section `[policy]` of the configuration as it is meant.

use std::path::PathBuf;
use std::time::Duration;

use super::Terms;
use super::webhook::WebhookSecret;
use crate::bundle::{Origin, Trust};
use crate::git;

/// Where policies come from, and how they are taken.
#[derive(Debug)]
pub struct Settings {
    /// The package that is asked.
    pub package: String,
    /// Where they come from.
    pub place: Place,
    /// How often the place is looked at where it does not tell by itself.
    pub poll: Duration,
    /// By which the place may tell over the network that there is something new.
    pub webhook: Option<WebhookSecret>,
    /// On which terms they become active.
    pub rollout: Terms,
}

/// Where policies come from.
#[derive(Debug)]
pub enum Place {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A git repository.
    Git(git::Settings),
    /// A bundle.
    Bundle(Bundled),
}

/// A bundle on this machine or at a URL, and whose is taken.
#[derive(Debug)]
pub struct Bundled {
    pub(crate) origin: Origin,
    pub(crate) trust: Trust,
    /// Where it is, as it may be shown.
    pub(crate) shown: String,
}
