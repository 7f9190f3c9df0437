//! The names of what a decision rests on. Whoever grants a lease and whoever tells that it ends derive them here, so that they cannot differ.

use std::net::IpAddr;

use countersign_sdk_types::{DeviceId, Digest, Host, SessionId, SubjectId, Tag, Tenant};
use ipnet::IpNet;

/// Everything of a subject.
#[must_use]
pub fn subject(subject: &SubjectId) -> Tag {
    of("subject", &subject.tenant, &[subject.iss.as_bytes(), subject.sub.as_bytes()])
}

/// One session.
#[must_use]
pub fn session(tenant: &Tenant, session: &SessionId) -> Tag {
    of("session", tenant, &[session.as_str().as_bytes()])
}

/// One device.
#[must_use]
pub fn device(tenant: &Tenant, device: &DeviceId) -> Tag {
    of("device", tenant, &[device.as_str().as_bytes()])
}

/// One token, by the digest of the whole.
#[must_use]
pub fn token(tenant: &Tenant, digest: &Digest) -> Tag {
    of("token", tenant, &[&digest.0])
}

/// One token, by its `jti`, which is unique for one issuer only.
#[must_use]
pub fn token_id(tenant: &Tenant, iss: &str, jti: &str) -> Tag {
    of("token id", tenant, &[iss.as_bytes(), jti.as_bytes()])
}

/// What the directory says of a user, by the name that policies see.
#[must_use]
pub fn user(tenant: &Tenant, name: &str) -> Tag {
    of("user", tenant, &[name.as_bytes()])
}

/// Whose browser an application's session cookie is, by its digest at rest.
#[must_use]
pub fn link(tenant: &Tenant, host: &Host, cookie: &Digest) -> Tag {
    of("link", tenant, &[host.as_str().as_bytes(), &cookie.0])
}

/// What was counted against a client's address.
#[must_use]
pub fn address(tenant: &Tenant, address: IpAddr) -> Tag {
    of("address", tenant, &[address.to_canonical().to_string().as_bytes()])
}

/// What was counted against the network of a client's address.
#[must_use]
pub fn network(tenant: &Tenant, address: IpAddr) -> Tag {
    of("network", tenant, &[network_of(address).to_string().as_bytes()])
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one.
#[must_use]
pub fn network_of(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let bits = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, bits).map_or_else(|_| address.into(), |net| net.trunc())
}

/// Every part with its length, so that no two things have one name.
fn of(kind: &str, tenant: &Tenant, parts: &[&[u8]]) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("countersign lease tag 1");
    for part in [kind.as_bytes(), tenant.as_str().as_bytes()].iter().chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut first = [0; 16];
    hasher.finalize_xof().fill(&mut first);
    Tag(first)
}

#[cfg(test)]
mod tests {
    //! No two things share a name, and a name stays what it is: two decision points tell of the same things.

    use std::collections::BTreeSet;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn alice(tenant: &Tenant, iss: &str, sub: &str) -> SubjectId {
        SubjectId { tenant: tenant.clone(), iss: iss.to_owned(), sub: sub.to_owned() }
    }

    #[test]
    fn no_two_things_share_a_name() {
        let (main, other) = (tenant("main"), tenant("other"));
        let host = Host::new("a.example").unwrap();
        let tags = [
            subject(&alice(&main, "ab", "c")),
            subject(&alice(&main, "a", "bc")),
            subject(&alice(&other, "a", "bc")),
            session(&main, &SessionId::new("x").unwrap()),
            device(&main, &DeviceId::new("x").unwrap()),
            user(&main, "x"),
            user(&other, "x"),
            token(&main, &Digest([0; 32])),
            token(&main, &Digest([1; 32])),
            token_id(&main, "ab", "c"),
            token_id(&main, "a", "bc"),
            link(&main, &host, &Digest([0; 32])),
            address(&main, IpAddr::from([192, 0, 2, 1])),
            address(&main, IpAddr::from([192, 0, 2, 2])),
            network(&main, IpAddr::from([192, 0, 2, 1])),
            network(&main, IpAddr::from([192, 0, 3, 1])),
        ];
        assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
    }

    #[test]
    fn an_address_has_one_name_in_both_of_its_forms() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(address(&tenant("main"), mapped), address(&tenant("main"), IpAddr::from([192, 0, 2, 1])));
        assert_eq!(network(&tenant("main"), mapped), network(&tenant("main"), IpAddr::from([192, 0, 2, 2])));
    }

    #[test]
    fn names_stay_what_they_are() {
        assert_eq!(user(&tenant("main"), "alice").to_string(), "9285f8296c1c74b80fda4750cf97e2fa");
    }
}
