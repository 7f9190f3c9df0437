//! What a client is made of, and what of it cannot work.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use countersign_sdk_types::{PepId, WatchName};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::address::{Address, Means, Plain};
use crate::breaker::{Breaker, Limits};
use crate::client::{Client, Shared, UNLEASED};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::lease::{Room, Rules, Terms};
use crate::wire::Wire;

const PEP_HEADER: HeaderName = HeaderName::from_static("x-countersign-pep");

/// How much is kept unless told: allows, and bytes.
const ROOM: Room = Room { entries: 10_000, bytes: 32 * 1024 * 1024 };

/// What a client is made of.
///
/// ```
/// use std::time::Duration;
/// use countersign_sdk_client::Client;
///
/// let client = Client::builder("http://127.0.0.1:8181")
///     .pep("payroll", "the shared secret")
///     .deadline(Duration::from_millis(300))
///     .leases(Duration::from_secs(30))
///     .build();
/// assert!(client.is_ok());
/// ```
#[must_use]
pub struct Builder {
    urls: Vec<String>,
    pep: Option<(String, String)>,
    bearer: Option<String>,
    deadline: Duration,
    means: Means,
    breaker: Limits,
    leases: Option<Duration>,
    floor: Duration,
    heartbeat: Option<Duration>,
    room: Room,
    batch: usize,
    unleased: Duration,
    clock: Clock,
}

