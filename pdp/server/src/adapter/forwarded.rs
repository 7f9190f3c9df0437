//! The header set that Traefik, Caddy and HAProxy share: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, each set by the proxy. What else begins with
//! `X-Forwarded-` is the client's word, and is not read.

use std::net::IpAddr;

use axum::http::HeaderMap;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::RawHttp;

use super::{Original, needed};

const METHOD: &str = "x-forwarded-method";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const URI: &str = "x-forwarded-uri";

pub(super) fn parse(headers: &HeaderMap, peer: IpAddr) -> Result<RawHttp, Denial> {
    let original = Original {
        method: needed(headers, METHOD)?,
        scheme: needed(headers, PROTO)?,
        authority: needed(headers, HOST)?,
        target: needed(headers, URI)?,
    };
    original.with(headers, &[METHOD, PROTO, HOST, URI], peer)
}
