//! What a hostile client, a stranger or a broken Envoy sends. Nothing of it is an error, which a proxy might let pass.

use bytes::Bytes;
use prost::Message as _;

use super::scene::PEP;
use super::*;
use crate::ext_authz::{CHECK, CheckResponse, Entry, HeaderMap, HeaderValue};

#[track_caller]
fn refused(message: CheckRequest, code: DenialCode) {
    assert_eq!(parse::http(message).map(|http| http.target).unwrap_err().code(), code);
}

#[tokio::test]
async fn http05_no_http_no_path_and_no_slash_are_refused() {
    let scene = Scene::open().await;
    let token = scene.token("alice");
    let good = get("/wiki", &[("authorization", &token)]);
    passed(&scene.ask(good.clone()).await);
    let (mut no_http, mut no_request, mut no_path, mut no_slash, mut asterisk) =
        (good.clone(), good.clone(), good.clone(), good.clone(), good.clone());
    no_http.attributes.as_mut().unwrap().request.as_mut().unwrap().http = None;
    no_request.attributes.as_mut().unwrap().request = None;
    scene::http(&mut no_path).path = Bytes::new();
    scene::http(&mut no_slash).path = Bytes::from_static(b"wiki");
    scene::http(&mut asterisk).path = Bytes::from_static(b"*");
    for message in [CheckRequest::default(), no_http, no_request, no_path, no_slash, asterisk] {
        assert_eq!(denied(&scene.ask(message.clone()).await).0, StatusCode::BAD_REQUEST, "{message:?}");
    }
}

