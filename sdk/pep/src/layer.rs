//! The tower layer: asks, and lets pass only what is allowed, and only as long as it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_core::body::Body;
use countersign_sdk_client::{Answer, Question};
use countersign_sdk_types::Consistency;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer;
use crate::asker::Asker;
use crate::duty::{About, Duties, Duty};
use crate::guarded::GuardedBody;
use crate::life::{Allowed, Asked};
use crate::permitted::Permitted;
use crate::point::DecisionPoint;
use crate::question::{self, Origin};

/// How fresh the answer to a request must be. An application puts it into the request's extensions, from what it keeps of an earlier decision or change:
/// without such an answer, the request does not pass.
///
/// ```
/// use countersign_sdk_pep::AtLeast;
/// use countersign_sdk_types::Consistency;
///
/// let mut request = http::Request::new(());
/// let seen: Consistency = "00000000000000ff-7".to_owned().try_into()?;
/// request.extensions_mut().insert(AtLeast(seen));
/// # Ok::<(), countersign_sdk_types::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeast(pub Consistency);

/// Puts [`Enforce`] around a service. On an axum `Router`, use `layer` (it covers the fallback) rather than `route_layer`.
///
/// ```
/// use axum::{Router, routing::get};
/// use countersign_sdk_client::Client;
/// use countersign_sdk_pep::{EnforceLayer, Permitted};
///
/// async fn payroll(permitted: Permitted) -> String {
///     format!("{} is allowed here\n", permitted.action().name)
/// }
///
/// let client = Client::builder("http://127.0.0.1:8180").pep("payroll", "the shared secret").build()?;
/// let app: Router = Router::new().route("/payroll", get(payroll)).layer(EnforceLayer::new(client, "https://payroll.example".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EnforceLayer<P> {
    point: P,
    rules: Arc<Rules>,
}

/// What holds for every request.
#[derive(Debug, Clone)]
struct Rules {
    origin: Origin,
    duties: Arc<Duties>,
    upgrades: Upgrades,
}

/// Connections that become something else than HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrades {
    /// Only where the handler keeps its guard, by which it can end them.
    Guarded,
    /// All.
    All,
}

impl<P: DecisionPoint> EnforceLayer<P> {
    /// Asks `point` about every request to the application published at `origin`.
    ///
    /// ```
    /// use countersign_sdk_client::Client;
    /// use countersign_sdk_pep::EnforceLayer;
    ///
    /// let client = Client::builder("http://127.0.0.1:8180").pep("payroll", "the shared secret").build()?;
    /// let layer = EnforceLayer::new(client, "https://payroll.example".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(point: P, origin: Origin) -> Self {
        let rules = Rules { origin, duties: Arc::default(), upgrades: Upgrades::Guarded };
        Self { point, rules: Arc::new(rules) }
    }

    /// Carries out obligations of this type before a request passes: once for each that comes with an allow, in their order. When one fails, or is not done
    /// in time, the rest are carried out all the same, and the request is refused with a 403. An allow with an obligation that nobody carries out is a deny.
    ///
    /// A handler for `step-up` is never asked: a step-up is a no.
    ///
    /// ```
    /// # fn shows(layer: countersign_sdk_pep::EnforceLayer<countersign_sdk_client::Client>) {
    /// use countersign_sdk_pep::Duty;
    ///
    /// let layer = layer.obligation("notification", |duty: Duty| async move {
    ///     println!("{:?} was read", duty.resource().id);
    ///     Ok::<(), std::io::Error>(())
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn obligation<F, C, E>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Duty) -> C + Send + Sync + 'static,
        C: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.duties().add(kind.into(), handler);
        self
    }

    /// How long one obligation may take. Five seconds unless told.
    ///
    /// ```
    /// # fn shows(layer: countersign_sdk_pep::EnforceLayer<countersign_sdk_client::Client>) {
    /// let layer = layer.obligation_deadline(std::time::Duration::from_millis(500));
    /// # }
    /// ```
    #[must_use]
    pub fn obligation_deadline(mut self, deadline: Duration) -> Self {
        self.duties().wait(deadline);
        self
    }

    /// Lets connections be upgraded by handlers that do not keep their [`Permitted`]: nothing then ends them when the decision does. Without this, such an
    /// upgrade is answered with a 503.
    ///
    /// ```
    /// # fn shows(layer: countersign_sdk_pep::EnforceLayer<countersign_sdk_client::Client>) {
    /// let layer = layer.dangerous_unguarded_upgrades();
    /// # }
    /// ```
    #[must_use]
    pub fn dangerous_unguarded_upgrades(mut self) -> Self {
        Arc::make_mut(&mut self.rules).upgrades = Upgrades::All;
        self
    }

    fn duties(&mut self) -> &mut Duties {
        Arc::make_mut(&mut Arc::make_mut(&mut self.rules).duties)
    }
}

