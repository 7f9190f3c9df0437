//! Names of what decisions rest on, which say nothing to whoever does not know the thing.

use countersign_sdk_types::{DeviceId, Digest, SessionId, SubjectId, Tag, Tenant};

/// A subject.
#[must_use]
pub fn subject(subject: &SubjectId) -> Tag {
    tag("subject", &[subject.tenant.as_str().as_bytes(), subject.iss.as_bytes(), subject.sub.as_bytes()])
}

/// A session.
#[must_use]
pub fn session(tenant: &Tenant, session: &SessionId) -> Tag {
    tag("session", &[tenant.as_str().as_bytes(), session.as_str().as_bytes()])
}

/// A device.
#[must_use]
pub fn device(tenant: &Tenant, device: &DeviceId) -> Tag {
    tag("device", &[tenant.as_str().as_bytes(), device.as_str().as_bytes()])
}

/// A token, by its issuer's name for it.
#[must_use]
pub fn token(tenant: &Tenant, iss: &str, jti: &str) -> Tag {
    tag("token", &[tenant.as_str().as_bytes(), iss.as_bytes(), jti.as_bytes()])
}

/// A token, by its digest.
#[must_use]
pub fn token_digest(tenant: &Tenant, digest: &Digest) -> Tag {
    tag("token digest", &[tenant.as_str().as_bytes(), &digest.0])
}

/// A user of the directory.
#[must_use]
pub fn user(tenant: &Tenant, name: &str) -> Tag {
    tag("user", &[tenant.as_str().as_bytes(), name.as_bytes()])
}

fn tag(kind: &str, parts: &[&[u8]]) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("countersign lease tag 1");
    for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut name = [0; 16];
    name.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
    Tag(name)
}
