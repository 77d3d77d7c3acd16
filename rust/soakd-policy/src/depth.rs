//! How deep an evaluation can go, and that it comes to an end.
//!
//! The interpreter of regorus recurses: from a rule into the rules that it refers to, and without any limit into a
//! function that calls itself, where the stack ends before the time limit does. Rego has no recursion, so functions that
//! call each other in a circle are refused here; rules that do so are found by regorus itself when it evaluates them. For
//! the rest, the longest way from rule to rule bounds the stack that an evaluation needs.

use std::collections::HashMap;

use regorus::unstable::{Expr, Module, Rule, RuleHead};

use crate::walk::{Definition, Reference, definition, reference};
use crate::{Error, document};

/// Deepest nesting of expressions in one rule: a sum of this many terms, say.
const MAX_DEPTH: usize = 500;

/// Measured: 2.5 to 4 KiB in a release build, for each rule, call or nested expression.
const BYTES_PER_LEVEL: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 8 * 1024 };

/// Builtins, and walks over documents of any shape.
const BYTES_AT_LEAST: usize = document::STACK_BYTES;

/// The most stack that a policy may need: 80 MiB.
const MAX_BYTES: usize = BYTES_AT_LEAST + 10_000 * BYTES_PER_LEVEL;

type Id = usize;

/// A path such as `data.authz.allow`: a rule or function, or what leads to some.
#[derive(Debug, Default)]
struct Place {
    children: HashMap<String, Id>,
    levels: usize,
    /// Where its definitions refer to; a child of its own is one of them too.
    uses: Vec<Id>,
    calls: Vec<Id>,
    definitions: usize,
    at: Option<(String, u32, u32)>,
}

/// All rules of a policy, as a tree of names and a graph of references.
struct Graph {
    places: Vec<Place>,
}

/// The bytes of stack that any evaluation of these modules can take.
pub(crate) fn stack_bytes<'a>(modules: impl Iterator<Item = &'a Module> + Clone) -> Result<usize, Error> {
    let mut graph = Graph { places: vec![Place::default()] };
    let mut definitions = Vec::new();
    for module in modules {
        let package = names(&module.package.refr);
        for rule in &module.policy {
            let found = definition(rule);
            if found.depth > MAX_DEPTH {
                let span = rule.span();
                let message = format!("the rule is nested deeper than {MAX_DEPTH} expressions");
                return Err(Error::at(span.source.get_path(), span.line, span.col, message));
            }
            let id = graph.define(&package, rule, &found);
            definitions.push((id, module, package.clone(), found.references));
        }
    }
    for (id, module, package, references) in definitions {
        let aliases = aliases(module);
        for reference in references {
            graph.connect(id, &package, &aliases, &reference);
        }
    }
    graph.check_calls()?;
    let bytes = BYTES_AT_LEAST + graph.longest_way().saturating_mul(BYTES_PER_LEVEL);
    if bytes > MAX_BYTES {
        return Err(Error::new("rules depend on one another in a chain that is too long"));
    }
    Ok(bytes)
}

/// What a module calls other packages by.
fn aliases(module: &Module) -> HashMap<String, Vec<String>> {
    let imports = module.imports.iter().filter_map(|import| {
        let path = reference(&import.refr, false)?.names;
        let alias = import.r#as.as_ref().map(|span| span.text().to_owned()).or_else(|| path.last().cloned())?;
        (path.first()? == "data").then_some((alias, path.into_iter().skip(1).collect()))
    });
    imports.collect()
}

fn names(path: &Expr) -> Vec<String> {
    reference(path, false).map(|reference| reference.names).unwrap_or_default()
}

impl Graph {
    fn define(&mut self, package: &[String], rule: &Rule, found: &Definition) -> Id {
        let refr = match rule {
            Rule::Default { refr, .. } => refr,
            Rule::Spec { head, .. } => match head {
                RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
            },
        };
        let mut id = 0;
        for name in package.iter().chain(&names(refr)) {
            id = self.child(id, name);
        }
        let place = &mut self.places[id];
        place.levels = place.levels.max(found.levels + 1);
        place.definitions += 1;
        let span = rule.span();
        place.at.get_or_insert_with(|| (span.source.get_path().clone(), span.line, span.col));
        id
    }

    fn child(&mut self, parent: Id, name: &str) -> Id {
        if let Some(&id) = self.places[parent].children.get(name) {
            return id;
        }
        let id = self.places.len();
        self.places.push(Place::default());
        self.places[parent].children.insert(name.to_owned(), id);
        self.places[parent].uses.push(id);
        id
    }

