//! How a client stands, for whoever watches it: health pages, metrics, logs.

/// How the circuit of an address stands.
///
/// ```
/// # fn show(client: &countersign_sdk_client::Client) {
/// use countersign_sdk_client::Circuit;
///
/// let well = client.status().addresses().iter().any(|address| address.circuit() == Circuit::Closed);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Circuit {
    /// It is asked.
    Closed,
    /// It failed so often that it is left alone for a moment.
    Open,
    /// One question tries whether it is back.
    HalfOpen,
}

/// How the watch stands.
///
/// ```
/// # fn show(client: &countersign_sdk_client::Client) {
/// use countersign_sdk_client::Watching;
///
/// if client.status().watching() == Watching::Lost {
///     eprintln!("allows are kept for the floor only");
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Watching {
    /// No leases are wanted, or nothing was asked yet.
    Off,
    /// What ends leases is heard.
    Alive,
    /// It is not: leases count for the floor only.
    Lost,
}

/// How a client stands.
///
/// ```
/// # fn show(client: &countersign_sdk_client::Client) {
/// let status = client.status();
/// println!("{} allows are kept, the watch is {:?}", status.kept(), status.watching());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub(crate) addresses: Vec<AddressStatus>,
    pub(crate) watching: Watching,
    pub(crate) kept: usize,
}

/// How one address stands.
///
/// ```
/// # fn show(client: &countersign_sdk_client::Client) {
/// for address in client.status().addresses() {
///     println!("{}: {:?}", address.url(), address.circuit());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressStatus {
    pub(crate) url: String,
    pub(crate) circuit: Circuit,
}

impl Status {
    /// The addresses, in the order of preference.
    ///
    /// ```
    /// # fn show(client: &countersign_sdk_client::Client) {
    /// let first = client.status().addresses().first().map(|address| address.url().to_owned());
    /// # }
    /// ```
    #[must_use]
    pub fn addresses(&self) -> &[AddressStatus] {
        &self.addresses
    }

    /// The watch.
    ///
    /// ```
    /// # fn show(client: &countersign_sdk_client::Client) {
    /// let watching = client.status().watching();
    /// # }
    /// ```
    #[must_use]
    pub const fn watching(&self) -> Watching {
        self.watching
    }

    /// How many allows are kept, with those that are over and were not asked for since.
    ///
    /// ```
    /// # fn show(client: &countersign_sdk_client::Client) {
    /// let kept = client.status().kept();
    /// # }
    /// ```
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.kept
    }
}

impl AddressStatus {
    /// Scheme, host and port.
    ///
    /// ```
    /// # fn show(address: &countersign_sdk_client::AddressStatus) {
    /// println!("{}", address.url());
    /// # }
    /// ```
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its circuit.
    ///
    /// ```
    /// # fn show(address: &countersign_sdk_client::AddressStatus) {
    /// println!("{:?}", address.circuit());
    /// # }
    /// ```
    #[must_use]
    pub const fn circuit(&self) -> Circuit {
        self.circuit
    }
}
