//! What an allow obliges to, and who carries it out. What nobody carries out is a deny.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk_client::Allow;
use countersign_sdk_types::{Action, DecisionId, Entity, Obligation};
use serde_json::{Map, Value};

/// How long one obligation may take, unless told.
const PATIENCE: Duration = Duration::from_secs(5);

/// Never carried out by a handler: a step-up is always a no, so an allow that comes with one is none.
const STEP_UP: &str = "step-up";

/// There is nothing to carry out, but who lists what is supported must list it: else an emergency would be refused.
const BREAK_GLASS: &str = "break-glass";

/// One obligation of one decision, as its handler sees it.
///
/// ```
/// use countersign_sdk_pep::Duty;
///
/// async fn notify(duty: Duty) -> Result<(), std::io::Error> {
///     let to = duty.properties().get("to").and_then(|to| to.as_str()).ok_or_else(|| std::io::Error::other("nobody to tell"))?;
///     println!("{to}: {} {} by decision {:?}", duty.action().name, duty.resource().id, duty.decision_id());
///     Ok(())
/// }
/// # fn shows(layer: countersign_sdk_pep::EnforceLayer<countersign_sdk_client::Client>) {
/// let layer = layer.obligation("notification", notify);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Duty {
    obligation: Obligation,
    decision: Option<DecisionId>,
    about: Arc<About>,
}

/// What a decision is about.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) action: Action,
    pub(crate) resource: Entity,
}

impl Duty {
    /// Distinguishes the obligations of one answer.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// println!("carrying out {}", duty.id());
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        &self.obligation.id
    }

    /// What is to be done.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// assert_ne!(duty.kind(), "step-up");
    /// # }
    /// ```
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.obligation.kind
    }

    /// What it is to be done with. The policy wrote it: what a handler needs and does not find is an error.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// let to = duty.properties().get("to").and_then(|to| to.as_str());
    /// # }
    /// ```
    #[must_use]
    pub const fn properties(&self) -> &Map<String, Value> {
        &self.obligation.properties
    }

    /// What is about to be done.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// println!("somebody is about to {}", duty.action().name);
    /// # }
    /// ```
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.about.action
    }

    /// With what it is about to be done.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// println!("{} is about to be used", duty.resource().id);
    /// # }
    /// ```
    #[must_use]
    pub fn resource(&self) -> &Entity {
        &self.about.resource
    }

    /// The decision that obliges.
    ///
    /// ```
    /// # fn shows(duty: countersign_sdk_pep::Duty) {
    /// let id = duty.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub const fn decision_id(&self) -> Option<&DecisionId> {
        self.decision.as_ref()
    }
}

type Carried = Pin<Box<dyn Future<Output = bool> + Send>>;
type Handler = Arc<dyn Fn(Duty) -> Carried + Send + Sync>;

/// The handlers of an application.
#[derive(Clone)]
pub(crate) struct Duties {
    handlers: BTreeMap<String, Handler>,
    patience: Duration,
}

impl fmt::Debug for Duties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duties").field("handlers", &self.handlers.keys()).field("patience", &self.patience).finish()
    }
}

impl Default for Duties {
    fn default() -> Self {
        Self { handlers: BTreeMap::new(), patience: PATIENCE }
    }
}

impl Duties {
    pub(crate) fn add<F, C, E>(&mut self, kind: String, handler: F)
    where
        F: Fn(Duty) -> C + Send + Sync + 'static,
        C: Future<Output = Result<(), E>> + Send + 'static,
    {
        if kind == STEP_UP {
            return;
        }
        let handler = move |duty| -> Carried {
            let carried = handler(duty);
            Box::pin(async move { carried.await.is_ok() })
        };
        self.handlers.insert(kind, Arc::new(handler));
    }

    pub(crate) const fn wait(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The types that are carried out here. An application that carries out nothing says nothing, and its client denies what obliges.
    pub(crate) fn supported(&self) -> Vec<String> {
        let more = (!self.handlers.is_empty()).then(|| BREAK_GLASS.to_owned());
        self.handlers.keys().cloned().chain(more).collect()
    }

    /// Carries out what an allow obliges to and `before` did not, each once; true when all of it is done. What fails does not keep the rest from being done.
    pub(crate) async fn carry_out(&self, allow: &Allow, before: &[Obligation], about: &Arc<About>) -> bool {
        let mut all = true;
        for obligation in allow.obligations().iter().filter(|obligation| !before.contains(obligation)) {
            let duty = Duty { obligation: obligation.clone(), decision: allow.decision_id().cloned(), about: Arc::clone(about) };
            all &= self.carry(duty).await;
        }
        all
    }

    async fn carry(&self, duty: Duty) -> bool {
        match self.handlers.get(duty.kind()) {
            Some(handler) => tokio::time::timeout(self.patience, handler(duty)).await.unwrap_or(false),
            None => duty.kind() == BREAK_GLASS,
        }
    }
}
