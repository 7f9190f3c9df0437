//! A forecast in words.

use std::fmt::Write as _;

use super::report::{Carried, Forecast, Found, Hour, Outlook, Person, Scoring};
use crate::diff::Answers;

/// People whom the text names.
const FEW: usize = 10;

#[expect(clippy::cast_precision_loss, reason = "a log has fewer than 2^52 decisions")]
pub(super) fn percent(part: u64, all: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / all.max(1) as f64)
}

impl Scoring {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "as recorded",
            Self::Weights => "by these weights",
        }
    }
}

impl Outlook {
    /// What it is called in a table.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}, {}", self.scoring.name(), self.threshold)
    }

    /// All points of what is stopped.
    pub(super) fn points(&self) -> u64 {
        self.signals.iter().map(|carried| carried.points).sum()
    }
}

impl Found {
    /// One sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.threshold {
            Some(threshold) => format!("{threshold} is the lowest threshold that asks or denies at most {} of the decisions", self.budget),
            None => format!("no threshold asks or denies at most {} of the decisions: hard rules alone are more", self.budget),
        }
    }
}

impl Forecast {
    /// For people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Answers { allow, step_up, deny } = self.answered;
        let mut text = format!(
            "{} decisions of {} subjects in {} sessions; answered then: {allow} allowed, {step_up} asked, {deny} denied\n",
            self.decisions, self.subjects, self.sessions
        );
        for (count, what) in self.aside() {
            let _ = writeln!(text, "{count} {what}");
        }
        self.table(&mut text);
        if let Some(found) = &self.found {
            let _ = writeln!(text, "\n{}", found.in_words());
        }
        if let Some(outlook) = self.outlooks.last() {
            outlook.details(&mut text);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What is not in the figures, or may be wrong in them.
    pub(super) fn aside(&self) -> Vec<(u64, &'static str)> {
        let all = [
            (self.undecided, "were refused whatever their score, and are not in here"),
            (self.unreadable, "could not be read, and are not in here"),
            (self.other_engine, "were made by another version, which may score otherwise by the same weights"),
            (self.unnamed, "are of more subjects than are counted by name"),
            (self.uncounted, "are of more sessions than are counted"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    fn table(&self, text: &mut String) {
        let mut row = |title: &str, cell: &dyn Fn(&Outlook) -> String| {
            let cells: String = self.outlooks.iter().map(|outlook| format!("  {:>22}", cell(outlook))).collect();
            let _ = writeln!(text, "{title:<22}{cells}");
        };
        let share = |part: u64, all: u64| format!("{part}  {:>8}", percent(part, all));
        row("", &Outlook::title);
        row("asked for a proof", &|outlook| share(outlook.asked, self.decisions));
        row("denied", &|outlook| share(outlook.denied, self.decisions));
        row("let through", &|outlook| share(outlook.passed, self.decisions));
        row("sessions interrupted", &|outlook| share(outlook.sessions, self.sessions));
        row("subjects locked out", &|outlook| share(outlook.locked_out, self.subjects));
        row("subjects asked often", &|outlook| share(outlook.asked_often, self.subjects));
    }
}

impl Outlook {
    fn details(&self, text: &mut String) {
        let title = self.title();
        let _ = writeln!(text, "\nby signal ({title})\n  signal      stopped with it    points  only because of it  spared by it");
        for carried in &self.signals {
            let Carried { signal, speaks, points, alone, spared } = carried;
            let points = percent(*points, self.points());
            let _ = writeln!(text, "  {:<10}  {speaks:>15}  {points:>8}  {alone:>18}  {spared:>12}", signal.name());
        }
        let _ = writeln!(text, "\nby hour of the subjects' day ({title})\n  hour  decisions   asked  denied");
        for Hour { hour, decisions, asked, denied } in self.hours.iter().filter(|hour| hour.decisions > 0) {
            let _ = writeln!(text, "  {hour:02}    {decisions:>9}  {asked:>6}  {denied:>6}");
        }
        for (what, all, people) in
            [("locked out", self.locked_out, &self.locked_out_most), ("asked often", self.asked_often, &self.asked_most)]
        {
            if all > 0 {
                let _ = writeln!(text, "\n{what}: {all} subjects ({title})");
            }
            for Person { subject, can_prove, decisions, asked, denied } in people.iter().take(FEW) {
                let passkey = if *can_prove { "" } else { ", no passkey" };
                let _ = writeln!(text, "  {subject}: {denied} denied and {asked} asked of {decisions}{passkey}");
            }
        }
    }
}
