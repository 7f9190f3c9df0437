//! Which addresses may be asked: a name that an operator wrote must not lead to the cloud's metadata service or into the network behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// Where a connection may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public addresses.
    Public,
    /// This machine.
    Loopback,
    /// Anywhere: the operator said so.
    Anywhere,
}

impl Reach {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address.to_canonical()),
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Anywhere => true,
        }
    }
}

/// Neither private, nor local, nor set aside (the registries of RFC 6890, as of 2025). An address that embeds an IPv4 one is judged by that.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let set_aside = matches!(
        (a, b, c),
        (0 | 10 | 127 | 240.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=239, _, _)
    );
    !set_aside
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    match v6.segments() {
        // NAT64 (RFC 6052): what names resolve to where there is no IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Resolves names to the addresses that are allowed. The connector connects to what this answers, so what was checked is what is used.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    reach: Reach,
}

impl Resolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self { system: GaiResolver::new(), reach }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolved, reach) = (self.system.call(name), self.reach);
        Box::pin(async move {
            let all: Vec<SocketAddr> = resolved.await?.collect();
            // One forbidden address among good ones is how rebinding looks: the name is refused, not filtered.
            if all.is_empty() || !all.iter().all(|address| reach.allows(address.ip())) {
                return Err(std::io::Error::other("name resolves to an address that is not allowed"));
            }
            Ok(all.into_iter())
        })
    }
}

#[cfg(test)]
mod tests;
