//! The messages of `countersign.v1.DecisionPoint`, written out by hand with the field numbers of the contract, and those of `google.protobuf.Struct`.
//!
//! A map is a list of its entries here: on the wire that is the same, and a name that comes twice is then something to refuse. Of two entries a map would keep the last.

use countersign_sdk_types::{self as types, Ending};
use prost::{Enumeration, Message, Oneof};

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<Field>,
}

/// One entry of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

/// What a value is.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Flag(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Entity {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) properties: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Action {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) properties: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EvaluateRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) subject: Option<Entity>,
    #[prost(message, optional, tag = "2")]
    pub(super) action: Option<Action>,
    #[prost(message, optional, tag = "3")]
    pub(super) resource: Option<Entity>,
    #[prost(message, optional, tag = "4")]
    pub(super) context: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EvaluateResponse {
    #[prost(bool, tag = "1")]
    pub(super) decision: bool,
    #[prost(message, optional, tag = "2")]
    pub(super) context: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EvaluationsRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) subject: Option<Entity>,
    #[prost(message, optional, tag = "2")]
    pub(super) action: Option<Action>,
    #[prost(message, optional, tag = "3")]
    pub(super) resource: Option<Entity>,
    #[prost(message, optional, tag = "4")]
    pub(super) context: Option<Struct>,
    #[prost(message, repeated, tag = "5")]
    pub(super) evaluations: Vec<EvaluateRequest>,
    #[prost(enumeration = "Semantic", tag = "6")]
    pub(super) semantic: i32,
}

/// Until when the questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum Semantic {
    Unspecified = 0,
    ExecuteAll = 1,
    DenyOnFirstDeny = 2,
    PermitOnFirstPermit = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EvaluationsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) evaluations: Vec<EvaluateResponse>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct WatchRequest {
    #[prost(string, tag = "1")]
    pub(super) watch: String,
    #[prost(uint32, tag = "2")]
    pub(super) heartbeat_ms: u32,
    #[prost(string, tag = "3")]
    pub(super) last_event_id: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct WatchEvent {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(oneof = "Event", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) event: Option<Event>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
pub(super) enum Event {
    #[prost(message, tag = "2")]
    Hello(Hello),
    #[prost(message, tag = "3")]
    Ended(Ended),
    #[prost(message, tag = "4")]
    Policy(Policy),
    #[prost(message, tag = "5")]
    Reset(Reset),
    #[prost(message, tag = "6")]
    Draining(Draining),
    #[prost(message, tag = "7")]
    Heartbeat(Heartbeat),
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Hello {
    #[prost(uint64, tag = "1")]
    pub(super) heartbeat_ms: u64,
    #[prost(uint64, tag = "2")]
    pub(super) floor_ms: u64,
    #[prost(string, tag = "3")]
    pub(super) revision: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Ended {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) depends_on: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Policy {
    #[prost(string, tag = "1")]
    pub(super) revision: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Reset {}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Draining {
    #[prost(uint64, tag = "1")]
    pub(super) within_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Heartbeat {}

impl WatchEvent {
    /// An event at its place.
    pub(super) fn of(id: String, event: &types::WatchEvent) -> Self {
        let event = match event {
            types::WatchEvent::Hello { heartbeat, floor, revision } => {
                Event::Hello(Hello { heartbeat_ms: heartbeat.0, floor_ms: floor.0, revision: revision.as_str().to_owned() })
            }
            types::WatchEvent::Ended { reason, depends_on } => {
                let depends_on = depends_on.iter().map(ToString::to_string).collect();
                Event::Ended(Ended { reason: name(*reason).to_owned(), depends_on })
            }
            types::WatchEvent::Policy { revision } => Event::Policy(Policy { revision: revision.as_str().to_owned() }),
            types::WatchEvent::Reset {} => Event::Reset(Reset {}),
            types::WatchEvent::Draining { within } => Event::Draining(Draining { within_ms: within.0 }),
        };
        Self { id, event: Some(event) }
    }

    /// Nothing was told for a while.
    pub(super) const fn alive(id: String) -> Self {
        Self { id, event: Some(Event::Heartbeat(Heartbeat {})) }
    }
}

const fn name(reason: Ending) -> &'static str {
    match reason {
        Ending::Revoked => "revoked",
        Ending::Locked => "locked",
        Ending::Risk => "risk",
        Ending::Device => "device",
        Ending::Subject => "subject",
    }
}
