//! Tokens of Rego, as far as the rewriting needs them.

use std::ops::Range;

use super::MAX_TEMPLATES;

/// A piece of text with a meaning. Space and comments are between tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    /// A number.
    Number,
    /// A string, quoted or raw.
    Text,
    /// A template string, and whether it is raw.
    Template { raw: bool, parts: Vec<Part> },
    /// Any other character.
    Mark(u8),
}

/// A part of a template string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is written, escapes and all.
    Literal(Range<usize>),
    /// An expression between braces.
    Expression(Range<usize>, Vec<Token>),
}

impl Token {
    pub(super) fn is(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range.clone()).unwrap_or_default()
    }
}

/// All tokens, or nothing where a string does not end.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, templates: 0 };
    let tokens = lexer.until(|_| false)?;
    (lexer.at == text.len()).then_some(tokens)
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    templates: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    /// Reads tokens up to the end, or up to a closing bracket that nothing here opened and that `ends`.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> Option<Vec<Token>> {
        let (mut tokens, mut open) = (Vec::new(), 0_usize);
        while let Some(byte) = self.peek() {
            match byte {
                b']' | b'}' | b')' if open == 0 && ends(byte) => break,
                b'[' | b'{' | b'(' => open += 1,
                b']' | b'}' | b')' => open = open.saturating_sub(1),
                _ => {}
            }
            let start = self.at;
            if let Some(kind) = self.token(byte)? {
                tokens.push(Token { kind, range: start..self.at });
            }
        }
        Some(tokens)
    }

    /// One token, or nothing for space and comments; `None` outside where a string does not end.
    fn token(&mut self, byte: u8) -> Option<Option<Kind>> {
        match byte {
            b'#' => self.skip(|byte| byte != b'\n'),
            b'"' => return self.quoted().map(|()| Some(Kind::Text)),
            b'`' => return self.raw().map(|()| Some(Kind::Text)),
            b'$' if matches!(self.second(), Some(b'"' | b'`')) => return self.template().map(Some),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
                return Some(Some(Kind::Name));
            }
            b'0'..=b'9' => {
                self.skip(|byte| byte.is_ascii_alphanumeric());
                return Some(Some(Kind::Number));
            }
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            other => {
                self.at += 1;
                return Some(Some(Kind::Mark(other)));
            }
        }
        Some(None)
    }

    fn skip(&mut self, of: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&of) {
            self.at += 1;
        }
    }

    fn quoted(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\n' => return None,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    fn raw(&mut self) -> Option<()> {
        self.at += 1;
        self.skip(|byte| byte != b'`');
        self.peek()?;
        self.at += 1;
        Some(())
    }

    fn template(&mut self) -> Option<Kind> {
        let end = self.second()?;
        let raw = end == b'`';
        self.templates += 1;
        if self.templates > MAX_TEMPLATES {
            return None;
        }
        self.at += 2;
        let (mut parts, mut start) = (Vec::new(), self.at);
        loop {
            match self.peek()? {
                byte if byte == end => break,
                b'\n' if !raw => return None,
                b'\\' if !raw || self.second() == Some(b'{') => self.at += 2,
                b'{' => {
                    parts.push(Part::Literal(start..self.at));
                    parts.push(self.expression()?);
                    start = self.at;
                }
                _ => self.at += 1,
            }
        }
        parts.push(Part::Literal(start..self.at));
        self.at += 1;
        self.templates -= 1;
        parts.retain(|part| !matches!(part, Part::Literal(range) if range.is_empty()));
        Some(Kind::Template { raw, parts })
    }

    fn expression(&mut self) -> Option<Part> {
        self.at += 1;
        let start = self.at;
        let tokens = self.until(|byte| byte == b'}')?;
        self.peek()?;
        let range = start..self.at;
        self.at += 1;
        Some(Part::Expression(range, tokens))
    }
}
