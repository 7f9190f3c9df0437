//! YAML cases: an input, said as its difference to an example, and what the policy must say of it. They are tests of the policy as the Rego ones are.

mod given;
mod members;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeSet;

use countersign_sdk_types::contract::Input;

use given::{Bases, Change};
use members::{Fault, Read, Unique, list, members, text, whole_list};
pub(super) use wanted::Wanted;

use super::scan::MAX_FILE;
use super::{PolicyFile, Problem};
use crate::yaml::{self, Node};

/// The most cases of a file, the rows of its tables among them.
const MAX_CASES: usize = 2_000;
/// How long a name may be, in characters.
const MAX_NAME: usize = 160;

/// What a file and what a case may say; `cases.schema.json` says the same.
const FILE: [&str; 2] = ["bases", "cases"];
const CASE: [&str; 6] = ["name", "base", "set", "remove", "expect", "table"];

/// One input, and what is wanted of the policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    /// The line of the case, or of its row.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) input: Input,
    pub(super) wanted: Wanted,
}

/// Whether a file of this path holds cases.
#[must_use]
pub fn is_cases(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| stem == "cases" || stem.ends_with("_cases"))
}

/// Reads a file of cases.
///
/// # Errors
/// Every problem that was found, each with its line.
pub(super) fn read(file: &PolicyFile) -> Result<Vec<Case>, Vec<Problem>> {
    let problem = |fault: Fault| Problem { file: Some(file.path.clone()), line: fault.line, text: fault.text };
    if file.text.len() > MAX_FILE {
        return Err(vec![problem(Fault { line: None, text: format!("file of cases is larger than {MAX_FILE} bytes") })]);
    }
    let mut faults = Vec::new();
    let cases = file_of_cases(&file.text, &mut faults);
    if faults.is_empty() { Ok(cases) } else { Err(faults.into_iter().map(problem).collect()) }
}

fn file_of_cases(text: &str, faults: &mut Vec<Fault>) -> Vec<Case> {
    let begun = yaml::yaml(text).map_err(|error| Fault { line: Some(error.line), text: error.text }).and_then(|tree| {
        let [bases, cases] = members(&tree, FILE)?;
        let listed = cases.ok_or_else(|| Fault::at(&tree, "file has no `cases`")).and_then(whole_list)?;
        Ok((Bases::read(bases)?, listed.to_vec()))
    });
    let (bases, listed) = match begun {
        Ok(begun) => begun,
        Err(fault) => {
            faults.push(fault);
            return Vec::new();
        }
    };
    let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
    for node in &listed {
        match read_case(node, &bases) {
            Ok(read) => cases.extend(read),
            Err(fault) => faults.push(fault),
        }
        if cases.len() > MAX_CASES {
            faults.push(Fault::at(node, &format!("file has more than {MAX_CASES} cases")));
            break;
        }
    }
    let again = cases.iter().filter(|case| !names.insert(case.name.as_str()));
    faults.extend(again.map(|case| Fault { line: Some(case.line), text: format!("another case is named `{}` too", case.name) }));
    cases
}

/// One case, or one for each row of its table.
fn read_case(node: &Node, bases: &Bases) -> Read<Vec<Case>> {
    let [name, base, set, remove, expect, table] = members(node, CASE)?;
    let name = name.ok_or_else(|| Fault::at(node, "case has no `name`")).and_then(text)?;
    let change = Change::read(set, remove)?;
    let document = bases.document(base)?;
    let wanted = expect.map(Wanted::read).transpose()?;
    let Some(table) = table else {
        let wanted = wanted.ok_or_else(|| Fault::at(node, "case has no `expect`"))?;
        return Ok(vec![Case { line: node.line, name: shortened(name), input: change.applied(document)?.input(node)?, wanted }]);
    };
    let document = change.applied(document)?;
    let mut rows = whole_list(table)?.iter();
    let columns = rows.next().ok_or_else(|| Fault::at(table, "table has no first row, which names its columns"))?;
    let columns = Columns::read(columns)?;
    rows.map(|row| columns.case(row, name, &document, wanted.as_ref())).collect()
}

/// What the columns of a table hold: names of rows, what is wanted, or paths.
struct Columns(Vec<String>);

impl Columns {
    fn read(node: &Node) -> Read<Self> {
        let mut seen = Unique::default();
        let names = list(node)?.iter().map(|cell| seen.take(cell, text(cell)?).map(str::to_owned)).collect::<Read<Vec<_>>>()?;
        Ok(Self(names))
    }

    fn case(&self, row: &Node, name: &str, document: &given::Document, wanted: Option<&Wanted>) -> Read<Case> {
        let cells = list(row)?;
        if cells.len() != self.0.len() {
            return Err(Fault::at(row, &format!("row has {} cells, and the table {} columns", cells.len(), self.0.len())));
        }
        let (mut document, mut wanted, mut says) = (document.clone(), wanted.cloned(), Vec::new());
        for (column, cell) in self.0.iter().zip(cells) {
            match column.as_str() {
                "name" => says = vec![text(cell)?.to_owned()],
                "expect" => wanted = Some(Wanted::read(cell)?),
                path => {
                    let value = members::json(cell)?;
                    if !self.0.iter().any(|column| column == "name") {
                        says.push(format!("{path} = {value}"));
                    }
                    document = document.set(cell, path, value)?;
                }
            }
        }
        let set: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let wanted = wanted.ok_or_else(|| Fault::at(row, "neither the case nor the table says what to `expect`"))?;
        let name = if says.is_empty() { format!("{name} (row {})", row.line) } else { format!("{name} ({})", says.join(", ")) };
        Ok(Case { line: row.line, name: shortened(&name), input: document.with_level(&set).input(row)?, wanted })
    }
}

fn shortened(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX_NAME).collect()
}
