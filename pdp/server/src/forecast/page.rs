//! The forecast as one page that stands alone: no script, nothing loaded, light and dark.

use std::borrow::Borrow;

use askama::Template;

use super::report::{Forecast, Outlook, Person, Scoring};
use super::words::percent;
use crate::diff::Budget;
use crate::picture::chart::{self, Line};

/// People whom the page names.
const SHOWN: usize = 20;

/// The page.
#[derive(Template)]
#[template(path = "report/forecast.html")]
struct Page<'a> {
    forecast: &'a Forecast,
    last: &'a Outlook,
    chart: String,
}

impl Page<'_> {
    fn share(&self, part: impl Borrow<u64>) -> String {
        percent(*part.borrow(), self.forecast.decisions)
    }

    fn people(&self) -> [(&'static str, u64, &[Person]); 2] {
        let few = |people: &'_ [Person]| people.len().min(SHOWN);
        let Outlook { locked_out, locked_out_most, asked_often, asked_most, .. } = self.last;
        [
            ("Locked out", *locked_out, locked_out_most.get(..few(locked_out_most)).unwrap_or_default()),
            ("Asked often", *asked_often, asked_most.get(..few(asked_most)).unwrap_or_default()),
        ]
    }
}

/// Writes the page.
///
/// # Errors
/// When there is nothing to write.
pub fn page(forecast: &Forecast) -> Result<String, String> {
    let last = forecast.outlooks.last().ok_or("there is nothing to show")?;
    Page { forecast, last, chart: chart(forecast) }.render().map_err(|error| error.to_string())
}

fn chart(forecast: &Forecast) -> String {
    let last = forecast.thresholds.len().saturating_sub(1);
    let name = |side: usize| if side == 0 { Scoring::Recorded.name() } else { Scoring::Weights.name() };
    let line = |(side, thresholds): (usize, &Vec<[u64; 3]>)| Line {
        name: name(side).to_owned(),
        is_main: side == last,
        shares: thresholds.iter().map(|[asked, denied, _]| share(asked + denied, forecast.decisions)).collect(),
    };
    let lines: Vec<Line> = forecast.thresholds.iter().enumerate().map(line).collect();
    let mut marks: Vec<u8> = forecast.outlooks.iter().map(|outlook| outlook.threshold.value()).collect();
    marks.sort_unstable();
    marks.dedup();
    let budget = forecast.found.map(|found| match found.budget {
        Budget::Percent(percent) => percent / 100.0,
        Budget::Count(count) => share(count, forecast.decisions),
    });
    chart::draw("asked or denied, by the threshold", &lines, &marks, budget)
}

#[expect(clippy::cast_precision_loss, reason = "a log has fewer than 2^52 decisions")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}
