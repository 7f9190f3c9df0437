//! What configurations are written in, as one tree with lines: YAML, JSON (which is YAML) and TOML.

use countersign_pdp_engine::yaml;
pub(super) use countersign_pdp_engine::yaml::{Node, Value};
use toml::de::{DeTable, DeValue};

/// Reads YAML. Several documents are a list of them.
pub(super) fn yaml(text: &str) -> Result<Node, String> {
    yaml::yaml(text).map_err(|error| error.to_string())
}

/// Reads TOML. Its reader bounds the depth itself.
pub(super) fn toml(text: &str) -> Result<Node, String> {
    let table = DeTable::parse(text).map_err(|error| format!("no TOML: {error}"))?;
    let lines = Lines(text.match_indices('\n').map(|(at, _)| at).collect());
    let line = lines.of(table.span().start);
    Ok(Node { line, value: Value::Map(lines.map(table.get_ref())) })
}

/// Where lines end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|end| *end < byte)
    }

    fn map(&self, table: &DeTable<'_>) -> Vec<(String, Node)> {
        let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let line = self.of(key.span().start);
            (AsRef::<str>::as_ref(key.get_ref()).to_owned(), Node { line, value: self.value(value) })
        };
        table.iter().map(entry).collect()
    }

    fn value(&self, value: &toml::Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Text(number.to_string()),
            DeValue::Float(number) => Value::Text(number.to_string()),
            DeValue::Boolean(truth) => Value::Text(truth.to_string()),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                let node = |item: &toml::Spanned<DeValue<'_>>| Node { line: self.of(item.span().start), value: self.value(item) };
                Value::List(items.iter().map(node).collect())
            }
            DeValue::Table(table) => Value::Map(self.map(table)),
        }
    }
}
