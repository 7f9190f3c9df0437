//! What enforcement points send and are told, as schemas. The messages are read member by member and not as these types; the tests hold the two together.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoResponses, ToSchema};

use super::schema::{consistency, consistency_or_null, epoch, tag, watch_or_null};

/// A subject or a resource (AuthZEN §5).
#[derive(Serialize, ToSchema)]
pub(super) struct Entity {
    /// The kind of entity, such as `user` or `record`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Its name within that kind.
    pub(super) id: String,
    /// What the caller states of it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub(super) properties: Map<String, Value>,
}

/// A kind of entity that is searched for: an id is ignored.
#[derive(Serialize, ToSchema)]
pub(super) struct Kind {
    /// The kind of entity.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What the caller states of each.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub(super) properties: Map<String, Value>,
}

/// What the subject wants to do.
#[derive(Serialize, ToSchema)]
pub(super) struct Action {
    /// The name of the action, such as `read` or `GET`.
    pub(super) name: String,
    /// What the caller states of it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub(super) properties: Map<String, Value>,
}

/// Under which circumstances. Names that the decision point computes are refused, but for `ip` and `time`, which are kept beside what is computed.
#[derive(Serialize, ToSchema)]
pub(super) struct AskedContext {
    /// The subject's own request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) http: Option<Http>,
    /// The types of obligations that the caller carries out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) supported_obligations: Option<Vec<String>>,
    /// What is wanted of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) countersign: Option<Wanted>,
}

/// The subject's own request, handed on whole.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// Its method.
    #[schema(pattern = "^[A-Z-]{1,32}$")]
    pub(super) method: String,
    /// How it arrived.
    #[schema(schema_with = scheme)]
    pub(super) scheme: String,
    /// The host that it is for, with its port where that is not the scheme's own.
    #[schema(min_length = 1)]
    pub(super) host: String,
    /// Path and query, as they arrived.
    #[schema(min_length = 1)]
    pub(super) target: String,
    /// Pairs of name and value.
    #[schema(required = false, schema_with = headers)]
    pub(super) headers: Vec<(String, String)>,
    /// The client's address, from a caller that may assert it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_address: Option<String>,
}

fn scheme() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["http", "https"])).build()
}

fn headers() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String);
    let pair = ArrayBuilder::new().items(text).min_items(Some(2)).max_items(Some(2));
    ArrayBuilder::new().items(pair).build()
}

/// What is wanted of the answer.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// A lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) lease: Option<WantedLease>,
    /// An answer that is at least this fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, schema_with = consistency_or_null)]
    pub(super) at_least: Option<String>,
}

/// The lease that is asked for.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedLease {
    /// The longest that is of use.
    pub(super) ttl_ms: u64,
    /// The name of the watch of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, schema_with = watch_or_null)]
    pub(super) watch: Option<String>,
}

/// A question (AuthZEN §6).
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationRequest)]
pub(crate) struct Asked {
    /// Who asks.
    pub(super) subject: Entity,
    /// To do what.
    pub(super) action: Action,
    /// With what.
    pub(super) resource: Entity,
    /// Under which circumstances.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) context: Option<AskedContext>,
}

/// Many questions (AuthZEN §7). An item takes from the request what it has none of its own of; without items, the request is one question.
#[derive(ToSchema)]
#[schema(as = EvaluationsRequest)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct AskedMany {
    /// For items without one; what is wrong with it is told in the place of each that takes it.
    #[schema(nullable = false, value_type = Option<Object>)]
    subject: Option<Entity>,
    /// For items without one.
    #[schema(nullable = false, value_type = Option<Object>)]
    action: Option<Action>,
    /// For items without one.
    #[schema(nullable = false, value_type = Option<Object>)]
    resource: Option<Entity>,
    /// For items without one.
    #[schema(nullable = false, value_type = Option<Object>)]
    context: Option<AskedContext>,
    /// The questions.
    #[schema(nullable = false, max_items = 1000)]
    evaluations: Option<Vec<Item>>,
    /// Until when they are asked.
    #[schema(nullable = false)]
    options: Option<Options>,
}

/// One of many questions. What is wrong with it is told in its place.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Item {
    #[schema(nullable = false)]
    subject: Option<Value>,
    #[schema(nullable = false)]
    action: Option<Value>,
    #[schema(nullable = false)]
    resource: Option<Value>,
    #[schema(nullable = false)]
    context: Option<Value>,
}

