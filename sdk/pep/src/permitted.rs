//! The guard: proof, inside a handler, that this request was allowed, and for how long.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use countersign_sdk_client::Allow;
use countersign_sdk_types::{Action, Consistency, DecisionId, Entity, Obligation};
use http::StatusCode;
use http::request::Parts;

use crate::duty::About;
use crate::guarded::Guarded;
use crate::life::{Allowed, Ended, Life};

/// This request was allowed, for this action on this resource, and what the allow obliges to is done. Only the layer makes one, and only out of an allow.
///
/// ```
/// use countersign_sdk_pep::Permitted;
///
/// async fn payroll(permitted: Permitted) -> String {
///     format!("{} {} by decision {:?}", permitted.action().name, permitted.resource().id, permitted.decision_id())
/// }
/// ```
#[derive(Clone)]
pub struct Permitted(Arc<Inner>);

struct Inner {
    allow: Allow,
    about: Arc<About>,
    question: Arc<dyn Allowed>,
    /// A handler has had it.
    is_taken: AtomicBool,
    /// Something looks after it.
    is_used: AtomicBool,
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted").field("allow", &self.0.allow).field("about", &self.0.about).finish_non_exhaustive()
    }
}

impl Permitted {
    pub(crate) fn new(allow: Allow, about: Arc<About>, question: Arc<dyn Allowed>) -> Self {
        Self(Arc::new(Inner { allow, about, question, is_taken: AtomicBool::default(), is_used: AtomicBool::default() }))
    }

    /// What was allowed to be done.
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// println!("may {}", permitted.action().name);
    /// # }
    /// ```
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.0.about.action
    }

    /// With what it was allowed to be done.
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// println!("on {}", permitted.resource().id);
    /// # }
    /// ```
    #[must_use]
    pub fn resource(&self) -> &Entity {
        &self.0.about.resource
    }

    /// The id of the decision, for `countersign why`.
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// let id = permitted.decision_id().map(ToString::to_string);
    /// # }
    /// ```
    #[must_use]
    pub fn decision_id(&self) -> Option<&DecisionId> {
        self.0.allow.decision_id()
    }

    /// What the allow obliged to. All of it was carried out before the request passed.
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// println!("{} obligations were carried out", permitted.obligations().len());
    /// # }
    /// ```
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        self.0.allow.obligations()
    }

    /// How fresh the decision is: a floor for later ones ([`crate::AtLeast`]).
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// let floor = permitted.consistency().map(countersign_sdk_pep::AtLeast);
    /// # }
    /// ```
    #[must_use]
    pub fn consistency(&self) -> Option<Consistency> {
        self.0.allow.consistency()
    }

    /// An operator let this subject pass in an emergency.
    ///
    /// ```
    /// # fn shows(permitted: countersign_sdk_pep::Permitted) {
    /// if permitted.glass_is_broken() {
    ///     eprintln!("an emergency access was used");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn glass_is_broken(&self) -> bool {
        self.0.allow.glass_is_broken()
    }

    /// Waits until the decision is over: it ended, and the same question, asked again, is not allowed any more. For whatever a handler leaves running.
    ///
    /// ```
    /// # use countersign_sdk_pep::Permitted;
    /// # async fn next() {}
    /// async fn feed(permitted: Permitted) {
    ///     let mut over = permitted.ended();
    ///     loop {
    ///         tokio::select! {
    ///             _ = &mut over => break,
    ///             () = next() => {}
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ended(&self) -> Over {
        self.use_it();
        Over(self.life())
    }

    /// A socket that works as long as the decision holds: what is read then ends, and what is written fails. While the question is asked again, it waits.
    ///
    /// It is a `Stream`, a `Sink`, an `AsyncRead` and an `AsyncWrite`, as far as the socket is.
    ///
    /// ```
    /// use axum::extract::ws::{WebSocket, WebSocketUpgrade};
    /// use axum::response::Response;
    /// use countersign_sdk_pep::Permitted;
    /// use futures_util::{SinkExt as _, StreamExt as _};
    ///
    /// async fn chat(permitted: Permitted, upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.on_upgrade(|socket: WebSocket| async move {
    ///         let mut socket = permitted.guard(socket);
    ///         while let Some(Ok(message)) = socket.next().await {
    ///             if socket.send(message).await.is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn guard<S>(&self, socket: S) -> Guarded<S> {
        self.use_it();
        Guarded::new(socket, self.life())
    }

    pub(crate) fn life(&self) -> Life {
        Life::begin(&self.0.question, self.0.allow.clone())
    }

    fn use_it(&self) {
        self.0.is_used.store(true, Ordering::Relaxed);
    }

    /// Whether whoever handled the request can end what is left running: it looks after the decision, or it took the guard and still holds it.
    /// The layer, which asks, holds one too.
    pub(crate) fn is_looked_after(&self) -> bool {
        let is_held = || self.0.is_taken.load(Ordering::Relaxed) && Arc::strong_count(&self.0) > 1;
        self.0.is_used.load(Ordering::Relaxed) || is_held()
    }
}

/// Resolves when a decision is over ([`Permitted::ended`]).
///
/// ```
/// # async fn shows(permitted: countersign_sdk_pep::Permitted) {
/// let why = permitted.ended().await;
/// println!("{why}");
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Over(Life);

impl Future for Over {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        match ready!(self.0.poll(cx)) {
            Ok(()) => Poll::Pending,
            Err(ended) => Poll::Ready(ended),
        }
    }
}

/// A handler wants a guard on a route that the layer does not cover: a mistake of the application, answered with a 503.
///
/// ```
/// use axum_core::response::IntoResponse;
///
/// assert_eq!(countersign_sdk_pep::NotPermitted.into_response().status(), 503);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this route is not enforced")]
pub struct NotPermitted;

impl IntoResponse for NotPermitted {
    fn into_response(self) -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Permitted {
    type Rejection = NotPermitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotPermitted> {
        let permitted: Self = parts.extensions.get().cloned().ok_or(NotPermitted)?;
        permitted.0.is_taken.store(true, Ordering::Relaxed);
        Ok(permitted)
    }
}
