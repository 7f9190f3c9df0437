//! The demonstration in words for a terminal: how to begin, and the story in columns.

use countersign_pdp_demo::story::{Played, Step};

/// Whether the terminal shows colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Colored,
    Plain,
}

impl Ink {
    fn paint(self, code: u8, text: &str) -> String {
        match self {
            Self::Colored => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

const GREEN: u8 = 32;
const RED: u8 = 31;
const BOLD: u8 = 1;

/// The convention of <https://no-color.org>: set, and not empty.
pub(super) fn colors_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What a person does first. The first line holds the address.
pub(super) fn welcome(url: &str) -> String {
    format!(
        "The demonstration is at {url}

  1. Open it in a browser, and sign in as alice with the filled button.
  2. Go on with the filled button: it is always the next step. You need a fingerprint, a face, a PIN or a security key.
  3. End it here with Ctrl-C."
    )
}

/// The story, a step a line, and why the attacker was stopped.
pub(super) fn story(played: &Played, ink: Ink) -> String {
    let width = played.steps.iter().map(|step| step.told.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = played.steps.iter().map(|step| line(step, width, ink)).collect();
    if let Some(why) = &played.why {
        lines.push(format!("\n{}\n{}", ink.paint(BOLD, "Why the attacker was stopped"), why.text));
    }
    let failed = played.steps.iter().filter(|step| !step.held).count();
    lines.push(match (played.holds(), failed) {
        (true, _) => format!("\n{}", ink.paint(GREEN, "Every step came out as told.")),
        (false, failed) => format!("\n{}", ink.paint(RED, &format!("{failed} of {} steps did not come out as told.", played.steps.len()))),
    });
    lines.join("\n")
}

fn line(step: &Step, width: usize, ink: Ink) -> String {
    let mark = if step.held { ink.paint(GREEN, "✔") } else { ink.paint(RED, "✘") };
    format!("{mark} {}  {:<width$}  {}", step.at, step.told, step.seen)
}

#[cfg(test)]
mod tests;
