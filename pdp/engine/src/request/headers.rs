//! Headers of the subject's request: one value where there may be one, no aliases of the names that decide, cookies with their bounds.

use std::collections::{BTreeMap, BTreeSet};

use countersign_sdk_types::{DenialCode, DeviceId};
use percent_encoding::percent_decode_str;

use super::{Credentials, HostRules, Scheme};
use crate::Denial;

/// The cookie that names a browser.
pub const DEVICE_COOKIE: &str = "__Host-countersign-device";
/// The cookie that ties a ceremony to the browser that began it.
pub const PRE_COOKIE: &str = "__Host-countersign-pre";
/// The cookie that holds a grant's secret.
pub const GRANT_COOKIE: &str = "__Host-countersign-grant";

/// Names of which a second value, or an alias, could make two readers see two requests.
const SECURITY: [&str; 12] = [
    "authorization",
    "cookie",
    "dpop",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-original-method",
    "x-original-url",
    "x-countersign-pep",
];

/// Names by which applications behind a proxy learn who asks. Each is overwritten on every allow; an alias would reach applications that read `_` as `-`.
pub const IDENTITY_HEADERS: [&str; 8] = [
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "x-countersign-subject",
    "x-countersign-decision",
    "x-countersign-risk",
    "x-countersign-would",
];

const MOST_HEADERS: usize = 128;
const LONGEST_VALUE: usize = 16 * 1024;
const MOST_COOKIES: usize = 200;

pub(super) struct Headers(BTreeMap<String, Vec<String>>);

impl Headers {
    pub(super) fn read(raw: &[(String, Vec<u8>)]) -> Result<Self, Denial> {
        if raw.len() > MOST_HEADERS {
            return Err(Denial::new(DenialCode::MalformedRequest, "more than 128 headers"));
        }
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in raw {
            let name = name.to_ascii_lowercase();
            let plain: String = name.chars().map(|letter| if matches!(letter, '_' | '.' | ' ') { '-' } else { letter }).collect();
            let decides = |plain: &str| SECURITY.contains(&plain) || IDENTITY_HEADERS.contains(&plain);
            if plain != name && decides(plain.trim_end_matches('-')) {
                return Err(Denial::new(DenialCode::AmbiguousHeader, format!("alias of `{plain}`")));
            }
            let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST_VALUE && !text.chars().any(char::is_control));
            let text = text.ok_or_else(|| Denial::new(DenialCode::MalformedRequest, "header value is not clean text"))?;
            let values = headers.entry(name).or_default();
            values.push(text.to_owned());
            if values.len() > 1 && SECURITY.contains(&plain.as_str()) {
                return Err(Denial::new(DenialCode::AmbiguousHeader, format!("`{plain}` appears twice")));
            }
        }
        Ok(Self(headers))
    }

    /// The value of a header that may appear once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Denial> {
        match self.0.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(_) => Err(Denial::new(DenialCode::AmbiguousHeader, format!("`{name}` appears twice"))),
        }
    }

    /// The headers that policies may see. What carries credentials never is one.
    pub(super) fn chosen(&self, names: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
        let secret = ["authorization", "cookie", "dpop", "x-countersign-pep"];
        let chosen = self.0.iter().filter(|(name, _)| names.contains(*name) && !secret.contains(&name.as_str()));
        chosen.map(|(name, values)| (name.clone(), values.clone())).collect()
    }

    /// The first value of a header on which no access hangs.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    pub(super) fn credentials(&self, rules: &HostRules) -> Result<Credentials, Denial> {
        let cookies = self.cookies(rules)?;
        let cookie = |name: &str| cookies.get(name).map(|value| (*value).to_owned());
        let header = self.one("authorization")?.map(authorization).transpose()?.flatten();
        let in_cookie = rules.token_cookie.as_deref().and_then(cookie).map(|token| (Scheme::Cookie, token));
        let token = match (header, in_cookie) {
            (Some((_, header)), Some((_, cookie))) if header != cookie => {
                return Err(Denial::new(DenialCode::ConflictingCredentials, "header and cookie carry different tokens"));
            }
            (header, cookie) => header.or(cookie),
        };
        let device = cookies.get(DEVICE_COOKIE).map(|cookie| device_of(cookie)).transpose()?;
        let session_cookie = rules.session_cookie.as_deref().and_then(cookie);
        let proof = self.one("dpop")?.map(ToOwned::to_owned);
        Ok(Credentials { token, proof, session_cookie, device, grant: cookie(GRANT_COOKIE) })
    }

    /// The cookies of the request (RFC 6265 §4.2). One of ours, or a configured one, that comes twice or under an alias is refused: an application that
    /// reads the other one would act for somebody else than was decided about.
    fn cookies(&self, rules: &HostRules) -> Result<BTreeMap<&str, &str>, Denial> {
        let ours = [Some(DEVICE_COOKIE), Some(PRE_COOKIE), Some(GRANT_COOKIE)];
        let configured = [rules.token_cookie.as_deref(), rules.session_cookie.as_deref()];
        let deciding: Vec<String> = ours.into_iter().chain(configured).flatten().map(lenient).collect();
        let decides = |name: &str| deciding.contains(&lenient(name));
        let exactly = |name: &str| ours.contains(&Some(name)) || configured.contains(&Some(name));
        let mut cookies = BTreeMap::new();
        for (at, pair) in self.one("cookie")?.unwrap_or_default().split(';').enumerate() {
            if at == MOST_COOKIES {
                return Err(Denial::new(DenialCode::MalformedRequest, format!("more than {MOST_COOKIES} cookies")));
            }
            // HAProxy and Envoy join two `Cookie` headers by a comma: what follows it is another cookie to an application that gets both.
            let joined =
                pair.split(',').skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name.trim()).find(|name| decides(name));
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            let again = cookies.insert(name, value).is_some() || !exactly(name);
            if let Some(name) = joined.or_else(|| (again && decides(name)).then_some(name)) {
                return Err(Denial::new(DenialCode::AmbiguousHeader, format!("cookie `{name}` appears twice, or under an alias")));
            }
        }
        Ok(cookies)
    }
}

