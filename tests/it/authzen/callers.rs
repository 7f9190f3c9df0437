//! Who may ask, by a token, a secret or a certificate, and who may search.

use std::path::Path;
use std::process::Command;

use countersign_tests::authzen::{BEARER, OTHER_BEARER, Pdp, SECRET, policy};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

fn question() -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}})
}

#[test]
fn a_caller_is_known_by_its_token_or_its_secret_and_everybody_else_is_challenged() {
    let pdp = Pdp::start("");
    let asked = |headers: &[(&str, &str)]| pdp.ask_with("/access/v1/evaluation", headers, &question());
    let pair = format!("app:{SECRET}");
    for (name, value) in
        [("authorization", format!("Bearer {BEARER}")), ("authorization", format!("Bearer {pair}")), ("x-countersign-pep", pair)]
    {
        assert_eq!(asked(&[(name, &value)]).status, 200, "{name}");
    }
    let nobody = asked(&[]);
    assert_eq!(nobody.status, 401);
    let challenges: Vec<&str> =
        nobody.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str()).collect();
    assert_eq!(challenges, ["Bearer realm=\"countersign\"", "Countersign-Pep"]);
    let wrong = asked(&[("authorization", "Bearer wrong")]);
    assert!(wrong.status == 401 && wrong.header("www-authenticate").unwrap().contains("invalid_token"), "{wrong:?}");
}

#[test]
fn an_enforcement_point_searches_only_where_it_may() {
    let pdp = Pdp::start("");
    let token = format!("Bearer {OTHER_BEARER}");
    let headers = [("authorization", token.as_str())];
    assert_eq!(pdp.ask_with("/access/v1/evaluation", &headers, &question()).json()["decision"], true);
    for kind in ["subject", "resource", "action"] {
        let answer = pdp.ask_with(&format!("/access/v1/search/{kind}"), &headers, &question());
        assert!(answer.status == 403 && answer.body.contains("door"), "{answer:?}");
    }
    // What it states is bounded, too.
    let mut stated = question();
    stated["subject"]["properties"] = json!({"role": "admin"});
    let answer = pdp.ask_with("/access/v1/evaluation", &headers, &stated);
    assert!(answer.status == 400 && answer.body.contains("role"), "{answer:?}");
}

/// A CA, and what it issued: PEM files in a folder.
fn issue(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than what it issues has by itself, or OpenSSL takes that for self-signed.
    params.distinguished_name.push(DnType::CommonName, "an authority of this test");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    for name in ["localhost", "payroll.internal", "stranger.internal"] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn a_certificate_that_the_listener_verified_names_its_enforcement_point() {
    let tls = "[tls]\ncertificate = \"localhost.pem\"\nkey = \"localhost.key\"\nclient_ca = \"ca.pem\"\n\
        [[pep]]\nid = \"mesh\"\ncertificates = [\"dns:payroll.internal\"]\nfrom = [\"127.0.0.1\"]\nmay_assert = { subject = true }\n";
    let pdp = Pdp::with_policy(&policy(), tls, issue);
    let ask = |name: &str, more: &[&str]| {
        let folder = pdp.folder.path();
        let url = format!("{}/access/v1/evaluation", pdp.url.replace("http://127.0.0.1", "https://localhost"));
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-o", "-", "-w", "\n%{http_code}", "--cacert"]).arg(folder.join("ca.pem"));
        curl.arg("--cert").arg(folder.join(format!("{name}.pem"))).arg("--key").arg(folder.join(format!("{name}.key")));
        curl.args(["-H", "content-type: application/json", "-d", &question().to_string()]).args(more).arg(url);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let known = ask("payroll.internal", &[]);
    assert!(known.contains("\"decision\":true") && known.ends_with("200"), "{known}");
    let stranger = ask("stranger.internal", &[]);
    assert!(stranger.ends_with("401"), "{stranger}");
    // A stranger may still be known by a token; two callers at once are none.
    let bearer = format!("authorization: Bearer {BEARER}");
    let (token, both) = (ask("stranger.internal", &["-H", &bearer]), ask("payroll.internal", &["-H", &bearer]));
    assert!(token.ends_with("200") && both.ends_with("401"), "{token} {both}");
}