    fn connect(&mut self, from: Id, package: &[String], aliases: &HashMap<String, Vec<String>>, to: &Reference) {
        let Some((first, rest)) = to.names.split_first() else { return };
        // The base, and whether it is known to be a path rather than the name of a variable.
        let (base, own): (&[String], &[String]) = match aliases.get(first) {
            _ if first == "data" => (&[], rest),
            Some(target) => (target, rest),
            None => (package, &to.names),
        };
        let mut id = 0;
        let mut whole = true;
        for name in base.iter().chain(own) {
            let Some(&child) = self.places[id].children.get(name) else {
                whole = false;
                break;
            };
            id = child;
        }
        if whole || self.places[id].definitions > 0 {
            self.places[from].uses.push(id);
            if to.call && whole && !to.dynamic {
                self.places[from].calls.push(id);
            }
        }
    }

    /// Functions that call themselves, by way of others or not.
    fn check_calls(&self) -> Result<(), Error> {
        let parts = Parts::of(self.places.len(), |id| self.places[id].calls.as_slice());
        for (id, place) in self.places.iter().enumerate() {
            let part = parts.part[id];
            if parts.size[part] > 1 || place.calls.contains(&id) {
                let (file, line, column) = place.at.clone().unwrap_or_default();
                return Err(Error::at(&file, line, column, "recursion detected: the function calls itself"));
            }
        }
        Ok(())
    }

    /// Levels on the longest way from rule to rule. Within a circle each definition counts: regorus stops when it meets
    /// one for the second time.
    fn longest_way(&self) -> usize {
        let parts = Parts::of(self.places.len(), |id| self.places[id].uses.as_slice());
        let mut levels = vec![0_usize; parts.size.len()];
        for (id, place) in self.places.iter().enumerate() {
            let part = parts.part[id];
            let times = if parts.size[part] > 1 || place.uses.contains(&id) { place.definitions } else { 1 };
            levels[part] = levels[part].saturating_add(place.levels.saturating_mul(times));
        }
        // Parts are numbered from the leaves up, so what a part refers to is complete before it.
        let mut members: Vec<Id> = (0..self.places.len()).collect();
        members.sort_by_key(|id| parts.part[*id]);
        let mut below = vec![0_usize; levels.len()];
        let mut longest = 0;
        for id in members {
            let part = parts.part[id];
            for used in self.places[id].uses.iter().map(|used| parts.part[*used]).filter(|used| *used != part) {
                below[part] = below[part].max(levels[used].saturating_add(below[used]));
            }
            longest = longest.max(levels[part].saturating_add(below[part]));
        }
        longest
    }
}

/// The strongly connected parts of a graph, numbered so that edges lead from higher numbers to lower ones.
///
/// Source: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972), without recursion.
struct Parts {
    part: Vec<usize>,
    size: Vec<usize>,
}

impl Parts {
    fn of<'a>(count: usize, edges: impl Fn(Id) -> &'a [Id]) -> Self {
        const NEW: usize = usize::MAX;
        let mut parts = Self { part: vec![NEW; count], size: Vec::new() };
        let (mut order, mut low, mut next) = (vec![NEW; count], vec![NEW; count], 0);
        let (mut stack, mut calls): (Vec<Id>, Vec<(Id, usize)>) = (Vec::new(), Vec::new());
        for root in 0..count {
            if order[root] == NEW {
                calls.push((root, 0));
            }
            while let Some((id, edge)) = calls.pop() {
                if edge == 0 {
                    (order[id], low[id]) = (next, next);
                    next += 1;
                    stack.push(id);
                }
                if let Some(&to) = edges(id).get(edge) {
                    calls.push((id, edge + 1));
                    if order[to] == NEW {
                        calls.push((to, 0));
                    } else if parts.part[to] == NEW {
                        low[id] = low[id].min(order[to]);
                    }
                    continue;
                }
                if let Some(&(parent, _)) = calls.last() {
                    low[parent] = low[parent].min(low[id]);
                }
                if low[id] == order[id] {
                    let first = stack.iter().rposition(|member| *member == id).unwrap_or(0);
                    for member in stack.drain(first..) {
                        parts.part[member] = parts.size.len();
                    }
                    parts.size.push(0);
                }
            }
        }
        for part in &parts.part {
            parts.size[*part] += 1;
        }
        parts
    }
}
