//! What must hold of a policy before it is ever evaluated: every called name exists and is allowed, and no rule or function needs itself.
//!
//! The library checks neither at load; a function that calls itself ends the process, and no handler sees it.

mod chains;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use regorus::unstable::{ArithOp, Expr, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleBody, RuleHead, Span};

use names::{constant_path, declared, imports, is_constant, is_number, package, resolve, rule_path, variables};

use super::builtins::{Refused, Semantics};

/// The longest chain of rules and functions that need each other.
pub const MAX_CHAIN: usize = 100;
/// The most products of two computed numbers along any chain of rules: numbers have no bound, each product can double their length, and no timer
/// stops a multiplication.
pub const MAX_PRODUCTS: u64 = 12;
/// The most rules in a policy.
pub const MAX_RULES: usize = 20_000;

/// The most places of one body that may be loops: the evaluator goes some calls deeper for each.
pub(crate) const MAX_LOOPS: usize = 1_000;
/// Where a query stands: in no package that a module could be in.
const QUERY: &str = "data.<query>";

/// The most imports of a file: the library's time grows with their square.
pub const MAX_IMPORTS: usize = 500;

/// What the modules of a policy define.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outline {
    /// The full path of every rule and function, such as `data.authz.allow`.
    pub(crate) rules: BTreeSet<String>,
    /// The full paths of rules whose name begins with `test_` or `todo_test_`, with where they stand.
    pub(crate) tests: BTreeMap<String, Stands>,
    /// Every dotted name that stands anywhere: what may be a built-in.
    pub(crate) names: BTreeSet<String>,
    /// How many products of computed numbers feed each rule that holds any.
    products: BTreeMap<String, u64>,
}

impl Outline {
    /// Checks a query about these modules as what stands in them is checked. Gives every dotted name in it.
    pub(crate) fn check_query(&self, query: &Query, semantics: Semantics) -> (BTreeSet<String>, Vec<Finding>) {
        let mut walk = Walk::over(self, semantics);
        let place = Place { package: QUERY, imports: &BTreeMap::new(), rule: QUERY, locals: BTreeSet::new() };
        walk.body(&place, query);
        let Walk { mut findings, names, needs, products, .. } = walk;
        let own = products.get(QUERY).copied().unwrap_or(0);
        let needed = needs.get(QUERY).into_iter().flatten();
        let below = |(rule, times): (&String, &u64)| self.products.get(rule).copied().unwrap_or(0).saturating_mul(*times);
        if needed.map(below).fold(own, u64::saturating_add) > MAX_PRODUCTS {
            let text = format!("query multiplies computed numbers more than {MAX_PRODUCTS} times");
            findings.push(Finding { fault: Fault::Size, place: None, text });
        }
        (names, findings)
    }
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stands {
    pub(crate) file: String,
    /// Its first line, from 1.
    pub(crate) line: u32,
    /// How many lines it has.
    pub(crate) lines: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) fault: Fault,
    pub(crate) place: Option<(String, u32, u32)>,
    pub(crate) text: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A name that may not be called, or that nobody defines.
    Name,
    /// A rule that needs itself.
    Recursion,
    /// More than the evaluator may be asked to do.
    Size,
}

/// Checks all modules together.
#[must_use]
pub(crate) fn check(modules: &[Ref<Module>], semantics: Semantics) -> (Outline, Vec<Finding>) {
    let outline = outline(modules);
    let mut walk = Walk::over(&outline, semantics);
    let rules: usize = modules.iter().map(|module| module.policy.len()).sum();
    if rules > MAX_RULES {
        walk.findings.push(Finding { fault: Fault::Size, place: None, text: format!("policy has more than {MAX_RULES} rules") });
        let findings = walk.findings;
        return (outline, findings);
    }
    for module in modules {
        if module.imports.len() > MAX_IMPORTS {
            let place = Some((module.package.span.source.file().clone(), module.package.span.line, module.package.span.col));
            walk.findings.push(Finding { fault: Fault::Size, place, text: format!("file has more than {MAX_IMPORTS} imports") });
        }
        walk.module(module);
    }
    let Walk { mut findings, names, needs, products, .. } = walk;
    let (products, found) = chains::check(&needs, &products);
    findings.extend(found);
    (Outline { names, products, ..outline }, findings)
}

