//! What the organisation says of its people and devices: two JSON files, read strictly at start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_pdp_engine::facts::{DirectoryUser, Inventory};
use countersign_sdk_types::strict::{self, Limits};
use serde::Deserialize;

use crate::files;

/// Users by the `sub` of their tokens, devices by id.
#[derive(Debug, Default)]
pub struct Directory {
    users: BTreeMap<String, DirectoryUser>,
    devices: BTreeMap<String, Inventory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    role: String,
    #[serde(default)]
    roles: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    compliant: Option<bool>,
    managed: Option<bool>,
}

/// Why a directory file was refused.
#[derive(Debug, thiserror::Error)]
#[error("`{file}` cannot be used: {why}")]
pub struct DirectoryError {
    file: String,
    why: String,
}

impl Directory {
    /// Reads the files that are configured.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn load(users: Option<&Path>, devices: Option<&Path>) -> Result<Self, DirectoryError> {
        let users: BTreeMap<String, User> = users.map(read).transpose()?.unwrap_or_default();
        let devices: BTreeMap<String, Device> = devices.map(read).transpose()?.unwrap_or_default();
        let roles = |user: User| DirectoryUser::new(Some(user.role), user.roles);
        let flags = |device: Device| Inventory { compliant: device.compliant, managed: device.managed };
        Ok(Self {
            users: users.into_iter().map(|(sub, user)| (sub, roles(user))).collect(),
            devices: devices.into_iter().map(|(id, device)| (id, flags(device))).collect(),
        })
    }

    /// A directory of these users and no devices.
    #[must_use]
    pub fn of_users(users: impl IntoIterator<Item = (String, DirectoryUser)>) -> Self {
        Self { users: users.into_iter().collect(), devices: BTreeMap::new() }
    }

    /// A user, by the subject's own name.
    #[must_use]
    pub fn user(&self, sub: &str) -> Option<&DirectoryUser> {
        self.users.get(sub)
    }

    /// A device.
    #[must_use]
    pub fn device(&self, id: &str) -> Option<Inventory> {
        self.devices.get(id).copied()
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DirectoryError> {
    let refused = |why: String| DirectoryError { file: path.display().to_string(), why };
    let bytes = files::read(path, Limits::DATA.bytes as u64).map_err(|error| refused(error.to_string()))?;
    strict::from_slice(&bytes, Limits::DATA).map_err(|error| refused(error.to_string()))
}
