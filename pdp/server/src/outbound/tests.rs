//! Which URLs may be asked.

use super::*;

#[track_caller]
fn refused(url: &str, expected: &str) {
    let said = Endpoint::new(url, &UrlOptions::default()).unwrap_err().to_string();
    assert!(said.contains(expected), "{url}: {said}");
}

#[test]
fn only_https_or_this_machine() {
    for url in
        ["http://issuer.example/jwks", "ftp://issuer.example/", "http://10.0.0.1/", "http://localhost.example/", "unix:/run/x", "http://0/"]
    {
        assert!(Endpoint::new(url, &UrlOptions::default()).is_err(), "{url}");
    }
    for url in ["http://localhost:1/jwks", "http://127.0.0.1:1/jwks", "http://127.8.8.8/", "http://[::1]:1/jwks"] {
        assert!(Endpoint::new(url, &UrlOptions::default()).is_ok(), "{url}");
    }
    refused("http://issuer.example/jwks", "`https`");
}

#[test]
fn nothing_that_reads_two_ways() {
    refused("https://issuer.example@169.254.169.254/", "not a URL");
    refused("https://user:hunter2@issuer.example/", "`issuer.example/`");
    refused("https://issuer.example/#keys", "not a URL");
    refused("/jwks.json", "not a URL");
    refused("", "not a URL");
}

#[test]
fn no_private_address_unless_somebody_says_so() {
    for host in ["127.0.0.1", "169.254.169.254", "10.1.2.3", "[::1]", "[::ffff:7f00:1]", "[fd00:ec2::254]", "0.0.0.0"] {
        refused(&format!("https://{host}/jwks"), "private, local or reserved");
        assert_eq!(reach(&Scheme::HTTPS, host, &UrlOptions { dangerous_private_address: true, ca_file: None }).unwrap(), Reach::Anywhere);
    }
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let options = UrlOptions { ca_file: Some(ca_file.clone()), dangerous_private_address: false };
    assert!(matches!(Endpoint::new("https://issuer.example/", &options), Err(UrlError::Ca { .. })));
    std::fs::write(&ca_file, "no PEM").unwrap();
    assert!(matches!(Endpoint::new("https://issuer.example/", &options), Err(UrlError::Ca { .. })));
}
