//! What is counted, in OpenMetrics text. Every label is one of a fixed list, but the names of the revisions that decide: no subject, address, host or path
//! ever becomes one.

mod labels;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_sdk_types::{DenialCode, Effect, Revision, Timestamp, WatchEvent};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use self::labels::{
    BatchOutcome, Door, FetchOutcome, ListenerName, ReloadOutcome, SearchOutcome, StepUpOutcome, StepUpStage, TrialChange, TrialOutcome,
    WatchTold, WebhookOutcome,
};

/// The media type of [`Metrics::render`] (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds, from what a decision in memory takes to what a proxy gives up after.
const BUCKETS: [f64; 14] = [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    effect: &'static str,
    code: &'static str,
    door: Door,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabel {
    door: Door,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: ListenerName,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepUpLabels {
    stage: StepUpStage,
    outcome: StepUpOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabel {
    event: WatchTold,
}

/// A revision is named by its content, and two are named at most: what is no longer true is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RevisionLabels {
    revision: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: TrialChange,
}

/// What is told of policies: which decides since when, which is tried with which share, and how many are held.
#[derive(Debug, Clone, Copy)]
pub struct PolicyGauges<'a> {
    /// What is active.
    pub active: &'a Revision,
    /// Since when.
    pub since: Timestamp,
    /// What is tried, and how many subjects of a hundred it answers.
    pub trial: Option<(&'a Revision, u8)>,
    /// How many contents are held.
    pub held: usize,
    /// What the source offers was refused.
    pub is_refused: bool,
}

type Histograms = Family<DoorLabel, Histogram, fn() -> Histogram>;

/// Everything that one process counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    decision_seconds: Histograms,
    requests_in_flight: Family<ListenerLabel, Gauge>,
    requests_shed: Family<ListenerLabel, Counter>,
    connections: Family<ListenerLabel, Gauge>,
    audit_lost: Counter,
    /// How many of them the store has told of.
    records_lost: AtomicU64,
    policy_reloads: Family<OutcomeLabel, Counter>,
    policies: Family<RevisionLabels, Gauge>,
    policy_since: Gauge,
    policy_held: Gauge,
    policy_refused: Gauge,
    trial_percent: Gauge,
    trial_decisions: Family<ChangeLabel, Counter>,
    trial_errors: Counter,
    trial_missed: Counter,
    trials: Family<OutcomeLabel, Counter>,
    policy_webhooks: Family<OutcomeLabel, Counter>,
    key_set_fetches: Family<OutcomeLabel, Counter>,
    step_ups: Family<StepUpLabels, Counter>,
    behavior_batches: Family<OutcomeLabel, Counter>,
    device_looks: Family<OutcomeLabel, Counter>,
    searches: Family<OutcomeLabel, Counter>,
    opa_events_lost: Counter,
    watches: Gauge,
    watch_events: Family<WatchLabel, Counter>,
    watch_resets: Counter,
    watches_closed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("countersign"),
            decisions: Family::default(),
            decision_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            requests_in_flight: Family::default(),
            requests_shed: Family::default(),
            connections: Family::default(),
            audit_lost: Counter::default(),
            records_lost: AtomicU64::new(0),
            policy_reloads: Family::default(),
            policies: Family::default(),
            policy_since: Gauge::default(),
            policy_held: Gauge::default(),
            policy_refused: Gauge::default(),
            trial_percent: Gauge::default(),
            trial_decisions: Family::default(),
            trial_errors: Counter::default(),
            trial_missed: Counter::default(),
            trials: Family::default(),
            policy_webhooks: Family::default(),
            key_set_fetches: Family::default(),
            step_ups: Family::default(),
            behavior_batches: Family::default(),
            device_looks: Family::default(),
            searches: Family::default(),
            opa_events_lost: Counter::default(),
            watches: Gauge::default(),
            watch_events: Family::default(),
            watch_resets: Counter::default(),
            watches_closed: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("decisions", "Decisions", self.decisions.clone());
        registry.register("decision_seconds", "Seconds from a parsed request to its decision", self.decision_seconds.clone());
        registry.register("requests_in_flight", "Requests in the handlers", self.requests_in_flight.clone());
        registry.register("requests_shed", "Requests refused because of overload", self.requests_shed.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("audit_lost", "Decisions whose record was lost", self.audit_lost.clone());
        registry.register("policy_reloads", "Looks at changed policies", self.policy_reloads.clone());
        registry.register("policy_info", "Which policy revisions decide", self.policies.clone());
        registry.register("policy_activated_timestamp_seconds", "When the active revision became so", self.policy_since.clone());
        registry.register("policy_held", "Contents that are not taken again by themselves", self.policy_held.clone());
        registry.register("policy_refused", "Whether what the source offers was refused", self.policy_refused.clone());
        registry.register("policy_trial_percent", "Subjects of a hundred that a candidate answers", self.trial_percent.clone());
        registry.register("policy_trial_decisions", "Decisions that a candidate was compared by", self.trial_decisions.clone());
        registry.register("policy_trial_errors", "Failures of a candidate where the active revision answers", self.trial_errors.clone());
        registry.register("policy_trial_missed", "Decisions that came too fast to be compared", self.trial_missed.clone());
        registry.register("policy_trials", "Trials that ended", self.trials.clone());
        registry.register("policy_webhooks", "News of policies that were told over the network", self.policy_webhooks.clone());
        registry.register("key_set_fetches", "Fetches of key sets", self.key_set_fetches.clone());
        registry.register("step_ups", "Stages of step-ups", self.step_ups.clone());
        registry.register("behavior_batches", "Batches of pointer actions from browsers", self.behavior_batches.clone());
        registry.register("device_looks", "What browsers told of their devices", self.device_looks.clone());
        registry.register("searches", "Pages of AuthZEN searches", self.searches.clone());
        registry.register("opa_events_lost", "Decisions missing from the decision log of OPA's clients", self.opa_events_lost.clone());
        registry.register("watches", "Open watches", self.watches.clone());
        registry.register("watch_events", "Events told, each once for all watches", self.watch_events.clone());
        registry.register("watch_resets", "Watches that had missed something when they came back or read on", self.watch_resets.clone());
        registry.register("watches_closed", "Watches that were closed because they did not read", self.watches_closed.clone());
        registry.register("build", "Which build this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }

    /// Events of the decision log of OPA's clients that nobody will see.
    pub fn opa_events_lost(&self, count: u64) {
        self.opa_events_lost.inc_by(count);
    }

    /// A decision was answered.
    pub fn decided(&self, door: Door, effect: Effect, code: Option<DenialCode>, elapsed: Duration) {
        let (effect, code) = (effect.as_str(), code.map_or("none", DenialCode::as_str));
        self.decisions.get_or_create(&DecisionLabels { effect, code, door }).inc();
        self.decision_seconds.get_or_create(&DoorLabel { door }).observe(elapsed.as_secs_f64());
    }

    /// A decision's record was not written where it was required, so that the decision was a deny.
    pub fn audit_lost(&self) {
        self.audit_lost.inc();
    }

    /// So many best-effort records the store has lost since it was opened. Each is counted once, however often it is told.
    pub fn records_lost(&self, total: u64) {
        let known = self.records_lost.fetch_max(total, Ordering::Relaxed);
        self.audit_lost.inc_by(total.saturating_sub(known));
    }

    /// Changed policies were looked at.
    pub fn policy_reloaded(&self, outcome: ReloadOutcome) {
        self.policy_reloads.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// Which policies decide now.
    pub fn policies(&self, now: PolicyGauges<'_>) {
        self.policies.clear();
        let name = |revision: &Revision, state| RevisionLabels { revision: revision.to_string(), state };
        self.policies.get_or_create(&name(now.active, "active")).set(1);
        if let Some((revision, _)) = now.trial {
            self.policies.get_or_create(&name(revision, "trial")).set(1);
        }
        self.policy_since.set(now.since.secs());
        self.policy_held.set(i64::try_from(now.held).unwrap_or(i64::MAX));
        self.policy_refused.set(i64::from(now.is_refused));
        self.trial_percent.set(now.trial.map_or(0, |(_, percent)| i64::from(percent)));
    }

    /// A candidate was compared by one decision.
    pub fn compared(&self, change: TrialChange, is_error: bool) {
        self.trial_decisions.get_or_create(&ChangeLabel { change }).inc();
        self.trial_errors.inc_by(u64::from(is_error));
    }

    /// Decisions came too fast to be compared.
    pub fn not_compared(&self, count: u64) {
        self.trial_missed.inc_by(count);
    }

    /// A trial ended.
    pub fn trial_ended(&self, outcome: TrialOutcome) {
        self.trials.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// Somebody told over the network that there are new policies.
    pub fn policy_webhook(&self, outcome: WebhookOutcome) {
        self.policy_webhooks.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// A key set was fetched, or was not.
    pub fn key_set_fetched(&self, outcome: FetchOutcome) {
        self.key_set_fetches.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// A stage of a step-up ended.
    pub fn stepped_up(&self, stage: StepUpStage, outcome: StepUpOutcome) {
        self.step_ups.get_or_create(&StepUpLabels { stage, outcome }).inc();
    }

    /// A browser told of the pointer.
    pub fn told_behavior(&self, outcome: BatchOutcome) {
        self.behavior_batches.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// A browser told what its device looks like.
    pub fn told_device(&self, outcome: BatchOutcome) {
        self.device_looks.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// A page of a search ended.
    pub fn searched(&self, outcome: SearchOutcome) {
        self.searches.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
    }

    /// A watch is open until the mark is dropped.
    #[must_use]
    pub fn watch(&self) -> Present {
        Present::of(&self.watches)
    }

    /// An event was told.
    pub fn watch_told(&self, event: &WatchEvent) {
        let event = match event {
            WatchEvent::Hello { .. } => WatchTold::Hello,
            WatchEvent::Ended { .. } => WatchTold::Ended,
            WatchEvent::Policy { .. } => WatchTold::Policy,
            WatchEvent::Reset {} => WatchTold::Reset,
            WatchEvent::Draining { .. } => WatchTold::Draining,
        };
        self.watch_events.get_or_create(&WatchLabel { event }).inc();
    }

    /// A watch had missed something.
    pub fn watch_reset(&self) {
        self.watch_resets.inc();
    }

    /// A watch was closed because it did not read.
    pub fn watch_closed(&self) {
        self.watches_closed.inc();
    }

    /// The meters of one listener.
    #[must_use]
    pub fn listener(&self, listener: ListenerName) -> ListenerMetrics {
        let label = ListenerLabel { listener };
        ListenerMetrics {
            in_flight: self.requests_in_flight.get_or_create_owned(&label),
            shed: self.requests_shed.get_or_create_owned(&label),
            connections: self.connections.get_or_create_owned(&label),
        }
    }

    /// Everything, as OpenMetrics text.
    ///
    /// # Errors
    /// When a value cannot be written as text.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }
}

/// What a front door counts.
#[derive(Debug, Clone, Default)]
pub struct ListenerMetrics {
    in_flight: Gauge,
    shed: Counter,
    connections: Gauge,
}

impl ListenerMetrics {
    /// A request was refused because too many are in the handlers.
    pub fn shed(&self) {
        self.shed.inc();
    }

    /// A request is in the handlers until the mark is dropped.
    #[must_use]
    pub fn request(&self) -> Present {
        Present::of(&self.in_flight)
    }

    /// A connection is open until the mark is dropped.
    #[must_use]
    pub fn connection(&self) -> Present {
        Present::of(&self.connections)
    }
}

/// Counts as present until it is dropped, however that happens.
#[derive(Debug)]
pub struct Present(Gauge);

impl Present {
    fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