/// Secrets are not shown.
impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("deadline", &self.deadline).field("leases", &self.leases).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        let means = Means {
            wire: Wire::Http,
            plain: Plain::Loopback,
            #[cfg(feature = "tls")]
            tls: None,
        };
        Self {
            urls: vec![url],
            pep: None,
            bearer: None,
            deadline: Duration::from_secs(1),
            means,
            breaker: Limits { in_a_row: 5, rest: Duration::from_secs(1) },
            leases: None,
            floor: Duration::from_secs(2),
            heartbeat: None,
            room: ROOM,
            batch: 100,
            unleased: UNLEASED,
            clock: Clock::default(),
        }
    }

    /// Another address of the decision point, asked when those before it do not answer. The one that is watched is asked first.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp-a.example").address("https://pdp-b.example");
    /// ```
    pub fn address(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// The name of this enforcement point and the secret that it shares with the decision point.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").pep("payroll", "the shared secret");
    /// ```
    pub fn pep(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.pep = Some((id.into(), secret.into()));
        self
    }

    /// A token by which the decision point knows this enforcement point.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").bearer("the token");
    /// ```
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Trusts these roots (PEM) and no others, in place of the machine's.
    ///
    /// ```no_run
    /// # use countersign_sdk_client::Client;
    /// # fn build() -> std::io::Result<()> {
    /// let roots = std::fs::read("/etc/countersign/roots.pem")?;
    /// let builder = Client::builder("https://pdp.example").roots_pem(roots).pep("payroll", "secret");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn roots_pem(mut self, roots: impl Into<Vec<u8>>) -> Self {
        self.means.tls.get_or_insert_default().roots = Some(roots.into());
        self
    }

    /// Proves this enforcement point by a certificate: the chain, its own first, and its private key (PEM).
    ///
    /// ```no_run
    /// # use countersign_sdk_client::Client;
    /// # fn build() -> std::io::Result<()> {
    /// let (chain, key) = (std::fs::read("client.pem")?, std::fs::read("client.key")?);
    /// let builder = Client::builder("https://pdp.example").certificate_pem(chain, key);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.means.tls.get_or_insert_default().identity = Some((chain.into(), key.into()));
        self
    }

    /// Asks by gRPC (`countersign.v1`) over HTTP/2: the addresses are those of the decision point's gRPC listener.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example:8443").grpc();
    /// ```
    #[cfg(feature = "grpc")]
    pub const fn grpc(mut self) -> Self {
        self.means.wire = Wire::Grpc;
        self
    }

    /// How long a question may take, from connecting to the last byte of the answer, over all addresses. One second unless told.
    ///
    /// An address that does not answer gets its share of what is left: with two, the first has half of the deadline.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").deadline(std::time::Duration::from_millis(300));
    /// ```
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// After how many failures in a row an address is left alone, and for about how long the first time. Five, and one second, unless told.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").circuit(3, std::time::Duration::from_millis(500));
    /// ```
    pub const fn circuit(mut self, failures: u32, rest: Duration) -> Self {
        self.breaker = Limits { in_a_row: failures, rest };
        self
    }

    /// Keeps allows for as long as the decision point leases them, and this at most, and watches for what ends them. Not done unless told.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").leases(std::time::Duration::from_secs(30));
    /// ```
    pub const fn leases(mut self, longest: Duration) -> Self {
        self.leases = Some(longest);
        self
    }

    /// The longest that an allow is kept while the watch does not live. Two seconds unless told; the decision point may say less.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").floor(std::time::Duration::from_secs(1));
    /// ```
    pub const fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// How often the watch asks to hear something. The decision point bounds it, and chooses unless told.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").heartbeat(std::time::Duration::from_secs(1));
    /// ```
    pub const fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// How many allows are kept, and how many bytes of them, about. 10,000 and 32 MiB unless told.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").room(1_000, 4 * 1024 * 1024);
    /// ```
    pub const fn room(mut self, entries: usize, bytes: usize) -> Self {
        self.room = Room { entries, bytes };
        self
    }

    /// The most questions in one request of [`Client::evaluate_all`]. 100 unless told; the decision point has a bound of its own.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("https://pdp.example").batch(20);
    /// ```
    pub const fn batch(mut self, questions: usize) -> Self {
        self.batch = questions;
        self
    }

    /// Lets the secret and the tokens cross a network unencrypted. Without it, `http:` is for loopback addresses only.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let builder = Client::builder("http://pdp.internal:8181").pep("payroll", "secret");
    /// assert!(builder.build().is_err());
    /// let builder = Client::builder("http://pdp.internal:8181").pep("payroll", "secret");
    /// assert!(builder.dangerous_plain_http().build().is_ok());
    /// ```
    pub const fn dangerous_plain_http(mut self) -> Self {
        self.means.plain = Plain::Anywhere;
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the client. Connects to nothing yet.
    ///
    /// ```
    /// # use countersign_sdk_client::{Client, ErrorKind};
    /// let nameless = Client::builder("https://pdp.example").build();
    /// assert_eq!(nameless.unwrap_err().kind(), ErrorKind::Configuration);
    /// ```
    ///
    /// # Errors
    /// When an address, a name, a secret or a certificate cannot work, when nothing says who asks, or when `https:` is asked for and the machine has no trusted
    /// roots.
    pub fn build(self) -> Result<Client, Error> {
        let credentials = self.credentials()?;
        let address = |url: &String| Address::new(url, &self.means, Breaker::new(self.breaker));
        let addresses = self.urls.iter().map(address).collect::<Result<Vec<_>, _>>()?;
        let ttl = self.leases.unwrap_or(Duration::ZERO);
        Ok(Client::new(Shared {
            addresses,
            credentials,
            rules: Rules::new(Terms { ttl, floor: self.floor, unleased: self.unleased, room: self.room }),
            clock: self.clock,
            name: name()?,
            heartbeat: self.heartbeat,
            deadline: self.deadline,
            leases: self.leases,
            batch: self.batch.max(1),
            answering: AtomicUsize::new(0),
            watching: AtomicUsize::new(usize::MAX),
        }))
    }

    /// What says who asks: the shared secret, a token, a certificate. One at least.
    fn credentials(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        if let Some((id, secret)) = &self.pep {
            headers.insert(PEP_HEADER, named(id, secret)?);
        }
        if let Some(token) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        #[cfg(feature = "tls")]
        let is_certified = self.means.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        #[cfg(not(feature = "tls"))]
        let is_certified = false;
        if headers.is_empty() && !is_certified {
            return Err(Error::new(ErrorKind::Configuration, "nothing says which enforcement point asks"));
        }
        Ok(headers)
    }
}

fn named(id: &str, secret: &str) -> Result<HeaderValue, Error> {
    let invalid = || Error::new(ErrorKind::Configuration, "name or secret of the enforcement point is missing or cannot be sent");
    PepId::new(id).map_err(|_| invalid())?;
    if id.contains(':') || secret.is_empty() {
        return Err(invalid());
    }
    secret_value(&format!("{id}:{secret}")).ok_or_else(invalid)
}

/// RFC 6750, §2.1.
fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let value = secret_value(&format!("Bearer {token}")).filter(|_| !token.is_empty() && token.bytes().all(is_token));
    value.ok_or(Error::new(ErrorKind::Configuration, "token of the enforcement point cannot be sent"))
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A name that no other watch has.
fn name() -> Result<WatchName, Error> {
    let name = format!("{:032x}", fastrand::u128(..));
    WatchName::try_from(name).map_err(|cause| Error::because(ErrorKind::Configuration, "watch cannot be named", cause))
}
