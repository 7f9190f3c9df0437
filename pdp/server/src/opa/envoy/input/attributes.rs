//! Protobuf's JSON of an `AttributeContext`: names in camel case, what is unset left out, 64-bit numbers as texts, bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Refused, malformed, text};
use crate::ext_authz::{Address, AddressKind, AttributeContext, Entry, HttpRequest, Metadata, Peer, PortSpecifier, Request, Timestamp};

pub(super) fn json(context: &AttributeContext) -> Result<Value, Refused> {
    let metadata = |metadata: &Option<Metadata>| metadata.as_ref().map(filters);
    object([
        ("source", context.source.as_ref().map(peer).transpose()?),
        ("destination", context.destination.as_ref().map(peer).transpose()?),
        ("request", context.request.as_ref().map(request).transpose()?),
        ("contextExtensions", entries(&context.context_extensions)?),
        ("metadataContext", metadata(&context.metadata_context)),
        ("routeMetadataContext", metadata(&context.route_metadata_context)),
        ("tlsSession", context.tls_session.as_ref().map(|session| object([("sni", set(&session.sni)?)])).transpose()?),
    ])
}

fn peer(peer: &Peer) -> Result<Value, Refused> {
    object([
        ("address", peer.address.as_ref().map(address).transpose()?),
        ("service", set(&peer.service)?),
        ("labels", entries(&peer.labels)?),
        ("principal", set(&peer.principal)?),
        ("certificate", set(&peer.certificate)?),
    ])
}

fn address(address: &Address) -> Result<Value, Refused> {
    match &address.kind {
        None => object([]),
        Some(AddressKind::Pipe(pipe)) => {
            let mode = (pipe.mode != 0).then(|| pipe.mode.into());
            object([("pipe", Some(object([("path", set(&pipe.path)?), ("mode", mode)])?))])
        }
        Some(AddressKind::Socket(socket)) => {
            let protocol = (socket.protocol == 1).then(|| "UDP".into());
            let port = match &socket.port {
                None => ("portValue", None),
                Some(PortSpecifier::Value(port)) => ("portValue", Some((*port).into())),
                Some(PortSpecifier::Named(name)) => ("namedPort", Some(text(name)?.into())),
            };
            object([("socketAddress", Some(object([("protocol", protocol), ("address", set(&socket.address)?), port])?))])
        }
    }
}

fn request(request: &Request) -> Result<Value, Refused> {
    object([("time", request.time.map(time).transpose()?), ("http", request.http.as_ref().map(http).transpose()?)])
}

/// With as many groups of three digits as it takes.
fn time(time: Timestamp) -> Result<Value, Refused> {
    let digits = match time.nanos {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    let time = jiff::Timestamp::new(time.seconds, time.nanos).map_err(|_| malformed("the time of the request is none"))?;
    Ok(Value::from(format!("{time:.digits$}")))
}

fn http(http: &HttpRequest) -> Result<Value, Refused> {
    let size = (http.size != 0).then(|| http.size.to_string().into());
    let raw_body = (!http.raw_body.is_empty()).then(|| base64(&http.raw_body));
    let header_map = http.header_map.as_ref().map(|map| {
        let headers = map.headers.iter().map(|one| {
            let raw_value = (!one.raw_value.is_empty()).then(|| base64(&one.raw_value));
            object([("key", set(&one.key)?), ("value", set(&one.value)?), ("rawValue", raw_value)])
        });
        let headers = headers.collect::<Result<Vec<_>, Refused>>()?;
        object([("headers", (!headers.is_empty()).then(|| headers.into()))])
    });
    object([
        ("id", set(&http.id)?),
        ("method", set(&http.method)?),
        ("headers", entries(&http.headers)?),
        ("headerMap", header_map.transpose()?),
        ("path", set(&http.path)?),
        ("host", set(&http.host)?),
        ("scheme", set(&http.scheme)?),
        ("query", set(&http.query)?),
        ("fragment", set(&http.fragment)?),
        ("size", size),
        ("protocol", set(&http.protocol)?),
        ("body", set(&http.body)?),
        ("rawBody", raw_body),
    ])
}

/// What is typed by messages that nobody here knows is left out.
fn filters(metadata: &Metadata) -> Value {
    let filters: Map<String, Value> = metadata.filter_metadata.iter().map(|(name, filter)| (name.clone(), filter.clone().into())).collect();
    let member = (!filters.is_empty()).then(|| ("filterMetadata".to_owned(), Value::Object(filters)));
    Value::Object(member.into_iter().collect())
}

fn entries(entries: &[Entry]) -> Result<Option<Value>, Refused> {
    let entry = |entry: &Entry| Ok((text(&entry.key)?.to_owned(), Value::from(text(&entry.value)?)));
    let object = entries.iter().map(entry).collect::<Result<Map<_, _>, Refused>>()?;
    if object.len() < entries.len() {
        return Err(malformed("a name is repeated"));
    }
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

fn set(bytes: &Bytes) -> Result<Option<Value>, Refused> {
    Ok((!bytes.is_empty()).then_some(Value::from(text(bytes)?)))
}

fn base64(bytes: &Bytes) -> Value {
    STANDARD.encode(bytes).into()
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Result<Value, Refused> {
    Ok(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into())
}
