//! Decides without Python, for `benches/policy_cost.py`: with regorus by itself, and with soakd-policy around it.
//!
//! `policy-cost POLICY.rego DATA.json RULE INPUTS.jsonl`: for each line on stdin it decides on all inputs as often as the
//! line says, each way in turn, and answers with the processor time of both, in nanoseconds per decision. Whoever asks
//! can so take turns with it: only what was measured at the same time can be compared.
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::{env, fs};

use regorus::{Engine, Value};
use soakd_policy::{Options, Policy};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [policy, data, rule, inputs] = arguments.as_slice() else {
        return Err("usage: policy-cost POLICY.rego DATA.json RULE INPUTS.jsonl".into());
    };
    let source = fs::read_to_string(policy)?;
    let data = Value::from_json_str(&fs::read_to_string(data)?).map_err(|error| words(&error))?;
    let inputs = fs::read_to_string(inputs)?;
    let inputs =
        inputs.lines().map(Value::from_json_str).collect::<Result<Vec<_>, _>>().map_err(|error| words(&error))?;

    let mut bare = Engine::new();
    bare.add_policy(policy.clone(), source.clone()).map_err(|error| words(&error))?;
    bare.add_data(data.clone()).map_err(|error| words(&error))?;
    let mut ours = Policy::new([(policy.as_str(), source.as_str())], rule, Some(data), Options::default())
        .map_err(|error| error.message)?;

    for line in io::stdin().lines() {
        let rounds: usize = line?.trim().parse()?;
        let bare_ns = ns_each(rounds, &inputs, |input| {
            bare.set_input(input);
            black_box(bare.eval_rule(rule.clone())).is_ok()
        })?;
        let ours_ns = ns_each(rounds, &inputs, |input| black_box(ours.decide(input)).is_ok())?;
        println!("{bare_ns} {ours_ns}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn ns_each(rounds: usize, inputs: &[Value], mut decide: impl FnMut(Value) -> bool) -> Result<f64, Box<dyn Error>> {
    let before = processor_ns()?;
    for _ in 0..rounds {
        for input in inputs {
            if !decide(input.clone()) {
                return Err("an input without a decision".into());
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2**53")]
    Ok((processor_ns()? - before) as f64 / (rounds * inputs.len()) as f64)
}

/// What this thread has had of a processor, a tick old at most.
fn processor_ns() -> Result<u64, Box<dyn Error>> {
    let said = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(said.split_whitespace().next().unwrap_or_default().parse()?)
}

fn words(error: &impl ToString) -> String {
    error.to_string()
}
