//! The public interface of a crate as sorted lines, from the JSON that rustdoc writes: a line for everything that a program can rest on.
//!
//! A line that is gone or different breaks programs. A new line does not, but for a variant of an enum that may be matched whole, a field of a struct that
//! may be written whole, and an item that implementations of a trait must have.

use std::collections::BTreeSet;

use serde_json::Value;

/// The form of rustdoc's JSON that is read here (rustc 1.95).
pub const FORMAT: u64 = 57;

/// What became of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// There is more: a minor version.
    Minor,
    /// Programs may break: a major version; before 1.0, the second number.
    Major,
}

/// Compares two interfaces, line by line.
#[must_use]
pub fn compare(before: &str, after: &str) -> Change {
    let lines = |of: &str| -> BTreeSet<String> {
        of.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(ToOwned::to_owned).collect()
    };
    let (before, after) = (lines(before), lines(after));
    let mut added = after.difference(&before);
    match () {
        () if before == after => Change::None,
        () if before.difference(&after).next().is_some() => Change::Major,
        () if added.any(|line| is_closed(line, &before)) => Change::Major,
        () => Change::Minor,
    }
}

/// A new part of something that was there, and that programs may have taken for whole.
fn is_closed(line: &str, before: &BTreeSet<String>) -> bool {
    let Some((kind, rest)) = line.split_once(' ') else { return false };
    let whole = match kind {
        "variant" => "enum",
        "field" => "struct",
        "required" => "trait",
        _ => return false,
    };
    let Some(owner) = owner_of(rest) else { return false };
    before.iter().any(|line| {
        let open = line.ends_with(" #[non_exhaustive]") || line.ends_with(" { .. }");
        let named = line.strip_prefix(whole).and_then(|rest| rest.trim_start().strip_prefix(owner));
        !open && named.is_some_and(|rest| !rest.starts_with("::"))
    })
}

/// `Answer` of `Answer::Allow(Allow)`.
fn owner_of(item: &str) -> Option<&str> {
    let name = item.split(['(', ' ', '{', '<']).next()?;
    let name = name.strip_suffix(':').unwrap_or(name);
    name.rsplit_once("::").map(|(owner, _)| owner)
}

/// The interface of the crate that this JSON is about.
///
/// # Panics
/// When the JSON is of another form.
#[must_use]
pub fn lines(json: &Value) -> Vec<String> {
    assert_eq!(json["format_version"], FORMAT, "rustdoc writes another form than is read here: look at what changed, and at `FORMAT`");
    let mut printer = Printer { json, lines: BTreeSet::new() };
    printer.module(&json["root"], "");
    printer.lines.into_iter().collect()
}

struct Printer<'a> {
    json: &'a Value,
    lines: BTreeSet<String>,
}

