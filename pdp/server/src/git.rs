//! Git repositories, read as they were committed: objects of a bare store, and never a work tree, a hook, a filter or an attribute.

mod http;
mod limits;
mod location;
mod measure;
mod mirror;
mod names;
mod remote;
mod repository;
mod signature;
mod signers;
mod ssh;
mod trust;

use std::path::PathBuf;

pub(crate) use limits::{Bounds, Deadline};
pub(crate) use location::Location;
pub(crate) use mirror::Mirror;
pub(crate) use remote::Remote;
pub(crate) use repository::{CommitId, GitError, Repository};
pub(crate) use signers::Signers;
pub(crate) use trust::{Judged, Trust};

/// A repository elsewhere, and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is: `https`, `ssh`, `file`, or `http` to this machine.
    pub url: String,
    /// What is followed.
    pub follow: Follow,
    /// The folder of the policy in the tree; empty for the top.
    pub within: String,
    /// A file with what the host asks for: a bearer token, or `user:password`. Read again for each fetch.
    pub token: Option<PathBuf>,
    /// A file with CA certificates in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The endpoint may be at an address that is private, local or set aside.
    pub dangerous_private_address: bool,
    /// The private key for `ssh`.
    pub ssh_key: Option<PathBuf>,
    /// The host keys for `ssh`: no other is believed.
    pub known_hosts: Option<PathBuf>,
    /// Who may sign (ssh-keygen(1), ALLOWED SIGNERS). With it, what is not signed is refused.
    pub allowed_signers: Option<PathBuf>,
}

/// What of a repository is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// The tip of a branch; only what descends from the last one counts.
    Branch(String),
    /// A tag, whose own signature counts where it has one; only what descends from the last one counts.
    Tag(String),
    /// One commit, by its full id.
    Commit(String),
}

impl Follow {
    /// The whole name of the reference; nothing for a commit.
    pub(crate) fn reference(&self) -> Option<String> {
        match self {
            Self::Branch(name) => Some(format!("refs/heads/{name}")),
            Self::Tag(name) => Some(format!("refs/tags/{name}")),
            Self::Commit(_) => None,
        }
    }

    /// Whether it can be followed at all.
    ///
    /// # Errors
    /// When there can be no reference of that name, or a commit is not named by its full id.
    pub(crate) fn check(&self) -> Result<(), String> {
        match (self, self.reference()) {
            (_, Some(name)) if gix::validate::reference::name(name.as_str().into()).is_ok() => Ok(()),
            (Self::Commit(id), _) if CommitId::parse(id).is_some() => Ok(()),
            (Self::Commit(_), _) => Err("a commit is named by its full id, 40 hexadecimal digits".to_owned()),
            (_, name) => Err(format!("`{}` is no name of a reference", names::shown(&name.unwrap_or_default()))),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
