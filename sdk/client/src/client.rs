//! The client: what is kept answers at once, the rest is asked, address by address, within one deadline.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_sdk_types::{EvaluationRequest, Wanted, WantedLease, WatchName};
use http::HeaderMap;
use serde_json::json;

use crate::address::Address;
use crate::answer::{Allow, Answer};
use crate::breaker::Admission;
use crate::builder::Builder;
use crate::clock::{Clock, Tick, nanos};
use crate::error::{Error, ErrorKind};
use crate::lease::Rules;
use crate::question::Question;
use crate::status::{AddressStatus, Circuit, Status, Watching};
use crate::watch;
use crate::wire::Said;

/// How long an allow without a lease is relied on by whatever outlives its request.
pub const UNLEASED: Duration = Duration::from_secs(5);

/// The most bytes of questions in one request: the decision point reads 256 KiB.
const MOST_BYTES: usize = 224 * 1024;

/// The member of the context that is the client's own.
const OWN: &str = "countersign";

/// A client of one decision point, or of several that are one. Clones share their connections and what is kept; the last one ends the watch.
///
/// ```no_run
/// # async fn ask(question: countersign_sdk_client::Question) -> Result<(), countersign_sdk_client::Error> {
/// use std::time::Duration;
/// use countersign_sdk_client::{Answer, Client};
///
/// let client = Client::builder("https://pdp-a.example")
///     .address("https://pdp-b.example")
///     .pep("payroll", "the shared secret")
///     .leases(Duration::from_secs(30))
///     .build()?;
/// let may_pass = matches!(client.evaluate(&question).await?, Answer::Allow(_));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    watch: Mutex<Option<tokio::task::AbortHandle>>,
}

/// What the client and its watch share.
pub(crate) struct Shared {
    pub(crate) addresses: Vec<Address>,
    pub(crate) credentials: HeaderMap,
    pub(crate) rules: Rules,
    pub(crate) clock: Clock,
    pub(crate) name: WatchName,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) deadline: Duration,
    /// The leases that are asked for.
    pub(crate) leases: Option<Duration>,
    /// The most questions in one request.
    pub(crate) batch: usize,
    /// The address that answered last.
    pub(crate) answering: AtomicUsize,
    /// The address that is watched, or none that there is.
    pub(crate) watching: AtomicUsize,
}

const NONE: usize = usize::MAX;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<_> = self.inner.shared.addresses.iter().map(Address::url).collect();
        f.debug_struct("Client").field("addresses", &urls).field("deadline", &self.inner.shared.deadline).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner) {
            watch.abort();
        }
    }
}