/// Until when questions are asked.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Options {
    #[schema(nullable = false)]
    evaluations_semantic: Option<Semantic>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// An answer. A step-up is `decision: false` with one obligation of the type `step-up`.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationResponse)]
pub(crate) struct Decided {
    /// True only for an allow, whose obligations must be carried out.
    pub(super) decision: bool,
    /// What comes with it.
    pub(super) context: DecidedContext,
}

/// What comes with an answer.
#[derive(Serialize, ToSchema)]
pub(super) struct DecidedContext {
    /// The decision, for `countersign why`.
    pub(super) id: String,
    /// How fresh it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, schema_with = consistency)]
    pub(super) consistency: Option<String>,
    /// Leave to repeat an allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) lease: Option<Lease>,
    /// What must be carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) obligations: Option<Vec<Obligation>>,
    /// Why not, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) reason: Option<String>,
    /// The level that is asked for (RFC 9470).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) acr_values: Option<String>,
    /// The methods that reach it, by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) amr_values: Option<String>,
    /// How old the proof may be, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) max_age: Option<u64>,
    /// Where a browser performs the ceremony.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) step_up: Option<Ceremony>,
    /// In a batch: what would have been an HTTP error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) error: Option<Failed>,
}

/// Where a browser performs the ceremony.
#[derive(Serialize, ToSchema)]
pub(super) struct Ceremony {
    pub(super) url: String,
}

/// What would have been an HTTP error.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed {
    #[schema(minimum = 400, maximum = 599)]
    pub(super) status: u16,
    pub(super) message: String,
}

/// Something that an enforcement point must do with an answer (AuthZEN Obligations profile 1.0).
#[derive(Serialize, ToSchema)]
pub(super) struct Obligation {
    /// Distinguishes obligations within one answer.
    pub(super) id: String,
    /// What is to be done, such as `step-up`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What it is to be done with.
    #[schema(value_type = Object)]
    pub(super) properties: Map<String, Value>,
}

/// Leave to repeat an allow for the same question without asking again.
#[derive(Serialize, ToSchema)]
pub(super) struct Lease {
    /// How long, at most; from before the question was sent.
    pub(super) ttl_ms: u64,
    /// What was told before the facts were read.
    #[schema(schema_with = epoch)]
    pub(super) epoch: String,
    /// The policy that allowed it.
    pub(super) revision: String,
    /// The risk stays below this.
    #[schema(minimum = 0, maximum = 100)]
    pub(super) risk_below: u8,
    /// What it rests on.
    #[schema(schema_with = tags)]
    pub(super) depends_on: Vec<String>,
}

fn tags() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(tag()).build()
}

/// Many answers, in order.
#[derive(ToSchema)]
#[schema(as = EvaluationsResponse)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct DecidedAll {
    evaluations: Vec<Decided>,
}

/// Many answers; one, where there were no items.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
#[expect(clippy::large_enum_variant, reason = "it is never made")]
pub(crate) enum DecidedMany {
    Many(DecidedAll),
    One(Decided),
}

/// Which page is wanted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct WantedPage {
    /// From the page before.
    #[schema(nullable = false)]
    token: Option<String>,
    /// The most results.
    #[schema(nullable = false)]
    limit: Option<u64>,
}

/// Who may do it? (AuthZEN §8.4)
#[derive(ToSchema)]
#[schema(as = SubjectSearchRequest)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct SearchedSubject {
    subject: Kind,
    action: Action,
    resource: Entity,
    #[schema(nullable = false)]
    context: Option<AskedContext>,
    #[schema(nullable = false)]
    page: Option<WantedPage>,
}

/// With what may it be done? (AuthZEN §8.5)
#[derive(ToSchema)]
#[schema(as = ResourceSearchRequest)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct SearchedResource {
    subject: Entity,
    action: Action,
    resource: Kind,
    #[schema(nullable = false)]
    context: Option<AskedContext>,
    #[schema(nullable = false)]
    page: Option<WantedPage>,
}

/// What may be done? (AuthZEN §8.6)
#[derive(ToSchema)]
#[schema(as = ActionSearchRequest)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct SearchedAction {
    subject: Entity,
    resource: Entity,
    #[schema(nullable = false)]
    context: Option<AskedContext>,
    #[schema(nullable = false)]
    page: Option<WantedPage>,
}

/// A page of results.
#[derive(ToSchema)]
#[schema(as = SearchResponse)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Found {
    /// There is more where it is not empty.
    #[schema(nullable = false)]
    page: Option<FoundPage>,
    #[schema(value_type = Object)]
    context: Value,
    /// Entities of the kind that was searched for, or actions.
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
}