impl<'a> Printer<'a> {
    fn item(&self, id: &Value) -> Option<&'a Value> {
        self.json["index"].get(id.to_string())
    }

    fn own_name(&self) -> &str {
        self.item(&self.json["root"]).map(|root| text(&root["name"])).unwrap_or_default()
    }

    fn put(&mut self, line: String) {
        self.lines.insert(line);
    }

    fn module(&mut self, id: &Value, path: &str) {
        let Some(module) = self.item(id) else { return };
        for id in array(&module["inner"]["module"]["items"]) {
            let Some(item) = self.item(id) else { continue };
            self.public(item, item["name"].as_str().unwrap_or_default(), path);
        }
    }

    fn public(&mut self, item: &Value, name: &str, within: &str) {
        if item["visibility"] != "public" {
            return;
        }
        let path = if within.is_empty() { name.to_owned() } else { format!("{within}::{name}") };
        let inner = &item["inner"];
        match kind(inner) {
            "module" => self.module(&item["id"], &path),
            "use" => {
                let of = &inner["use"];
                let name = of["name"].as_str().unwrap_or_default();
                match self.item(&of["id"]) {
                    Some(target) => self.public(target, name, within),
                    None => self.put(format!("use {} as {name}", text(&of["source"]))),
                }
            }
            "struct" => self.structure(item, &path),
            "enum" => self.enumeration(item, &path),
            "trait" => self.interface(item, &path),
            "function" => {
                let line = self.function("fn", &inner["function"], &path);
                self.put(line);
            }
            "constant" => self.put(format!("const {path}: {}", self.of_type(&inner["constant"]["type"]))),
            "static" => self.put(format!("static {path}: {}", self.of_type(&inner["static"]["type"]))),
            "type_alias" => self.put(format!("type {path} = {}", self.of_type(&inner["type_alias"]["type"]))),
            other => self.put(format!("{other} {path}")),
        }
    }

    fn structure(&mut self, item: &Value, path: &str) {
        let of = &item["inner"]["struct"];
        let head = format!("struct {path}{}{}", self.generics(&of["generics"]), self.wheres(&of["generics"]));
        let line = if let Some(fields) = of["kind"]["tuple"].as_array() {
            let fields: Vec<String> = fields.iter().map(|id| self.item(id).map_or("_".to_owned(), |field| self.field(field))).collect();
            format!("{head}({})", fields.join(", "))
        } else {
            let plain = &of["kind"]["plain"];
            for id in array(&plain["fields"]) {
                let Some(field) = self.item(id) else { continue };
                self.put(format!("field {path}::{}: {}", text(&field["name"]), self.field(field)));
            }
            if plain["has_stripped_fields"] == true { format!("{head} {{ .. }}") } else { head }
        };
        self.put(line + open(item));
        self.implementations(&of["impls"], path);
    }

    fn field(&self, field: &Value) -> String {
        self.of_type(&field["inner"]["struct_field"])
    }

    fn enumeration(&mut self, item: &Value, path: &str) {
        let of = &item["inner"]["enum"];
        self.put(format!("enum {path}{}{}{}", self.generics(&of["generics"]), self.wheres(&of["generics"]), open(item)));
        for id in array(&of["variants"]) {
            let Some(variant) = self.item(id) else { continue };
            let kind = &variant["inner"]["variant"]["kind"];
            let fields = |ids: &Value| -> Vec<(String, String)> {
                let fields = array(ids).iter().filter_map(|id| self.item(id));
                fields.map(|field| (text(&field["name"]).to_owned(), self.field(field))).collect()
            };
            let (tuple, named) = (fields(&kind["tuple"]), fields(&kind["struct"]["fields"]));
            let what = match () {
                () if !tuple.is_empty() => format!("({})", tuple.into_iter().map(|(_, of)| of).collect::<Vec<_>>().join(", ")),
                () if !named.is_empty() => {
                    format!(" {{ {} }}", named.into_iter().map(|(name, of)| format!("{name}: {of}")).collect::<Vec<_>>().join(", "))
                }
                () => String::new(),
            };
            self.put(format!("variant {path}::{}{what}{}", text(&variant["name"]), open(variant)));
        }
        self.implementations(&of["impls"], path);
    }

    fn interface(&mut self, item: &Value, path: &str) {
        let of = &item["inner"]["trait"];
        let above = self.bounds(&of["bounds"]);
        let above = if above.is_empty() { above } else { format!(": {above}") };
        self.put(format!("trait {path}{}{above}{}", self.generics(&of["generics"]), self.wheres(&of["generics"])));
        for id in array(&of["items"]) {
            let Some(item) = self.item(id) else { continue };
            let (inner, path) = (&item["inner"], format!("{path}::{}", text(&item["name"])));
            let line = match kind(inner) {
                "function" => {
                    let kind = if inner["function"]["has_body"] == true { "provided" } else { "required" };
                    self.function(kind, &inner["function"], &path)
                }
                other => format!("required {path} ({other})"),
            };
            self.put(line);
        }
    }

    fn implementations(&mut self, ids: &Value, path: &str) {
        for id in array(ids) {
            let Some(item) = self.item(id) else { continue };
            let of = &item["inner"]["impl"];
            let name = of["trait"]["path"].as_str().unwrap_or_default();
            let is_told = !of["is_synthetic"].as_bool().unwrap_or_default() || matches!(name, "Send" | "Sync");
            if !of["blanket_impl"].is_null() || !is_told || name == "StructuralPartialEq" {
                continue;
            }
            if of["trait"].is_null() {
                self.own(of, path);
                continue;
            }
            let not = if of["is_negative"] == true { "!" } else { "" };
            let head = format!("{not}{} for {}{}", self.path(&of["trait"]), self.of_type(&of["for"]), self.wheres(&of["generics"]));
            if head.contains("::__private") {
                continue;
            }
            let line = format!("impl{} {head}", self.generics(&of["generics"]));
            let types: Vec<String> = array(&of["items"]).iter().filter_map(|id| self.associated(id)).collect();
            self.put(if types.is_empty() { line } else { format!("{line} {{ {} }}", types.join(" ")) });
        }
    }

    fn associated(&self, id: &Value) -> Option<String> {
        let item = self.item(id)?;
        let of = item["inner"].get("assoc_type")?;
        Some(format!("type {} = {};", text(&item["name"]), self.of_type(&of["type"])))
    }

    /// What a type has of its own.
    fn own(&mut self, of: &Value, path: &str) {
        for id in array(&of["items"]) {
            let Some(item) = self.item(id).filter(|item| item["visibility"] == "public") else { continue };
            let (inner, path) = (&item["inner"], format!("{path}::{}", text(&item["name"])));
            let line = match kind(inner) {
                "function" => self.function("fn", &inner["function"], &path) + &self.wheres(&of["generics"]),
                "assoc_const" => format!("const {path}: {}", self.of_type(&inner["assoc_const"]["type"])),
                other => format!("{other} {path}"),
            };
            self.put(line);
        }
    }

    fn function(&self, kind: &str, of: &Value, path: &str) -> String {
        let mark = |name: &str| if of["header"][format!("is_{name}")] == true { format!("{name} ") } else { String::new() };
        let marks: String = ["const", "async", "unsafe"].into_iter().map(mark).collect();
        let inputs: Vec<String> = array(&of["sig"]["inputs"]).iter().map(|input| self.input(input)).collect();
        let output = &of["sig"]["output"];
        let output = if output.is_null() { String::new() } else { format!(" -> {}", self.of_type(output)) };
        let generics = &of["generics"];
        format!("{kind} {path}{}({}){output}{} {marks}", self.generics(generics), inputs.join(", "), self.wheres(generics))
            .trim_end()
            .to_owned()
    }

    fn input(&self, input: &Value) -> String {
        let of = self.of_type(&input[1]);
        if input[0] == "self" { format!("self: {of}") } else { of }
    }

    fn generics(&self, of: &Value) -> String {
        let all: Vec<String> = array(&of["params"]).iter().filter_map(|one| self.parameter(one)).collect();
        if all.is_empty() { String::new() } else { format!("<{}>", all.join(", ")) }
    }

    fn parameter(&self, one: &Value) -> Option<String> {
        let (name, of) = (text(&one["name"]), &one["kind"]);
        if of["type"]["is_synthetic"] == true {
            return None;
        }
        if let Some(constant) = of.get("const") {
            return Some(format!("const {name}: {}", self.of_type(&constant["type"])));
        }
        let bounds = self.bounds(&of["type"]["bounds"]);
        let default = &of["type"]["default"];
        let default = if default.is_null() { String::new() } else { format!(" = {}", self.of_type(default)) };
        Some(if bounds.is_empty() { format!("{name}{default}") } else { format!("{name}: {bounds}{default}") })
    }

    fn wheres(&self, of: &Value) -> String {
        let one = |predicate: &Value| {
            let bound = &predicate["bound_predicate"];
            match bound.is_null() {
                false => format!("{}: {}", self.of_type(&bound["type"]), self.bounds(&bound["bounds"])),
                true => predicate.to_string(),
            }
        };
        let all: Vec<String> = array(&of["where_predicates"]).iter().map(one).collect();
        if all.is_empty() { String::new() } else { format!(" where {}", all.join(", ")) }
    }

    fn bounds(&self, all: &Value) -> String {
        let one = |bound: &Value| match bound.get("trait_bound") {
            Some(of) => {
                let maybe = if of["modifier"] == "maybe" { "?" } else { "" };
                format!("{maybe}{}", self.path(&of["trait"]))
            }
            None => bound["outlives"].as_str().map_or_else(|| bound.to_string(), ToOwned::to_owned),
        };
        array(all).iter().map(one).collect::<Vec<_>>().join(" + ")
    }

    /// Where a thing is from, unless it is the standard library's.
    fn path(&self, of: &Value) -> String {
        let known = &self.json["paths"][of["id"].to_string()]["path"];
        let full: Vec<&str> = array(known).iter().map(text).collect();
        let name = match full.as_slice() {
            [] => text(&of["path"]).to_owned(),
            ["core" | "alloc" | "std", .., last] => (*last).to_owned(),
            // Where a crate of ours keeps a thing is nobody's business: it is known by the name that the crate gives it.
            [own, .., last] if *own == self.own_name() => (*last).to_owned(),
            [of, .., last] if of.starts_with("countersign_") => format!("{of}::{last}"),
            all => all.join("::"),
        };
        name + &self.arguments(&of["args"])
    }

    fn arguments(&self, of: &Value) -> String {
        if let Some(of) = of.get("parenthesized") {
            let inputs: Vec<String> = array(&of["inputs"]).iter().map(|input| self.of_type(input)).collect();
            let output = &of["output"];
            let output = if output.is_null() { String::new() } else { format!(" -> {}", self.of_type(output)) };
            return format!("({}){output}", inputs.join(", "));
        }
        let of = &of["angle_bracketed"];
        let argument = |argument: &Value| match argument.get("type") {
            Some(of) => self.of_type(of),
            None => argument["lifetime"].as_str().map_or_else(|| argument.to_string(), ToOwned::to_owned),
        };
        let constraint = |one: &Value| match one["binding"]["equality"].get("type") {
            Some(of) => format!("{} = {}", text(&one["name"]), self.of_type(of)),
            None => format!("{}: {}", text(&one["name"]), self.bounds(&one["binding"]["constraint"])),
        };
        let all: Vec<String> = array(&of["args"]).iter().map(argument).chain(array(&of["constraints"]).iter().map(constraint)).collect();
        if all.is_empty() { String::new() } else { format!("<{}>", all.join(", ")) }
    }

    fn of_type(&self, of: &Value) -> String {
        let inner = &of[kind(of)];
        let list = |all: &Value| array(all).iter().map(|one| self.of_type(one)).collect::<Vec<_>>().join(", ");
        match kind(of) {
            "resolved_path" => self.path(inner),
            "generic" | "primitive" => text(inner).to_owned(),
            "tuple" => format!("({})", list(inner)),
            "slice" => format!("[{}]", self.of_type(inner)),
            "array" => format!("[{}; {}]", self.of_type(&inner["type"]), text(&inner["len"])),
            "impl_trait" => format!("impl {}", self.bounds(inner)),
            "dyn_trait" => {
                let all: Vec<String> = array(&inner["traits"]).iter().map(|one| self.path(&one["trait"])).collect();
                format!("dyn {}", all.join(" + "))
            }
            "borrowed_ref" => {
                let lifetime = inner["lifetime"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
                let mutable = if inner["is_mutable"] == true { "mut " } else { "" };
                format!("&{lifetime}{mutable}{}", self.of_type(&inner["type"]))
            }
            "qualified_path" => {
                let of = if inner["trait"].is_null() { String::new() } else { format!(" as {}", self.path(&inner["trait"])) };
                format!("<{}{of}>::{}", self.of_type(&inner["self_type"]), text(&inner["name"]))
            }
            // What is not met in these crates is told as it is.
            _ => of.to_string(),
        }
    }
}