/// The name of a cookie as the most lenient application reads it: decoded, in any case, with a dot or a space for an underscore.
fn lenient(name: &str) -> String {
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    decoded.trim().chars().map(|letter| if matches!(letter, '.' | ' ') { '_' } else { letter.to_ascii_lowercase() }).collect()
}

/// The name of the browser that presents a device cookie. The name is shown, recorded and listed in inventories, so it must not be what proves it; and
/// no cookie can be made to name a key or a device of an inventory.
///
/// # Errors
/// When the cookie is empty or longer than any of ours.
pub fn device_of(cookie: &str) -> Result<DeviceId, Denial> {
    let malformed = || Denial::new(DenialCode::MalformedRequest, "device cookie is not an identifier");
    if !(1..=DeviceId::MAX_LEN).contains(&cookie.len()) {
        return Err(malformed());
    }
    let digest = blake3::Hasher::new_derive_key("countersign device cookie 1").update(cookie.as_bytes()).finalize().to_hex();
    DeviceId::new(format!("browser:{}", digest.chars().take(32).collect::<String>())).map_err(|_| malformed())
}

/// The token in an `Authorization` header. Other schemes are the application's own business and carry no token for us.
fn authorization(value: &str) -> Result<Option<(Scheme, String)>, Denial> {
    let ambiguous = || Denial::new(DenialCode::AmbiguousHeader, "authorization holds more than one token");
    // Two headers that a proxy joined by a comma: one scheme, one token. `Bearer a, DPoP b` is two credentials, and so is `Basic a, Bearer b`.
    if value.split(',').skip(1).any(|rest| scheme(rest).is_some()) {
        return Err(ambiguous());
    }
    let Some((scheme, token)) = scheme(value) else { return Ok(None) };
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    is_token.then(|| Some((scheme, token.to_owned()))).ok_or_else(ambiguous)
}

fn scheme(credentials: &str) -> Option<(Scheme, &str)> {
    let (scheme, token) = credentials.trim().split_once(' ')?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Scheme::Bearer,
        "dpop" => Scheme::Dpop,
        _ => return None,
    };
    Some((scheme, token))
}
