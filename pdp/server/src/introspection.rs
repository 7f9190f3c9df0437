//! Asks issuers about their tokens (RFC 7662): one question at a time about one token, in bounded time and space, and the answer kept for a moment. What
//! is kept are claims, never a decision: they are checked anew on each request, and a revocation here wins over them at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::identify::Introspected;
use countersign_sdk_types::{DenialCode, Digest, Seconds, Timestamp};
use moka::sync::Cache;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::outbound::{Bounds, Endpoint, UrlError, UrlOptions};

/// Answers that are kept.
const MOST: u64 = 100_000;
/// Questions that are open at one time. Who comes beyond is refused.
const MOST_OPEN: usize = 256;
/// An answer, and how long one may take. It is kept also when nobody waits for it any longer.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(5), most: 16 * 1024 };
/// How long a no is kept: a token that is not active yet may be soon, and guessing costs the issuer nothing.
const NO_LIFE: Seconds = Seconds(5);

/// The endpoint of an issuer.
#[derive(Debug)]
pub struct Source {
    endpoint: Endpoint,
    authorization: HeaderValue,
    life: Seconds,
}

impl Source {
    /// An endpoint, the client that this decision point is to it, and how long its answers are kept at most.
    ///
    /// # Errors
    /// When the URL is none that may be asked.
    pub fn new(url: &str, options: &UrlOptions, client: (&str, &str), life: Seconds) -> Result<Self, UrlError> {
        // RFC 6749 §2.3.1: both are encoded as in a form before they are put together.
        let [id, secret] = [client.0, client.1].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let mut authorization = HeaderValue::from_str(&basic).map_err(|_| UrlError::Url("client".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self { endpoint: Endpoint::new(url, options)?, authorization, life })
    }

    async fn ask(&self, iss: &str, token: &str) -> Result<Introspected, Denial> {
        let failed = |why: String| Denial::new(DenialCode::FactsUnavailable, format!("introspection at `{iss}`: {why}"));
        let request = self
            .endpoint
            .request(Method::POST)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "identity");
        let form = format!("token={}&token_type_hint=access_token", utf8_percent_encode(token, NON_ALPHANUMERIC));
        let answer = self.endpoint.ask(request, Bytes::from(form), BOUNDS).await.map_err(|error| failed(error.to_string()))?;
        if answer.status != StatusCode::OK {
            return Err(failed(format!("endpoint answered with status {}", answer.status)));
        }
        if !is_json(&answer.headers) {
            return Err(failed("endpoint answered with something else than JSON".to_owned()));
        }
        Introspected::read(iss, token, &answer.body)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The issuers that are asked, what they answered, and what they are being asked.
#[derive(Debug)]
pub struct Introspection {
    sources: BTreeMap<String, Source>,
    kept: Cache<Digest, Kept>,
    open: Mutex<HashMap<Digest, Waiting>>,
    clock: Clock,
}

#[derive(Debug, Clone)]
struct Kept {
    answer: Arc<Introspected>,
    until: Timestamp,
}

/// How the question ended, once it has.
type Waiting = watch::Receiver<Option<Result<(), Denial>>>;

impl Introspection {
    /// Nobody was asked yet.
    #[must_use]
    pub fn new(sources: BTreeMap<String, Source>, clock: Clock) -> Arc<Self> {
        let longest = sources.values().map(|source| source.life.0).max().unwrap_or(0);
        let kept = Cache::builder().max_capacity(MOST).time_to_live(Duration::from_secs(longest.max(NO_LIFE.0))).build();
        Arc::new(Self { sources, kept, open: Mutex::default(), clock })
    }

    /// What was answered about a token a moment ago.
    #[must_use]
    pub fn known(&self, token: &str, now: Timestamp) -> Option<Arc<Introspected>> {
        if self.sources.is_empty() {
            return None;
        }
        self.kept.get(&name(token)).filter(|kept| kept.until > now).map(|kept| kept.answer)
    }

    /// Until when the answer counts that a token is active; `None` when that is not what was answered, or not any more.
    #[must_use]
    pub fn active_until(&self, token: &str, now: Timestamp) -> Option<Timestamp> {
        self.kept.get(&name(token)).filter(|kept| kept.until > now && kept.answer.is_active()).map(|kept| kept.until)
    }

    /// Asks about a token, once however many want to know; [`Introspection::known`] has the answer then.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn ask(self: &Arc<Self>, iss: &str, token: &str, within: Duration) -> Result<(), Denial> {
        let mut ended = self.begin(iss, token)?;
        let late = || Denial::new(DenialCode::FactsUnavailable, format!("introspection at `{iss}` takes too long"));
        let ended = tokio::time::timeout(within, ended.wait_for(Option::is_some)).await.map_err(|_| late())?;
        ended.map_err(|_| late())?.clone().unwrap_or_else(|| Err(late()))
    }

    /// Joins the question about this token, or opens it.
    fn begin(self: &Arc<Self>, iss: &str, token: &str) -> Result<Waiting, Denial> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = open.get(&name(token)) {
            return Ok(waiting.clone());
        }
        if open.len() >= MOST_OPEN {
            return Err(Denial::new(DenialCode::Overloaded, "more tokens to ask about than can be asked at one time"));
        }
        let (ended, waiting) = watch::channel(None);
        open.insert(name(token), waiting.clone());
        let (own, iss, token) = (Arc::clone(self), iss.to_owned(), token.to_owned());
        tokio::spawn(async move {
            let _closes = Open { of: &own, name: name(&token) };
            let outcome = own.look(&iss, &token).await;
            ended.send_replace(Some(outcome));
        });
        Ok(waiting)
    }

    async fn look(&self, iss: &str, token: &str) -> Result<(), Denial> {
        let unknown = || Denial::new(DenialCode::Internal, "an issuer without an introspection endpoint");
        let source = self.sources.get(iss).ok_or_else(unknown)?;
        let answer = source.ask(iss, token).await.inspect_err(|denial| tracing::warn!(issuer = iss, "{}", denial.detail()))?;
        let now = self.clock.now();
        let until = now.after(if answer.is_active() { source.life } else { NO_LIFE.min(source.life) });
        // A moment in any case, so that whoever asked reads that it has ended, and not that nobody answered.
        let until = answer.expires().map_or(until, |expires| until.min(expires)).max(now.after(Seconds(1)));
        self.kept.insert(name(token), Kept { answer: Arc::new(answer), until });
        Ok(())
    }
}

/// An open question; it is closed however it ends.
struct Open<'a> {
    of: &'a Introspection,
    name: Digest,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.of.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// A token as it is kept.
fn name(token: &str) -> Digest {
    Digest(*blake3::Hasher::new_derive_key("countersign introspected token 1").update(token.as_bytes()).finalize().as_bytes())
}

#[cfg(test)]
mod tests;
