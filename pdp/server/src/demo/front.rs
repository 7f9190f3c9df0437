//! The one door of the demonstration: three hosts on one loopback port, and the place from which each request is said to come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use countersign_pdp_demo::application::{self, Application};
use countersign_pdp_demo::backstage::Scene;
use countersign_pdp_demo::visitor::{FROM, Stage};
use countersign_sdk_client::Client;
use subtle::ConstantTimeEq;
use tower::ServiceExt as _;

use crate::serve::{Decider, public_router};

/// The hosts and what is behind them.
pub(super) struct Front {
    stage: Stage,
    scene: Arc<Scene>,
    application: Router,
    public: Router,
}

impl Front {
    pub(super) fn new(
        stage: &Stage,
        scene: Arc<Scene>,
        decider: &Decider,
        application: Application,
        client: Client,
    ) -> Result<Self, String> {
        let origin = stage.url("payroll", "").parse().map_err(|error| format!("{error}"))?;
        let application = application::router(Arc::new(application), client, origin);
        Ok(Self { stage: stage.clone(), scene, application, public: public_router(decider) })
    }

    pub(super) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(Arc::new(self))
    }

    /// Where a request comes from: a visitor of the story says so with this run's secret; a browser is where the scene is.
    fn address(&self, headers: &HeaderMap) -> IpAddr {
        let said = headers.get(FROM).and_then(|said| said.to_str().ok()).and_then(|said| said.split_once(' '));
        let own = said.filter(|(secret, _)| bool::from(secret.as_bytes().ct_eq(self.stage.secret.as_bytes())));
        own.and_then(|(_, address)| address.parse().ok()).unwrap_or_else(|| self.scene.place().address())
    }

    fn is_host(&self, headers: &HeaderMap, name: &str) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        host.eq_ignore_ascii_case(&format!("{name}.localhost:{}", self.stage.port))
    }
}

async fn serve(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    let address = front.address(request.headers());
    request.headers_mut().remove(FROM);
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
    request.extensions_mut().insert(application::from(address));
    let on_auth_origin = front.is_host(request.headers(), "auth");
    let own_paths = request.uri().path().starts_with("/.countersign/");
    let service = match () {
        () if on_auth_origin => front.public.clone(),
        () if front.is_host(request.headers(), "payroll") && own_paths => front.public.clone(),
        () if front.is_host(request.headers(), "payroll") => front.application.clone(),
        // By address, or as plain `localhost`, there are no passkeys and no cookies of the right host: on to the name that has them.
        () => return Redirect::temporary(&front.stage.url("payroll", "/")).into_response(),
    };
    let response = service.oneshot(request).await.into_response();
    if on_auth_origin { with_way_back(response, &front.stage.url("payroll", "/")).await } else { response }
}

/// No page of the product is larger.
const MOST_PAGE: usize = 256 * 1024;
const END: &str = "</main>";

/// The product's pages know nothing of a demonstration; its visitor wants to find back from them.
async fn with_way_back(response: Response, home: &str) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"text/html")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(page) = to_bytes(body, MOST_PAGE).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let page = String::from_utf8_lossy(&page);
    let link = format!("<hr><p class=\"small\" lang=\"en\"><a href=\"{home}\">Back to the demonstration</a></p>{END}");
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page.replacen(END, &link, 1)))
}
