//! Every form of a certificate in a header, and what a client or a broken proxy could make of it.

use axum::http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

struct Made {
    pem: String,
    der: Vec<u8>,
    thumbprint: String,
}

fn made() -> Made {
    let made = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).unwrap();
    let der = made.cert.der().to_vec();
    Made { pem: made.cert.pem(), thumbprint: tls::thumbprint(&der.clone().into()), der }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn hex(thumbprint: &str) -> String {
    URL_SAFE_NO_PAD.decode(thumbprint).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse::<axum::http::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn every_proxy_says_the_same_certificate() {
    let Made { pem, der, thumbprint } = made();
    let all = [
        ("nginx", escaped(&pem)),
        ("haproxy", STANDARD.encode(&der)),
        ("traefik", escaped(&STANDARD.encode(&der))),
        ("traefik", format!("{},{}", STANDARD.encode(&der), STANDARD.encode(made().der))),
        ("xfcc", format!("By=spiffe://a;Hash={};Subject=\"CN=x, O=\\\"y;Hash=z\\\"\"", hex(&thumbprint))),
        ("xfcc", format!("Cert=\"{}\"", escaped(&pem))),
        ("xfcc", format!("Hash={};Cert=\"{}\"", hex(&thumbprint), escaped(&pem))),
        ("xfcc", format!("Hash={},Hash={}", hex(&made().thumbprint), hex(&thumbprint))),
    ];
    for (kind, value) in all {
        let header = CertificateHeader::of(kind).unwrap();
        let mut sent = HeaderMap::new();
        sent.insert(header.name.parse::<axum::http::HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap());
        assert_eq!(presented(&sent, Some(&header)), Ok(Some(thumbprint.clone())), "{kind}: {value}");
    }
}

#[test]
fn what_is_no_certificate_is_malformed_and_never_nobody() {
    let Made { pem, thumbprint, .. } = made();
    let hash = hex(&thumbprint);
    let long = format!("Hash={hash};Subject={}", "x".repeat(LONGEST));
    for (form, value) in [
        (Form::EscapedPem, "x"),
        (Form::EscapedPem, &*escaped(&pem.replace("BEGIN", "BEGUN"))),
        (Form::EscapedPem, &*escaped(&format!("{pem}{pem}"))),
        (Form::Base64Der, "!"),
        (Form::Base64Der, "AAAA"),
        (Form::Base64Der, ",MAAA"),
        (Form::Xfcc, "By=spiffe://a;Subject=\"CN=x\""),
        (Form::Xfcc, "Hash=abc"),
        (Form::Xfcc, &*format!("Hash={hash},By=spiffe://a")),
        (Form::Xfcc, &*format!("Hash={hash};Hash={hash}")),
        (Form::Xfcc, &*format!("Hash={hash};Cert=\"{}\"", escaped(&made().pem))),
        (Form::Xfcc, &*format!("Hash={hash};Subject=\"open")),
        (Form::Xfcc, &*format!("Subject=\"CN=x,Hash={hash}\"")),
        (Form::Xfcc, &*format!("Hash={hash},")),
        (Form::Xfcc, &*long),
    ] {
        assert_eq!(super::thumbprint(value, form), None, "{form:?}: {value}");
    }
    let header = CertificateHeader::of("xfcc").unwrap();
    let refused = presented(&headers(&[("x-forwarded-client-cert", "Hash=abc")]), Some(&header));
    assert_eq!(refused.map_err(|denial| denial.code()), Err(DenialCode::MalformedRequest));
}

#[test]
fn a_header_that_is_not_configured_is_the_clients_own_word() {
    let own = format!("Hash={}", hex(&made().thumbprint));
    let sent = headers(&[("x-forwarded-client-cert", &own)]);
    assert_eq!(presented(&sent, None), Ok(None));
    assert_eq!(presented(&sent, CertificateHeader::of("nginx").as_ref()), Ok(None));
    assert_eq!(presented(&HeaderMap::new(), CertificateHeader::of("xfcc").as_ref()), Ok(None));
    // A proxy writes nothing where the client had no certificate.
    assert_eq!(presented(&headers(&[("x-countersign-client-cert", "")]), CertificateHeader::of("nginx").as_ref()), Ok(None));
    let mut twice = sent;
    twice.append("x-forwarded-client-cert", HeaderValue::from_str(&own).unwrap());
    let refused = presented(&twice, CertificateHeader::of("xfcc").as_ref());
    assert_eq!(refused.map_err(|denial| denial.code()), Err(DenialCode::AmbiguousHeader));
}
