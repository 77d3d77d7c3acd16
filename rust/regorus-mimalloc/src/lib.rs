//! What regorus asks about memory while it evaluates, answered without an allocator of its own.
//!
//! regorus checks a limit wherever it collects values, in its interpreter and within its built-ins, if it is built with
//! `allocator-memory-limits`. That feature comes with mimalloc as the global allocator, which would hide memory from the
//! probes that judge a soak. This crate has the names that regorus calls, and counts instead what a thread allocates
//! while it is within [`with_budget`]: whoever owns the global allocator calls [`charge`]. Where nobody does, the limit
//! never applies.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// Bytes that a thread may have allocated or freed before the others hear of it: an atomic addition for each allocation
/// would cost more than the rest of the counting.
const UNPUBLISHED_BYTES: u64 = 16 * 1024;

/// Of all threads, as far as they have published it.
static PUBLISHED: AtomicI64 = AtomicI64::new(0);

struct Counted {
    /// Bytes allocated less bytes freed by this thread.
    used: Cell<i64>,
    /// The part of them that the others have heard of.
    published: Cell<i64>,
    /// What `used` may reach.
    ceiling: Cell<i64>,
}

thread_local! {
    static COUNTED: Counted =
        const { Counted { used: Cell::new(0), published: Cell::new(0), ceiling: Cell::new(i64::MAX) } };
}

impl Counted {
    #[inline]
    fn charge(&self, bytes: i64) {
        self.used.set(self.used.get().wrapping_add(bytes));
        if self.pending().unsigned_abs() > UNPUBLISHED_BYTES {
            self.publish();
        }
    }

    #[inline]
    fn pending(&self) -> i64 {
        self.used.get().wrapping_sub(self.published.get())
    }

    #[cold]
    fn publish(&self) {
        PUBLISHED.fetch_add(self.pending(), Ordering::Relaxed);
        self.published.set(self.used.get());
    }
}

/// A thread that ends leaves nothing uncounted.
impl Drop for Counted {
    fn drop(&mut self) {
        self.publish();
    }
}

/// Count bytes that this thread has allocated, or freed where negative. Neither allocates nor panics.
#[inline]
pub fn charge(bytes: i64) {
    if COUNTED.try_with(|counted| counted.charge(bytes)).is_err() {
        PUBLISHED.fetch_add(bytes, Ordering::Relaxed); // this thread is about to end
    }
}

/// Bytes allocated less bytes freed: exact for this thread and those that have ended, 16 KiB off at most for each other.
pub fn live_bytes() -> i64 {
    PUBLISHED.load(Ordering::Relaxed).wrapping_add(COUNTED.try_with(Counted::pending).unwrap_or_default())
}

/// Run `body`, in which regorus reports an error soon after this thread has `bytes` more than it had before.
pub fn with_budget<R>(bytes: usize, body: impl FnOnce() -> R) -> R {
    struct Restore(i64);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = COUNTED.try_with(|counted| counted.ceiling.set(self.0));
        }
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let set = |counted: &Counted| counted.ceiling.replace(counted.used.get().saturating_add(bytes));
    let _restore = COUNTED.try_with(set).map(Restore);
    body()
}

fn exceeded() -> bool {
    COUNTED.try_with(|counted| counted.used.get() > counted.ceiling.get()).unwrap_or_default()
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
    COUNTED.try_with(|counted| counted.used.get()).unwrap_or_default()
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
    fn what_a_thread_has_allocated_is_counted_after_its_end() {
        let before = live_bytes();
        std::thread::spawn(|| charge(7)).join().unwrap_or_default();
        charge(3);
        // Other tests charge in their own threads, far less than this and never below nothing.
        assert!(live_bytes() >= before + 10);
    }

    #[test]
    fn a_budget_counts_from_where_it_begins() {
        charge(1_000);
        with_budget(100, || assert!(!exceeded()));
    }
}
