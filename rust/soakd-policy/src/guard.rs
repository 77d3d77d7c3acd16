//! Built-ins that make much of little in one step, where regorus cannot look at its limits.
//!
//! `concat` of a hundred thousand references to one long string is one allocation that aborts the process where it
//! fails; so are `numbers.range(1, 1e10)` and `sprintf("%9999999999d", [1])`. Each of these is put behind an estimate of
//! what it would cost, and refused where that is out of all bounds; so are two that recurse as deep as they are told to. The
//! rest is regorus's own: it evaluates the built-in
//! itself, in an engine that has nothing else to do.

use anyhow::{Result, bail};
use regorus::{Engine, Value};

use crate::nesting;

/// What a call would cost at most: bytes of its result, or steps where those would count more.
type Cost = fn(&[Value]) -> u64;

/// Bytes of a value in an array.
const VALUE_BYTES: f64 = 32.0;

/// Steps that cost as much as a byte.
const STEPS_PER_BYTE: u64 = 64;

/// Bytes of stack for each vertex of a graph: its paths are found by recursion.
const VERTEX_BYTES: usize = 1024;

const GUARDED: [(&str, u8, Cost); 13] = [
    ("bits.lsh", 2, |args| number(args, 1).map_or(0, |shift| floor(shift / 8.0))),
    ("concat", 2, |args| concat(text(args, 0), args.get(1))),
    ("graph.reachable_paths", 2, |args| (vertices(args) * VERTEX_BYTES * 10) as u64),
    ("indexof", 2, |args| text(args, 0).saturating_mul(text(args, 1)) / STEPS_PER_BYTE),
    ("indexof_n", 2, |args| text(args, 0).saturating_mul(text(args, 1)) / STEPS_PER_BYTE),
    ("json.marshal", 1, |args| rendered(args)),
    ("json.marshal_with_options", 2, |args| rendered(&args[..1]).saturating_mul(rendered(&args[1..]))),
    ("numbers.range", 2, |args| range(args, 1.0)),
    ("numbers.range_step", 3, |args| range(args, number(args, 2).unwrap_or(1.0))),
    ("regex.replace", 3, |args| {
        let groups = string(args, 2).bytes().filter(|byte| *byte == b'$').count() as u64;
        (text(args, 0) + 1).saturating_mul(text(args, 2)).saturating_add(groups.saturating_mul(text(args, 0)))
    }),
    ("replace", 3, |args| replaced(text(args, 0), text(args, 1), text(args, 2))),
    ("sprintf", 2, |args| widths(string(args, 0)).saturating_add(rendered(args))),
    ("strings.replace_n", 2, replaced_n),
];

const NESTED: [(&str, u8, nesting::Check); 2] = [("glob.match", 3, nesting::glob), ("json.patch", 2, nesting::patch)];

/// Put every guarded built-in behind its estimate: none may cost more than `max_bytes`, or go too deep.
pub(crate) fn install(engine: &mut Engine, max_bytes: usize) -> Result<()> {
    for (name, operands, cost) in GUARDED {
        let refusal = move |args: &[Value]| {
            (cost(args) > max_bytes as u64).then(|| format!("the result could take more than {max_bytes} bytes"))
        };
        put_behind(engine, name, operands, refusal)?;
    }
    for (name, operands, check) in NESTED {
        put_behind(engine, name, operands, check)?;
    }
    Ok(())
}

/// Put a built-in behind `refusal`, which says why a call may not be made.
fn put_behind(
    engine: &mut Engine,
    name: &'static str,
    operands: u8,
    refusal: impl Fn(&[Value]) -> Option<String> + Clone + Send + Sync + 'static,
) -> Result<()> {
    let mut idle: Option<Engine> = None;
    let guarded = move |args: Vec<Value>| {
        if let Some(reason) = refusal(&args) {
            bail!("{name}: {reason}");
        }
        let stack_bytes = if name == "graph.reachable_paths" { vertices(&args) * VERTEX_BYTES } else { 0 };
        // Put back only after an evaluation that came to its end: what one leaves behind that did not is anybody's guess.
        let mut own = idle.take().map_or_else(|| engine_of(name, operands), Ok)?;
        own.set_input(Value::from(args));
        let result =
            stacker::maybe_grow(stack_bytes, stack_bytes, || own.eval_rule(String::from(RULE))).map_err(plain)?;
        idle = Some(own);
        Ok(result)
    };
    engine.add_extension(name.to_owned(), operands, Box::new(guarded))
}

