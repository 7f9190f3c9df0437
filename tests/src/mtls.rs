//! A client with a certificate of its own (mutual TLS), over one connection a request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::Answer;

/// A certificate and its key, self-signed: what binds a token is the certificate, whoever signed it (RFC 8705 §2.2).
pub struct Identity(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Identity {
    /// For a name.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap())
    }

    /// As a proxy reads it: `NAME.crt` and `NAME.key` in a folder.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.crt")), self.0.cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), self.0.signing_key.serialize_pem()).unwrap();
    }

    /// The thumbprint, as `cnf.x5t#S256` has it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.0.cert.der()))
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.cert.der().clone()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).unwrap()
    }
}

/// `GET` over TLS from a server that has this certificate, as a client that has that one.
///
/// # Panics
/// When there is no answer.
#[track_caller]
#[must_use]
pub fn get(port: u16, host: &str, target: &str, headers: &[(&str, &str)], server: &Identity, client: Option<&Identity>) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match client {
        Some(client) => builder.with_client_auth_cert(vec![client.certificate()], client.key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    tcp.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    let ended = stream.take(1 << 20).read_to_end(&mut answer);
    assert!(ended.is_ok() || !answer.is_empty(), "{ended:?}");
    parse(&String::from_utf8(answer).unwrap())
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Answer { status: status.unwrap_or_else(|| panic!("no status: {answer}")), headers: headers.collect(), body: body.to_owned() }
}
