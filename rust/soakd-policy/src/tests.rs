use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

type Checked = Result<(), Error>;

fn policy(source: &str) -> Result<Policy, Error> {
    Policy::new([("p.rego", source)], "data.p.x", None, Options::default())
}

fn decide(source: &str, input: Value) -> Result<Decision, Error> {
    policy(source)?.decide(input)
}

fn message(result: Result<impl std::fmt::Debug, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |value| format!("no error but {value:?}"))
}

/// `x` refers to `r0`, each `rN` to the next.
fn chain(length: usize, link: &str) -> String {
    let mut source = String::from("package p\nx := r0\n");
    for number in 0..length {
        let next = link.replace('@', &format!("r{}", number + 1));
        let _ = writeln!(source, "r{number} := {next}");
    }
    source + &format!("r{length} := 1\nf(z) := z\n")
}

#[test]
fn undefined_is_not_false() -> Checked {
    let mut policy = policy("package p\nx := false if input.no\nx := true if input.yes\n")?;
    let input = |name: &str| Value::from_json_str(&format!("{{\"{name}\": true}}")).unwrap_or(Value::Null);
    assert_eq!(policy.decide(input("yes"))?, Decision::Value(true.into()));
    assert_eq!(policy.decide(input("no"))?, Decision::Value(false.into()));
    assert_eq!(policy.decide(input("neither"))?, Decision::Undefined);
    Ok(())
}

#[test]
fn a_syntax_error_says_where_it_is() {
    let error = policy("package p\n\nx if {\n  input.a >\n}\n").map(drop).err().unwrap_or_default();
    assert_eq!((error.file.as_deref(), error.line), (Some("p.rego"), Some(5)), "{error}");
}

#[test]
fn a_rule_that_does_not_exist_is_an_error_when_the_policy_is_made() {
    let missing = Policy::new([("p.rego", "package p\ny := 1\n")], "data.p.x", None, Options::default());
    assert_eq!(message(missing), "not a valid rule path");
}

#[test]
fn a_reload_that_does_not_compile_leaves_the_old_policy_in_force() -> Checked {
    let mut policy = policy("package p\nx := 1\n")?;
    assert!(policy.reload([("p.rego", "package p\nx := \n")], None).is_err());
    assert_eq!(policy.decide(Value::Null)?, Decision::Value(1.into()));
    policy.reload([("p.rego", "package p\nx := data.two\n")], Value::from_json_str("{\"two\": 2}").ok())?;
    assert_eq!(policy.decide(Value::Null)?, Decision::Value(2.into()));
    Ok(())
}

#[test]
fn a_failed_evaluation_leaves_no_trace() -> Checked {
    let mut policy = policy("package p\nx := 1 if input.a\nx := 2 if input.b\n")?;
    let input = |json| Value::from_json_str(json).unwrap_or(Value::Null);
    assert!(policy.decide(input("{\"a\": 1, \"b\": 1}")).is_err());
    assert_eq!(policy.decide(input("{\"b\": 1}"))?, Decision::Value(2.into()));
    Ok(())
}

#[test]
fn an_evaluation_that_runs_away_ends_in_an_error() {
    let source =
        "package p\nx := count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a == b])\n";
    let options = Options { timeout: Some(Duration::from_millis(50)), ..Options::default() };
    let decided = Policy::new([("p.rego", source)], "data.p.x", None, options).and_then(|mut p| p.decide(Value::Null));
    assert!(message(decided).contains("time limit"));
}

#[test]
fn functions_that_call_themselves_are_refused() {
    let recursive = [
        "f(a) := f(a + 1)",
        "f(a) := g(a)\ng(a) := data.p.f(a)",
        "f(a) := y if y := g(a) with g as f\ng(a) := a",
        "f(a) := count([y | some y in [f(a)]])",
        "default f(_) := 1\nf(a) := f(a)",
    ];
    for functions in recursive {
        assert!(message(policy(&format!("package p\nx := f(1)\n{functions}\n"))).contains("recursion"), "{functions}");
    }
}

#[test]
fn functions_of_one_name_in_two_packages_are_no_recursion() -> Checked {
    let modules = [
        ("p.rego", "package p\nimport data.lib\nx := f(1)\nf(a) := lib.f(a)\n"),
        ("l.rego", "package lib\nf(a) := a\n"),
    ];
    let mut policy = Policy::new(modules, "data.p.x", None, Options::default())?;
    assert_eq!(policy.decide(Value::Null)?, Decision::Value(1.into()));
    Ok(())
}

#[test]
fn rules_that_depend_on_themselves_end_in_an_error() {
    assert!(message(decide("package p\nx := y\ny := x\n", Value::Null)).contains("recursion detected"));
    assert!(
        message(decide("package p\nx := f(1)\nf(a) := y\ny := f(2)\n", Value::Null)).contains("recursion detected")
    );
}

