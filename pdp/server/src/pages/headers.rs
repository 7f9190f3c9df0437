//! The headers that every answer to a browser carries: what a page may load, and what others may do with it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Language;

/// Own files only, no inline code, no frame, and no string may become code. A form is read by its script; without the script it must not send itself.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const PASSKEYS_HERE_ONLY: &str = "publickey-credentials-get=(self), publickey-credentials-create=(self)";

/// For what is not a page: an asset that is opened by its own address runs nothing.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

pub(super) fn of_page(headers: &mut HeaderMap, language: Language) {
    set(headers, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::CONTENT_LANGUAGE, language.tag());
    set(headers, HeaderName::from_static("permissions-policy"), PASSKEYS_HERE_ONLY);
    of_any(headers);
}

pub(super) fn of_answer(headers: &mut HeaderMap) {
    set(headers, header::CONTENT_SECURITY_POLICY, NOTHING);
    set(headers, header::CACHE_CONTROL, "no-store");
    of_any(headers);
}

pub(super) fn of_asset(headers: &mut HeaderMap, content_type: &'static str) {
    set(headers, header::CONTENT_TYPE, content_type);
    set(headers, header::CONTENT_SECURITY_POLICY, NOTHING);
    set(headers, header::CACHE_CONTROL, "public, max-age=3600");
    of_any(headers);
}

/// `same-origin` and not `no-referrer`: nothing leaves the origin either way, but under `no-referrer` a browser sends `Origin: null` with a POST
/// that is not in mode `cors` (Fetch, "append a request `Origin` header"), and the endpoints compare the origin.
fn of_any(headers: &mut HeaderMap) {
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
