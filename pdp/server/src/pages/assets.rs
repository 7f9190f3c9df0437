//! The files that pages load, built into the binary: a table of names, so that no request reaches a path.
//!
//! The scripts are what `sdk/browser` builds, kept beside its sources, so that this builds without Node; its own tests hold them to the sources.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::headers;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type, content.
const ASSETS: [(&str, &str, &str); 6] = [
    ("countersign.css", "text/css; charset=utf-8", include_str!("../../assets/countersign.css")),
    ("mark.svg", "image/svg+xml", include_str!("../../assets/mark.svg")),
    ("step-up.js", SCRIPT, include_str!("../../../../sdk/browser/dist/step-up.js")),
    ("enroll.js", SCRIPT, include_str!("../../../../sdk/browser/dist/enroll.js")),
    ("countersign.js", SCRIPT, include_str!("../../../../sdk/browser/dist/countersign.js")),
    ("behavior.js", SCRIPT, include_str!("../../../../sdk/browser/dist/behavior.js")),
];

/// Answers `/assets/{name}` and `/.countersign/assets/{name}`; 404 for a name that is not in the table.
#[must_use]
pub fn asset(name: &str) -> Response {
    let Some((_, content_type, content)) = ASSETS.iter().find(|(own, ..)| *own == name) else {
        let mut response = StatusCode::NOT_FOUND.into_response();
        headers::of_answer(response.headers_mut());
        return response;
    };
    let mut response = (*content).into_response();
    headers::of_asset(response.headers_mut(), content_type);
    response
}

#[cfg(test)]
mod tests;