fn outline(modules: &[Ref<Module>]) -> Outline {
    let mut outline = Outline::default();
    for module in modules {
        let package = package(module);
        for rule in &module.policy {
            let Some(path) = rule_path(&package, rule) else { continue };
            let is_test = |name: &str| name.starts_with(".test_") || name.starts_with(".todo_test_");
            if path.strip_prefix(&package).is_some_and(is_test) {
                let span = rule.span();
                let file = module.package.span.source.file().clone();
                outline.tests.entry(path.clone()).or_insert_with(|| Stands { file, line: span.line, lines: span.text().lines().count() });
            }
            outline.rules.insert(path);
        }
    }
    outline
}

struct Walk<'a> {
    outline: &'a Outline,
    semantics: Semantics,
    findings: Vec<Finding>,
    names: BTreeSet<String>,
    /// What each rule needs, and at how many places.
    needs: BTreeMap<String, BTreeMap<String, u64>>,
    /// How many products of two computed numbers each rule holds itself.
    products: BTreeMap<String, u64>,
    /// How many places of the body at hand may be loops.
    loops: usize,
}

struct Place<'a> {
    package: &'a str,
    imports: &'a BTreeMap<String, String>,
    rule: &'a str,
    locals: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    const fn over(outline: &'a Outline, semantics: Semantics) -> Self {
        Self {
            outline,
            semantics,
            findings: Vec::new(),
            names: BTreeSet::new(),
            needs: BTreeMap::new(),
            products: BTreeMap::new(),
            loops: 0,
        }
    }

    fn module(&mut self, module: &Module) {
        let package = package(module);
        let imports = imports(module);
        for rule in &module.policy {
            let Some(path) = rule_path(&package, rule) else {
                self.finding(rule.span(), "rule has no name that can be checked".to_owned());
                continue;
            };
            self.needs.entry(path.clone()).or_default();
            let mut place = Place { package: &package, imports: &imports, rule: &path, locals: BTreeSet::new() };
            match rule.as_ref() {
                Rule::Default { value, .. } => self.expression(&place, value),
                Rule::Spec { head, bodies, .. } => self.rule(&mut place, head, bodies),
            }
        }
    }

    fn rule(&mut self, place: &mut Place<'_>, head: &RuleHead, bodies: &[RuleBody]) {
        if let RuleHead::Func { args, .. } = head {
            args.iter().for_each(|argument| variables(argument, &mut place.locals));
        }
        let outer = place.locals.clone();
        // A name in the head is a local of the rule only where every body declares it.
        let mut shared: Option<BTreeSet<String>> = None;
        for body in bodies {
            let declared = declared(&body.query);
            place.locals.extend(declared.iter().cloned());
            if let Some(assign) = &body.assign {
                self.expression(place, &assign.value);
            }
            self.body(place, &body.query);
            place.locals.clone_from(&outer);
            shared = Some(match shared {
                Some(shared) => shared.intersection(&declared).cloned().collect(),
                None => declared,
            });
        }
        place.locals.extend(shared.unwrap_or_default());
        let (reference, parts) = match head {
            RuleHead::Compr { refr, assign, .. } | RuleHead::Func { refr, assign, .. } => {
                (refr, assign.as_ref().map(|assign| &assign.value))
            }
            RuleHead::Set { refr, key, .. } => (refr, key.as_ref()),
        };
        self.indices(place, reference);
        if let Some(part) = parts {
            self.expression(place, part);
        }
    }

    /// A query that is in no other.
    fn body(&mut self, place: &Place<'_>, query: &Query) {
        self.loops = 0;
        self.query(place, query);
        if self.loops > MAX_LOOPS {
            let place = Some((query.span.source.file().clone(), query.span.line, query.span.col));
            self.findings.push(Finding { fault: Fault::Size, place, text: format!("body has more than {MAX_LOOPS} loops") });
        }
    }

    fn query(&mut self, place: &Place<'_>, query: &Query) {
        let mut locals = place.locals.clone();
        locals.extend(declared(query));
        let place = Place { locals, ..*place };
        query.stmts.iter().for_each(|statement| self.statement(&place, statement));
    }

    fn statement(&mut self, place: &Place<'_>, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                self.loops += 1;
                key.iter().chain([value, collection]).for_each(|part| self.expression(place, part));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expression(place, expr),
            Literal::Every { key, value, domain, query, .. } => {
                self.expression(place, domain);
                let mut locals = place.locals.clone();
                locals.extend(key.iter().chain([value]).map(|name| name.text().to_owned()));
                self.query(&Place { locals, ..*place }, query);
            }
        }
        for replacement in &statement.with_mods {
            self.expression(place, &replacement.refr);
            self.expression(place, &replacement.r#as);
        }
    }

    fn expression(&mut self, place: &Place<'_>, expression: &Expr) {
        match expression {
            Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } => {}
            Expr::Var { span, .. } => self.reference(place, span, expression),
            Expr::RefDot { span, .. } | Expr::RefBrack { span, .. } => {
                self.reference(place, span, expression);
                self.indices(place, expression);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| self.expression(place, item)),
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, name, value)| {
                self.expression(place, name);
                self.expression(place, value);
            }),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => self.comprehension(place, &[term], query),
            Expr::ObjectCompr { key, value, query, .. } => self.comprehension(place, &[key, value], query),
            Expr::Call { span, fcn, params, .. } => {
                self.call(place, span, fcn);
                params.iter().for_each(|parameter| self.expression(place, parameter));
            }
            Expr::UnaryExpr { expr, .. } => self.expression(place, expr),
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                if *op == ArithOp::Mul && !is_number(lhs) && !is_number(rhs) {
                    *self.products.entry(place.rule.to_owned()).or_default() += 1;
                }
                self.expression(place, lhs);
                self.expression(place, rhs);
            }
            Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::AssignExpr { lhs, rhs, .. } => {
                self.expression(place, lhs);
                self.expression(place, rhs);
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.expression(place, part));
            }
        }
    }

    fn comprehension(&mut self, place: &Place<'_>, terms: &[&Ref<Expr>], query: &Query) {
        let mut locals = place.locals.clone();
        locals.extend(declared(query));
        let inner = Place { locals, ..*place };
        terms.iter().for_each(|term| self.expression(&inner, term));
        self.query(place, query);
    }

    /// The parts of a reference that are expressions of their own.
    fn indices(&mut self, place: &Place<'_>, expression: &Expr) {
        let mut at = expression;
        loop {
            match at {
                Expr::RefDot { refr, .. } => at = refr,
                Expr::RefBrack { refr, index, .. } => {
                    self.loops += usize::from(!is_constant(index));
                    self.expression(place, index);
                    at = refr;
                }
                Expr::Var { .. } => break,
                other => return self.expression(place, other),
            }
        }
    }

    fn reference(&mut self, place: &Place<'_>, span: &Span, expression: &Expr) {
        let (names, _) = constant_path(expression);
        self.names.insert(names.join("."));
        if let Some(refused) = self.semantics.denied(&names.join(".")) {
            self.finding(span, refused.sentence(&names.join(".")));
        }
        if let Some(path) = resolve(place, &names) {
            self.need(place, &path);
        }
    }

    fn call(&mut self, place: &Place<'_>, span: &Span, function: &Expr) {
        let (names, whole) = constant_path(function);
        let name = names.join(".");
        self.names.insert(name.clone());
        let defined = resolve(place, &names).filter(|path| self.outline.rules.contains(path));
        let refused = match &defined {
            _ if !whole => Some(Refused::Missing),
            Some(_) => self.semantics.denied(&name),
            None => self.semantics.called(&name),
        };
        if let Some(refused) = refused {
            self.finding(span, refused.sentence(&name));
        }
        if let Some(path) = defined {
            self.need(place, &path);
        }
    }

    /// A reference to a document needs every rule at, above and below it.
    fn need(&mut self, place: &Place<'_>, path: &str) {
        let rules = &self.outline.rules;
        let inside = format!("{path}.");
        let below =
            rules.range::<str, _>((Bound::Included(inside.as_str()), Bound::Unbounded)).take_while(|rule| rule.starts_with(&inside));
        let above = path.match_indices('.').filter_map(|(end, _)| path.get(..end)).filter_map(|above| rules.get(above));
        let touched = rules.get(path).into_iter().chain(below).chain(above);
        let needs = self.needs.entry(place.rule.to_owned()).or_default();
        for rule in touched {
            *needs.entry(rule.clone()).or_default() += 1;
        }
    }

    fn finding(&mut self, span: &Span, text: String) {
        let place = Some((span.source.file().clone(), span.line, span.col));
        self.findings.push(Finding { fault: Fault::Name, place, text });
    }
}
