//! Built-ins that recurse as deep as what they are given says.
//!
//! `json.patch` can make a document deeper with each operation, so that a hundred operations overflow any stack; a glob
//! may nest braces without limit. How deep either would go is found before it is called.

use regorus::Value;

use crate::document::{MAX_DEPTH, depth};

/// Deepest nesting of braces in a glob. The crate that compiles it gives up beyond some 250.
const MAX_BRACES: usize = 100;

/// Most values that are looked at to find how deep they are.
const MAX_VISITS: usize = 10_000_000;

/// Why a call is refused, if it is.
pub(crate) type Check = fn(&[Value]) -> Option<String>;

/// A glob whose braces are nested too deep.
pub(crate) fn glob(args: &[Value]) -> Option<String> {
    let pattern = args.first()?.as_string().ok()?;
    let (mut open, mut deepest) = (0_usize, 0);
    for byte in pattern.bytes() {
        match byte {
            b'{' => open += 1,
            b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    (deepest > MAX_BRACES).then(|| format!("braces are nested deeper than {MAX_BRACES} levels"))
}

/// A patch that would make a document too deep, on the way or in the end.
pub(crate) fn patch(args: &[Value]) -> Option<String> {
    let of = |value: &Value| depth(value, MAX_DEPTH, MAX_VISITS).unwrap_or(usize::MAX);
    let Some(Value::Array(operations)) = args.get(1) else { return None };
    let mut deepest = of(args.first()?);
    for operation in operations.iter() {
        let Value::Object(fields) = operation else { break };
        let field = |name: &str| fields.get(&Value::from(name));
        let Some(path) = field("path") else { break };
        // What comes there: a value, a part of the document, or a key that is a document itself.
        let value = field("value").map_or(0, of);
        let part = field("from").map_or(0, |from| deepest.saturating_sub(steps(from)));
        deepest = deepest.max(steps(path).saturating_add(value.max(part).max(of(path))));
    }
    (deepest > MAX_DEPTH).then(|| format!("the result could be nested deeper than {MAX_DEPTH} levels"))
}

/// How many steps a path has: `/a/b` or `["a", "b"]`.
fn steps(path: &Value) -> usize {
    match path {
        Value::String(path) if path.is_empty() => 0,
        Value::String(path) => path.trim_start_matches('/').split('/').count(),
        Value::Array(steps) => steps.len(),
        _ => 0,
    }
}
