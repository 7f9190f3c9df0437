//! What Envoy says of a request: `CheckRequest` and what is in it.

use bytes::Bytes;
use prost::{Message, Oneof};

use super::Struct;

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) attributes: Option<AttributeContext>,
}

/// `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    pub(crate) source: Option<Peer>,
    #[prost(message, optional, tag = "2")]
    pub(crate) destination: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub(crate) request: Option<Request>,
    #[prost(message, repeated, tag = "10")]
    pub(crate) context_extensions: Vec<Entry>,
    #[prost(message, optional, tag = "11")]
    pub(crate) metadata_context: Option<Metadata>,
    #[prost(message, optional, tag = "12")]
    pub(crate) tls_session: Option<TlsSession>,
    #[prost(message, optional, tag = "13")]
    pub(crate) route_metadata_context: Option<Metadata>,
}

/// One end of a connection. The certificate is PEM in percent-encoding.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Peer {
    #[prost(message, optional, tag = "1")]
    pub(crate) address: Option<Address>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) service: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(crate) labels: Vec<Entry>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) principal: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) certificate: Bytes,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Address {
    #[prost(oneof = "AddressKind", tags = "1, 2")]
    pub(crate) kind: Option<AddressKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum AddressKind {
    #[prost(message, tag = "1")]
    Socket(SocketAddress),
    #[prost(message, tag = "2")]
    Pipe(Pipe),
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketAddress {
    #[prost(int32, tag = "1")]
    pub(crate) protocol: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) address: Bytes,
    #[prost(oneof = "PortSpecifier", tags = "3, 4")]
    pub(crate) port: Option<PortSpecifier>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum PortSpecifier {
    #[prost(uint32, tag = "3")]
    Value(u32),
    #[prost(bytes = "bytes", tag = "4")]
    Named(Bytes),
}

/// `envoy.config.core.v3.Pipe`: a Unix socket.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pipe {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) path: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) mode: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, optional, tag = "1")]
    pub(crate) time: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(crate) http: Option<HttpRequest>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// The request. Either `headers` (values of one name joined with a comma) or `header_map` (each as it came) is there, as Envoy is configured. `path` has the
/// query; `query` and `fragment` are always empty.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) method: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(crate) headers: Vec<Entry>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) path: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) host: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) scheme: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) query: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub(crate) fragment: Bytes,
    #[prost(int64, tag = "9")]
    pub(crate) size: i64,
    #[prost(bytes = "bytes", tag = "10")]
    pub(crate) protocol: Bytes,
    #[prost(bytes = "bytes", tag = "11")]
    pub(crate) body: Bytes,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) raw_body: Bytes,
    #[prost(message, optional, tag = "13")]
    pub(crate) header_map: Option<HeaderMap>,
}

/// One entry of a map of texts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`. A value is in one of the two members.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) raw_value: Bytes,
}

impl HeaderValue {
    /// The value, in whichever member it is.
    pub(crate) fn bytes(&self) -> &Bytes {
        if self.raw_value.is_empty() { &self.value } else { &self.raw_value }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TlsSession {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) sni: Bytes,
}

/// `envoy.config.core.v3.Metadata`, without what is typed by messages that nobody here knows.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) filter_metadata: std::collections::BTreeMap<String, Struct>,
}