const RULE: &str = "data.builtin.result";

fn engine_of(name: &str, operands: u8) -> Result<Engine> {
    let operands: Vec<String> = (0..operands).map(|index| format!("input[{index}]")).collect();
    let mut engine = Engine::new();
    engine.add_policy(name.to_owned(), format!("package builtin\nresult := {name}({})\n", operands.join(", ")))?;
    engine.compile_with_entrypoint(&RULE.into())?;
    Ok(engine)
}

/// The message alone: the place is in a module that nobody wrote.
fn plain(error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<regorus::LimitError>().is_some() {
        return error;
    }
    anyhow::anyhow!(crate::Error::from_report(&error.to_string()).message)
}

fn string(args: &[Value], index: usize) -> &str {
    args.get(index).and_then(|value| value.as_string().ok()).map_or("", |text| text)
}

/// The length of a string; 0 for what is none, which the built-in will refuse.
fn text(args: &[Value], index: usize) -> u64 {
    string(args, index).len() as u64
}

fn number(args: &[Value], index: usize) -> Option<f64> {
    let number = args.get(index)?.as_number().ok()?;
    Some(number.as_f64().unwrap_or(f64::INFINITY))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; negative and NaN are 0")]
fn floor(number: f64) -> u64 {
    number as u64
}

fn range(args: &[Value], step: f64) -> u64 {
    let (Some(first), Some(last)) = (number(args, 0), number(args, 1)) else { return 0 };
    let steps = (last - first).abs() / step.abs();
    if steps.is_nan() { u64::MAX } else { floor((steps + 1.0) * VALUE_BYTES) }
}

fn concat(delimiter: u64, parts: Option<&Value>) -> u64 {
    let length = |part: &Value| part.as_string().map_or(0, |text| text.len() as u64).saturating_add(delimiter);
    match parts {
        Some(Value::Array(parts)) => parts.iter().map(length).fold(0, u64::saturating_add),
        Some(Value::Set(parts)) => parts.iter().map(length).fold(0, u64::saturating_add),
        _ => 0,
    }
}

fn replaced(length: u64, old: u64, new: u64) -> u64 {
    match old {
        0 => (length + 1).saturating_mul(new).saturating_add(length),
        old if new <= old => length,
        old => (length / old).saturating_mul(new).saturating_add(length % old),
    }
}

/// One pattern after the other, each over what the last one made.
fn replaced_n(args: &[Value]) -> u64 {
    let Some(Value::Object(patterns)) = args.first() else { return 0 };
    patterns.iter().fold(text(args, 1), |length, (old, new)| {
        let (old, new) = (text(std::slice::from_ref(old), 0), text(std::slice::from_ref(new), 0));
        replaced(length, old, new)
    })
}

/// The sum of all widths and precisions in a format: more than any argument is padded to.
fn widths(format: &str) -> u64 {
    let numbers = format.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let width = |digits: &str| digits.parse::<u32>().map_or(u64::MAX, u64::from);
    numbers.map(width).fold(format.len() as u64, u64::saturating_add)
}

fn vertices(args: &[Value]) -> usize {
    args.first().and_then(|graph| graph.as_object().ok()).map_or(0, regorus::value::Object::len)
}

/// Values as text, where what is referred to twice is written twice.
fn rendered(values: &[Value]) -> u64 {
    const ENOUGH: u64 = 1 << 40;
    /// A value in an array may be small and be written a billion times: counting ends at some point too.
    const MAX_VISITS: u64 = 1 << 26;
    let (mut bytes, mut visits) = (0_u64, 0_u64);
    let mut pending: Vec<&Value> = values.iter().collect();
    while let Some(value) = pending.pop() {
        visits += 1;
        if bytes > ENOUGH || visits > MAX_VISITS {
            return u64::MAX;
        }
        bytes += match value {
            Value::String(text) => 6 * text.len() as u64 + 2,
            Value::Number(number) if number.as_f64().is_some() => 32,
            Value::Number(number) => number.format_decimal().len() as u64,
            _ => 16,
        };
        match value {
            Value::Array(items) => pending.extend(items.iter()),
            Value::Set(items) => pending.extend(items.iter()),
            Value::Object(fields) => pending.extend(fields.iter().flat_map(|(key, value)| [key, value])),
            _ => {}
        }
    }
    bytes
}