#[test]
fn hostile_shapes_are_errors_and_not_stack_overflows() {
    const MANY: usize = 100_000;
    let brackets = |open: &str, close: &str| format!("package p\nx := {}1{}\n", open.repeat(MANY), close.repeat(MANY));
    let tail = |start: &str, more: &str| format!("package p\nx := {start}{}\n", more.repeat(MANY));
    let shapes = [
        brackets("[", "]"),
        brackets("(", ")"),
        brackets("abs(", ")"),
        brackets("[y | y := ", "]"),
        brackets("-", ""),
        tail("1", " + 1"),
        tail("{1}", " | {1}"),
        tail("input", "[\"a\"]"),
        tail("1", " in [1]"),
        chain(MANY, "@"),
        chain(MANY, "f(@)"),
    ];
    for source in &shapes {
        assert!(decide(source, Value::Null).is_err(), "{}", &source[..80]);
    }
}

#[test]
fn the_deepest_policies_that_are_accepted_have_stack_enough() {
    for link in ["@", "f(@)", "[[f([f({y | some y in [@]})])]]", "count([y | some y in [1]; every z in [y] { @ > z }])"]
    {
        let (mut low, mut high) = (1, 12_000);
        while high - low > low / 8 + 1 {
            let middle = usize::midpoint(low, high);
            if policy(&chain(middle, link)).is_ok() { low = middle } else { high = middle }
        }
        let options = Options { timeout: Some(Duration::from_secs(20)), ..Options::default() };
        let mut deepest = Policy::new([("p.rego", chain(low, link).as_str())], "data.p.x", None, options);
        let decided = deepest.as_mut().map(|policy| policy.decide(Value::Null));
        let too_deep = |error: &Error| error.message.contains("the result is nested deeper");
        assert!(low > 100, "{link}: {low}");
        assert!(matches!(&decided, Ok(Ok(_))) || matches!(&decided, Ok(Err(error)) if too_deep(error)), "{link}");
    }
    let sum = format!("package p\nx := 1{}\n", " + 1".repeat(490));
    assert_eq!(decide(&sum, Value::Null), Ok(Decision::Value(491.into())));
}

#[test]
fn a_module_above_the_limit_is_refused_and_a_large_one_is_not() -> Checked {
    let mut large = String::from("package p\nx := t[input.k]\nt := {\n");
    for number in 0..40_000 {
        let _ = writeln!(large, "  \"key-{number:010}\": {number},");
    }
    large.push_str("}\n");
    assert!(large.len() > 1 << 20);
    let input = Value::from_json_str("{\"k\": \"key-0000000007\"}").unwrap_or(Value::Null);
    assert_eq!(decide(&large, input)?, Decision::Value(7.into()));
    let above = format!("package p\nx := 1 # {}\n", "a".repeat(10 << 20));
    assert!(message(policy(&above)).contains("larger than"));
    Ok(())
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_rule_that_returns_its_input_returns_it_unchanged(json in json()) {
        let input = Value::from_json_str(&json).unwrap_or(Value::Undefined);
        prop_assert_eq!(decide("package p\nx := input\n", input.clone()), Ok(Decision::Value(input)));
    }

    #[test]
    fn any_text_is_a_policy_or_an_error(text in "[a-z0-9 \\[\\](){}:=|,.\"`#\n-]{0,200}") {
        let _ = policy(&format!("package p\nx := 1\n{text}"));
    }

    #[test]
    fn an_input_that_was_decided_before_does_not_change_the_next_decision(first in json(), second in json()) {
        let source = "package p\nx := {k | some k, _ in input}\n";
        let value = |json: &str| Value::from_json_str(json).unwrap_or(Value::Undefined);
        let fresh = decide(source, value(&second));
        let mut used = policy(source)?;
        let _ = used.decide(value(&first));
        prop_assert_eq!(used.decide(value(&second)), fresh);
    }
}

/// A policy whose only rule has this body or value, and what came of it.
fn refused(value: &str) -> String {
    message(decide(&format!("package p\nx := {value}\n"), Value::Null))
}

#[test]
fn built_ins_that_make_much_of_little_are_refused_before_they_do() {
    for (call, name) in [
        ("numbers.range(1, 10000000000)", "numbers.range"),
        ("numbers.range(10000000000, 1)", "numbers.range"),
        ("numbers.range_step(1, 10000000000, 2)", "numbers.range_step"),
        ("bits.lsh(1, 4294967295000)", "bits.lsh"),
        ("sprintf(\"%4000000000d\", [1])", "sprintf"),
        ("concat(\"\", [s | s := sprintf(\"%0100000d\", [1]); some _ in numbers.range(1, 6000)])", "concat"),
        ("replace(sprintf(\"%030000d\", [1]), \"0\", sprintf(\"%030000d\", [1]))", "replace"),
        ("strings.replace_n({\"0\": sprintf(\"%030000d\", [1])}, sprintf(\"%030000d\", [1]))", "strings.replace_n"),
        ("regex.replace(sprintf(\"%030000d\", [1]), \"0\", sprintf(\"%030000d\", [1]))", "regex.replace"),
    ] {
        let message = refused(call);
        assert!(message.contains(&format!("{name}: the result could take more than")), "{call}: {message}");
    }
}

