//! One prepared engine, one rule.

use std::any::Any;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, PolicyLengthConfig, Value};

use crate::document::{self, Excess, MAX_DEPTH};
use crate::{Error, depth, guard, one_line, scan};

/// The largest module, in bytes.
pub const MAX_MODULE_BYTES: usize = 10 * 1024 * 1024;

/// How many expressions are evaluated between two looks at the clock.
const TIMER_INTERVAL: NonZeroU32 = NonZeroU32::new(64).unwrap();

const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::MAX,
    max_file_bytes: NonZeroUsize::new(MAX_MODULE_BYTES).unwrap(),
    max_lines: NonZeroUsize::new(MAX_MODULE_BYTES).unwrap(),
};

/// Stack for parsing and for dropping what was parsed, which may be a tree as deep as the source is long. Only what is
/// touched is ever resident.
const COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;
const COMPILE_STACK_PER_SOURCE_BYTE: usize = 256;

/// Most values in a result: what is referred to twice is two values to whoever reads it.
const MAX_RESULT_VALUES: usize = 10_000_000;

/// Most memory that an evaluation may take, where nothing else is said.
pub const DEFAULT_MEMORY_BYTES: usize = 512 * 1024 * 1024;

/// What an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Longest evaluation, in wall-clock time; `None` sets no limit.
    pub timeout: Option<Duration>,
    /// Most memory that an evaluation may take at one time, its result included. Counted only where the program's
    /// allocator tells `regorus_mimalloc::charge`; estimates of built-ins apply always.
    pub memory_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(1)), memory_bytes: DEFAULT_MEMORY_BYTES }
    }
}

/// What a rule says about an input. Undefined is not false: no rule applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// No definition of the rule holds for this input, and it has no default.
    Undefined,
    /// The rule has this value.
    Value(Value),
}

/// Modules, data and one rule, ready to decide.
#[derive(Debug)]
pub struct Policy {
    /// Compiled and never evaluated: an evaluation that failed may leave its engine in any state.
    pristine: Engine,
    engine: Engine,
    rule: String,
    options: Options,
    stack_bytes: usize,
}

