//! Finds, in the parser's tree, the negations with operands to evaluate before them, and the collections of `some … in`.

use std::ops::Range;

use regorus::unstable::{ArithOp, BoolOp, Expr, Literal, LiteralStmt, Module, Query, Rule, RuleBody, RuleHead, Span};

use crate::policy::rewrite::lexer::Token;

/// A place in the text that is written otherwise.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) range: Range<usize>,
    pub(super) what: What,
}

/// What is there.
#[derive(Debug)]
pub(super) enum What {
    /// A negated literal with its modifiers, where the literal ends, and the operands in order.
    Negation { operands: Vec<Range<usize>>, literal: usize },
    /// What `some … in` iterates.
    Collection,
    /// The operator `%`, and where it stands.
    Remainder { operator: usize },
}

impl Site {
    /// Moves the ends to those of tokens: the library's places leave out the quotes of strings.
    pub(super) fn snap(&mut self, tokens: &[Token]) {
        self.range = snapped(&self.range, tokens);
        match &mut self.what {
            What::Negation { operands, literal } => {
                *literal = end(*literal, tokens);
                operands.iter_mut().for_each(|operand| *operand = snapped(operand, tokens));
            }
            What::Collection => {}
            What::Remainder { operator } => {
                let after = tokens.partition_point(|token| token.range.start < *operator);
                *operator = tokens.iter().skip(after).find(|token| token.is(b'%')).map_or(*operator, |token| token.range.start);
            }
        }
    }
}

fn snapped(range: &Range<usize>, tokens: &[Token]) -> Range<usize> {
    let first = tokens.get(tokens.partition_point(|token| token.range.end <= range.start));
    first.map_or(range.start, |token| token.range.start.min(range.start))..end(range.end, tokens)
}

fn end(at: usize, tokens: &[Token]) -> usize {
    let last = tokens.partition_point(|token| token.range.start < at).checked_sub(1).and_then(|last| tokens.get(last));
    last.map_or(at, |token| token.range.end)
}

/// The sites of a module.
pub(super) fn of_module(module: &Module) -> Vec<Site> {
    let mut walk = Walk::default();
    module.policy.iter().for_each(|rule| walk.rule(rule));
    walk.sites
}

/// The sites of a query.
pub(super) fn of_query(query: &Query) -> Vec<Site> {
    let mut walk = Walk::default();
    walk.query(query);
    walk.sites
}

#[derive(Default)]
struct Walk {
    sites: Vec<Site>,
    /// Within the operands of `%`. A chain of it would nest one call for each, which is more than the parser may see.
    is_remainder: bool,
}

impl Walk {
    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { value, .. } => self.expression(value),
            Rule::Spec { head, bodies, .. } => {
                self.head(head);
                bodies.iter().for_each(|body| self.body(body));
            }
        }
    }

    fn head(&mut self, head: &RuleHead) {
        let (reference, value) = match head {
            RuleHead::Compr { refr, assign, .. } | RuleHead::Func { refr, assign, .. } => {
                (refr, assign.as_ref().map(|assign| &assign.value))
            }
            RuleHead::Set { refr, key, .. } => (refr, key.as_ref()),
        };
        self.expression(reference);
        value.into_iter().for_each(|value| self.expression(value));
    }

    fn body(&mut self, body: &RuleBody) {
        body.assign.iter().for_each(|assign| self.expression(&assign.value));
        self.query(&body.query);
    }

    fn query(&mut self, query: &Query) {
        query.stmts.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                if !is_collection(collection) {
                    self.sites.push(Site { range: range(collection.span()), what: What::Collection });
                }
                key.iter().chain([value, collection]).for_each(|part| self.expression(part));
            }
            Literal::Expr { expr, .. } => self.expression(expr),
            Literal::NotExpr { span, expr } => {
                let operands = operands(expr);
                if !operands.is_empty() {
                    let literal = range(span).end;
                    self.sites.push(Site { range: range(&statement.span), what: What::Negation { operands, literal } });
                }
                self.expression(expr);
            }
            Literal::Every { domain, query, .. } => {
                self.expression(domain);
                self.query(query);
            }
        }
        for modifier in &statement.with_mods {
            self.expression(&modifier.r#as);
        }
    }

    /// Comprehensions have bodies of their own.
    fn expression(&mut self, expression: &Expr) {
        if let Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } = expression {
            self.query(query);
        }
        let outer = self.is_remainder;
        if let (false, Expr::ArithExpr { span, op: ArithOp::Mod, lhs, .. }) = (outer, expression) {
            self.sites.push(Site { range: range(span), what: What::Remainder { operator: range(lhs.span()).end } });
            self.is_remainder = true;
        }
        parts(expression).into_iter().for_each(|part| self.expression(part));
        self.is_remainder = outer;
    }
}

