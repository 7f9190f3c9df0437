//! What is kept of decisions that an edge made by itself: equal ones of a moment as one line, which names the decision whose facts they rest on.

use std::fmt;

use countersign_sdk_types::{DecisionId, PepId, Revision, RiskScore, SubjectId, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use super::rfc3339;

/// The most decisions that one batch of an edge tells of, and so the most lines of it.
pub const EDGE_BATCH: usize = 512;
/// The longest name of an action or of a pattern of resources in a line, in bytes.
pub const EDGE_NAME: usize = 256;

/// What an edge tells at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeBatch {
    /// Which life of the edge's process tells: 16 hexadecimal digits.
    pub life: String,
    /// The number of the batch in it, from 1: one that is told twice counts once.
    pub batch: u64,
    /// When it begins.
    pub at: Timestamp,
    /// Decisions whose lines were lost since the last batch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The decisions of the decision point whose facts the lines rest on.
    pub of: Vec<DecisionId>,
    /// The lines.
    pub lines: Vec<EdgeLine>,
}

const fn is_zero(lost: &u64) -> bool {
    *lost == 0
}

/// Equal allows of one session within one batch. Written as a list, because it is sent again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct EdgeLine {
    /// Its number in the life of the edge: the end of the id that each of these decisions has.
    pub number: u64,
    /// On whose facts they rest, by the place in `of`.
    pub of: usize,
    /// The action.
    pub action: String,
    /// The pattern of the resources.
    pub resource: String,
    /// How many.
    pub count: u32,
    /// How many milliseconds after the beginning of the batch the first was made.
    pub after: u32,
    /// How many milliseconds later the last was made.
    pub lasted: u32,
    /// The highest risk among them.
    pub risk: RiskScore,
}

type Line = (u64, usize, String, String, u32, u32, u32, RiskScore);

impl From<Line> for EdgeLine {
    fn from((number, of, action, resource, count, after, lasted, risk): Line) -> Self {
        Self { number, of, action, resource, count, after, lasted, risk }
    }
}

impl From<EdgeLine> for Line {
    fn from(line: EdgeLine) -> Self {
        let EdgeLine { number, of, action, resource, count, after, lasted, risk } = line;
        (number, of, action, resource, count, after, lasted, risk)
    }
}

/// One line, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// Its name, which each of the decisions has.
    pub id: DecisionId,
    /// When the first was made, by the edge's clock.
    pub at: Timestamp,
    /// When it was told.
    pub told: Timestamp,
    /// Whose it is.
    pub tenant: Tenant,
    /// The version that wrote it.
    pub engine: String,
    /// The edge.
    pub edge: PepId,
    /// The decision whose facts they rest on, as the edge says.
    pub under: DecisionId,
    /// Whose facts they are, and the policy that allowed; `None` where this decision point does not remember that it gave them to this edge.
    pub known: Option<EdgeKnown>,
    /// The action.
    pub action: String,
    /// The pattern of the resources.
    pub resource: String,
    /// How many.
    pub count: u32,
    /// How many milliseconds after the first the last was made.
    pub lasted: u32,
    /// The highest risk among them.
    pub risk: RiskScore,
}

/// What a decision point remembers of facts that it gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeKnown {
    /// Whose they are.
    pub subject: SubjectId,
    /// The policy under which they were given: an edge decides under no other.
    pub revision: Revision,
}

/// That an edge lost lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeGap {
    /// Its name.
    pub id: DecisionId,
    /// When it was told.
    pub at: Timestamp,
    /// Whose it is.
    pub tenant: Tenant,
    /// The edge.
    pub edge: PepId,
    /// How many decisions have no record.
    pub lost: u64,
}

/// The id of the decisions of one line: it names the edge, so that no edge can give a decision another's name.
#[must_use]
pub fn edge_id(tenant: &Tenant, edge: &PepId, life: &str, number: u64) -> Option<DecisionId> {
    DecisionId::new(format!("{tenant}.edge.{}.{life}.{number}", edge.as_str())).ok()
}

impl fmt::Display for EdgeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { under, action, resource, count, lasted, risk, .. } = self;
        writeln!(f, "{}: allowed by the edge `{}`, {count} times within {lasted} ms", self.id, self.edge)?;
        let unknown = || ("facts that are not remembered here".to_owned(), "unknown".to_owned());
        let known = self.known.as_ref().map(|known| (format!("the facts of `{}`", known.subject.sub), format!("`{}`", known.revision)));
        let (whose, revision) = known.unwrap_or_else(unknown);
        writeln!(f, "  at       {}, policy revision {revision}", rfc3339(self.at))?;
        writeln!(f, "  asked    {action} {resource}")?;
        write!(f, "  because  risk {risk} at most, by {whose}, from decision {under} (`countersign why {under}`)")
    }
}

impl fmt::Display for EdgeGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the edge `{}` lost the records of {} decisions, told at {}", self.id, self.edge, self.lost, rfc3339(self.at))
    }
}

impl EdgeBatch {
    /// What is wrong with it, at this time.
    ///
    /// # Errors
    /// One sentence for whoever wrote the edge.
    pub fn check(&self, now: Timestamp) -> Result<(), &'static str> {
        let is_life = self.life.len() == 16 && self.life.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let total: u64 = self.lines.iter().map(|line| u64::from(line.count)).sum();
        let latest = now.after(countersign_sdk_types::Seconds(60));
        let is_past = |line: &EdgeLine| line.after <= 60_000 && line.lasted <= 60_000 && line.count >= 1 && line.of < self.of.len();
        let is_short = |line: &EdgeLine| {
            let is_name = |text: &str| !text.is_empty() && text.len() <= EDGE_NAME && !text.chars().any(char::is_control);
            is_name(&line.action) && is_name(&line.resource)
        };
        let ascend = self.lines.iter().zip(self.lines.iter().skip(1)).all(|(one, next)| one.number < next.number);
        match () {
            () if !is_life => Err("`life` is not 16 hexadecimal digits"),
            () if self.batch == 0 => Err("`batch` counts from 1"),
            () if total > EDGE_BATCH as u64 => Err("it tells of more decisions than a batch may"),
            () if self.at > latest => Err("it is of the future"),
            () if self.of.len() > self.lines.len() => Err("it names decisions that no line rests on"),
            () if !ascend => Err("the numbers of its lines do not ascend"),
            () if !self.lines.iter().all(is_past) => Err("a line is too long, counts nothing, or rests on nothing"),
            () if !self.lines.iter().all(is_short) => Err("a name is empty, too long, or has a control character"),
            () => Ok(()),
        }
    }
}
