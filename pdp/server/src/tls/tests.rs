//! Certificates in files, and what is said of those that cannot be used.

use std::io::Write as _;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;

/// A CA and a folder with what it issued: `ca.pem`, `cert.pem` and `key.pem` for `localhost`, `client.pem` and `client-key.pem`.
pub(crate) struct Authority {
    pub(crate) folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { folder: tempfile::tempdir().unwrap(), issuer };
        std::fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority.issue("localhost", "cert.pem", "key.pem");
        authority.issue("client", "client.pem", "client-key.pem");
        authority
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn issue(&self, name: &str, certificate: &str, key: &str) -> CertificateDer<'static> {
        let pair = KeyPair::generate().unwrap();
        let issued = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&pair, &self.issuer).unwrap();
        std::fs::write(self.path(certificate), issued.pem()).unwrap();
        std::fs::write(self.path(key), pair.serialize_pem()).unwrap();
        issued.der().clone()
    }

    pub(crate) fn tls(&self, client_ca: Option<&Path>) -> Tls {
        Tls::load(&self.path("cert.pem"), &self.path("key.pem"), client_ca).unwrap()
    }

    /// A client that trusts this CA, and presents `client.pem` when it shall.
    pub(crate) fn client(&self, presents: Option<(&str, &str)>) -> TlsConnector {
        TlsConnector::from(Arc::new(self.config(presents)))
    }

    /// A client that speaks one protocol by ALPN.
    pub(crate) fn client_offering(&self, protocol: &str) -> TlsConnector {
        let mut config = self.config(None);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    fn config(&self, presents: Option<(&str, &str)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        match presents {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(&std::fs::read(self.path(certificate)).unwrap()).unwrap();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(self.path(key)).unwrap()).unwrap()
            }
        }
    }
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

#[track_caller]
fn refused(certificate: &Path, key: &Path, client_ca: Option<&Path>, expected: &str) {
    let said = Tls::load(certificate, key, client_ca).unwrap_err().to_string();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn each_mistake_has_its_sentence() {
    let authority = Authority::new();
    let (certificate, key, other) = (authority.path("cert.pem"), authority.path("key.pem"), authority.path("client-key.pem"));
    let nothing = authority.path("nothing.pem");
    std::fs::write(&nothing, "no PEM here").unwrap();
    refused(&authority.path("missing"), &key, None, "cannot read");
    refused(authority.folder.path(), &key, None, "not a regular file");
    refused(&nothing, &key, None, "holds no certificate");
    refused(&certificate, &nothing, None, "holds no private key");
    refused(&certificate, &certificate, None, "holds no private key");
    refused(&certificate, &other, None, "does not fit");
    refused(&certificate, &key, Some(&nothing), "holds no certificate");
    let mut broken = std::fs::File::create(&nothing).unwrap();
    broken.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    refused(&certificate, &key, Some(&nothing), "cannot be a client CA");
    std::fs::write(&nothing, vec![b' '; 2 * 1024 * 1024]).unwrap();
    refused(&nothing, &key, None, "larger than");
}

/// The certificate that a new connection gets.
async fn presented(tls: &Arc<Tls>, authority: &Authority) -> CertificateDer<'static> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = Arc::clone(tls);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        accepting.accept(stream, Protocol::Http1, Duration::from_secs(20)).await.map(|_| ())
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = authority.client(None).connect(localhost(), stream).await.unwrap();
    server.await.unwrap().unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn a_new_certificate_is_served_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let tls = Arc::new(authority.tls(None));
    let first = presented(&tls, &authority).await;
    assert!(!tls.refresh().unwrap());
    let second = authority.issue("localhost", "cert.pem", "key.pem");
    assert!(tls.refresh().unwrap());
    assert_eq!(presented(&tls, &authority).await, second);
    assert_ne!(first, second);
    std::fs::write(authority.path("cert.pem"), "half").unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::NoCertificate(_))));
    assert_eq!(presented(&tls, &authority).await, second);
    std::fs::remove_file(authority.path("key.pem")).unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::Unreadable { .. })));
    assert_eq!(presented(&tls, &authority).await, second);
}

#[test]
fn only_what_is_meant_is_offered() {
    let authority = Authority::new();
    let tls = authority.tls(Some(&authority.path("ca.pem")));
    let config = Arc::clone(&tls.configs.load().http1);
    assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    assert_eq!((config.max_early_data_size, config.send_tls13_tickets), (0, 0));
}
