//! What regorus asks about memory while it evaluates, answered without an allocator of its own.
//!
//! regorus checks a limit wherever it collects values, in its interpreter and within its built-ins, if it is built with
//! `allocator-memory-limits`. That feature comes with mimalloc as the global allocator, which would hide memory from the
//! probes that judge a soak. This crate has the names that regorus calls, and counts instead what a thread allocates
//! while it is within [`with_budget`]: whoever owns the global allocator calls [`charge`]. Where nobody does, the limit
//! never applies.
#![forbid(unsafe_code)]

use std::cell::Cell;

thread_local! {
    /// Bytes allocated less bytes freed by this thread.
    static USED: Cell<i64> = const { Cell::new(0) };
    /// What `USED` may reach.
    static CEILING: Cell<i64> = const { Cell::new(i64::MAX) };
}

/// Count bytes that this thread has allocated, or freed where negative. Neither allocates nor panics.
#[inline]
pub fn charge(bytes: i64) {
    USED.set(USED.get().wrapping_add(bytes));
}

/// Run `body`, in which regorus reports an error soon after this thread has `bytes` more than it had before.
pub fn with_budget<R>(bytes: usize, body: impl FnOnce() -> R) -> R {
    struct Restore(i64);
    impl Drop for Restore {
        fn drop(&mut self) {
            CEILING.set(self.0);
        }
    }
    let ceiling = USED.get().saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    let _restore = Restore(CEILING.replace(ceiling));
    body()
}

fn exceeded() -> bool {
    USED.get() > CEILING.get()
}

/// The system's allocator, or whatever the program has, stays as it is.
#[macro_export]
macro_rules! assign_global {
    () => {};
}

/// As far as regorus is concerned: all or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GlobalAllocationStats {
    /// 1 where this thread has exceeded its budget, else 0; the limit to set in regorus is therefore 0.
    pub allocated: u64,
}

/// The first of two figures is the one that regorus looks at.
#[inline]
pub fn allocation_stats_snapshot() -> (GlobalAllocationStats, ()) {
    (GlobalAllocationStats { allocated: u64::from(exceeded()) }, ())
}

/// Bytes allocated less bytes freed by this thread.
pub fn current_thread_live_bytes() -> i64 {
    USED.get()
}

/// What regorus calls to decide when to look.
pub mod limits {
    /// There are no counters to flush.
    pub fn flush_thread_counters() {}

    /// There is no threshold.
    pub fn set_thread_flush_threshold(_bytes: Option<u64>) {}

    /// There is no threshold.
    pub fn thread_flush_threshold() -> Option<u64> {
        None
    }

    /// Whether to look at the limit now rather than at one of the next checks.
    #[inline]
    pub fn take_thread_flushed_since_check_flag() -> bool {
        super::exceeded()
    }

    /// Nothing is ever pending.
    #[inline]
    pub fn thread_allocation_pending_delta() -> i64 {
        0
    }

    /// Budgets of the virtual machine of regorus, which is not built.
    pub fn with_unowned_memory_budget_scope<R>(operation: impl FnOnce() -> R) -> R {
        operation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_scope() {
        let inside = with_budget(100, || {
            charge(100);
            let within = exceeded();
            charge(1);
            (within, exceeded(), allocation_stats_snapshot().0.allocated)
        });
        assert_eq!((inside, exceeded()), ((false, true, 1), false));
    }

    #[test]
    fn what_is_freed_can_be_taken_again() {
        with_budget(100, || {
            charge(90);
            charge(-90);
            charge(90);
            assert!(!exceeded());
        });
    }

    #[test]
    fn a_budget_counts_from_where_it_begins() {
        charge(1_000);
        with_budget(100, || assert!(!exceeded()));
    }
}