impl Policy {
    /// Compile `modules` (name and source) over `data`, an object, and resolve `rule`, such as `data.authz.allow`.
    ///
    /// # Errors
    ///
    /// A module does not parse or is above [`MAX_MODULE_BYTES`], the data is no object, or there is no such rule.
    pub fn new<'a>(
        modules: impl IntoIterator<Item = (&'a str, &'a str)>,
        rule: &str,
        data: Option<Value>,
        options: Options,
    ) -> Result<Self, Error> {
        let modules: Vec<(&str, &str)> = modules.into_iter().collect();
        let longest = modules.iter().map(|(_, source)| source.len().min(MAX_MODULE_BYTES)).max().unwrap_or_default();
        let stack_bytes = COMPILE_STACK_BYTES + longest * COMPILE_STACK_PER_SOURCE_BYTE;
        stacker::grow(stack_bytes, || {
            catch_unwind(AssertUnwindSafe(|| Self::compile(&modules, rule, data, options)))
                .unwrap_or_else(|payload| Err(stopped(&*payload)))
        })
    }

    fn compile(modules: &[(&str, &str)], rule: &str, data: Option<Value>, options: Options) -> Result<Self, Error> {
        for (name, source) in modules {
            if source.len() > MAX_MODULE_BYTES {
                return Err(Error::new(format!("{name}: larger than {MAX_MODULE_BYTES} bytes")));
            }
            scan::check(name, source)?;
        }
        // One for the process; what it means for a thread is said by `with_budget`.
        regorus::set_global_memory_limit(Some(0));
        let mut engine = Engine::new();
        guard::install(&mut engine, options.memory_bytes).map_err(|error| report(&error))?;
        engine.set_policy_length_config(LENGTHS);
        if let Some(limit) = options.timeout {
            engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: TIMER_INTERVAL });
        }
        for (name, source) in modules {
            engine.add_policy((*name).to_owned(), (*source).to_owned()).map_err(|error| report(&error))?;
        }
        let stack_bytes = depth::stack_bytes(engine.get_modules().iter().map(|module| &**module))?;
        if let Some(data) = data {
            engine.add_data(data).map_err(|error| report(&error))?;
        }
        engine.compile_with_entrypoint(&rule.into()).map_err(|error| report(&error))?;
        Ok(Self { engine: engine.clone(), pristine: engine, rule: rule.to_owned(), options, stack_bytes })
    }

    /// Evaluate the rule for one input.
    ///
    /// # Errors
    ///
    /// The evaluation ran out of time, a built-in refused its operands, or rules contradict each other.
    pub fn decide(&mut self, input: Value) -> Result<Decision, Error> {
        let Self { engine, pristine, rule, stack_bytes, options } = self;
        stacker::maybe_grow(*stack_bytes, *stack_bytes, || {
            engine.set_input(input);
            let evaluation = || regorus_mimalloc::with_budget(options.memory_bytes, || engine.eval_rule(rule.clone()));
            // A panic of regorus, for a number that it cannot write down, say, leaves its engine as an error does.
            let decided = match catch_unwind(AssertUnwindSafe(evaluation)) {
                Ok(decided) => decided.map_err(|error| said(&error, options.memory_bytes)),
                Err(payload) => Err(stopped(&*payload)),
            };
            match decided {
                Ok(Value::Undefined) => Ok(Decision::Undefined),
                Ok(value) => check_size(&value).map(|()| Decision::Value(value)),
                Err(error) => {
                    *engine = pristine.clone();
                    Err(error)
                }
            }
        })
    }

    /// Replace modules and data as a whole; on an error the old policy stays in force.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::new`].
    pub fn reload<'a>(
        &mut self,
        modules: impl IntoIterator<Item = (&'a str, &'a str)>,
        data: Option<Value>,
    ) -> Result<(), Error> {
        *self = Self::new(modules, &self.rule, data, self.options)?;
        Ok(())
    }
}

impl Drop for Policy {
    /// Modules are trees as deep as they are nested; the engine holds what it evaluated last, as deep as that went.
    fn drop(&mut self) {
        let engines = (std::mem::take(&mut self.engine), std::mem::take(&mut self.pristine));
        stacker::maybe_grow(self.stack_bytes, self.stack_bytes, || drop(engines));
    }
}

/// Whether a result can be handed on: its owner reads every value.
fn check_size(value: &Value) -> Result<(), Error> {
    match document::depth(value, MAX_DEPTH, MAX_RESULT_VALUES) {
        Ok(_) => Ok(()),
        Err(Excess::Depth) => Err(Error::new(format!("the result is nested deeper than {MAX_DEPTH} levels"))),
        Err(Excess::Values) => Err(Error::new(format!("the result has more than {MAX_RESULT_VALUES} values"))),
    }
}

/// What a panic of regorus means, in a line.
fn stopped(payload: &(dyn Any + Send)) -> Error {
    const SHOWN: usize = 200;
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("for an unknown reason");
    if text.starts_with("a formatting trait implementation returned an error") {
        return Error::new(format!("the evaluation met {}", document::UNWRITABLE));
    }
    Error::new(format!("regorus cannot evaluate this, and stopped: {}", one_line(text, SHOWN)))
}

/// What regorus reports, with the memory limit in words of ours: it knows of no figures.
fn said(error: &impl ToString, memory_bytes: usize) -> Error {
    let error = report(error);
    if error.message.contains("exceeded memory limit") {
        let message = format!("the evaluation took more than {memory_bytes} bytes of memory");
        return Error { message, ..error };
    }
    error
}

fn report(error: &impl ToString) -> Error {
    Error::from_report(&error.to_string())
}
