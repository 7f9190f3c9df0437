//! Reads a policy file as text before the parser may: its parser doubles its time with every level of brackets, and no timer covers it.

use std::borrow::Cow;

use super::rewrite::Rewriter;

/// The deepest nesting of brackets in a policy file.
pub const MAX_DEPTH: usize = 8;
/// The most operators, dots and indices of one expression: the parser and the evaluator go one call deeper for each.
pub const MAX_OPERATORS: usize = 500;
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
    /// More than [`MAX_OPERATORS`] in an expression.
    #[error("expression has more than {MAX_OPERATORS} operators")]
    LongExpression {
        /// The line that it reaches.
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
            Self::TooDeep { line } | Self::OpenString { line } | Self::LongExpression { line } | Self::LongNumber { line } => Some(*line),
        }
    }
}

/// Checks the size, the depth of brackets outside strings and comments, and the length of expressions and numbers.
///
/// # Errors
/// At the first thing that the parser should not see.
pub(crate) fn scan(text: &str) -> Result<(), ScanError> {
    if text.len() > MAX_FILE {
        return Err(ScanError::TooLarge);
    }
    let mut bytes = text.bytes().peekable();
    let (mut line, mut expressions) = (1, Expressions::default());
    let mut before = b' ';
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'#' => while bytes.next_if(|next| *next != b'\n').is_some() {},
            b'"' => quoted(&mut bytes).then_some(()).ok_or(ScanError::OpenString { line })?,
            b'`' => line += raw(&mut bytes).ok_or(ScanError::OpenString { line })?,
            b'0'..=b'9' if !before.is_ascii_alphanumeric() && before != b'_' => {
                number(&mut bytes).then_some(()).ok_or(ScanError::LongNumber { line })?;
            }
            _ => {}
        }
        let is_in = byte == b'i' && !is_of_a_name(before) && is_in(bytes.clone());
        expressions.read(byte, is_in, line)?;
        before = byte;
    }
    Ok(())
}

/// The expressions that are open, from the outermost in.
#[derive(Default)]
struct Expressions {
    /// How many operators each has so far.
    operators: [usize; MAX_DEPTH + 1],
    depth: usize,
    /// The last byte was the end of a line, and before it the expression was whole.
    may_end: bool,
    /// An operator was the last that was not space.
    goes_on: bool,
    /// The last that was not space.
    last: u8,
}

impl Expressions {
    /// The byte, and whether the operator `in` begins with it.
    fn read(&mut self, byte: u8, is_in: bool, line: usize) -> Result<(), ScanError> {
        let is_mark =
            matches!(byte, b'+' | b'-' | b'*' | b'/' | b'%' | b'|' | b'&' | b'.' | b'[' | b'(' | b'{' | b'<' | b'>' | b'=' | b'!');
        let is_operator = is_mark || is_in;
        match byte {
            b' ' | b'\t' | b'\r' | b'#' => return Ok(()),
            b'\n' => {
                self.may_end |= !self.goes_on;
                return Ok(());
            }
            b',' | b';' | b':' => self.begin(),
            // An expression goes on where the next line begins with an operator.
            _ if self.may_end && !is_operator => self.begin(),
            _ => {}
        }
        // One that stands alone, or behind `:`, `<`, `>` or `!`, is no comparison, or was counted.
        let is_counted = is_operator && (byte != b'=' || self.last == b'=');
        (self.may_end, self.goes_on, self.last) = (false, is_operator, byte);
        if is_counted {
            let here = self.operators.get_mut(self.depth).ok_or(ScanError::TooDeep { line })?;
            *here += 1;
            if *here > MAX_OPERATORS {
                return Err(ScanError::LongExpression { line });
            }
        }
        match byte {
            b'[' | b'{' | b'(' => {
                self.depth += 1;
                self.begin();
                if self.depth > MAX_DEPTH {
                    return Err(ScanError::TooDeep { line });
                }
            }
            b']' | b'}' | b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self) {
        if let Some(here) = self.operators.get_mut(self.depth) {
            *here = 0;
        }
    }
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

const fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `i` goes on to be the whole word `in`.
fn is_in(mut after: Bytes<'_>) -> bool {
    after.next() == Some(b'n') && !after.next().is_some_and(is_of_a_name)
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
    fn operators_are_counted_by_expression() {
        let long = |part: &str| format!("x := y{}", part.repeat(501));
        for part in [
            " < 1",
            " == 1",
            "\n!= 1",
            " in y",
            "\nin y",
            "\tin[1]",
            " + 1",
            " -1",
            " +\n1",
            "\n+ 1",
            "\n\n+ f(1, 2)",
            "\n# c\n+ 1",
            ".a",
            "[0]",
            "(1; 2)",
            "| {1: 2}",
        ] {
            assert!(matches!(scan(&long(part)), Err(ScanError::LongExpression { .. })), "{part}");
        }
        check(&format!("x := {}", "- ".repeat(501)), ScanError::LongExpression { line: 1 });
        check(&format!("x := 1{}", " + 1".repeat(500)), None);
        check(&"x := a.b + 1\n".repeat(1_000), None);
        check(&format!("x := [{}]", "a.b - 1, ".repeat(1_000)), None);
        check(&format!("p if {{\n{}}}", "a.b > c[0]; ".repeat(1_000)), None);
        check(&"# a.b + c\n".repeat(1_000), None);
        check(&"some x in y\nx == 1\n".repeat(1_000), None);
        check(&format!("x := {{{}}}", "\"in\", inner, within, in_, _in, ".repeat(1_000)), None);
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