impl<S, P: Clone> Layer<S> for EnforceLayer<P> {
    type Service = Enforce<S, P>;

    fn layer(&self, inner: S) -> Enforce<S, P> {
        Enforce { inner, point: self.point.clone(), rules: Arc::clone(&self.rules) }
    }
}

/// A service that is reached by allowed requests only ([`EnforceLayer`] makes it).
///
/// ```
/// use axum::Router;
/// use countersign_sdk_client::Client;
/// use countersign_sdk_pep::{Enforce, EnforceLayer};
/// use tower_layer::Layer;
///
/// fn enforced(app: Router, layer: &EnforceLayer<Client>) -> Enforce<Router, Client> {
///     layer.layer(app)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Enforce<S, P> {
    inner: S,
    point: P,
    rules: Arc<Rules>,
}

impl<S, P, B> Service<Request<B>> for Enforce<S, P>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    P: DecisionPoint,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one that is called; the clone takes its place.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let (point, rules) = (self.point.clone(), Arc::clone(&self.rules));
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // A guard of an outer layer was for another origin.
            parts.extensions.remove::<Permitted>();
            let asker = Asker::of(&parts);
            let tunnel = parts.method == Method::CONNECT;
            let permitted = match rules.enforce(&parts, asker, point).await {
                Ok(permitted) => permitted,
                Err(refusal) => return Ok(*refusal),
            };
            parts.extensions.insert(permitted.clone());
            let response = inner.call(Request::from_parts(parts, body)).await?;
            Ok(rules.guard(response, asker, tunnel, &permitted))
        })
    }
}

impl Rules {
    /// The guard, or what the client gets instead.
    async fn enforce<P: DecisionPoint>(&self, parts: &Parts, asker: Asker, point: P) -> Result<Permitted, Box<Response<Body>>> {
        let asked = question::ask(parts, &self.origin).map_err(|_| answer::ambiguous(asker))?;
        let about = Arc::new(About { action: asked.action.clone(), resource: asked.resource.clone() });
        let mut question = Question::new(asked).supporting(self.duties.supported());
        if let Some(AtLeast(floor)) = parts.extensions.get() {
            question = question.at_least(*floor);
        }
        let allow = match point.evaluate(&question).await {
            Ok(Answer::Allow(allow)) => allow,
            Ok(Answer::StepUp(step_up)) => return Err(Box::new(answer::step_up(&step_up, asker))),
            Ok(Answer::Deny(deny)) => return Err(Box::new(answer::deny(&deny, asker))),
            Err(_) => return Err(Box::new(answer::unavailable(asker))),
        };
        if !self.duties.carry_out(&allow, &[], &about).await {
            return Err(Box::new(answer::undone(&allow, asker)));
        }
        let asked: Arc<dyn Allowed> = Arc::new(Asked { point, question, duties: Arc::clone(&self.duties), about: Arc::clone(&about) });
        Ok(Permitted::new(allow, about, asked))
    }

    /// What outlives this answer does not outlive its decision.
    fn guard(&self, response: Response<Body>, asker: Asker, tunnel: bool, permitted: &Permitted) -> Response<Body> {
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS || tunnel && response.status().is_success();
        if upgrades && self.upgrades == Upgrades::Guarded && !permitted.is_looked_after() {
            return answer::unavailable(asker);
        }
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(GuardedBody::new(body, permitted.life())))
    }
}

#[cfg(test)]
mod tests;
