//! YAML, and JSON, which is YAML, as a tree with lines, bounded in depth and in size. What it repeats by an alias counts each time.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

/// Why a text is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// One sentence.
    pub text: String,
}

impl YamlError {
    fn at(line: usize, text: &str) -> Self {
        Self { line, text: text.to_owned() }
    }
}

const DEEPEST: usize = 64;
const MOST_NODES: usize = 100_000;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// The value.
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text that somebody quoted or tagged.
    Text(String),
    /// A text as it stands: who reads it says whether `true` is a text or a truth.
    Plain(String),
    /// Values in order.
    List(Vec<Node>),
    /// Names and values in order, repeated names too.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What a map has under a key; the same key in another case is the same to Traefik, and to Envoy a mistake.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node)
    }

    /// The same along several keys.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// What a map holds; nothing for what is no map.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// What a list holds; nothing for what is no list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A scalar as text: a proxy takes `true` and `"true"` for the same.
    #[must_use]
    pub fn text(&self) -> &str {
        if let Value::Text(text) | Value::Plain(text) = &self.value { text } else { "" }
    }

    /// Whether a key holds this text.
    #[must_use]
    pub fn is(&self, key: &str, text: &str) -> bool {
        self.get(key).is_some_and(|node| node.text() == text)
    }

    /// This and all that is in it, outside in.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        self.entries().iter().map(|(_, node)| node).chain(self.items()).for_each(|node| node.walk(visit));
    }

    /// How many nodes that is.
    fn size(&self) -> usize {
        1 + self.entries().iter().map(|(_, node)| node).chain(self.items()).map(Self::size).sum::<usize>()
    }
}

/// Reads YAML. Several documents are a list of them.
///
/// # Errors
/// When it is none, or holds too much.
pub fn yaml(text: &str) -> Result<Node, YamlError> {
    let mut reader = Yaml { events: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, line) => documents.push(reader.node(event, line, 0)?),
        }
    }
    match <[Node; 1]>::try_from(documents) {
        Ok([only]) => Ok(only),
        Err(documents) => Ok(Node { line: 1, value: Value::List(documents) }),
    }
}

struct Yaml<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

impl<'a> Yaml<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        let next = self.events.next_event().unwrap_or_else(|| Ok((Event::StreamEnd, saphyr_parser::Span::default())));
        next.map(|(event, span)| (event, span.start.line()))
            .map_err(|error| YamlError::at(error.marker().line(), &format!("no YAML: {}", error.info())))
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, YamlError> {
        self.count(1, line)?;
        if depth == DEEPEST {
            return Err(YamlError::at(line, &format!("nested deeper than {DEEPEST}")));
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.repeated(anchor, line),
            Event::Scalar(text, ScalarStyle::Plain, anchor, None) => (anchor, Value::Plain(text.into_owned())),
            Event::Scalar(text, _, anchor, _) => (anchor, Value::Text(text.into_owned())),
            Event::SequenceStart(anchor, _) => (anchor, Value::List(self.list(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Value::Map(self.map(depth)?)),
            _ => return Err(YamlError::at(line, "not a value")),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.count(node.size(), line)?;
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(String, Node)>, YamlError> {
        let mut entries = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, line, depth + 1)?.text().to_owned();
            let (event, line) = self.next()?;
            entries.push((key, self.node(event, line, depth + 1)?));
        }
    }

    fn repeated(&mut self, anchor: usize, line: usize) -> Result<Node, YamlError> {
        let found = self.anchors.iter().rev().find(|(id, _)| *id == anchor).map(|(_, node)| node);
        let node = found.ok_or_else(|| YamlError::at(line, "an alias of nothing"))?.clone();
        self.count(node.size(), line)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES { Err(YamlError::at(line, &format!("more than {MOST_NODES} values"))) } else { Ok(()) }
    }
}
