//! What is kept of a log in memory: a bounded number of log-ins of each subject, the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use countersign_risk::Strength;
use countersign_sdk_types::Timestamp;

use super::ReadError;

/// One subject teaches this many log-ins at most: with as many, history counts nearly whole already.
pub(crate) const MOST_OF_A_SUBJECT: usize = 200;
/// As many log-ins from one address are kept of a day, in UTC: no network teaches more.
const MOST_OF_A_DAY: usize = 4;
/// Log-ins of all subjects together.
const MOST: usize = 1_000_000;
const MILLIS_A_DAY: i64 = 86_400_000;

/// A log-in that may teach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastLogin {
    /// When.
    pub(crate) at: Timestamp,
    /// How it was verified.
    pub(crate) strength: Strength,
    /// From where and by what.
    pub(crate) client: Client,
}

/// From where and by what a log-in came, as the log says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's address.
    pub(crate) address: Option<IpAddr>,
    /// The client's agent. Many log-ins share one.
    pub(crate) user_agent: Option<Arc<str>>,
    /// The device, as requests will name it.
    pub(crate) device: Option<String>,
    /// The session, as tokens name it.
    pub(crate) session: Option<String>,
    /// The client's zone, where the log has it.
    pub(crate) time_zone: Option<String>,
}

/// The log-ins of all subjects.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    subjects: BTreeMap<(String, String), Vec<PastLogin>>,
    agents: BTreeSet<Arc<str>>,
    kept: usize,
    beyond: u64,
}

impl Gathered {
    pub(super) fn put(&mut self, issuer: String, subject: String, mut login: PastLogin) -> Result<(), ReadError> {
        if let Some(agent) = login.client.user_agent.take() {
            login.client.user_agent = Some(self.shared(agent));
        }
        let logins = self.subjects.entry((issuer, subject)).or_default();
        logins.push(login);
        self.kept += 1;
        if logins.len() >= 2 * MOST_OF_A_SUBJECT {
            let gone = shorten(logins);
            self.gone(gone);
        }
        if self.kept > MOST {
            let gone = self.subjects.values_mut().map(shorten).sum();
            self.gone(gone);
        }
        if self.kept > MOST { Err(ReadError::TooMany(MOST)) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> (BTreeMap<(String, String), Vec<PastLogin>>, u64) {
        let gone = self.subjects.values_mut().map(shorten).sum();
        self.gone(gone);
        (self.subjects, self.beyond)
    }

    fn gone(&mut self, gone: usize) {
        self.kept = self.kept.saturating_sub(gone);
        self.beyond += gone as u64;
    }

    fn shared(&mut self, agent: Arc<str>) -> Arc<str> {
        if let Some(known) = self.agents.get(&agent) {
            return Arc::clone(known);
        }
        self.agents.insert(Arc::clone(&agent));
        agent
    }
}

/// Sorts log-ins by time and keeps the newest, and of each address the first of a day. Says how many are gone.
fn shorten(logins: &mut Vec<PastLogin>) -> usize {
    let before = logins.len();
    logins.sort_by_key(|login| login.at);
    let mut of_day: BTreeMap<(i64, Option<IpAddr>), usize> = BTreeMap::new();
    logins.retain(|login| {
        let count = of_day.entry((login.at.0.div_euclid(MILLIS_A_DAY), login.client.address)).or_default();
        *count += 1;
        *count <= MOST_OF_A_DAY
    });
    let surplus = logins.len().saturating_sub(MOST_OF_A_SUBJECT);
    logins.drain(..surplus);
    before - logins.len()
}
