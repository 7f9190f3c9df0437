//! TLS: only the roots that were given are trusted, and the client proves itself by a certificate.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::question;
use crate::fake::{Fake, Reply};
use crate::{Answer, Builder, Client, ErrorKind};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A decision point by this authority, which wants a certificate of `clients`.
    async fn serve(&self, clients: Option<&Self>) -> Fake {
        let (certificate, key) = self.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Fake::with(Reply::Allow(None), Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }
}

fn builder(pdp: &Fake) -> Builder {
    Client::builder(&pdp.url).deadline(Duration::from_secs(20))
}

#[tokio::test]
async fn only_the_given_roots_are_trusted() {
    let authority = Authority::new();
    let pdp = authority.serve(None).await;
    let trusting = builder(&pdp).pep("app", "s3cret").roots_pem(authority.pem()).build().unwrap();
    assert!(matches!(trusting.evaluate(&question()).await, Ok(Answer::Allow(_))));
    let other = builder(&pdp).pep("app", "s3cret").roots_pem(Authority::new().pem()).build().unwrap();
    assert_eq!(other.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(pdp.count(), 1);
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_goes_by_tls_as_well() {
    let authority = Authority::new();
    let pdp = authority.serve(None).await;
    let client = builder(&pdp).pep("app", "s3cret").roots_pem(authority.pem()).grpc().build().unwrap();
    assert!(matches!(client.evaluate(&question()).await, Ok(Answer::Allow(_))));
}

#[tokio::test]
async fn a_certificate_proves_the_client() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let pdp = authority.serve(Some(&clients)).await;
    let with = |own: &Authority| {
        let (certificate, key) = own.issue(ExtendedKeyUsagePurpose::ClientAuth);
        builder(&pdp).roots_pem(authority.pem()).certificate_pem(certificate.pem(), key.serialize_pem()).build().unwrap()
    };
    assert!(matches!(with(&clients).evaluate(&question()).await, Ok(Answer::Allow(_))));
    assert_eq!(with(&authority).evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    let nobody = builder(&pdp).pep("app", "s3cret").roots_pem(authority.pem()).build().unwrap();
    assert_eq!(nobody.evaluate(&question()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(pdp.count(), 1);
}

#[test]
fn what_is_no_certificate_is_refused_at_build() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let (_, other) = authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let refused = |builder: Builder| assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Configuration);
    let builder = || Client::builder("https://pdp.example").pep("app", "s");
    refused(builder().roots_pem("no PEM"));
    refused(builder().roots_pem(""));
    let given = || builder().roots_pem(authority.pem());
    refused(given().certificate_pem("", key.serialize_pem()));
    refused(given().certificate_pem(certificate.pem(), "no key"));
    refused(given().certificate_pem(certificate.pem(), other.serialize_pem()));
    assert!(given().certificate_pem(certificate.pem(), key.serialize_pem()).build().is_ok());
    assert!(!format!("{:?}", given().certificate_pem(certificate.pem(), key.serialize_pem())).contains("PRIVATE"));
}