#[tokio::test]
async fn http06_bytes_that_are_no_text_are_refused() {
    let scene = Scene::open().await;
    let bad = Bytes::from_static(b"\xff\xfe");
    let good = get("/wiki", &[("authorization", &scene.token("alice"))]);
    let (mut raw, mut joined, mut name, mut path, mut host) = (good.clone(), good.clone(), good.clone(), good.clone(), good);
    let entry = Entry { key: "x-note".into(), value: bad.clone() };
    let http = scene::http(&mut raw);
    let map = std::mem::take(&mut http.headers).into_iter().chain([entry.clone()]);
    let raw_value = |entry: Entry| HeaderValue { key: entry.key, raw_value: entry.value, ..HeaderValue::default() };
    http.header_map = Some(HeaderMap { headers: map.map(raw_value).collect() });
    scene::http(&mut joined).headers.push(entry);
    scene::http(&mut name).headers.push(Entry { key: bad.clone(), value: Bytes::new() });
    scene::http(&mut path).path = Bytes::from_static(b"/wiki\xff");
    scene::http(&mut host).host = bad;
    for message in [raw, joined, name, path, host] {
        assert_eq!(denied(&scene.ask(message).await).0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn what_is_no_check_request_is_refused_and_no_error() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Noise {
        #[prost(bytes = "bytes", tag = "1")]
        attributes: Bytes,
    }
    let scene = Scene::open().await;
    let noise = Noise { attributes: Bytes::from_static(b"\xff\xff\xff\xff") };
    assert!(CheckRequest::decode(noise.encode_to_vec().as_slice()).is_err());
    let response: CheckResponse = scene.call(CHECK, noise, Some(PEP)).await.expect("no error");
    assert_eq!(denied(&response).0, StatusCode::BAD_REQUEST);
    let large = get("/wiki", &[("x-large", &"x".repeat(grpc::LARGEST))]);
    assert_eq!(denied(&scene.ask(large).await).0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_stranger_gets_nothing_even_with_a_good_token() {
    let scene = Scene::open().await;
    let message = get("/wiki", &[("authorization", &scene.token("alice")), ("x-countersign-pep", PEP)]);
    for pep in [None, Some("envoy:another-secret"), Some("nginx:a-secret-of-this-test"), Some("")] {
        let response: CheckResponse = scene.call(CHECK, message.clone(), pep).await.expect("no error");
        assert_eq!(denied(&response).0, StatusCode::UNAUTHORIZED, "{pep:?}");
    }
}

#[tokio::test]
async fn what_is_not_served_is_said_so() {
    let scene = Scene::open().await;
    let called = scene.call::<_, CheckResponse>("/envoy.service.auth.v2.Authorization/Check", get("/wiki", &[]), Some(PEP)).await;
    assert_eq!(called.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn hdr02_two_of_what_decides_are_refused() {
    let token = "Bearer a.b.c";
    refused(get("/wiki", &[("authorization", &format!("{token},Bearer d.e.f"))]), DenialCode::AmbiguousHeader);
    refused(get("/wiki", &[("authorization", "Basic YTpi, Bearer d.e.f")]), DenialCode::AmbiguousHeader);
    let scene = Scene::open().await;
    let token = scene.token("alice");
    for headers in [
        [("authorization", token.as_str()), ("Authorization", token.as_str())],
        [("cookie", "__Host-countersign-grant=a"), ("cookie", "__Host-countersign-grant=b")],
        [("authorization", token.as_str()), ("cookie", "a=1,__Host-countersign-grant=b")],
        [("authorization", token.as_str()), ("x_forwarded_for", "192.0.2.7")],
    ] {
        assert_eq!(denied(&scene.ask(get("/wiki", &headers)).await).0, StatusCode::BAD_REQUEST, "{headers:?}");
    }
}

#[test]
fn attributes_and_pseudo_headers_that_disagree_are_refused() {
    for (name, value) in [(":path", "/public"), (":method", "HEAD"), (":authority", "evil.example"), (":scheme", "https")] {
        refused(get("/wiki", &[(name, value)]), DenialCode::AmbiguousHeader);
    }
    assert!(parse::http(get("/wiki", &[(":path", "/wiki"), (":method", "GET")])).is_ok());
}

#[test]
fn headers_in_both_forms_could_be_two_requests() {
    let mut message = get("/wiki", &[("accept", "text/html")]);
    scene::http(&mut message).header_map = Some(HeaderMap { headers: vec![HeaderValue::default()] });
    refused(message, DenialCode::AmbiguousHeader);
}

#[test]
fn a_query_beside_the_path_is_refused() {
    for part in ["query", "fragment"] {
        let mut message = get("/wiki", &[]);
        let http = scene::http(&mut message);
        let place = if part == "query" { &mut http.query } else { &mut http.fragment };
        *place = Bytes::from_static(b"admin=1");
        refused(message, DenialCode::MalformedRequest);
    }
}

#[test]
fn the_certificate_is_that_of_envoys_connection_and_nobodys_word() {
    let certified = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).unwrap();
    let pem = percent_encoding::utf8_percent_encode(&certified.cert.pem(), percent_encoding::NON_ALPHANUMERIC).to_string();
    let thumbprint = crate::tls::thumbprint(certified.cert.der());
    let mut message = get("/wiki", &[("x-forwarded-client-cert", &format!("Cert=\"{pem}\""))]);
    assert_eq!(parse::http(message.clone()).unwrap().client_certificate, None);
    message.attributes.as_mut().unwrap().source.as_mut().unwrap().certificate = pem.into();
    assert_eq!(parse::http(message.clone()).unwrap().client_certificate, Some(thumbprint));
    message.attributes.as_mut().unwrap().source.as_mut().unwrap().certificate = Bytes::from_static(b"-----BEGIN%20CERTIFICATE");
    refused(message, DenialCode::MalformedRequest);
}

/// A call in whatever circumstances, past the listener.
async fn called(scene: &Scene, places: usize, message: &CheckRequest, mark: impl FnOnce(&mut axum::http::Extensions)) -> CheckResponse {
    let service = Service { decider: Arc::clone(&scene.decider), places: Semaphore::new(places) };
    let router = Router::new().route(CHECK, post(check)).with_state(Arc::new(service));
    let message = message.encode_to_vec();
    let framed = [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), &message].concat();
    let request = axum::http::Request::post(CHECK).header("content-type", "application/grpc");
    let mut request = request.body(axum::body::Body::from(framed)).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    mark(request.extensions_mut());
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    CheckResponse::decode(body.slice(5..)).unwrap()
}

#[tokio::test]
async fn more_than_fits_is_refused_in_envoys_terms() {
    let scene = Scene::open().await;
    let response = called(&scene, 0, &get("/wiki", &[]), |_| {}).await;
    let (status, overloaded) = denied(&response);
    assert_eq!((status, header(&overloaded.headers, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
}

#[tokio::test]
async fn an_envoy_may_be_known_by_the_certificate_of_its_connection() {
    let scene = Scene::open().await;
    let message = get("/wiki", &[("authorization", &scene.token("alice"))]);
    let with = async |thumbprint: &str| {
        let certificate = ClientCertificate(thumbprint.to_owned(), Arc::new([]));
        called(&scene, 1, &message, |extensions| drop(extensions.insert(certificate))).await
    };
    passed(&with(scene::THUMBPRINT).await);
    assert_eq!(denied(&with("another").await).0, StatusCode::UNAUTHORIZED);
    assert_eq!(denied(&called(&scene, 1, &message, |_| {}).await).0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn p17_an_answer_after_the_deadline_is_a_refusal() {
    let scene = Scene::with_deadline(std::time::Duration::ZERO).await;
    let response = scene.ask(get("/wiki", &[("authorization", &scene.token("alice"))])).await;
    assert_eq!(denied(&response).0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(metadata(&response)["code"], "deadline");
}
