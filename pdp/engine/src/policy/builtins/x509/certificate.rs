//! A certificate as Go's `x509.Certificate` is written in JSON, as far as policies look into it.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::num_bigint::BigUint;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

pub(super) struct Described<'a>(pub(super) &'a X509Certificate<'a>);

impl Described<'_> {
    pub(super) fn json(&self, der: &[u8]) -> Json {
        let certificate = &self.0.tbs_certificate;
        let constraints = self.0.basic_constraints().ok().flatten();
        let path = constraints.as_ref().and_then(|constraints| constraints.value.path_len_constraint);
        let extensions = Extensions(certificate.extensions());
        let mut members = json!({
            "Raw": encoded(der),
            "RawTBSCertificate": encoded(certificate.as_ref()),
            "RawSubjectPublicKeyInfo": encoded(certificate.subject_pki.raw),
            "RawSubject": encoded(certificate.subject.as_raw()),
            "RawIssuer": encoded(certificate.issuer.as_raw()),
            "Signature": encoded(&self.0.signature_value.data),
            "SignatureAlgorithm": signature_algorithm(&self.0.signature_algorithm.algorithm.to_id_string()),
            "PublicKeyAlgorithm": key_algorithm(&certificate.subject_pki),
            "PublicKey": public_key(&certificate.subject_pki),
            "Version": certificate.version.0 + 1,
            "SerialNumber": number(&certificate.serial),
            "Issuer": name(&certificate.issuer),
            "Subject": name(&certificate.subject),
            "NotBefore": time(certificate.validity.not_before),
            "NotAfter": time(certificate.validity.not_after),
            "Extensions": extensions.list(),
            "BasicConstraintsValid": constraints.is_some(),
            "IsCA": constraints.as_ref().is_some_and(|constraints| constraints.value.ca),
            "MaxPathLen": path.map_or(-i64::from(constraints.is_some()), i64::from),
            "MaxPathLenZero": path == Some(0),
        });
        if let Json::Object(members) = &mut members {
            members.extend(extensions.described());
        }
        members
    }
}

/// A request as Go's `x509.CertificateRequest`.
pub(super) fn describe_request(request: &X509CertificationRequest<'_>, der: &[u8]) -> Json {
    let info = &request.certification_request_info;
    let mut members = json!({
        "Raw": encoded(der),
        "RawSubject": encoded(info.subject.as_raw()),
        "RawSubjectPublicKeyInfo": encoded(info.subject_pki.raw),
        "Version": info.version.0,
        "Signature": encoded(&request.signature_value.data),
        "SignatureAlgorithm": signature_algorithm(&request.signature_algorithm.algorithm.to_id_string()),
        "PublicKeyAlgorithm": key_algorithm(&info.subject_pki),
        "PublicKey": public_key(&info.subject_pki),
        "Subject": name(&info.subject),
    });
    let mut names = Names::default();
    request.requested_extensions().into_iter().flatten().for_each(|extension| names.note(extension));
    if let Json::Object(members) = &mut members {
        members.extend(names.described());
    }
    members
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A number of any length.
fn number(value: &BigUint) -> Json {
    serde_json::from_str(&value.to_string()).unwrap_or_default()
}

fn time(time: ASN1Time) -> Json {
    jiff::Timestamp::from_second(time.timestamp()).map_or(Json::Null, |time| time.to_string().into())
}

fn name(name: &X509Name<'_>) -> Json {
    let named = |oid: &str| -> Vec<&str> {
        let attributes = name.iter_attributes().filter(|attribute| attribute.attr_type().to_id_string() == oid);
        attributes.filter_map(|attribute| attribute.as_str().ok()).collect()
    };
    let list = |oid: &str| Some(named(oid)).filter(|values| !values.is_empty()).map_or(Json::Null, |values| json!(values));
    let one = |oid: &str| named(oid).last().copied().unwrap_or_default().to_owned();
    let all = name.iter_attributes().map(|attribute| {
        let steps: Vec<u64> = attribute.attr_type().iter().into_iter().flatten().collect();
        json!({"Type": steps, "Value": attribute.as_str().unwrap_or_default()})
    });
    json!({
        "Country": list("2.5.4.6"), "Organization": list("2.5.4.10"), "OrganizationalUnit": list("2.5.4.11"), "Locality": list("2.5.4.7"),
        "Province": list("2.5.4.8"), "StreetAddress": list("2.5.4.9"), "PostalCode": list("2.5.4.17"), "SerialNumber": one("2.5.4.5"),
        "CommonName": one("2.5.4.3"), "Names": all.collect::<Vec<_>>(), "ExtraNames": null,
    })
}

/// Go's numbers for algorithms of keys.
fn key_algorithm(info: &SubjectPublicKeyInfo<'_>) -> u8 {
    match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => 1,
        "1.2.840.10040.4.1" => 2,
        "1.2.840.10045.2.1" => 3,
        "1.3.101.112" => 4,
        _ => 0,
    }
}

