//! A file of session starts: CSV, gzip or plain, with a bound on each line and on their number.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

const HEADER: &str = "person,t_utc,utc_offset_minutes";
/// The longest line.
const LONGEST: u64 = 128;
/// The most events.
const MOST: usize = 2_000_000;
/// The last second of the year 9999.
const LATEST: i64 = 253_402_300_799;
/// The largest offset from UTC, in minutes.
const WIDEST: i64 = 18 * 60;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClocksError {
    /// It cannot be read, or is no gzip where it says so.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line is no session start.
    #[error("line {line} is no session start: {why}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// There is nothing to score.
    #[error("no person has more than 20 session starts, so there is nothing to score")]
    TooFew,
}

/// When a person began a session, and how far the clock on the wall was ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Seconds since 1970 in UTC.
    pub at: i64,
    /// Seconds ahead of UTC.
    pub offset: i64,
}

/// The session starts of all persons, each in time order.
#[derive(Debug, Clone, Default)]
pub struct Clocks(BTreeMap<String, Vec<Start>>);

impl Clocks {
    /// Reads a file; what ends in `.gz` is gzip.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no session start.
    pub fn read(path: &Path) -> Result<Self, ClocksError> {
        let file = File::open(path)?;
        let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
        let plain: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
        Self::parse(BufReader::new(plain))
    }

    /// Reads CSV with the header `person,t_utc,utc_offset_minutes`; times are seconds since 1970.
    ///
    /// # Errors
    /// When it breaks off, or a line is too long or no session start.
    pub fn parse(mut reader: impl BufRead) -> Result<Self, ClocksError> {
        let mut persons = BTreeMap::<String, Vec<Start>>::new();
        let (mut text, mut line) = (Vec::new(), 0_u64);
        loop {
            text.clear();
            if reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            line += 1;
            let refused = |why: String| ClocksError::Line { line, why };
            if text.len() as u64 > LONGEST {
                return Err(refused(format!("it has more than {LONGEST} bytes")));
            }
            if line > MOST as u64 {
                return Err(refused(format!("a file has at most {MOST} lines; measure a part of it")));
            }
            let text = std::str::from_utf8(text.trim_ascii_end()).map_err(|_| refused("it is not UTF-8".to_owned()))?;
            match line {
                1 if text == HEADER => {}
                1 => return Err(refused(format!("the header is not `{HEADER}`"))),
                _ => {
                    let (person, start) = event(text).map_err(refused)?;
                    persons.entry(person.to_owned()).or_default().push(start);
                }
            }
        }
        persons.values_mut().for_each(|starts| starts.sort_by_key(|start| start.at));
        Ok(Self(persons))
    }

    /// The session starts of each person.
    pub fn persons(&self) -> impl Iterator<Item = &[Start]> {
        self.0.values().map(Vec::as_slice)
    }

    /// All session starts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn event(text: &str) -> Result<(&str, Start), String> {
    let mut fields = text.split(',');
    let (Some(person), Some(at), Some(offset), None) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
        return Err(format!("it does not have the three fields `{HEADER}`"));
    };
    let within = |name: &str, text: &str, range: std::ops::RangeInclusive<i64>| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("`{name}` is `{}`, not a whole number from {} to {}", text.escape_debug(), range.start(), range.end()))
    };
    if person.is_empty() {
        return Err("`person` is empty".to_owned());
    }
    let at = within("t_utc", at, 0..=LATEST)?;
    let offset = 60 * within("utc_offset_minutes", offset, -WIDEST..=WIDEST)?;
    Ok((person, Start { at, offset }))
}
