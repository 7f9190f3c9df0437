//! `[authzen]`, and how a `[[pep]]` is known by its certificate.

use std::path::Path;
use std::time::Duration;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_pdp_engine::signing::SigningKey;

use super::Reader;
use crate::config::settings::AuthzenSettings;
use crate::config::{Authzen, CertificateName, Enforcer, LARGEST};
use crate::files;

impl Reader<'_> {
    pub(super) fn authzen(&mut self, settings: AuthzenSettings) -> Authzen {
        let AuthzenSettings { identifier, signing_key, obligations, deadline_ms, most_evaluations, most_candidates } = settings;
        let bounded = [("most_evaluations", most_evaluations, 1000), ("most_candidates", most_candidates, 100_000)];
        for (key, value, most) in bounded {
            if !(1..=most).contains(&value) {
                self.problem(&format!("authzen.{key}"), &format!("it is not a number from 1 to {most}"));
            }
        }
        // The listener gives up an answer after ten seconds.
        if !(10..=9_000).contains(&deadline_ms) {
            self.problem("authzen.deadline_ms", "it is not a number from 10 to 9000");
        }
        if signing_key.is_some() && identifier.is_none() {
            self.problem("authzen.signing_key", "there is no metadata to sign without `authzen.identifier`");
        }
        Authzen {
            identifier: identifier.and_then(|text| self.noted("authzen.identifier", identifier_of(&text))),
            signing_key: signing_key.and_then(|file| self.signing_key("authzen.signing_key", &file)),
            obligations,
            deadline: Duration::from_millis(deadline_ms),
            most_evaluations,
            most_candidates,
        }
    }

    pub(super) fn signing_key(&mut self, key: &str, file: &Path) -> Option<SigningKey> {
        let file = self.folder.join(file);
        let pem = files::read(&file, LARGEST).map_err(|error| format!("cannot read `{}`: {error}", file.display()));
        let pem = self.noted(key, pem)?;
        self.noted(key, SigningKey::from_pem(&pem))
    }

    /// Two enforcement points that are known by the same thing are one to us, and a certificate that nobody verified is nothing.
    pub(super) fn tell_apart(&mut self, enforcers: &[Enforcer], has_client_ca: bool) {
        for (at, enforcer) in enforcers.iter().enumerate() {
            let same = |other: &Enforcer| {
                let token = enforcer.bearer.is_some() && other.bearer == enforcer.bearer;
                token || other.pep.id == enforcer.pep.id || other.certificates.iter().any(|name| enforcer.certificates.contains(name))
            };
            if let Some(other) = enforcers.iter().skip(at + 1).find(|other| same(other)) {
                self.problem("pep", &format!("`{}` and `{}` share an id, a bearer token or a certificate", enforcer.pep.id, other.pep.id));
            }
            if !enforcer.certificates.is_empty() && !has_client_ca {
                self.problem("pep.certificates", "no client certificate is verified without `tls.client_ca`");
            }
        }
    }

    pub(super) fn certificates(&mut self, key: &str, texts: &[String]) -> Vec<CertificateName> {
        texts.iter().filter_map(|text| self.noted(key, certificate(text))).collect()
    }
}

/// An identifier is compared as a text (AuthZEN §9.2.3), so it is written in one way only.
fn identifier_of(text: &str) -> Result<String, &'static str> {
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()));
    let uri = uri.ok_or("it is not an address that begins with `https://`")?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if has_user || text.contains(['?', '#']) {
        return Err("it has a query, a fragment or a user");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn certificate(text: &str) -> Result<CertificateName, String> {
    let unknown = || format!("`{text}` is neither `dns:` and a name, nor `uri:` and an address, nor `sha256:` and 64 hexadecimal digits");
    match text.split_once(':') {
        Some(("dns", name)) if !name.is_empty() => Ok(CertificateName::Alternative(format!("dns:{}", name.to_ascii_lowercase()))),
        Some(("uri", address)) if !address.is_empty() => Ok(CertificateName::Alternative(text.to_owned())),
        Some(("sha256", digits)) => {
            let digest = bytes(&digits.replace(':', "")).ok_or_else(unknown)?;
            Ok(CertificateName::Thumbprint(URL_SAFE_NO_PAD.encode(digest)))
        }
        _ => Err(unknown()),
    }
}

fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    //! Identifiers and certificates as they may be written.

    use super::*;

    #[test]
    fn an_identifier_is_an_address_by_https_and_nothing_more() {
        assert_eq!(identifier_of("https://pdp.example/").as_deref(), Ok("https://pdp.example"));
        assert_eq!(identifier_of("https://pdp.example/acme").as_deref(), Ok("https://pdp.example/acme"));
        for refused in
            ["http://pdp.example", "pdp.example", "https://", "https://u@pdp.example", "https://pdp.example?x", "https://pdp.example/#x"]
        {
            assert!(identifier_of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_certificate_is_named_or_measured() {
        assert_eq!(certificate("dns:App.Example"), Ok(CertificateName::Alternative("dns:app.example".to_owned())));
        assert_eq!(certificate("uri:spiffe://a/B"), Ok(CertificateName::Alternative("uri:spiffe://a/B".to_owned())));
        let colons = format!("sha256:{}", ["Ab"; 32].join(":"));
        assert_eq!(certificate(&colons), Ok(CertificateName::Thumbprint(URL_SAFE_NO_PAD.encode([0xab; 32]))));
        for refused in ["app.example", "dns:", "sha256:ab", "cn:app", &format!("sha256:{}", "zz".repeat(32))] {
            assert!(certificate(refused).is_err(), "{refused}");
        }
    }
}
