//! What the control API answers when it does not do what was asked.

use utoipa::IntoResponses;

use crate::control::ProblemDocument;

/// Everything that an operator may be told instead, as `application/problem+json`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum Refused {
    /// The request is not one of this form.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDocument),
    /// Nobody who may operate.
    #[response(status = 401, content_type = "application/problem+json", headers(("WWW-Authenticate" = String)))]
    Unauthenticated(ProblemDocument),
    /// A browser.
    #[response(status = 403, content_type = "application/problem+json")]
    Browser(ProblemDocument),
    /// There is nothing of that name.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemDocument),
    /// It does not fit what is there.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemDocument),
    /// A name in the path is far too long; without a body.
    #[response(status = 414)]
    TooLong,
    /// The body is not `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemDocument),
    /// The state cannot be read or written.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemDocument),
    /// Too much at once: come again.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(ProblemDocument),
}
