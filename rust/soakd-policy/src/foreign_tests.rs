//! What comes from outside: numbers and texts that make regorus panic, and values deeper than a stack.

use std::thread;

use super::*;

type Checked = Result<(), Error>;

/// What a policy may do with a value that it was given.
const SHAPES: [&str; 36] = [
    "count(input.v)",
    "upper(input.v)",
    "lower(input.v)",
    "startswith(input.v, \"a\")",
    "endswith(\"a\", input.v)",
    "contains(input.v, \"a\")",
    "regex.match(\"^a$\", input.v)",
    "regex.match(input.v, \"a\")",
    "glob.match(\"*\", [], input.v)",
    "glob.match(input.v, [], \"a\")",
    "object.get({\"a\": 1}, input.v, 0)",
    "object.get(input.v, \"a\", 0)",
    "[y | some y in input.v]",
    "data.q[input.v]",
    "{input.v: 1}",
    "{input.v}",
    "[input.v, input.v]",
    "input.v + 1",
    "input.v * input.v",
    "input.v < 10",
    "sprintf(\"%v %d\", [input.v, input.v])",
    "json.marshal(input.v)",
    "json.unmarshal(input.v)",
    "concat(\",\", [input.v])",
    "to_number(input.v)",
    "format_int(input.v, 16)",
    "numbers.range(1, input.v)",
    "bits.lsh(1, input.v)",
    "base64.encode(input.v)",
    "time.parse_ns(\"2006-01-02\", input.v)",
    "time.parse_ns(input.v, \"2026-01-02\")",
    "time.format([1, \"UTC\", input.v])",
    "time.parse_duration_ns(input.v)",
    "units.parse(input.v)",
    "semver.is_valid(input.v)",
    "json.patch(input.v, [{\"op\": \"add\", \"path\": input.v, \"value\": 1}])",
];

/// An integer that no float can hold, as no input may contain it: a policy can make one.
fn beyond_floats() -> Value {
    Value::from_numeric_string(&format!("1{}", "0".repeat(400))).unwrap_or(Value::Null)
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::from(1_u64), |inner, _| Value::from(vec![inner]))
}

fn given(value: Value) -> Value {
    Value::from([(Value::from("v"), value)].into_iter().collect::<std::collections::BTreeMap<_, _>>())
}

fn made(value: &str, data: Option<Value>) -> Result<Policy, Error> {
    Policy::new([("p.rego", format!("package p\nx := {value}\n").as_str())], "data.p.x", data, Options::default())
}

fn said(result: Result<impl std::fmt::Debug, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |value| format!("no error but {value:?}"))
}

