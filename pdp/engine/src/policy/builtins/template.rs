//! `strings.render_template`: the part of Go's `text/template` that texts are made with: values, `if`, `else`, `range`, variables and trimming.
//! Functions, pipelines, `with`, `define` and `block` are errors.

mod parse;

use std::collections::BTreeMap;

use regorus::Value;

use self::parse::{Node, Operand, parse};
use super::call::{Builtin, Call, Failure, MAX_TEXT};
use super::text::write;

/// The most turns of all loops of a template together.
const MAX_TURNS: usize = 100_000;

pub(super) const TABLE: &[Builtin] = &[Builtin::new("strings.render_template", 2, render_template)];

fn render_template(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.bounded()?;
    call.object(1)?;
    let nodes = parse(text).map_err(|what| call.operand(what))?;
    let mut rendering = Rendering { call, written: String::new(), variables: BTreeMap::new(), turns: 0 };
    rendering.nodes(&nodes, call.value(1)?)?;
    Ok(Value::from(rendering.written))
}

struct Rendering<'a, 'c> {
    call: &'a Call<'c>,
    written: String,
    variables: BTreeMap<String, Value>,
    turns: usize,
}

impl Rendering<'_, '_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), Failure> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), Failure> {
        match node {
            Node::Text(text) => self.written.push_str(text),
            Node::Value(operand) => write(&self.value(operand, dot)?, &mut self.written, true),
            Node::If { branches, otherwise } => {
                for (condition, nodes) in branches {
                    if is_true(&self.value(condition, dot)?) {
                        return self.nodes(nodes, dot);
                    }
                }
                return self.nodes(otherwise, dot);
            }
            Node::Range { variables, over, body, otherwise } => {
                return self.range(variables, &self.value(over, dot)?, body, otherwise, dot);
            }
        }
        self.call.within(self.written.len(), MAX_TEXT)
    }

    fn range(&mut self, variables: &[String], over: &Value, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), Failure> {
        let items: Vec<(Value, Value)> = match over {
            Value::Array(items) => items.iter().enumerate().map(|(at, item)| (Value::from(at), item.clone())).collect(),
            Value::Set(items) => items.iter_sorted().enumerate().map(|(at, item)| (Value::from(at), item.clone())).collect(),
            Value::Object(members) => members.iter_sorted().map(|(name, member)| (name.clone(), member.clone())).collect(),
            _ => return Err(self.call.operand("`range` wants a collection")),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (index, item) in items {
            self.turns += 1;
            self.call.within(self.turns, MAX_TURNS)?;
            match variables {
                [value] => drop(self.variables.insert(value.clone(), item.clone())),
                [key, value] => {
                    self.variables.insert(key.clone(), index);
                    self.variables.insert(value.clone(), item.clone());
                }
                _ => {}
            }
            self.nodes(body, &item)?;
        }
        Ok(())
    }

    fn value(&self, operand: &Operand, dot: &Value) -> Result<Value, Failure> {
        let (mut value, fields) = match operand {
            Operand::Constant(value) => return Ok(value.clone()),
            Operand::Field(fields) => (dot.clone(), fields),
            Operand::Variable(name, fields) => {
                let value = self.variables.get(name).ok_or_else(|| self.call.operand(format!("variable `${name}` is not defined")))?;
                (value.clone(), fields)
            }
        };
        for field in fields {
            let inner = value.as_object().ok().and_then(|members| members.get(&Value::from(field.as_str())).cloned());
            value = inner.ok_or_else(|| self.call.operand(format!("template wants `{field}`, which is not given")))?;
        }
        Ok(value)
    }
}

/// As Go has it: zero, the empty and the missing are false.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(_) => *value != Value::from(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Set(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    }
}
