//! One prepared engine, one rule.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, PolicyLengthConfig, Value};

use crate::Error;

/// The largest module, in bytes.
pub const MAX_MODULE_BYTES: usize = 10 * 1024 * 1024;

/// How many expressions are evaluated between two looks at the clock.
const TIMER_INTERVAL: NonZeroU32 = NonZeroU32::new(64).unwrap();

const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::MAX,
    max_file_bytes: NonZeroUsize::new(MAX_MODULE_BYTES).unwrap(),
    max_lines: NonZeroUsize::new(MAX_MODULE_BYTES).unwrap(),
};

/// What an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Longest evaluation, in wall-clock time; `None` sets no limit.
    pub timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(1)) }
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
        let mut engine = Engine::new();
        engine.set_policy_length_config(LENGTHS);
        if let Some(limit) = options.timeout {
            engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: TIMER_INTERVAL });
        }
        for (name, source) in modules {
            engine.add_policy(name.to_owned(), source.to_owned()).map_err(|error| report(&error))?;
        }
        if let Some(data) = data {
            engine.add_data(data).map_err(|error| report(&error))?;
        }
        engine.compile_with_entrypoint(&rule.into()).map_err(|error| report(&error))?;
        Ok(Self { engine: engine.clone(), pristine: engine, rule: rule.to_owned(), options })
    }

    /// The rule that is decided.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Evaluate the rule for one input.
    ///
    /// # Errors
    ///
    /// The evaluation ran out of time, a built-in refused its operands, or rules contradict each other.
    pub fn decide(&mut self, input: Value) -> Result<Decision, Error> {
        self.engine.set_input(input);
        match self.engine.eval_rule(self.rule.clone()) {
            Ok(Value::Undefined) => Ok(Decision::Undefined),
            Ok(value) => Ok(Decision::Value(value)),
            Err(error) => {
                self.engine = self.pristine.clone();
                Err(report(&error))
            }
        }
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

fn report(error: &impl ToString) -> Error {
    Error::from_report(&error.to_string())
}
