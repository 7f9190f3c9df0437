//! The records of a log, one JSON object after the other, in bounded memory: in an array, in pages `{"value": […]}` of Microsoft Graph, or one after
//! the other as in JSON lines. It finds where an object ends; whether it is sound is for the strict reader of the format.

use std::io::BufRead;

use countersign_sdk_types::strict::Limits;

use super::ReadError;

/// The longest record, in bytes.
const LONGEST: usize = Limits::REQUEST.bytes;
/// The longest log as plain text: a small gzip must not keep a reader busy for ever.
const MOST_BYTES: u64 = 64 * 1024 * 1024 * 1024;
const TOO_LONG: &str = "it is longer than 262144 bytes";

/// Where the scanner is, outside of records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Of nothing.
    File,
    /// Of an array of records.
    Array,
    /// Of the array `value` of a page.
    Page,
    /// Of what follows in a page.
    Rest,
}

/// The records of a log.
pub(super) struct Records<R> {
    log: R,
    within: Within,
    record: Vec<u8>,
    /// Which one it is, from 1.
    number: u64,
    bytes: u64,
}

/// Where the scanner is, inside of an object.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    is_too_long: bool,
}

impl Scan {
    /// Takes a byte. True when it closes the object.
    const fn closes(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

impl<R: BufRead> Records<R> {
    pub(super) const fn new(log: R) -> Self {
        Self { log, within: Within::File, record: Vec::new(), number: 0, bytes: 0 }
    }

    /// What is read.
    pub(super) const fn log(&self) -> &R {
        &self.log
    }

    /// The next record, or what is wrong with it; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<&[u8], &'static str>>, ReadError> {
        loop {
            let Some(byte) = self.byte()? else {
                return if self.within == Within::File { Ok(None) } else { Err(self.broken("the file breaks off")) };
            };
            match (byte, self.within) {
                (b' ' | b'\t' | b'\r' | b'\n', _) | (b',', Within::Array | Within::Page) => {}
                (b'[', Within::File) => self.within = Within::Array,
                (b']', Within::Array) => self.within = Within::File,
                (b']', Within::Page) => self.rest_of_page()?,
                (b'{', _) => {
                    if let Some(is_too_long) = self.object()? {
                        return Ok(Some(if is_too_long { Err(TOO_LONG) } else { Ok(&self.record) }));
                    }
                }
                _ => return Err(self.broken("something that is no object")),
            }
        }
    }

    /// Reads an object to its end, and says whether it was too long to keep; none when it turned out to be a page, whose records come next.
    fn object(&mut self) -> Result<Option<bool>, ReadError> {
        self.number += 1;
        self.record.clear();
        let mut scan = Scan::default();
        let mut next = Some(b'{');
        while let Some(byte) = next {
            let starts_list = byte == b'[' && !scan.in_string && scan.depth == 1;
            if starts_list && self.within == Within::File && names_page(&self.record) {
                self.number -= 1;
                self.within = Within::Page;
                return Ok(None);
            }
            if self.record.len() < LONGEST {
                self.record.push(byte);
            } else {
                scan.is_too_long = true;
            }
            if scan.closes(byte) {
                return Ok(Some(scan.is_too_long));
            }
            next = self.byte()?;
        }
        Err(self.broken("the file breaks off"))
    }

    /// What follows the records of a page is of no interest.
    fn rest_of_page(&mut self) -> Result<(), ReadError> {
        self.within = Within::Rest;
        let mut scan = Scan { depth: 1, ..Scan::default() };
        while let Some(byte) = self.byte()? {
            if scan.closes(byte) {
                self.within = Within::File;
                return Ok(());
            }
        }
        Err(self.broken("the file breaks off"))
    }

    fn byte(&mut self) -> Result<Option<u8>, ReadError> {
        let byte = self.log.fill_buf()?.first().copied();
        if byte.is_some() {
            self.log.consume(1);
            self.bytes += 1;
        }
        if self.bytes > MOST_BYTES { Err(self.broken("more than 64 GiB of text")) } else { Ok(byte) }
    }

    const fn broken(&self, what: &'static str) -> ReadError {
        ReadError::Form { what, record: self.number }
    }
}

/// Whether what was read of an object so far ends with the name `value`.
fn names_page(read: &[u8]) -> bool {
    let name = read.trim_ascii_end().strip_suffix(b":").unwrap_or_default().trim_ascii_end();
    // Before its quote is no backslash: else it is the end of another name.
    name.strip_suffix(b"\"value\"").is_some_and(|before| matches!(before.trim_ascii_end(), [.., b'{' | b',']))
}