/// An array in which every level refers to the next one twice: 2^`levels` values in a few hundred bytes.
fn doubled(levels: usize, then: &str) -> String {
    let mut source = String::from("package p\nd0 := [1]\n");
    for level in 1..=levels {
        let _ = writeln!(source, "d{level} := [d{0}, d{0}]", level - 1);
    }
    source + &format!("x := {then}(d{levels})\n")
}

#[test]
fn values_that_double_at_each_level_are_not_written_out() {
    for call in ["json.marshal", "array.reverse"] {
        let message = message(decide(&doubled(40, call), Value::Null));
        assert!(message.contains("more than"), "{call}: {message}");
    }
}

#[test]
fn a_guarded_built_in_answers_as_its_own_self() -> Checked {
    for (call, expected) in [
        ("numbers.range(3, 1)", "[3, 2, 1]"),
        ("numbers.range_step(1, 6, 2)", "[1, 3, 5]"),
        ("concat(\",\", {\"b\", \"a\"})", "\"a,b\""),
        ("replace(\"aba\", \"a\", \"cc\")", "\"ccbcc\""),
        ("replace(\"ab\", \"\", \"-\")", "\"-a-b-\""),
        ("sprintf(\"%s is %d of %05d\", [\"x\", 1, 2])", "\"x is 1 of 00002\""),
        ("strings.replace_n({\"a\": \"b\", \"c\": \"d\"}, \"ac\")", "\"bd\""),
        ("regex.replace(\"abc\", \"(b)\", \"<$1>\")", "\"a<b>c\""),
        ("json.marshal({\"a\": [1, null]})", "\"{\\\"a\\\":[1,null]}\""),
        ("bits.lsh(1, 70)", "1180591620717411303424"),
        ("indexof(\"abc\", \"c\")", "2"),
        ("indexof_n(\"abab\", \"b\")", "[1, 3]"),
        ("count(graph.reachable_paths({\"a\": [\"b\"], \"b\": []}, {\"a\"}))", "1"),
    ] {
        let expected = Value::from_json_str(expected).map_err(|error| Error::new(error.to_string()))?;
        let made = decide(&format!("package p\nx := [{call}]\n"), Value::Null)?;
        let Decision::Value(made) = made else { return Err(Error::new(format!("{call} is undefined"))) };
        assert_eq!(made, Value::from(vec![expected]), "{call}");
    }
    Ok(())
}

#[test]
fn a_guarded_built_in_refuses_what_it_does_not_take_in_its_own_words_and_at_its_own_place() {
    let error = decide("package p\n\nx := concat(\",\", 1)\n", Value::Null).map(drop).err().unwrap_or_default();
    assert_eq!((error.file.as_deref(), error.line), (Some("p.rego"), Some(3)), "{error}");
    assert!(error.message.contains("array") && !error.message.contains("builtin.rego"), "{error}");
}

#[test]
fn an_operand_of_any_size_makes_no_long_message() {
    let long = "é".repeat(100_000);
    for call in ["count(input)", "startswith(1, input)", "concat(input, input)", "to_number(input)", "abs(input)"] {
        for input in [Value::from(long.as_str()), Value::from(vec![Value::from(long.as_str())])] {
            let Err(error) = decide(&format!("package p\nx := {call}\n"), input) else { continue };
            assert!(error.message.chars().count() <= MAX_MESSAGE, "{call}");
            assert!(!error.message.contains(char::is_control), "{call}: {error}");
            assert_eq!(error.line, Some(2), "{call}: {error}");
        }
    }
    let message = message(decide("package p\nx := startswith(1, input)\n", Value::from(long.as_str())));
    assert!(message.contains("startswith"), "{message}");
}

#[test]
fn a_text_is_put_on_one_line_of_at_most_so_many_characters() {
    assert_eq!(one_line("a\n  b\r\n\u{2028}c\u{1b}[2J ", 20), "a b c [2J");
    assert_eq!(one_line("ééééé", 5), "ééééé");
    assert_eq!(one_line("éééééé", 5), "éé...");
    assert_eq!(one_line("", 5), "");
}

#[test]
fn a_graph_as_long_as_a_chain_of_vertices_ends_without_a_crash() {
    let graph = |vertices: u32| {
        let edges: Vec<String> = (0..vertices).map(|vertex| format!("\"{vertex}\":[\"{}\"]", vertex + 1)).collect();
        Value::from_json_str(&format!("{{{}}}", edges.join(","))).unwrap_or(Value::Null)
    };
    let source = "package p\nx := count(graph.reachable_paths(input, {\"0\"}))\n";
    assert_eq!(decide(source, graph(20_000)), Ok(Decision::Value(1.into())));
    assert!(message(decide(source, graph(100_000))).contains("graph.reachable_paths"));
}
