//! What mapped claims of an issuer stand in for, where neither the directory nor the inventory says anything.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::facts::{DirectoryUser, Inventory};
use crate::identify::Identified;

/// Which claims of an issuer stand in for what the directory and the inventory do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimMap {
    /// A text: the one role.
    pub role: Option<String>,
    /// A text or a list of texts: all roles.
    pub roles: Option<String>,
    /// A boolean: the device meets the rules.
    pub device_compliant: Option<String>,
    /// A boolean: the organisation manages the device.
    pub device_managed: Option<String>,
}

impl ClaimMap {
    /// The user that the token's claims describe.
    #[must_use]
    pub fn user(&self, identified: &Identified) -> Option<DirectoryUser> {
        let role = claim(identified, self.role.as_deref()).and_then(Value::as_str).map(ToOwned::to_owned);
        let roles = claim(identified, self.roles.as_deref()).map(texts);
        (role.is_some() || roles.is_some()).then(|| DirectoryUser::new(role, roles.unwrap_or_default()))
    }

    /// The device that the token's claims describe.
    #[must_use]
    pub fn inventory(&self, identified: &Identified) -> Option<Inventory> {
        let flag = |name: &Option<String>| claim(identified, name.as_deref()).and_then(Value::as_bool);
        let (compliant, managed) = (flag(&self.device_compliant), flag(&self.device_managed));
        (compliant.is_some() || managed.is_some()).then_some(Inventory { compliant, managed })
    }
}

fn claim<'a>(identified: &'a Identified, name: Option<&str>) -> Option<&'a Value> {
    identified.token().claims.get(name?)
}

/// A text or a list of texts; what is neither names no role.
fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(one) => BTreeSet::from([one.clone()]),
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}
