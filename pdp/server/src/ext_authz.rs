//! The messages of Envoy's external authorization (`envoy.service.auth.v3`), as far as they are read or written here. They are written out by hand, with
//! the field numbers of the published definitions: no generator and no `protoc` stand between review and wire.
//!
//! Where those definitions say `string` and the content is a client's, this says bytes, and maps are lists of entries: on the wire that is the same. A text
//! that is no UTF-8, or a name that comes twice, is then something to refuse, not a message that cannot be read. A proxy may be told to let pass what it
//! got no answer for; it is never told to let pass a refusal.

mod attributes;
mod response;

pub(crate) use attributes::*;
pub(crate) use response::*;

/// The name of the service, for health checks.
pub(crate) const SERVICE: &str = "envoy.service.auth.v3.Authorization";
/// Where the service is called.
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