impl Client {
    /// Begins a client of the decision point at `url`, such as `https://pdp.example`.
    ///
    /// ```
    /// # use countersign_sdk_client::Client;
    /// let client = Client::builder("http://127.0.0.1:8181").pep("payroll", "the shared secret").build();
    /// assert!(client.is_ok());
    /// ```
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { inner: Arc::new(Inner { shared: Arc::new(shared), watch: Mutex::default() }) }
    }

    /// Asks one question. Where the client keeps allows, one that may still be used answers without asking.
    ///
    /// ```no_run
    /// # async fn ask(client: countersign_sdk_client::Client, question: countersign_sdk_client::Question) -> Result<(), countersign_sdk_client::Error> {
    /// use countersign_sdk_client::Answer;
    ///
    /// match client.evaluate(&question).await? {
    ///     Answer::Allow(allow) => println!("allowed by decision {:?}", allow.decision_id()),
    ///     Answer::StepUp(step_up) => println!("prove it again: {}", step_up.acr()),
    ///     Answer::Deny(deny) => println!("refused: {:?}", deny.code()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whenever there is no clean answer in time. An error is never an allow: the caller refuses the request.
    pub async fn evaluate(&self, question: &Question) -> Result<Answer, Error> {
        match self.kept(question) {
            Some(allow) => Ok(Answer::Allow(allow)),
            None => Box::pin(self.ask_one(question)).await,
        }
    }

    /// Asks many questions, in as few requests as their size allows, within one deadline. Each answer is in the place of its question; what fails is an error
    /// for each question that it was about.
    ///
    /// ```no_run
    /// # async fn ask(client: countersign_sdk_client::Client, questions: Vec<countersign_sdk_client::Question>) {
    /// use countersign_sdk_client::Answer;
    ///
    /// for (question, answer) in questions.iter().zip(client.evaluate_all(&questions).await) {
    ///     println!("{}: {}", question.asked().resource.id, matches!(answer, Ok(Answer::Allow(_))));
    /// }
    /// # }
    /// ```
    pub async fn evaluate_all(&self, questions: &[Question]) -> Vec<Result<Answer, Error>> {
        let kept = |question| self.kept(question).map(|allow| Ok(Answer::Allow(allow)));
        let mut answers: Vec<Option<Result<Answer, Error>>> = questions.iter().map(kept).collect();
        let open = questions.iter().zip(&answers).enumerate().filter(|(_, (_, answer))| answer.is_none());
        let open: Vec<(usize, &Question)> = open.map(|(at, (question, _))| (at, question)).collect();
        let shared = &self.inner.shared;
        let asked = shared.in_parts(&open).into_iter().map(|part| async move {
            let questions: Vec<&Question> = part.iter().map(|(_, question)| *question).collect();
            (part, Box::pin(self.ask(&questions)).await)
        });
        for (part, said) in futures_util::future::join_all(asked).await {
            for ((at, _), answer) in part.iter().zip(said) {
                if let Some(place) = answers.get_mut(*at) {
                    *place = Some(answer);
                }
            }
        }
        let unanswered = || Err(Error::new(ErrorKind::Malformed, "there are not as many answers as questions"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// The allow that is kept for this question and may be used now, without asking anybody.
    ///
    /// ```no_run
    /// # fn ask(client: countersign_sdk_client::Client, question: countersign_sdk_client::Question) {
    /// if let Some(allow) = client.kept(&question) {
    ///     println!("still allowed by {:?}", allow.decision_id());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn kept(&self, question: &Question) -> Option<Allow> {
        let shared = &self.inner.shared;
        shared.leases?;
        shared.rules.find(shared.clock.now(), question)
    }

    /// Whether an allow that this client gave may be relied on now: its lease has not ended, or, without one, it is younger than [`UNLEASED`].
    ///
    /// ```no_run
    /// # fn ask(client: countersign_sdk_client::Client, allow: countersign_sdk_client::Allow) {
    /// if !client.stands(&allow) {
    ///     println!("ask again");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn stands(&self, allow: &Allow) -> bool {
        let shared = &self.inner.shared;
        matches!(shared.rules.standing(shared.clock.now(), allow.held()), crate::lease::Standing::Good(_))
    }

    /// Waits until an allow must not be relied on any longer without asking again: until its lease is over, or something ended it, or the watch is lost and
    /// the floor is over. Without a lease, until it is as old as [`UNLEASED`]. An allow of another decision point is over at once.
    ///
    /// ```no_run
    /// # async fn hold(client: countersign_sdk_client::Client, allow: countersign_sdk_client::Allow) {
    /// client.ended(&allow).await;
    /// println!("cut the stream, or ask again");
    /// # }
    /// ```
    pub async fn ended(&self, allow: &Allow) {
        let shared = &self.inner.shared;
        shared.rules.ended(&shared.clock, allow.held()).await;
    }

    /// How the client stands.
    ///
    /// ```
    /// # use countersign_sdk_client::{Circuit, Client, Error};
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::builder("http://127.0.0.1:8181").pep("payroll", "secret").build()?;
    /// assert!(client.status().addresses().iter().all(|address| address.circuit() == Circuit::Closed));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.inner.shared;
        let now = shared.clock.now();
        let address = |address: &Address| AddressStatus { url: address.url(), circuit: address.breaker.circuit(now) };
        let watching = match self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Watching::Off,
            Some(_) if shared.rules.lives(now) => Watching::Alive,
            Some(_) => Watching::Lost,
        };
        Status { addresses: shared.addresses.iter().map(address).collect(), watching, kept: shared.rules.kept() }
    }

    async fn ask_one(&self, question: &Question) -> Result<Answer, Error> {
        let answers = self.ask(&[question]).await;
        answers.into_iter().next().unwrap_or(Err(Error::new(ErrorKind::Malformed, "there is no answer")))
    }

    /// Asks in one request. As many answers as questions.
    async fn ask(&self, questions: &[&Question]) -> Vec<Result<Answer, Error>> {
        let shared = &self.inner.shared;
        if shared.leases.is_some() {
            self.watch();
        }
        // A lease counts from before its question was sent.
        let asked = shared.clock.now();
        let written: Result<Vec<_>, Error> = questions.iter().map(|question| shared.written(question)).collect();
        let said = match written {
            Ok(written) => shared.ask(&written, questions.iter().any(|question| question.floor().is_some())).await,
            Err(error) => Err(error),
        };
        match said {
            Ok(said) => questions.iter().zip(said).map(|(question, said)| self.read(question, asked, said)).collect(),
            Err(error) => questions.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn read(
        &self,
        question: &Question,
        asked: Tick,
        said: Result<countersign_sdk_types::EvaluationResponse, Error>,
    ) -> Result<Answer, Error> {
        let shared = &self.inner.shared;
        let answer = Answer::read(&said?, question, Some(asked))?;
        match &answer {
            Answer::Allow(allow) if shared.leases.is_some() => shared.rules.arrived(question, allow),
            Answer::Allow(_) | Answer::StepUp(_) | Answer::Deny(_) => {}
        }
        Ok(answer)
    }

    /// Begins to watch, once; and again where the runtime that it ran in is gone.
    fn watch(&self) {
        let mut watch = self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.as_ref().is_none_or(tokio::task::AbortHandle::is_finished) {
            *watch = Some(tokio::spawn(watch::follow(Arc::clone(&self.inner.shared))).abort_handle());
        }
    }
}

impl Shared {
    /// The question as it is sent: with what the enforcement point carries out, and with what the client wants of the answer.
    fn written(&self, question: &Question) -> Result<EvaluationRequest, Error> {
        let mut asked = question.asked().clone();
        if asked.context.contains_key(OWN) {
            return Err(Error::new(ErrorKind::Configuration, "`countersign` in the context of a question is the client's own"));
        }
        if !question.supported().is_empty() {
            asked.context.insert("supported_obligations".to_owned(), json!(question.supported()));
        }
        let ttl = self.leases.filter(|_| question.may_be_kept());
        let lease =
            ttl.map(|ttl| WantedLease { ttl: countersign_sdk_types::Millis(nanos(ttl) / 1_000_000), watch: Some(self.name.clone()) });
        let wanted = Wanted { lease, at_least: question.floor() };
        if wanted != Wanted::default() {
            let wanted = serde_json::to_value(wanted)
                .map_err(|cause| Error::because(ErrorKind::Configuration, "question cannot be written", cause))?;
            asked.context.insert(OWN.to_owned(), wanted);
        }
        Ok(asked)
    }

    /// As many as fit into a request.
    fn in_parts<'a>(&self, open: &[(usize, &'a Question)]) -> Vec<Vec<(usize, &'a Question)>> {
        let mut parts: Vec<Vec<(usize, &Question)>> = Vec::new();
        let mut bytes = 0_usize;
        for (at, question) in open {
            // What the client adds is not more than this.
            let size = question.key().map_or(0, crate::key::Key::size) + 512;
            bytes = bytes.saturating_add(size);
            match parts.last_mut().filter(|part| part.len() < self.batch && bytes <= MOST_BYTES) {
                Some(part) => part.push((*at, question)),
                None => {
                    bytes = size;
                    parts.push(vec![(*at, *question)]);
                }
            }
        }
        parts
    }

    /// Asks one address after the other, each for its part of the time that is left.
    async fn ask(&self, asked: &[EvaluationRequest], has_floor: bool) -> Result<Said, Error> {
        let until = self.clock.now().after(self.deadline);
        let order = self.order();
        let mut left = order.iter().filter(|at| self.is_asked(**at)).count();
        let mut last = Error::new(ErrorKind::CircuitOpen, "decision point failed too often and is left alone for a moment");
        for at in order {
            let address = self.address(at)?;
            let now = self.clock.now();
            let Some(admission) = address.breaker.admit(now) else { continue };
            let share = now.until(until) / u32::try_from(left.max(1)).unwrap_or(u32::MAX);
            left = left.saturating_sub(1);
            let late = Err(Error::new(ErrorKind::Deadline, "decision point did not answer in time"));
            let said = tokio::time::timeout(share, address.ask(&self.credentials, asked)).await.unwrap_or(late);
            match self.judge(said, admission, has_floor) {
                Ok(said) => {
                    self.answering.store(at, Ordering::Relaxed);
                    return Ok(said);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::Configuration) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Tells the breaker what became of a question.
    fn judge(&self, said: Result<Said, Error>, admission: Admission<'_>, has_floor: bool) -> Result<Said, Error> {
        match said.as_ref().map_err(Error::kind) {
            Ok(_) | Err(ErrorKind::Refused) => admission.answered(),
            // Nothing was asked; or it may be that only nothing so fresh is there, and whoever asks for what is not must not open the circuit for all.
            Err(ErrorKind::Configuration) => drop(admission),
            Err(ErrorKind::Unavailable) if has_floor => drop(admission),
            Err(_) => admission.failed(self.clock.now()),
        }
        said
    }

    /// The one that is watched first, because only its leases count; then as they were given.
    fn order(&self) -> Vec<usize> {
        let watched = self.watching.load(Ordering::Relaxed);
        let mut order: Vec<usize> = (0..self.addresses.len()).collect();
        order.sort_by_key(|at| *at != watched);
        order
    }

    fn is_asked(&self, at: usize) -> bool {
        self.address(at).is_ok_and(|address| address.breaker.circuit(self.clock.now()) != Circuit::Open)
    }

    pub(crate) fn address(&self, at: usize) -> Result<&Address, Error> {
        self.addresses.get(at).ok_or(Error::new(ErrorKind::Configuration, "there is no such address"))
    }

    pub(crate) fn answering(&self) -> usize {
        self.answering.load(Ordering::Relaxed)
    }

    pub(crate) fn next(&self, at: usize) -> usize {
        (at + 1) % self.addresses.len().max(1)
    }

    pub(crate) fn watched(&self, at: Option<usize>) {
        self.watching.store(at.unwrap_or(NONE), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
