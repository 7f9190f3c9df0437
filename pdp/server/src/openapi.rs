//! The OpenAPI 3.1 documents of the listeners, made of the handlers and of the types that they read and write. They are checked in under `docs/openapi`.

mod control;
mod decision;
mod public;
mod schema;

use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, License, OpenApi};

use crate::adapter::{self, authzen};
use crate::{control as operators, operations, public as browsers};

pub(crate) use self::control::Refused;
pub(crate) use self::decision::{Asked, AskedMany, DecidedMany, Found, NotAsked, SearchedAction, SearchedResource, SearchedSubject};
pub(crate) use self::decision::{Decided, Door, Metadata};
pub(crate) use self::public::Page;
pub(crate) use self::schema::{DeviceName, SessionName, digest, instant, line, strength};

/// Whose document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Listener {
    /// Enforcement points: AuthZEN, watches, sessions, the doors of proxies.
    Decision,
    /// Operators.
    Control,
    /// Browsers.
    Public,
    /// The platform.
    Operations,
}

impl Listener {
    /// Every listener that has a document.
    pub const ALL: [Self; 4] = [Self::Decision, Self::Control, Self::Public, Self::Operations];

    /// Its name, which is that of its section in the configuration, and of its file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Control => "control",
            Self::Public => "public",
            Self::Operations => "operations",
        }
    }

    /// Its document.
    #[must_use]
    pub fn document(self) -> OpenApi {
        let mut document = match self {
            Self::Decision => {
                let mut document = authzen::Described::openapi();
                document.merge(adapter::Described::openapi());
                document.merge(decision::Watching::openapi());
                document
            }
            Self::Control => operators::Described::openapi(),
            Self::Public => browsers::Described::openapi(),
            Self::Operations => operations::Described::openapi(),
        };
        let (title, description) = self.about();
        let mut license = License::new(env!("CARGO_PKG_LICENSE"));
        license.identifier = Some(env!("CARGO_PKG_LICENSE").to_owned());
        let info = InfoBuilder::new().title(title).description(Some(description)).version(env!("CARGO_PKG_VERSION")).license(Some(license));
        document.info = info.build();
        document.servers = None;
        self.secure(&mut document);
        document
    }

    const fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Decision => (
                "Countersign: decisions",
                "What enforcement points ask: AuthZEN 1.0, watches, links of sessions, and the doors of proxies. `listen.decision`. A deny is an answer.",
            ),
            Self::Control => {
                ("Countersign: control", "What operators do. The local socket, and `listen.control` for operators with a key.")
            }
            Self::Public => (
                "Countersign: public",
                "What browsers meet: `/.countersign/*` of protected hosts, and the pages of the auth origin. `listen.public`. Bodies are those of our own pages.",
            ),
            Self::Operations => ("Countersign: operations", "What the platform asks. `listen.operations`."),
        }
    }

    fn secure(self, document: &mut OpenApi) {
        let schemes = match self {
            Self::Decision => {
                let header = ApiKeyValue::with_description("X-Countersign-Pep", "`id:secret` of a `[[pep]]`");
                let token = bearer("the token of a `[[pep]]`, or its `id:secret`");
                vec![("enforcement_point", SecurityScheme::ApiKey(ApiKey::Header(header))), ("token", token)]
            }
            Self::Control => {
                vec![("operator", bearer("`NAME:SECRET` of an `[[operator]]`; over the local socket, the user of the process"))]
            }
            Self::Public | Self::Operations => Vec::new(),
        };
        let requirement = |(name, _): &(&str, SecurityScheme)| SecurityRequirement::new(*name, Vec::<String>::new());
        document.security = Some(schemes.iter().map(requirement).collect::<Vec<_>>()).filter(|all| !all.is_empty());
        let components = document.components.get_or_insert_default();
        schemes.into_iter().for_each(|(name, scheme)| components.add_security_scheme(name, scheme));
    }

    /// The same as text, as it is checked in.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(self) -> Result<String, String> {
        self.document().to_pretty_json().map(|text| text + "\n").map_err(|error| error.to_string())
    }
}

/// A caller that shows `id:secret` or a token of its own.
fn bearer(description: &str) -> SecurityScheme {
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.description = Some(description.to_owned());
    SecurityScheme::Http(http)
}

#[cfg(test)]
mod tests;
