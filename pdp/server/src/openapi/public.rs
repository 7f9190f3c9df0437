//! What the public listener answers, as far as it is the same everywhere.

use utoipa::IntoResponses;

/// A page for a person, or for one of our own scripts the same as data.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum Page {
    /// The page.
    #[response(status = 200, content_type = "text/html; charset=utf-8")]
    Shown(String),
    /// Elsewhere it goes on.
    #[response(status = 303, headers(("Location" = String)))]
    Elsewhere,
    /// It is not a request of this form, or not in this order.
    #[response(status = "4XX", description = "A page that says what is wrong.")]
    Refused,
    /// Something of our own is not there.
    #[response(status = 503)]
    Unavailable,
}
