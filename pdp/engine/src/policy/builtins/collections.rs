//! Built-ins over arrays and graphs that the library lacks or cannot bound.

use std::collections::BTreeSet;

use regorus::Value;

use super::call::{Builtin, Call, Failure, MAX_ITEMS};

/// The most comparisons of a search for paths.
const MAX_STEPS: usize = 1_000_000;

pub(super) const TABLE: &[Builtin] =
    &[Builtin::new("array.flatten", 1, flatten), Builtin::new("graph.reachable_paths", 2, reachable_paths)];

/// One level.
fn flatten(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.value(0)?.as_array().map_err(|_| call.operand("an array is expected"))?;
    let mut flat = Vec::new();
    for item in items.iter() {
        match item {
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
        call.within(flat.len(), MAX_ITEMS)?;
    }
    Ok(Value::from(flat))
}

/// Every longest path from the given nodes along the edges; one that comes back to itself ends there.
fn reachable_paths(call: &Call<'_>) -> Result<Value, Failure> {
    let graph = call.object(0)?;
    let mut open: Vec<Vec<&Value>> = members(call.value(1)?)
        .ok_or_else(|| call.operand("an array or a set is expected"))?
        .into_iter()
        .filter(|node| graph.get(node).is_some())
        .map(|node| vec![node])
        .collect();
    let (mut paths, mut steps) = (BTreeSet::new(), 0_usize);
    while let Some(path) = open.pop() {
        let edges = path.last().and_then(|node| graph.get(node)).and_then(members).unwrap_or_default();
        steps = steps.saturating_add(path.len().saturating_mul(edges.len() + 1));
        call.within(steps, MAX_STEPS)?;
        let next: Vec<&Value> = edges.into_iter().filter(|node| graph.get(node).is_some() && !path.contains(node)).collect();
        if next.is_empty() {
            paths.insert(Value::from(path.into_iter().cloned().collect::<Vec<_>>()));
            continue;
        }
        open.extend(next.into_iter().map(|node| path.iter().copied().chain([node]).collect()));
    }
    call.within(paths.len(), MAX_ITEMS)?;
    Ok(Value::from(paths))
}

fn members(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(items) => Some(items.iter().collect()),
        Value::Set(items) => Some(items.iter().collect()),
        _ => None,
    }
}
