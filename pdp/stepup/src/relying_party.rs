//! Who asks for passkeys: one auth origin, whose exact host is the RP ID.

use url::{Host, Url};
use webauthn_rs::{Webauthn, WebauthnBuilder};

/// Why an origin cannot be the auth origin. The configuration is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelyingPartyError {
    /// More or less than scheme, host and port.
    #[error("`{0}` is not an origin")]
    NotAnOrigin(String),
    /// Browsers bind passkeys to host names, not to addresses.
    #[error("`{0}` has no host name")]
    NoHostName(String),
    /// Browsers offer no passkeys there.
    #[error("`{0}` must use https, which only localhost and its subdomains may not")]
    Insecure(String),
    /// It is shown to the user.
    #[error("name of the relying party is empty")]
    Unnamed,
}

/// The relying party (WebAuthn Level 3 §4). No subdomain, no other port and no parent domain speaks for it.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    origin: String,
    pub(crate) webauthn: Webauthn,
}

impl RelyingParty {
    /// The relying party of an origin such as `https://auth.example.com`, with the name that is shown to users.
    ///
    /// # Errors
    /// When the text is no origin, its host is no name, or browsers offer no passkeys there.
    pub fn new(origin: &str, name: &str) -> Result<Self, RelyingPartyError> {
        let not_an_origin = || RelyingPartyError::NotAnOrigin(origin.to_owned());
        let url = Url::parse(origin).map_err(|_| not_an_origin())?;
        if !is_bare(&url) {
            return Err(not_an_origin());
        }
        let Some(Host::Domain(host)) = url.host() else {
            return Err(RelyingPartyError::NoHostName(origin.to_owned()));
        };
        check_scheme(&url, host)?;
        if name.is_empty() {
            return Err(RelyingPartyError::Unnamed);
        }
        let builder = WebauthnBuilder::new(host, &url).map_err(|_| not_an_origin())?;
        let webauthn = builder.rp_name(name).allow_subdomains(false).allow_any_port(false).build().map_err(|_| not_an_origin())?;
        Ok(Self { origin: url.origin().ascii_serialization(), webauthn })
    }

    /// The exact origin, as a browser writes it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

fn is_bare(url: &Url) -> bool {
    let dotted = url.host_str().is_some_and(|host| host.ends_with('.'));
    url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !dotted
}

fn check_scheme(url: &Url, host: &str) -> Result<(), RelyingPartyError> {
    let local = host == "localhost" || host.ends_with(".localhost");
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => Err(RelyingPartyError::Insecure(url.origin().ascii_serialization())),
        _ => Err(RelyingPartyError::NotAnOrigin(url.to_string())),
    }
}

#[cfg(test)]
mod tests;
