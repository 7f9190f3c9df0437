//! Cases of OPA's compliance suite, in OPA's own semantics: one JSON object a line, plain or gzip.

mod case;
mod guard;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use self::case::Case;
use self::guard::Guard;
use super::{Outcome, Report};

/// The most that a file may be unpacked to.
const LARGEST: u64 = 512 * 1024 * 1024;

/// Runs the cases of a file. A name that comes again is counted on: `name`, `name#2`.
///
/// # Errors
/// When the file does not hold cases of this suite.
pub fn run(file: &[u8], known: &BTreeSet<String>) -> Result<Report, String> {
    let text = unpack(file)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let cases = lines.iter().enumerate().map(|(at, line)| Case::read(line).map_err(|error| format!("case {}: {error}", at + 1)));
    let cases = cases.collect::<Result<Vec<Case>, String>>()?;
    if cases.is_empty() {
        return Err("file holds no cases".to_owned());
    }
    let bar = progress(cases.len());
    let (mut report, mut guard, mut names) = (Report::default(), Guard::default(), BTreeMap::<String, usize>::new());
    for case in cases {
        let times = names.entry(case.note.clone()).and_modify(|times| *times += 1).or_insert(1);
        let name = if *times == 1 { case.note.clone() } else { format!("{}#{times}", case.note) };
        let outcome = if case.ignore { Outcome::Skipped("case says that it is to be passed over".to_owned()) } else { guard.run(case) };
        report.count(&name, outcome, known);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Gzip is known by its first bytes, whatever the file is called.
fn unpack(file: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let unpacked = match file {
        [0x1f, 0x8b, ..] => MultiGzDecoder::new(file).take(LARGEST + 1).read_to_string(&mut text),
        _ => file.take(LARGEST + 1).read_to_string(&mut text),
    };
    match unpacked {
        Err(error) => Err(format!("file cannot be read: {error}")),
        // Cases that were cut off would be missing without a word.
        Ok(length) if length as u64 > LARGEST => Err(format!("file unpacks to more than {} MiB", LARGEST >> 20)),
        Ok(_) => Ok(text),
    }
}

/// Shows nothing where standard error is no terminal.
fn progress(cases: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("cases {pos} of {len} {wide_bar} {eta}");
    let bar = ProgressBar::new(u64::try_from(cases).unwrap_or(u64::MAX));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests;
