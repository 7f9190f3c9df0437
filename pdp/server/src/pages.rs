//! The pages that people see: one value a page, rendered on the server in the reader's language, under a policy that runs our own scripts only.
//!
//! They decide nothing and read nothing: the surfaces hand them what they may show. Their scripts lie in `sdk/browser`.

mod assets;
mod headers;
mod language;
mod trouble;

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

pub use assets::asset;
pub use language::Language;
pub use trouble::Trouble;

/// Where a page stands, and with it where its style and scripts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The auth origin: assets at `/assets/{name}`.
    Auth,
    /// A protected host: assets at `/.countersign/assets/{name}`.
    Protected,
}

impl Site {
    const fn assets(self) -> &'static str {
        match self {
            Self::Auth => "/assets",
            Self::Protected => "/.countersign/assets",
        }
    }
}

/// `/step-up/{ceremony}` on the auth origin: asks a person for the passkey. Whoever holds the link reads it, so it names the host and nothing else.
#[derive(Debug, Template)]
#[template(path = "step_up.html")]
pub struct StepUp<'a> {
    /// The language of the reader.
    pub language: Language,
    /// The protected host that asks, as a person knows it from the address bar.
    pub host: &'a str,
    /// The ceremony's id: the script posts to `/step-up/{ceremony}/…`.
    pub ceremony: &'a str,
    /// How long the ceremony stays open from now.
    pub expires_in: Duration,
}

/// `/enroll` on the auth origin: creates a passkey, by a one-time code or by a ticket that a live grant was exchanged for.
#[derive(Debug, Template)]
#[template(path = "enroll.html")]
pub struct Enroll<'a> {
    /// The language of the reader.
    pub language: Language,
    /// With a ticket, no code is asked for.
    pub ticket: Option<&'a str>,
}

/// `/.countersign/` on a protected host: what the decision point knows of this browser, for its owner and for the administrator whom they call.
#[derive(Debug, Template)]
#[template(path = "browser.html")]
pub struct Browser<'a> {
    /// The language of the reader.
    pub language: Language,
    /// The device's id, as the control API takes it.
    pub device: &'a str,
    /// Whom the session belongs to, when there is one.
    pub subject: Option<&'a str>,
    /// Whether another passkey may be enrolled from here, at `/.countersign/enroll`.
    pub enroll: bool,
}

/// `/` on the auth origin: what this place is.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    /// The language of the reader.
    pub language: Language,
}

/// Anything that ends without what the person came for.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct Problem {
    /// The language of the reader.
    pub language: Language,
    /// Where it is shown.
    pub site: Site,
    /// What is wrong.
    pub trouble: Trouble,
}

/// What the frame around every page needs to know of it.
trait Page: Template {
    fn language(&self) -> Language;
    fn title(&self) -> &'static str;
    fn site(&self) -> Site {
        Site::Auth
    }
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }
    fn assets(&self) -> &'static str {
        self.site().assets()
    }
}

fn respond(page: &impl Page) -> Response {
    let mut response = match page.render() {
        Ok(text) => (page.status(), Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "page was not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    headers::of_page(response.headers_mut(), page.language());
    response
}

impl Page for StepUp<'_> {
    fn language(&self) -> Language {
        self.language
    }

    fn title(&self) -> &'static str {
        self.language.say("Confirm that it is you", "请确认是您本人")
    }
}

impl Page for Enroll<'_> {
    fn language(&self) -> Language {
        self.language
    }

    fn title(&self) -> &'static str {
        self.language.say("Create a passkey", "创建通行密钥")
    }
}

impl Page for Browser<'_> {
    fn language(&self) -> Language {
        self.language
    }

    fn title(&self) -> &'static str {
        self.language.say("This browser", "此浏览器")
    }

    fn site(&self) -> Site {
        Site::Protected
    }
}

impl Page for Home {
    fn language(&self) -> Language {
        self.language
    }

    fn title(&self) -> &'static str {
        self.language.say("This is where you confirm that it is you", "您在这里确认是您本人")
    }
}

impl Page for Problem {
    fn language(&self) -> Language {
        self.language
    }

    fn title(&self) -> &'static str {
        self.trouble.title(self.language)
    }

    fn site(&self) -> Site {
        self.site
    }

    fn status(&self) -> StatusCode {
        self.trouble.status()
    }
}

macro_rules! into_response {
    ($($page:ty),*) => {
        $(impl IntoResponse for $page {
            fn into_response(self) -> Response {
                respond(&self)
            }
        })*
    };
}

into_response!(StepUp<'_>, Enroll<'_>, Browser<'_>, Home, Problem);

impl StepUp<'_> {
    /// How long there is, in words; rounded down, so that the page never promises too much.
    fn time_left(&self) -> String {
        let seconds = self.expires_in.as_secs();
        let (count, one, many, chinese) = match seconds {
            0..60 => (seconds, "second", "seconds", "秒"),
            _ => (seconds / 60, "minute", "minutes", "分钟"),
        };
        let english = if count == 1 { one } else { many };
        format!("{count} {}", self.language.say(english, chinese))
    }
}

#[cfg(test)]
mod tests;
