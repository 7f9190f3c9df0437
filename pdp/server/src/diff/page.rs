//! The report as one page that stands alone: no script, nothing loaded, light and dark.

use std::borrow::Borrow;

use askama::Template;

use super::boundary::{Boundary, Edge};
use super::budget::{Budgets, Exceeded};
use super::tally::{Group, Report};

/// The page.
#[derive(Template)]
#[template(path = "report/diff.html")]
struct Page<'a> {
    old: &'a str,
    new: &'a str,
    report: &'a Report,
    boundary: Option<&'a Boundary>,
    has_budgets: bool,
    exceeded: &'a [Exceeded],
}

impl Page<'_> {
    /// How wide a bar is, of a hundred.
    fn width(group: &Group, groups: &[Group]) -> u64 {
        let most = groups.iter().map(|group| group.decisions).max().unwrap_or(1).max(1);
        (group.decisions * 100 / most).max(1)
    }

    #[expect(clippy::cast_precision_loss, reason = "a log has fewer than 2^52 decisions")]
    fn share(&self, count: impl Borrow<u64>) -> String {
        format!("{:.2}", *count.borrow() as f64 * 100.0 / (self.report.decisions.max(1)) as f64)
    }

    /// What an edge was made from.
    fn base(&self, edge: &Edge) -> &str {
        self.boundary.and_then(|boundary| boundary.bases.get(edge.base)).map_or("", String::as_str)
    }

    fn tables(&self) -> [(&'static str, &[Group]); 3] {
        [("By rule", &self.report.rules), ("By subject", &self.report.subjects), ("By resource", &self.report.resources)]
    }
}

/// Writes the page about two revisions, by name.
///
/// # Errors
/// Never, for a template that compiled.
pub fn page([old, new]: [&str; 2], report: &Report, boundary: Option<&Boundary>, budgets: &Budgets) -> Result<String, String> {
    let (has_budgets, exceeded) = (*budgets != Budgets::default(), budgets.exceeded(report));
    Page { old, new, report, boundary, has_budgets, exceeded: &exceeded }.render().map_err(|error| error.to_string())
}
