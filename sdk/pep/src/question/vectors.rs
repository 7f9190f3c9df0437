//! Questions as every enforcement point of the SDK makes them: one file of requests, read by the tests of each language.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Request};
use serde_json::Value;

use super::{ClientAddress, Origin, ask};

#[test]
fn every_language_asks_the_same() {
    let vectors: Value = serde_json::from_str(include_str!("../../../vectors/question.json")).unwrap();
    let origin: Origin = vectors["origin"].as_str().unwrap().parse().unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 40, "the file is whole");
    for case in cases {
        let asked = request(&case["request"]).and_then(|request| ask(&request.into_parts().0, &origin).ok());
        let asked = asked.map_or(Value::Null, |asked| serde_json::to_value(asked).unwrap());
        assert_eq!(asked, case["question"], "{}", case["name"]);
    }
}

/// The request, or none where the server would refuse it before it is asked about.
fn request(case: &Value) -> Option<Request<()>> {
    let mut request = Request::builder().method(case["method"].as_str().unwrap()).uri(case["target"].as_str().unwrap()).body(()).ok()?;
    for header in case["headers"].as_array().unwrap() {
        let name: HeaderName = header[0].as_str().unwrap().parse().unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(header[1].as_str().unwrap().as_bytes()).ok()?);
    }
    if let Some(address) = case["client_address"].as_str() {
        request.extensions_mut().insert(ClientAddress(address.parse::<IpAddr>().unwrap()));
    }
    Some(request)
}
