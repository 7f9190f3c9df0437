//! What is kept of decisions that an edge made by itself: equal ones of a moment as one line, which names the decision whose facts they rest on.

use std::fmt;

use countersign_sdk_types::{DecisionId, PepId, Revision, RiskScore, SubjectId, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ENGINE, rfc3339};

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
    /// The policy that allowed.
    pub revision: Revision,
    /// Decisions whose lines were lost since the last batch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<EdgeLine>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(lost: &u64) -> bool {
    *lost == 0
}

/// Equal allows of one session within one batch. The names are short: they are sent again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeLine {
    /// Its number in the life of the edge: the end of the id that each of these decisions has.
    #[serde(rename = "n")]
    pub number: u64,
    /// The decision of the decision point whose facts they rest on.
    #[serde(rename = "of")]
    pub under: DecisionId,
    /// The action.
    #[serde(rename = "a")]
    pub action: String,
    /// The pattern of the resources.
    #[serde(rename = "r")]
    pub resource: String,
    /// How many.
    #[serde(rename = "c", default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// When the first was made.
    #[serde(rename = "t")]
    pub first: Timestamp,
    /// How many milliseconds later the last was made.
    #[serde(rename = "d", default, skip_serializing_if = "is_none")]
    pub lasted: u32,
    /// The highest risk among them.
    #[serde(rename = "k")]
    pub risk: RiskScore,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_one(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_none(lasted: &u32) -> bool {
    *lasted == 0
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
    /// The policy that allowed, as the edge says.
    pub revision: Revision,
    /// What was told.
    pub line: EdgeLine,
    /// Whose facts they rest on; `None` where this decision point does not remember that it gave them to this edge.
    pub subject: Option<SubjectId>,
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

impl EdgeRecord {
    /// Keeps a line.
    #[must_use]
    pub fn new(id: DecisionId, told: Timestamp, tenant: Tenant, edge: PepId, revision: Revision, line: EdgeLine) -> Self {
        Self { id, at: line.first, told, tenant, engine: ENGINE.to_owned(), edge, revision, line, subject: None }
    }
}

impl fmt::Display for EdgeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EdgeLine { under, action, resource, count, lasted, risk, .. } = &self.line;
        writeln!(f, "{}: allowed by the edge `{}`, {count} times within {lasted} ms", self.id, self.edge)?;
        writeln!(f, "  at       {}, policy revision `{}`", rfc3339(self.at), self.revision)?;
        let subject = self.subject.as_ref().map_or("a subject that is not remembered here", |subject| subject.sub.as_str());
        writeln!(f, "  asked    {action} {resource}, by {subject}")?;
        write!(f, "  because  risk {risk} at most, by the facts of decision {under} (`countersign why {under}`)")
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
        let is_past = |line: &EdgeLine| line.first <= latest && line.lasted <= 60_000 && line.count >= 1;
        let is_short = |line: &EdgeLine| {
            let is_name = |text: &str| !text.is_empty() && text.len() <= EDGE_NAME && !text.chars().any(char::is_control);
            is_name(&line.action) && is_name(&line.resource)
        };
        let ascend = self.lines.iter().zip(self.lines.iter().skip(1)).all(|(one, next)| one.number < next.number);
        match () {
            () if !is_life => Err("`life` is not 16 hexadecimal digits"),
            () if self.batch == 0 => Err("`batch` counts from 1"),
            () if total > EDGE_BATCH as u64 => Err("it tells of more decisions than a batch may"),
            () if !ascend => Err("the numbers of its lines do not ascend"),
            () if !self.lines.iter().all(is_past) => Err("a line is of the future, too long, or counts nothing"),
            () if !self.lines.iter().all(is_short) => Err("a name is empty, too long, or has a control character"),
            () => Ok(()),
        }
    }
}
