//! Parameters, paths and bodies, as clients write them and as they should not.

use axum::http::Request as HttpRequest;

use super::*;
use crate::bundle::tests::gzip;

fn params(query: &str) -> Result<Params, Failure> {
    Params::of(&format!("/v1/data?{query}").parse().unwrap())
}

#[test]
fn flags_are_there_or_true() {
    assert!(params("pretty").unwrap().pretty);
    assert!(params("pretty=").unwrap().pretty);
    assert!(params("pretty=TRUE&metrics=false").unwrap().pretty);
    assert!(!params("pretty=false").unwrap().pretty);
    assert!(!params("pretty=1").unwrap().pretty);
    assert!(params("instrument=true").unwrap().metrics);
    assert_eq!(params("input=1&input=%7B%7D").unwrap().input.as_deref(), Some("{}"));
    assert_eq!(params("q=x+%3D+1").unwrap().query.as_deref(), Some("x = 1"));
}

#[test]
fn what_cannot_be_told_is_refused() {
    assert!(params("explain=full").unwrap_err().body.message.contains("explain"));
    assert!(params("explain=off").is_ok());
    assert!(params("input=%ff").is_err());
    assert!(params(&"a&".repeat(33)).is_err());
}

fn path(path: &str) -> Result<String, Failure> {
    steps(&path.parse().unwrap(), "/v1/data").map(|steps| reference(&steps))
}

#[test]
fn a_path_names_a_document() {
    assert_eq!(path("/v1/data").unwrap(), "data");
    assert_eq!(path("/v1/data/").unwrap(), "data");
    assert_eq!(path("/v1/data/a//b/0").unwrap(), "data.a.b[0]");
    assert_eq!(path("/v1/data/a-b/c%2Fd").unwrap(), r#"data["a-b"]["c/d"]"#);
}

#[test]
fn a_path_is_never_syntax() {
    for bad in ["/v1/data/a%22%5D;x:=1", "/v1/data/a%00", "/v1/data/%ff", "/v1/data/a%0ab"] {
        assert_eq!(path(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(path("/v1/data/a;x:=1/..").unwrap(), r#"data["a;x:=1"][".."]"#);
    assert!(path(&format!("/v1/data{}", "/a".repeat(65))).is_err());
}

async fn read(headers: &[(&str, &str)], content: Vec<u8>) -> Result<Bytes, String> {
    let request = headers.iter().fold(HttpRequest::builder(), |request, (name, value)| request.header(*name, *value));
    body(request.body(Body::from(content)).unwrap(), 256 * 1024).await.map_err(|failure| failure.body.message)
}

#[tokio::test]
async fn bodies_are_bounded_in_both_states() {
    assert_eq!(read(&[], b"{}".to_vec()).await.unwrap(), "{}");
    assert_eq!(read(&[("content-encoding", "gzip")], gzip(b"{}")).await.unwrap(), "{}");
    assert_eq!(read(&[], vec![b' '; 256 * 1024 + 1]).await.unwrap_err(), "request body too large");
    let bomb = gzip(&vec![b' '; 250 * 1024]);
    assert_eq!(read(&[("content-encoding", "gzip")], bomb).await.unwrap_err(), "compressed request body too large");
    assert!(read(&[("content-encoding", "gzip")], b"{}".to_vec()).await.unwrap_err().contains("decompress"));
    let mut two = gzip(b"{}");
    two.extend(gzip(b"{}"));
    assert!(read(&[("content-encoding", "gzip")], two).await.unwrap_err().contains("something follows"));
    assert!(read(&[("content-encoding", "br")], b"{}".to_vec()).await.unwrap_err().contains("gzip"));
    assert!(read(&[("content-type", "application/yaml")], b"input: 1".to_vec()).await.unwrap_err().contains("YAML"));
}

#[test]
fn documents_are_strict() {
    assert_eq!(document(b" \n", "body").unwrap(), None);
    for bad in ["{\"a\":1,\"a\":2}".to_owned(), "[".repeat(65) + &"]".repeat(65), "{} {}".to_owned(), "nul".to_owned()] {
        let failure = document(bad.as_bytes(), "body").unwrap_err();
        assert!(failure.body.message.starts_with("body contains malformed input document: "), "{}", failure.body.message);
    }
}

#[test]
fn gzip_is_for_those_who_take_it() {
    assert!(["gzip", "deflate, GZIP;q=0.5"].iter().all(|offer| offer.split(',').any(takes_gzip)));
    assert!(["", "br", "gzip;q=0", "gzip; q=0.0"].iter().all(|offer| !offer.split(',').any(takes_gzip)));
}