/// Where the next page begins.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct FoundPage {
    /// Empty where there is none.
    next_token: String,
    count: usize,
    #[schema(nullable = false, value_type = Option<Object>)]
    properties: Option<Value>,
}

/// What is offered, and where (AuthZEN §9).
#[derive(ToSchema)]
#[schema(as = DecisionPointMetadata)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Metadata {
    /// The identifier.
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    #[schema(nullable = false)]
    search_subject_endpoint: Option<String>,
    #[schema(nullable = false)]
    search_resource_endpoint: Option<String>,
    #[schema(nullable = false)]
    search_action_endpoint: Option<String>,
    /// The types of obligations that an answer may carry.
    supported_obligations: Vec<String>,
    /// The same, signed.
    #[schema(nullable = false)]
    signed_metadata: Option<String>,
}

/// What an API says instead of an answer: one sentence. None of it is an allow.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum NotAsked {
    /// The question is not one of this form.
    #[response(status = 400, content_type = "text/plain; charset=utf-8")]
    Malformed(String),
    /// Not a known enforcement point.
    #[response(status = 401, content_type = "text/plain; charset=utf-8", headers(("WWW-Authenticate" = String)))]
    Unknown(String),
    /// An enforcement point that may not use this API.
    #[response(status = 403, content_type = "text/plain; charset=utf-8")]
    NotAllowed(String),
    /// The body is larger than 256 KiB.
    #[response(status = 413, content_type = "text/plain; charset=utf-8")]
    TooLarge(String),
    /// The target is far too long; without a body.
    #[response(status = 414)]
    TooLong,
    /// Too many of this kind at once.
    #[response(status = 429, content_type = "text/plain; charset=utf-8", headers(("Retry-After" = String)))]
    Busy(String),
}

/// An event of a watch.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum WatchEvent {
    /// The first of a watch: from now on, everything is told.
    Hello {
        /// Something is told at least this often.
        heartbeat_ms: u64,
        /// How long a lease may still be used when the watch is lost.
        floor_ms: u64,
        /// The active policy.
        revision: String,
    },
    /// Leases that rest on any of these end.
    Ended {
        /// Why.
        reason: Ending,
        /// The names.
        #[schema(schema_with = tags)]
        depends_on: Vec<String>,
    },
    /// Leases of every other policy end.
    Policy {
        /// The policy that is active now.
        revision: String,
    },
    /// Every lease ends.
    Reset {},
    /// This decision point is about to end.
    Draining {
        /// The longest to wait.
        within_ms: u64,
    },
}

/// Why something is no longer what it was.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Ending {
    Revoked,
    Locked,
    Risk,
    Device,
    Subject,
}

/// Follows what ends leases.
///
/// Server-sent events: `id` is the position, `event` the type, `data` one `WatchEvent`. The first is `hello`. With `Last-Event-ID`, what was missed follows, or
/// one `reset`. A comment line is a heartbeat.
#[utoipa::path(
    get,
    path = "/countersign/v1/watch",
    operation_id = "watch",
    params(
        ("watch" = Option<String>, Query, description = "The name of this watch, as in `context.countersign.lease`.",
            min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$"),
        ("heartbeat_ms" = Option<u64>, Query, description = "Tell something at least this often; bounded to 1,000..60,000."),
        ("Last-Event-ID" = Option<String>, Header, description = "The last position that was heard."),
    ),
    responses(
        (status = 200, body = WatchEvent, content_type = "text/event-stream", description = "The events, until either side ends it."),
        (status = 503, body = String, content_type = "text/plain; charset=utf-8", description = "There are as many watches as there may be."),
        NotAsked
    )
)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) const fn watch_events() {}

/// The watch. Its handler serves two listeners, and is described here.
#[derive(utoipa::OpenApi)]
#[openapi(paths(watch_events), components(schemas(WatchEvent)))]
pub(super) struct Watching;

/// What a proxy is told. The status is the answer, and no refusal has one of success.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum Door {
    /// The request may pass.
    #[response(status = 200)]
    Pass,
    /// The person is led to the ceremony.
    #[response(status = 302, headers(("Location" = String)))]
    StepUp,
    /// It cannot be understood.
    #[response(status = 400)]
    Malformed,
    /// No proof of who it is, not a sufficient one, or the proxy is not known.
    #[response(status = 401)]
    Unauthenticated,
    /// No.
    #[response(status = 403)]
    Denied,
    /// Something of our own is not there.
    #[response(status = 503)]
    Unavailable,
}
