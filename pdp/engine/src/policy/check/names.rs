//! Names: of packages and rules, what a reference reaches, and what a query declares itself.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Literal, Module, Query, Rule, RuleHead};

use super::Place;

pub(super) fn package(module: &Module) -> String {
    let (names, _) = constant_path(&module.package.refr);
    let path = names.join(".");
    if path.starts_with("data.") { path } else { format!("data.{path}") }
}

pub(super) fn rule_path(package: &str, rule: &Rule) -> Option<String> {
    let head = match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
        },
    };
    let (names, _) = constant_path(head);
    (!names.is_empty()).then(|| format!("{package}.{}", names.join(".")))
}

/// The constant beginning of a reference, and whether that is all of it.
pub(super) fn constant_path(expression: &Expr) -> (Vec<String>, bool) {
    let mut steps = Vec::new();
    let mut at = expression;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                steps.push(Some(plain(&field.1)));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(match index.as_ref() {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => Some(plain(value)),
                    Expr::Number { value, .. } => Some(value.to_string()),
                    _ => None,
                });
                at = refr;
            }
            Expr::Var { value, .. } => {
                steps.push(Some(plain(value)));
                break;
            }
            _ => return (Vec::new(), false),
        }
    }
    let all = steps.len();
    let names: Vec<String> = steps.into_iter().rev().map_while(|step| step).collect();
    let whole = names.len() == all;
    (names, whole)
}

fn plain(value: &regorus::Value) -> String {
    value.as_string().map_or_else(|_| String::new(), ToString::to_string)
}

pub(super) const fn is_constant(index: &Expr) -> bool {
    matches!(index, Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. })
}

pub(super) fn is_number(expression: &Expr) -> bool {
    matches!(expression, Expr::Number { .. })
}

pub(super) fn imports(module: &Module) -> BTreeMap<String, String> {
    let mut imports = BTreeMap::new();
    for import in &module.imports {
        let (names, _) = constant_path(&import.refr);
        let alias = import.r#as.as_ref().map(|alias| alias.text().to_owned()).or_else(|| names.last().cloned());
        if let (Some(alias), Some("data")) = (alias, names.first().map(String::as_str)) {
            imports.insert(alias, names.join("."));
        }
    }
    imports
}

/// The full path under `data` that a reference reaches, where it reaches any.
pub(super) fn resolve(place: &Place<'_>, names: &[String]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let root = match first.as_str() {
        "input" => return None,
        "data" => "data".to_owned(),
        name if place.locals.contains(name) => return None,
        name => place.imports.get(name).cloned().unwrap_or_else(|| format!("{}.{name}", place.package)),
    };
    Some(rest.iter().fold(root, |path, name| path + "." + name))
}

/// The names that a query declares itself.
pub(super) fn declared(query: &Query) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|name| name.text().to_owned())),
            Literal::SomeIn { key, value, .. } => key.iter().chain([value]).for_each(|part| variables(part, &mut names)),
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    variables(lhs, &mut names);
                }
            }
            Literal::NotExpr { .. } | Literal::Every { .. } => {}
        }
    }
    names
}

/// The variables of a pattern.
pub(super) fn variables(pattern: &Expr, names: &mut BTreeSet<String>) {
    match pattern {
        Expr::Var { value, .. } => {
            names.insert(plain(value));
        }
        Expr::Array { items, .. } => items.iter().for_each(|item| variables(item, names)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| variables(value, names)),
        _ => {}
    }
}
