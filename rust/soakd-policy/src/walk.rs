//! What one rule is made of: how deep its expressions are, and which names it refers to.

use regorus::Value;
use regorus::unstable::{Expr, ExprRef, Literal, Query, Rule, RuleAssign, RuleHead};

/// A reference as it stands: `data.a.b`, `alias.f`, `x`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// The names up to the first that is not known before the evaluation.
    pub(crate) names: Vec<String>,
    /// Whether there is more of it.
    pub(crate) dynamic: bool,
    /// Whether a function is called, or put in the place of another by `with`.
    pub(crate) call: bool,
}

/// One definition of a rule, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) references: Vec<Reference>,
    /// Nested expressions, plus statements and loops: each of them is a level of recursion in the interpreter.
    pub(crate) levels: usize,
    /// The deepest nesting of expressions alone.
    pub(crate) depth: usize,
}

enum Node<'a> {
    Expr(&'a Expr),
    Query(&'a Query),
}

/// Walks without recursion: a long sum is a tree as deep as it is long.
struct Walk<'a> {
    pending: Vec<(Node<'a>, usize)>,
    found: Definition,
    extra: usize,
}

/// Look at one definition.
pub(crate) fn definition(rule: &Rule) -> Definition {
    let mut walk = Walk { pending: Vec::new(), found: Definition::default(), extra: 0 };
    match rule {
        Rule::Default { value, args, .. } => {
            walk.pending.push((Node::Expr(value), 1));
            walk.exprs(args, 1);
        }
        Rule::Spec { head, bodies, .. } => {
            walk.head(head);
            for body in bodies {
                walk.assign(body.assign.as_ref());
                walk.pending.push((Node::Query(&body.query), 1));
            }
        }
    }
    while let Some((node, depth)) = walk.pending.pop() {
        walk.found.depth = walk.found.depth.max(depth);
        match node {
            Node::Expr(expr) => walk.expr(expr, depth + 1),
            Node::Query(query) => walk.query(query, depth + 1),
        }
    }
    walk.found.levels = walk.found.depth + walk.extra;
    walk.found
}

impl<'a> Walk<'a> {
    fn push(&mut self, expr: &'a Expr, depth: usize) {
        self.pending.push((Node::Expr(expr), depth));
    }

    fn exprs(&mut self, exprs: impl IntoIterator<Item = &'a ExprRef>, depth: usize) {
        for expr in exprs {
            self.push(expr, depth);
        }
    }

    fn assign(&mut self, assign: Option<&'a RuleAssign>) {
        self.exprs(assign.map(|assign| &assign.value), 1);
    }

    /// The name that a head gives is no reference: a rule of many definitions does not depend on itself.
    fn head(&mut self, head: &'a RuleHead) {
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                self.steps(refr, 1);
                self.assign(assign.as_ref());
            }
            RuleHead::Set { refr, key, .. } => {
                self.steps(refr, 1);
                self.exprs(key, 1);
            }
            RuleHead::Func { args, assign, .. } => {
                self.exprs(args, 1);
                self.assign(assign.as_ref());
            }
        }
    }

    fn query(&mut self, query: &'a Query, depth: usize) {
        self.extra += query.stmts.len();
        for statement in &query.stmts {
            for with in &statement.with_mods {
                self.push(&with.refr, depth);
                self.push(&with.r#as, depth);
                self.found.references.extend(reference(&with.r#as, true));
            }
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection, .. } => {
                    self.extra += 1;
                    self.exprs(key, depth);
                    self.exprs([value, collection], depth);
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.push(expr, depth),
                Literal::Every { domain, query, .. } => {
                    self.push(domain, depth);
                    self.pending.push((Node::Query(query), depth));
                }
            }
        }
    }

    fn expr(&mut self, expr: &'a Expr, depth: usize) {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Var { .. } => self.found.references.extend(reference(expr, false)),
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.exprs(items, depth),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.exprs([key, value], depth);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.push(term, depth);
                self.pending.push((Node::Query(query), depth));
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.exprs([key, value], depth);
                self.pending.push((Node::Query(query), depth));
            }
            Expr::Call { fcn, params, .. } => {
                self.found.references.extend(reference(fcn, true));
                self.exprs(params, depth);
            }
            Expr::UnaryExpr { expr, .. } => self.push(expr, depth),
            Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.found.references.extend(reference(expr, false));
                self.steps(expr, depth);
            }
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.exprs([lhs, rhs], depth),
            Expr::Membership { key, value, collection, .. } => {
                self.extra += 1;
                self.exprs(key, depth);
                self.exprs([value, collection], depth);
            }
        }
    }

    /// The indices along a reference, and its base where that is no name.
    fn steps(&mut self, mut expr: &'a Expr, mut depth: usize) {
        loop {
            self.found.depth = self.found.depth.max(depth);
            match expr {
                Expr::RefDot { refr, .. } => expr = refr,
                Expr::RefBrack { refr, index, .. } => {
                    self.extra += 1;
                    self.push(index, depth);
                    expr = refr;
                }
                Expr::Var { .. } => return,
                other => return self.push(other, depth),
            }
            depth += 1;
        }
    }
}

/// The names of a reference, if it starts with one.
pub(crate) fn reference(mut expr: &Expr, call: bool) -> Option<Reference> {
    // Innermost last; `None` is a name that only the evaluation knows.
    let mut steps: Vec<Option<String>> = Vec::new();
    loop {
        match expr {
            Expr::Var { value: Value::String(name), .. } => {
                steps.push(Some(name.to_string()));
                break;
            }
            Expr::RefDot { refr, field: (_, name), .. } => {
                steps.push(text(name));
                expr = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(match &**index {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => text(value),
                    _ => None,
                });
                expr = refr;
            }
            _ => return None,
        }
    }
    let whole = steps.len();
    let names: Vec<String> = steps.into_iter().rev().map_while(|step| step).collect();
    Some(Reference { dynamic: names.len() < whole, names, call })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    }
}
