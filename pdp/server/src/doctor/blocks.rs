//! Configurations of directives and blocks, with their lines: nginx ends a directive with `;`, a Caddyfile with the line.

/// The deepest nesting of blocks.
const DEEPEST: usize = 32;

/// One directive: its words, and what is in its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().skip(1).map(String::as_str)
    }

    pub(super) fn argument(&self, number: usize) -> &str {
        self.words.get(number + 1).map_or("", String::as_str)
    }

    pub(super) fn children(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The directives of this name right inside.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> + Clone {
        self.children().iter().filter(move |child| child.name() == name)
    }

    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// A directive and all that is in it, outside in.
pub(super) fn walk<'a>(all: &'a [Directive], visit: &mut impl FnMut(&'a Directive)) {
    for one in all {
        visit(one);
        walk(one.children(), visit);
    }
}

/// Reads what nginx reads.
pub(super) fn nginx(text: &str) -> Result<Vec<Directive>, String> {
    Reader { tokens: tokens(text, Lines::AreSpace)?.into_iter(), depth: 0, line: 1 }.directives()
}

/// Reads what Caddy reads. A snippet is a directive whose name is in parentheses.
pub(super) fn caddy(text: &str) -> Result<Vec<Directive>, String> {
    Reader { tokens: tokens(text, Lines::End)?.into_iter(), depth: 0, line: 1 }.directives()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    AreSpace,
    End,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(usize, String),
    Open,
    Close,
    End,
}

/// Words, braces and ends. A brace of Caddy's is one only by itself (`{client_ip}` is a word), as is one of nginx's (`${name}` is a word).
fn tokens(text: &str, lines: Lines) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\n' => {
                line += 1;
                if lines == Lines::End {
                    tokens.push(Token::End);
                }
            }
            '#' => while rest.next_if(|char| *char != '\n').is_some() {},
            ';' if lines == Lines::AreSpace => tokens.push(Token::End),
            '{' if lines == Lines::AreSpace || rest.peek().is_none_or(|next| next.is_whitespace()) => tokens.push(Token::Open),
            '}' => tokens.push(Token::Close),
            '"' | '\'' | '`' => {
                let start = line;
                tokens.push(Token::Word(
                    start,
                    quoted(&mut rest, char, &mut line).ok_or_else(|| format!("line {start}: a quote has no end"))?,
                ));
            }
            '\\' if lines == Lines::End && rest.next_if_eq(&'\n').is_some() => line += 1,
            char if char.is_whitespace() => {}
            char => tokens.push(Token::Word(line, word(&mut rest, char, lines))),
        }
    }
    Ok(tokens)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(rest: &mut Rest<'_>, quote: char, line: &mut usize) -> Option<String> {
    let mut word = String::new();
    loop {
        match rest.next()? {
            char if char == quote => return Some(word),
            '\\' if quote != '`' => word.extend(rest.next()),
            char => {
                *line += usize::from(char == '\n');
                word.push(char);
            }
        }
    }
}

fn word(rest: &mut Rest<'_>, first: char, lines: Lines) -> String {
    let mut word = String::from(first);
    let mut open = usize::from(first == '{');
    while let Some(next) = rest.peek().copied() {
        let ends = next.is_whitespace() || (lines == Lines::AreSpace && (next == ';' || (next == '{' && !word.ends_with('$'))));
        if ends || (next == '}' && open == 0) {
            break;
        }
        open = match next {
            '{' => open + 1,
            '}' => open - 1,
            _ => open,
        };
        word.push(next);
        rest.next();
    }
    word
}

struct Reader {
    tokens: std::vec::IntoIter<Token>,
    depth: usize,
    line: usize,
}

impl Reader {
    /// Up to the end of the text, or of the block that was opened.
    fn directives(&mut self) -> Result<Vec<Directive>, String> {
        let depth = self.depth;
        let mut all = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut start = self.line;
        let mut finish = |words: &mut Vec<String>, line, block: Option<Vec<Directive>>| {
            if !words.is_empty() || block.is_some() {
                all.push(Directive { line, words: std::mem::take(words), block });
            }
        };
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Word(line, word) => {
                    self.line = line;
                    if words.is_empty() {
                        start = line;
                    }
                    words.push(word);
                }
                Token::End => finish(&mut words, start, None),
                Token::Open => {
                    let line = if words.is_empty() { self.line } else { start };
                    let block = self.block()?;
                    finish(&mut words, line, Some(block));
                }
                Token::Close if depth == 0 => return Err(format!("line {}: a block is closed that was not opened", self.line)),
                Token::Close => {
                    finish(&mut words, start, None);
                    self.depth -= 1;
                    return Ok(all);
                }
            }
        }
        if depth > 0 {
            return Err(format!("line {}: a block is not closed", self.line));
        }
        finish(&mut words, start, None);
        Ok(all)
    }

    fn block(&mut self) -> Result<Vec<Directive>, String> {
        if self.depth == DEEPEST {
            return Err(format!("line {}: blocks are nested deeper than {DEEPEST}", self.line));
        }
        self.depth += 1;
        self.directives()
    }
}
