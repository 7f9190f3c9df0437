//! The section `[policy]` as it is written.

use std::path::PathBuf;

use serde::Deserialize;

use super::opa::KeySettings;
use super::rollout::RolloutSettings;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PolicySettings {
    #[serde(default = "package")]
    pub(in crate::config) package: String,
    /// A folder of Rego files and data documents.
    pub(in crate::config) path: Option<PathBuf>,
    /// A repository: `https`, `ssh`, `file`, or `http` to this machine.
    pub(in crate::config) git: Option<String>,
    /// A `.tar.gz`, on this machine or at a URL.
    pub(in crate::config) bundle: Option<String>,
    pub(in crate::config) branch: Option<String>,
    pub(in crate::config) tag: Option<String>,
    pub(in crate::config) commit: Option<String>,
    /// The folder of the policy in the tree.
    pub(in crate::config) within: Option<String>,
    /// Who may sign commits and tags.
    pub(in crate::config) allowed_signers: Option<PathBuf>,
    pub(in crate::config) ssh_key_file: Option<PathBuf>,
    pub(in crate::config) known_hosts_file: Option<PathBuf>,
    /// A file whose first line is the bearer token.
    pub(in crate::config) token_file: Option<PathBuf>,
    /// Certificates that the endpoint must be signed by, in place of the system's, PEM.
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) dangerous_private_address: bool,
    /// Keys that the bundle is signed with.
    #[serde(default)]
    pub(in crate::config) key: Vec<KeySettings>,
    /// How often the source is looked at where it does not tell by itself.
    pub(in crate::config) poll_s: Option<u64>,
    /// A file whose first line is the secret of whoever tells of news.
    pub(in crate::config) webhook_secret_file: Option<PathBuf>,
    /// From accepted to active.
    pub(in crate::config) rollout: Option<RolloutSettings>,
}

fn package() -> String {
    countersign_pdp_engine::policy::DEFAULT_PACKAGE.to_owned()
}
