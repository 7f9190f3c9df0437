//! Real proxies, each with the configuration that `sdk/examples` shows: only ports, the secret and how long an answer is waited for are replaced.
//!
//! Each takes the client's address from [`FROM`](crate::stage::FROM), as if the request came over the network of that place.

mod caddy;
mod envoy;
mod haproxy;
pub mod nginx;

use std::path::Path;

use crate::network::Network;
use crate::process::Process;

/// A way to put Countersign in front of applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// nginx, `auth_request`.
    Nginx,
    /// HAProxy, with our own script.
    Haproxy,
    /// Caddy, `forward_auth`.
    Caddy,
    /// Envoy, `ext_authz` over HTTP.
    EnvoyHttp,
    /// Envoy, `ext_authz` over gRPC.
    EnvoyGrpc,
}

/// What the example names, and what it is here.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Where clients come in; 8080 in the examples.
    pub port: u16,
    /// The decision listener; 9180.
    pub decision: u16,
    /// The gRPC listener; 9182.
    pub grpc: u16,
    /// The public listener; 9181.
    pub public: u16,
    /// The application; 9000.
    pub app: u16,
    /// What authenticates the proxy.
    pub secret: &'a str,
    /// For how long an answer is waited for.
    pub patience_ms: u32,
}

/// A running proxy, and what stands before it. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    _process: Process,
    _network: Option<Network>,
}

impl Running {
    const fn alone(process: Process) -> Self {
        Self { _process: process, _network: None }
    }
}

impl Proxy {
    /// The id in `[[pep]]` under which the example authenticates.
    #[must_use]
    pub const fn pep(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::EnvoyHttp | Self::EnvoyGrpc => "envoy",
        }
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When the program is missing, or refuses the configuration.
    #[track_caller]
    #[must_use]
    pub fn start(self, folder: &Path, places: &Places<'_>) -> Running {
        match self {
            Self::Nginx => Running::alone(nginx::start(folder, &nginx::configuration(places), places.port)),
            Self::Haproxy => Running::alone(haproxy::start(folder, places)),
            Self::Caddy => Running::alone(caddy::start(folder, places)),
            Self::EnvoyHttp => envoy::start(folder, places, envoy::HTTP),
            Self::EnvoyGrpc => envoy::start(folder, places, envoy::GRPC),
        }
    }
}

impl Places<'_> {
    /// The example of nginx as it would be started here.
    #[track_caller]
    #[must_use]
    pub fn of_nginx(&self) -> String {
        nginx::configuration(self)
    }

    /// An example with what it names replaced, and then more, which must be there.
    #[track_caller]
    fn put_into(&self, example: &str, more: &[(&str, &str)]) -> String {
        let asked = if example.contains("9182") { ("9182", self.grpc) } else { ("9180", self.decision) };
        let ports = [("8080", self.port), asked, ("9181", self.public), ("9000", self.app)].map(|(old, new)| (old, new.to_string()));
        let names: Vec<_> = ports.into_iter().chain([("replace-this-secret", self.secret.to_owned())]).collect();
        // In two steps, because a port of the machine may look like one of the example.
        let marks: Vec<_> = (0..names.len()).map(|number| format!("\u{0}{number}\u{0}")).collect();
        let named = names.iter().zip(&marks).fold(example.to_owned(), |text, ((old, _), mark)| replace(&text, old, mark));
        let named = names.iter().zip(&marks).fold(named, |text, ((_, new), mark)| text.replace(mark, new));
        more.iter().fold(named, |text, (old, new)| replace(&text, old, new))
    }
}

#[track_caller]
fn replace(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` is not in the example");
    text.replace(old, new)
}