#[test]
fn after_a_decision_that_fails_or_panics_the_next_one_is_as_if_it_were_the_first() -> Checked {
    let words = ["", "ä", "2006-é1-02", "1ü", "\u{1f600}", "%ä", "ß{", "\0", "9".repeat(400).as_str()].map(Value::from);
    let numbers = [beyond_floats(), Value::from(-1_i64), Value::from(f64::MAX), Value::from(u64::MAX)];
    let nasty: Vec<Value> =
        words.into_iter().chain(numbers).chain([Value::from(vec![beyond_floats()]), given(beyond_floats())]).collect();
    let data = || Value::from_json_str("{\"q\": {\"a\": 1}}").ok();
    let innocent = [Value::from("a"), Value::from(1_u64), Value::from(vec![Value::from("a")])];
    for shape in SHAPES {
        let mut fresh = Vec::new();
        for value in &innocent {
            fresh.push(made(shape, data())?.decide(given(value.clone())));
        }
        let mut policy = made(shape, data())?;
        for value in &nasty {
            let _ = policy.decide(given(value.clone()));
            for (value, expected) in innocent.iter().zip(&fresh) {
                assert_eq!(policy.decide(given(value.clone())), *expected, "{shape}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_panic_of_regorus_is_an_error_of_one_short_line() -> Checked {
    let too_large = said(made("count(input.v)", None)?.decide(given(beyond_floats())));
    assert!(too_large.contains("a number that cannot be written as JSON"), "{too_large}");
    let large = said(made("glob.match(input.v, [], \"a\")", None)?.decide(given(Value::from("?".repeat(300_000)))));
    assert!(large.contains("regorus cannot evaluate this") && large.len() < 300, "{large}");
    Ok(())
}

#[test]
fn a_number_that_the_policy_itself_makes_too_large_is_an_error_each_time() -> Checked {
    let mut policy = made("upper(bits.lsh(1, input.v))", None)?;
    for _ in 0..3 {
        let message = said(policy.decide(given(Value::from(2_000_u64))));
        assert!(message.contains("cannot be written"), "{message}");
        assert!(!said(policy.decide(given(Value::from(2_u64)))).contains("cannot be written"));
    }
    Ok(())
}

#[test]
fn an_integer_is_taken_where_a_float_can_hold_one_as_large() {
    let large = format!("{:.0}", f64::MAX);
    assert!(integer(&large).is_ok() && integer(&format!("-{large}")).is_ok());
    for digits in [format!("{large}0"), format!("-{large}0"), "2".repeat(309), "9".repeat(4_000)] {
        assert!(said(integer(&digits)).contains("beyond 1.8e308"), "{digits}");
    }
    assert!(check_bits(1024).is_ok() && check_bits(1025).is_err());
}

/// Runs on a thread with as little stack as a thread of musl has, or half of it.
fn on_little_stack<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    // A debug build takes ten times the stack for what does not recurse, too.
    let bytes = if cfg!(debug_assertions) { 256 * 1024 } else { 64 * 1024 };
    thread::Builder::new().stack_size(bytes).spawn(body).ok()?.join().ok()
}

#[test]
fn a_document_of_any_depth_that_is_accepted_passes_through_every_shape_on_a_little_stack() {
    for shape in SHAPES.into_iter().chain(RECURSIVE) {
        let ended = on_little_stack(move || {
            let mut policy = made(shape, Some(given(nested(MAX_DEPTH - 1))))?;
            for input in [given(nested(MAX_DEPTH - 1)), Value::Null] {
                if let Ok(Decision::Value(value)) = policy.decide(input) {
                    drop(Document::from(value));
                }
            }
            Ok::<_, Error>(())
        });
        assert_eq!(ended, Some(Ok(())), "{shape}");
    }
}

/// Built-ins and operators that go all the way down a value.
const RECURSIVE: [&str; 14] = [
    "input.v",
    "walk(input.v)",
    "input.v == data.v",
    "{input.v} | {data.v}",
    "{input.v: input.v}",
    "object.union({\"a\": input.v}, {\"a\": data.v})",
    "object.subset({\"a\": input.v}, {\"a\": data.v})",
    "json.patch(input.v, [{\"op\": \"copy\", \"from\": \"/0\", \"path\": \"/-\"}])",
    "json.filter({\"a\": input.v}, [\"a/0/0\"])",
    "json.remove({\"a\": input.v}, [\"a/0/0\"])",
    "sprintf(\"%v\", [input.v])",
    "json.marshal(input.v)",
    "sort([input.v, data.v])",
    "count(input.v) + upper(input.v)",
];

#[test]
fn a_result_deeper_than_an_input_may_be_is_refused() -> Checked {
    let mut policy = made("[input.v]", None)?;
    assert!(policy.decide(given(nested(MAX_DEPTH - 1))).is_ok());
    assert!(said(policy.decide(given(nested(MAX_DEPTH)))).contains("the result is nested deeper than 512"));
    Ok(())
}

#[test]
fn a_patch_that_makes_a_document_deeper_with_each_operation_is_refused_and_others_are_not() -> Checked {
    let mut policy = made("json.patch(input.v.document, input.v.operations)", None)?;
    let mut decide = |document: &str, operations: &str| {
        let json = format!("{{\"document\": {document}, \"operations\": [{operations}]}}");
        policy.decide(given(Value::from_json_str(&json).unwrap_or(Value::Null)))
    };
    let deeper = |step: &str| {
        let operation = |level| step.replace("PATH", &"/0".repeat(level));
        (0..=MAX_DEPTH).map(operation).collect::<Vec<_>>().join(",")
    };
    for step in [
        r#"{"op": "add", "path": "PATH/0", "value": []}"#,
        r#"{"op": "add", "path": "PATH/0", "value": [], "from": ""}"#,
        r#"{"op": "copy", "from": "", "path": "PATH/0"}"#,
    ] {
        let message = said(decide("[]", &deeper(step)));
        assert!(message.contains("json.patch: the result could be nested deeper than 512 levels"), "{message}");
        let message = said(decide("[]", &(deeper(step) + ", 1")));
        assert!(message.contains("json.patch: the result could be nested deeper"), "{message}");
    }
    let wide = vec![r#"{"op": "add", "path": "/a/0", "value": [[1]]}"#; 2_000].join(",");
    assert!(decide(r#"{"a": []}"#, &wide).is_ok());
    Ok(())
}

#[test]
fn a_glob_with_nested_braces_is_matched_or_refused_and_never_a_crash() -> Checked {
    let mut policy = made("glob.match(input.v, [], \"a\")", None)?;
    let mut decide = |levels: usize| {
        let pattern = format!("{}a{}", "{".repeat(levels), "}".repeat(levels));
        policy.decide(given(Value::from(pattern)))
    };
    assert_eq!(decide(100)?, Decision::Value(true.into()));
    for levels in [101, 1_000, 300_000] {
        assert!(said(decide(levels)).contains("glob.match: braces are nested deeper than 100 levels"));
    }
    Ok(())
}
