//! The headers by which an application behind a proxy learns who asks. A client can send each of them too, so on every allow every one is set, and where
//! there is nothing to say it is set empty or removed (HAProxy and Envoy pass on what we leave alone).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use countersign_pdp_engine::request::IDENTITY_HEADERS;

/// Who asks: the `sub` of the token.
pub const USER: HeaderName = HeaderName::from_static("remote-user");
/// Their roles, by the directory, with commas.
pub const GROUPS: HeaderName = HeaderName::from_static("remote-groups");
/// The id of the decision.
pub const DECISION: HeaderName = HeaderName::from_static("x-countersign-decision");
/// The band of the remaining risk.
pub const RISK: HeaderName = HeaderName::from_static("x-countersign-risk");
/// What would have been answered, where a refusal passes.
pub const WOULD: HeaderName = HeaderName::from_static("x-countersign-would");

/// All identity headers: ours and what is configured beside them.
#[derive(Debug, Clone)]
pub struct IdentityHeaders {
    names: Vec<HeaderName>,
    aliases: Vec<HeaderName>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self::with([])
    }
}

impl IdentityHeaders {
    /// Ours and these.
    #[must_use]
    pub fn with(more: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut names: Vec<HeaderName> = IDENTITY_HEADERS.into_iter().map(HeaderName::from_static).chain(more).collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        let aliases = names.iter().flat_map(aliases).collect();
        Self { names, aliases }
    }

    /// Sets every name that is not there empty.
    #[must_use]
    pub fn completed(&self, mut headers: HeaderMap) -> HeaderMap {
        for name in &self.names {
            headers.entry(name).or_insert(HeaderValue::from_static(""));
        }
        headers
    }

    /// All names.
    #[must_use]
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    /// The other spellings that a server behind the proxy reads as one of the names: CGI and its heirs make `HTTP_REMOTE_USER` of `Remote_User` too.
    #[must_use]
    pub fn aliases(&self) -> &[HeaderName] {
        &self.aliases
    }
}

/// The most hyphens of which every mixture with underscores is listed.
const HYPHENS: usize = 4;

/// Every spelling with at least one hyphen as an underscore; of a name with many hyphens only the one without any.
fn aliases(name: &HeaderName) -> Vec<HeaderName> {
    let words: Vec<&str> = name.as_str().split('-').collect();
    let hyphens = words.len().saturating_sub(1);
    let mixtures = if hyphens > HYPHENS { vec![usize::MAX] } else { (1..1 << hyphens).collect() };
    let spelling = |mixture: usize| {
        let joint = |at: usize| if mixture >> at.min(usize::BITS as usize - 1) & 1 == 1 { "_" } else { "-" };
        let parts =
            words.iter().enumerate().map(|(at, word)| if at == 0 { (*word).to_owned() } else { format!("{}{word}", joint(at - 1)) });
        HeaderName::try_from(parts.collect::<String>()).ok()
    };
    mixtures.into_iter().filter_map(spelling).collect()
}

#[cfg(test)]
mod tests {
    //! One list, and all its spellings.

    use super::*;

    #[test]
    fn p05_every_identity_header_is_set_and_every_alias_is_known() {
        let all = IdentityHeaders::with([HeaderName::from_static("x-roles"), USER]);
        let set = all.completed(HeaderMap::from_iter([(USER, HeaderValue::from_static("alice"))]));
        assert_eq!((set[USER].as_bytes(), set["x-roles"].as_bytes()), (b"alice".as_slice(), b"".as_slice()));
        assert_eq!(set.len(), IDENTITY_HEADERS.len() + 1);
        assert!([USER, GROUPS, DECISION, RISK, WOULD].iter().all(|name| set.contains_key(name)));
        let aliases: Vec<&str> = all.aliases().iter().map(HeaderName::as_str).collect();
        for alias in ["remote_user", "x_countersign_risk", "x-countersign_risk", "x_countersign-risk", "x_roles", "remote_groups"] {
            assert!(aliases.contains(&alias), "{alias}: {aliases:?}");
        }
        assert!(aliases.iter().all(|alias| alias.contains('_') && !set.contains_key(*alias)));
        assert_eq!(aliases.len(), 4 + 4 * 3 + 1, "{aliases:?}");
        assert_eq!(super::aliases(&HeaderName::from_static("a-b-c-d-e-f-g")), ["a_b_c_d_e_f_g"]);
        assert!(super::aliases(&HeaderName::from_static("user")).is_empty());
    }
}
