//! Reads a template into nodes.

use regorus::Value;

/// The deepest nesting of actions.
const MAX_DEPTH: usize = 16;

/// A piece of a template.
pub(super) enum Node {
    Text(String),
    Value(Operand),
    If { branches: Vec<(Operand, Vec<Node>)>, otherwise: Vec<Node> },
    Range { variables: Vec<String>, over: Operand, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Where a value comes from.
pub(super) enum Operand {
    Constant(Value),
    /// Of the value at hand.
    Field(Vec<String>),
    /// Of a variable.
    Variable(String, Vec<String>),
}

enum Piece<'a> {
    Text(&'a str),
    Action(&'a str),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut reader = Reader { pieces: &pieces, depth: 0 };
    let (nodes, end) = reader.nodes()?;
    end.map_or(Ok(nodes), |end| Err(format!("`{end}` has nothing to end")))
}

/// Texts and actions in turn; `{{-` and `-}}` take the space beside them away.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut rest, mut trims) = (Vec::new(), text, false);
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, next) = after.split_once("}}").ok_or("action is not closed")?;
        let opened = action.strip_prefix('-').filter(|action| action.starts_with(char::is_whitespace));
        let before = if trims { before.trim_start() } else { before };
        pieces.push(Piece::Text(if opened.is_some() { before.trim_end() } else { before }));
        let action = opened.unwrap_or(action);
        let closed = action.strip_suffix('-').filter(|action| action.ends_with(char::is_whitespace));
        trims = closed.is_some();
        pieces.push(Piece::Action(closed.unwrap_or(action).trim()));
        rest = next;
    }
    pieces.push(Piece::Text(if trims { rest.trim_start() } else { rest }));
    Ok(pieces)
}

struct Reader<'a> {
    pieces: &'a [Piece<'a>],
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Nodes up to the end, or up to an `else` or `end`, which is given too.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<&'a str>), String> {
        let mut nodes = Vec::new();
        while let Some((piece, rest)) = self.pieces.split_first() {
            self.pieces = rest;
            match piece {
                Piece::Text("") => {}
                Piece::Text(text) => nodes.push(Node::Text((*text).to_owned())),
                Piece::Action(action) if *action == "end" || first(action) == "else" => return Ok((nodes, Some(action))),
                Piece::Action(action) if action.starts_with("/*") && action.ends_with("*/") => {}
                Piece::Action(action) => nodes.push(self.action(action)?),
            }
        }
        Ok((nodes, None))
    }

    fn action(&mut self, action: &'a str) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("template is nested too deeply".to_owned());
        }
        let node = match first(action) {
            "if" => self.conditional(action),
            "range" => self.range(action),
            _ => operand(action).map(Node::Value),
        };
        self.depth -= 1;
        node
    }

    fn conditional(&mut self, action: &'a str) -> Result<Node, String> {
        let (mut branches, mut condition) = (Vec::new(), operand(after(action, "if"))?);
        loop {
            let (body, end) = self.nodes()?;
            branches.push((condition, body));
            match end {
                Some("end") => return Ok(Node::If { branches, otherwise: Vec::new() }),
                Some("else") => {
                    let otherwise = self.closed()?;
                    return Ok(Node::If { branches, otherwise });
                }
                Some(other) => condition = operand(after(after(other, "else"), "if"))?,
                None => return Err("`if` has no `end`".to_owned()),
            }
        }
    }

    fn range(&mut self, action: &str) -> Result<Node, String> {
        let clause = after(action, "range");
        let (variables, over) = match clause.split_once(":=") {
            Some((names, over)) => (names.split(',').map(variable).collect::<Result<Vec<_>, _>>()?, operand(over.trim())?),
            None => (Vec::new(), operand(clause)?),
        };
        if variables.len() > 2 {
            return Err("`range` declares more than two variables".to_owned());
        }
        let (body, end) = self.nodes()?;
        let otherwise = match end {
            Some("end") => Vec::new(),
            Some("else") => self.closed()?,
            _ => return Err("`range` has no `end`".to_owned()),
        };
        Ok(Node::Range { variables, over, body, otherwise })
    }

    fn closed(&mut self) -> Result<Vec<Node>, String> {
        match self.nodes()? {
            (nodes, Some("end")) => Ok(nodes),
            _ => Err("`else` has no `end`".to_owned()),
        }
    }
}

fn first(action: &str) -> &str {
    action.split_whitespace().next().unwrap_or_default()
}

fn after<'a>(action: &'a str, word: &str) -> &'a str {
    action.strip_prefix(word).unwrap_or_default().trim()
}

fn variable(name: &str) -> Result<String, String> {
    let name = name.trim().strip_prefix('$').filter(|name| is_name(name));
    name.map(ToOwned::to_owned).ok_or_else(|| "a variable is expected".to_owned())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || character == '_')
}

fn operand(text: &str) -> Result<Operand, String> {
    let unsupported = || format!("action `{}` is not supported", text.chars().take(64).collect::<String>());
    let fields = |path: &str| -> Result<Vec<String>, String> {
        let names = path.split('.').filter(|name| !name.is_empty());
        names.map(|name| is_name(name).then(|| name.to_owned()).ok_or_else(unsupported)).collect()
    };
    if let Some(path) = text.strip_prefix('.') {
        return fields(path).map(Operand::Field);
    }
    if let Some(path) = text.strip_prefix('$') {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        return Ok(Operand::Variable(variable(&format!("${name}"))?, fields(rest)?));
    }
    match text.starts_with(['"', 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        true => Value::from_json_str(text).map(Operand::Constant).map_err(|_| unsupported()),
        false => Err(unsupported()),
    }
}
