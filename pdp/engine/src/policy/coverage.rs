//! Which lines of a policy its tests reached.
//!
//! The library says which lines it evaluated. It says nothing of a file that it did not touch, so what there is to reach is counted here.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use regorus::unstable::{Expr, Literal, Module, Query, Rule, RuleHead};
use serde::{Deserialize, Serialize};

/// What was reached of a policy; its tests are no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By path.
    pub files: BTreeMap<String, FileCoverage>,
}

/// What was reached of a file: its lines from 1, those alone that something is to be evaluated on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// Lines that were evaluated.
    pub covered: BTreeSet<u32>,
    /// Lines that were not.
    pub not_covered: BTreeSet<u32>,
}

impl Coverage {
    /// Covered lines, and all lines.
    #[must_use]
    pub fn lines(&self) -> (usize, usize) {
        let covered = self.files.values().map(|file| file.covered.len()).sum();
        (covered, covered + self.files.values().map(|file| file.not_covered.len()).sum::<usize>())
    }

    /// What an engine reached that was told to watch.
    pub(super) fn of(engine: &mut Engine, is_counted: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let mut reached: BTreeMap<String, BTreeSet<u32>> =
            engine.get_coverage_report()?.files.into_iter().map(|file| (file.path, file.covered)).collect();
        let mut files = BTreeMap::new();
        for module in engine.get_modules() {
            let path = module.package.span.source.file();
            if is_counted(path) {
                let reached = reached.remove(path.as_str()).unwrap_or_default();
                let (covered, not_covered) = lines(module).into_iter().partition(|line| reached.contains(line));
                files.insert(path.clone(), FileCoverage { covered, not_covered });
            }
        }
        Ok(Self { files })
    }
}

/// The lines of a test that was evaluated.
pub(super) fn reached(engine: &Engine, path: &str) -> BTreeSet<u32> {
    let report = engine.get_coverage_report().ok();
    report.and_then(|report| report.files.into_iter().find(|file| file.path == path)).map(|file| file.covered).unwrap_or_default()
}

/// The lines that hold an expression, those that the library looks at.
fn lines(module: &Module) -> BTreeSet<u32> {
    let mut lines = BTreeSet::new();
    for rule in &module.policy {
        match rule.as_ref() {
            Rule::Default { value, .. } => expression(value, &mut lines),
            Rule::Spec { head, bodies, .. } => {
                match head {
                    RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                        assign.iter().for_each(|assign| expression(&assign.value, &mut lines));
                    }
                    RuleHead::Set { key, .. } => key.iter().for_each(|key| expression(key, &mut lines)),
                }
                bodies.iter().for_each(|body| query(&body.query, &mut lines));
            }
        }
    }
    lines
}

fn query(of: &Query, lines: &mut BTreeSet<u32>) {
    for statement in &of.stmts {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { value, collection, .. } => [value, collection].into_iter().for_each(|part| expression(part, lines)),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => expression(expr, lines),
            Literal::Every { domain, query: nested, .. } => {
                expression(domain, lines);
                query(nested, lines);
            }
        }
    }
}

fn expression(of: &Expr, lines: &mut BTreeSet<u32>) {
    match of {
        Expr::ArrayCompr { query: nested, .. } | Expr::SetCompr { query: nested, .. } | Expr::ObjectCompr { query: nested, .. } => {
            return query(nested, lines);
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| expression(item, lines)),
        Expr::Object { fields, .. } => {
            for (_, name, value) in fields {
                expression(name, lines);
                expression(value, lines);
            }
        }
        Expr::Call { params, .. } => params.iter().for_each(|parameter| expression(parameter, lines)),
        Expr::UnaryExpr { expr, .. } | Expr::RefDot { refr: expr, .. } => expression(expr, lines),
        Expr::RefBrack { refr: lhs, index: rhs, .. }
        | Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => {
            expression(lhs, lines);
            expression(rhs, lines);
        }
        Expr::Membership { key, value, collection, .. } => {
            key.iter().chain([value, collection]).for_each(|part| expression(part, lines));
        }
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } | Expr::Var { .. } => {}
    }
    lines.insert(of.span().line);
}