/// Go's numbers for algorithms of signatures. Those of RSASSA-PSS depend on parameters and are not told apart.
fn signature_algorithm(oid: &str) -> u8 {
    match oid {
        "1.2.840.113549.1.1.4" => 2,
        "1.2.840.113549.1.1.5" => 3,
        "1.2.840.113549.1.1.11" => 4,
        "1.2.840.113549.1.1.12" => 5,
        "1.2.840.113549.1.1.13" => 6,
        "1.2.840.10040.4.3" => 7,
        "2.16.840.1.101.3.4.3.2" => 8,
        "1.2.840.10045.4.1" => 9,
        "1.2.840.10045.4.3.2" => 10,
        "1.2.840.10045.4.3.3" => 11,
        "1.2.840.10045.4.3.4" => 12,
        "1.2.840.113549.1.1.10" => 13,
        "1.3.101.112" => 16,
        _ => 0,
    }
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Json {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => json!({"N": number(&BigUint::from_bytes_be(key.modulus)), "E": key.try_exponent().unwrap_or(0)}),
        Ok(PublicKey::EC(point)) => {
            let data = point.data().get(1..).unwrap_or_default();
            let (x, y) = data.split_at(data.len() / 2);
            json!({"X": number(&BigUint::from_bytes_be(x)), "Y": number(&BigUint::from_bytes_be(y))})
        }
        _ => encoded(&info.subject_public_key.data).into(),
    }
}

struct Extensions<'a>(&'a [X509Extension<'a>]);

impl Extensions<'_> {
    fn list(&self) -> Json {
        let listed = self.0.iter().map(|extension| {
            let steps: Vec<u64> = extension.oid.iter().into_iter().flatten().collect();
            json!({"Id": steps, "Critical": extension.critical, "Value": encoded(extension.value)})
        });
        listed.collect::<Vec<_>>().into()
    }

    fn described(&self) -> Map<String, Json> {
        let (mut names, mut usage, mut extended) = (Names::default(), 0, Vec::new());
        let (mut subject_key, mut authority_key) = (Json::Null, Json::Null);
        for extension in self.0 {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(bits) => usage = bits.flags,
                ParsedExtension::ExtendedKeyUsage(usages) => {
                    let known = [usages.any, usages.server_auth, usages.client_auth, usages.code_signing, usages.email_protection];
                    extended.extend(known.into_iter().zip(0_u8..).filter(|(set, _)| *set).map(|(_, number)| number));
                    extended.extend([(usages.time_stamping, 8), (usages.ocsp_signing, 9)].into_iter().filter(|(set, _)| *set).map(|it| it.1));
                }
                ParsedExtension::SubjectKeyIdentifier(key) => subject_key = encoded(key.0).into(),
                ParsedExtension::AuthorityKeyIdentifier(key) => {
                    authority_key = key.key_identifier.as_ref().map_or(Json::Null, |key| encoded(key.0).into());
                }
                other => names.note(other),
            }
        }
        let mut described = names.described();
        described.insert("KeyUsage".to_owned(), usage.into());
        described.insert("ExtKeyUsage".to_owned(), if extended.is_empty() { Json::Null } else { json!(extended) });
        described.insert("SubjectKeyId".to_owned(), subject_key);
        described.insert("AuthorityKeyId".to_owned(), authority_key);
        described
    }
}

/// The names that a certificate is for.
#[derive(Default)]
struct Names {
    dns: Vec<String>,
    mail: Vec<String>,
    addresses: Vec<String>,
    uris: Vec<String>,
}

impl Names {
    fn note(&mut self, extension: &ParsedExtension<'_>) {
        let ParsedExtension::SubjectAlternativeName(names) = extension else { return };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => self.mail.push((*name).to_owned()),
                GeneralName::URI(name) => self.uris.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
                _ => {}
            }
        }
    }

    fn described(self) -> Map<String, Json> {
        let list = |names: &[String]| if names.is_empty() { Json::Null } else { json!(names) };
        Map::from_iter([
            ("DNSNames".to_owned(), list(&self.dns)),
            ("EmailAddresses".to_owned(), list(&self.mail)),
            ("IPAddresses".to_owned(), list(&self.addresses)),
            ("URIStrings".to_owned(), list(&self.uris)),
        ])
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}
