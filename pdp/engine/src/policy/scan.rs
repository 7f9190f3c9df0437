//! Reads a policy file as text before the parser may: its parser doubles its time with every level of brackets, and no timer covers it.

use std::borrow::Cow;

use super::rewrite::Rewriter;

/// The deepest nesting of brackets in a policy file.
pub const MAX_DEPTH: usize = 8;
/// The largest policy file.
pub const MAX_FILE: usize = 256 * 1024;
/// The most digits of a number, and of its exponent.
const MAX_DIGITS: usize = 64;
const MAX_EXPONENT: usize = 3;

/// Why a file is not handed to the parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Larger than [`MAX_FILE`].
    #[error("policy file is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// Brackets deeper than [`MAX_DEPTH`].
    #[error("brackets are nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The line of the bracket.
        line: usize,
    },
    /// A string that does not end on its line.
    #[error("string does not end on its line")]
    OpenString {
        /// The line of the string.
        line: usize,
    },
    /// A number that takes unbounded time to hold.
    #[error("number is too long")]
    LongNumber {
        /// The line of the number.
        line: usize,
    },
}

impl ScanError {
    /// The line, where the fault has one.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::TooLarge => None,
            Self::TooDeep { line } | Self::OpenString { line } | Self::LongNumber { line } => Some(*line),
        }
    }
}

/// Checks the size, the depth of brackets outside strings and comments, and the length of numbers.
///
/// # Errors
/// At the first thing that the parser should not see.
pub(crate) fn scan(text: &str) -> Result<(), ScanError> {
    if text.len() > MAX_FILE {
        return Err(ScanError::TooLarge);
    }
    let mut bytes = text.bytes().peekable();
    let (mut line, mut depth) = (1, 0_usize);
    let mut before = b' ';
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'#' => while bytes.next_if(|next| *next != b'\n').is_some() {},
            b'"' => quoted(&mut bytes).then_some(()).ok_or(ScanError::OpenString { line })?,
            b'`' => line += raw(&mut bytes).ok_or(ScanError::OpenString { line })?,
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b'0'..=b'9' if !before.is_ascii_alphanumeric() && before != b'_' => {
                number(&mut bytes).then_some(()).ok_or(ScanError::LongNumber { line })?;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ScanError::TooDeep { line });
        }
        before = byte;
    }
    Ok(())
}

/// The text as the parser reads it: newer constructs written in older ones, and scanned.
///
/// # Errors
/// As [`scan`].
pub(crate) fn rewritten<'a>(rewriter: &Rewriter, text: &'a str) -> Result<Cow<'a, str>, ScanError> {
    if text.len() > MAX_FILE {
        return Err(ScanError::TooLarge);
    }
    let text = rewriter.rewrite(text);
    scan(&text)?;
    Ok(text)
}

type Bytes<'a> = std::iter::Peekable<std::str::Bytes<'a>>;

fn quoted(bytes: &mut Bytes<'_>) -> bool {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return true,
            b'\n' => return false,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    false
}

fn raw(bytes: &mut Bytes<'_>) -> Option<usize> {
    let mut lines = 0;
    for byte in bytes {
        match byte {
            b'`' => return Some(lines),
            b'\n' => lines += 1,
            _ => {}
        }
    }
    None
}

fn number(bytes: &mut Bytes<'_>) -> bool {
    let mut digits = 1;
    while bytes.next_if(|next| next.is_ascii_digit() || *next == b'.').is_some() {
        digits += 1;
    }
    let mut exponent = 0;
    if bytes.next_if(|next| matches!(next, b'e' | b'E')).is_some() {
        bytes.next_if(|next| matches!(next, b'+' | b'-'));
        while bytes.next_if(u8::is_ascii_digit).is_some() {
            exponent += 1;
        }
    }
    digits <= MAX_DIGITS && exponent <= MAX_EXPONENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: impl Into<Option<ScanError>>) {
        assert_eq!(scan(text).err(), expected.into(), "{}", text.chars().take(80).collect::<String>());
    }

    #[test]
    fn brackets_are_counted_outside_strings_and_comments() {
        check("a := [[[[[[[[1]]]]]]]]", None);
        check("a := [[[[[[[[[1]]]]]]]]]", ScanError::TooDeep { line: 1 });
        check(&format!("x := \"{}\"", "[".repeat(50)), None);
        check(&format!("x := `\n{}`", "{".repeat(50)), None);
        check(&format!("# {}\nx := 1", "(".repeat(50)), None);
        check(&format!("x := \"\\\"\"\n{}", "{\"a\":".repeat(20)), ScanError::TooDeep { line: 2 });
    }

    #[test]
    fn a_string_cannot_hide_brackets() {
        check(&format!("x := \"\n{}", "[".repeat(50)), ScanError::OpenString { line: 1 });
        check("x := `", ScanError::OpenString { line: 1 });
    }

    #[test]
    fn sizes_are_bounded() {
        check(&" ".repeat(MAX_FILE), None);
        check(&" ".repeat(MAX_FILE + 1), ScanError::TooLarge);
        check("x := 1e308", None);
        check("x := 1e1000000000", ScanError::LongNumber { line: 1 });
        check(&format!("x := {}", "9".repeat(65)), ScanError::LongNumber { line: 1 });
    }
}
