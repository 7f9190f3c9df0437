//! Git repositories, read as they were committed: objects of a bare store, and never a work tree, a hook, a filter or an attribute.

use std::path::PathBuf;

/// A repository elsewhere, and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is: `https`, `ssh`, `file`, or `http` to this machine.
    pub url: String,
    /// What is followed.
    pub follow: Follow,
    /// The folder of the policy in the tree; empty for the top.
    pub within: String,
    /// A file with the bearer token, read again for each fetch.
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
    /// A tag, whose own signature counts where it has one.
    Tag(String),
    /// One commit, by its full id.
    Commit(String),
}