fn open(item: &Value) -> &'static str {
    let is_open = array(&item["attrs"]).iter().any(|one| one == "non_exhaustive" || one.to_string().contains("non_exhaustive"));
    if is_open { " #[non_exhaustive]" } else { "" }
}

fn kind(of: &Value) -> &str {
    of.as_object().and_then(|members| members.keys().next()).map_or("", String::as_str)
}

fn array(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

fn text(of: &Value) -> &str {
    of.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! What breaks programs, and what does not.

    use super::*;

    const BEFORE: &str = "enum Answer\nvariant Answer::Allow(Allow)\nenum Kind #[non_exhaustive]\nvariant Kind::A\nstruct Plain\n\
                          field Plain::a: u8\nstruct Closed { .. }\ntrait Point\nrequired Point::ask(self: &Self)\nfn Answer::of(u8) -> Answer";

    #[track_caller]
    fn check(after: &str, change: Change) {
        assert_eq!(compare(BEFORE, after), change, "{after}");
    }

    #[test]
    fn changes_are_told_apart() {
        let with = |line: &str| format!("{BEFORE}\n{line}");
        check(BEFORE, Change::None);
        check(&format!("# another comment\n{BEFORE}"), Change::None);
        check(&with("fn Answer::more() -> u8"), Change::Minor);
        check(&with("enum New\nvariant New::A"), Change::Minor);
        check(&with("variant Kind::B"), Change::Minor);
        check(&with("field Closed::a: u8"), Change::Minor);
        check(&with("provided Point::more(self: &Self)"), Change::Minor);
        check(&with("variant Answer::Perhaps(u8)"), Change::Major);
        check(&with("variant Answer::Never { why: u8 }"), Change::Major);
        check(&with("field Plain::b: u8"), Change::Major);
        check(&with("required Point::more(self: &Self)"), Change::Major);
        check(&with("required Point::Error (assoc_type)"), Change::Major);
        check(&BEFORE.replace("fn Answer::of(u8) -> Answer", ""), Change::Major);
        check(&BEFORE.replace("of(u8)", "of(u16)"), Change::Major);
        check(&BEFORE.replace("Kind #[non_exhaustive]", "Kind"), Change::Major);
    }
}