/// The expressions right within another.
fn parts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } | Expr::Var { .. } => {
            Vec::new()
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } | Expr::Call { params: items, .. } => items.iter().map(AsRef::as_ref).collect(),
        Expr::Object { fields, .. } => fields.iter().flat_map(|(_, name, value)| [name.as_ref(), value.as_ref()]).collect(),
        Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => vec![term],
        Expr::ObjectCompr { key, value, .. } => vec![key, value],
        Expr::UnaryExpr { expr, .. } => vec![expr],
        Expr::RefDot { refr, .. } => vec![refr],
        Expr::RefBrack { refr, index, .. } => vec![refr, index],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => {
            key.iter().map(AsRef::as_ref).chain([value.as_ref(), collection.as_ref()]).collect()
        }
    }
}

fn is_collection(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Array { .. }
            | Expr::Set { .. }
            | Expr::Object { .. }
            | Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. }
    )
}

/// What a negated expression needs before it can be asked. A reference may be undefined, and so may the sides of an equation: that is what the
/// negation is about.
fn operands(negated: &Expr) -> Vec<Range<usize>> {
    let mut operands = Vec::new();
    match negated {
        Expr::AssignExpr { lhs, rhs, .. } | Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => {
            side(lhs, &mut operands);
            side(rhs, &mut operands);
        }
        Expr::RefDot { .. } | Expr::RefBrack { .. } | Expr::Var { .. } => side(negated, &mut operands),
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {}
        call => parts(call).into_iter().for_each(|part| operand(part, &mut operands)),
    }
    operands
}

/// A reference that may be undefined itself: what it is computed from may not.
fn side(expression: &Expr, operands: &mut Vec<Range<usize>>) {
    match expression {
        Expr::Var { .. } => {}
        Expr::RefDot { refr, .. } => side(refr, operands),
        Expr::RefBrack { refr, index, .. } => {
            side(refr, operands);
            operand(index, operands);
        }
        other => operand(other, operands),
    }
}

/// References and calls are evaluated before; literals are looked into; comprehensions are always defined. A name may be that of a rule.
fn operand(expression: &Expr, operands: &mut Vec<Range<usize>>) {
    match expression {
        // The library takes a membership in what is undefined for false.
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } | Expr::Membership { .. } => {
            parts(expression).into_iter().for_each(|part| operand(part, operands));
        }
        _ if parts(expression).is_empty() && !matches!(expression, Expr::Var { .. } | Expr::Call { .. }) => {}
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {}
        // Outside of the negation a wildcard would ask for one element where the negation asks for all. OPA refuses it there.
        other if has_wildcard(other) => {}
        other => operands.push(range(other.span())),
    }
}

fn has_wildcard(expression: &Expr) -> bool {
    match expression {
        Expr::Var { span, .. } => span.text() == "_",
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => false,
        other => parts(other).into_iter().any(has_wildcard),
    }
}

fn range(span: &Span) -> Range<usize> {
    span.start as usize..span.end as usize
}
