//! A global allocator that counts live bytes; the system allocator does the work, so that memray and mallinfo2 see it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

#[inline]
fn add(bytes: usize) {
    regorus_mimalloc::charge(bytes.cast_signed() as i64);
    LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
}

#[inline]
fn subtract(bytes: usize) {
    regorus_mimalloc::charge(-(bytes.cast_signed() as i64));
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every method forwards its arguments unchanged to `System` and returns what it returns; counting neither
// allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`, which is the one of `System.alloc`.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            add(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            add(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, through one of the methods here.
        unsafe { System.dealloc(block, layout) };
        subtract(layout.size());
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; the caller upholds what `realloc` asks of `new_size`.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            add(new_size);
            subtract(layout.size());
        }
        moved
    }
}

#[pyfunction]
pub(crate) fn rust_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}
