//! A global allocator that counts live bytes, thread by thread; the system allocator does the work, so that memray and
//! mallinfo2 see it.

use std::alloc::{GlobalAlloc, Layout, System};

use pyo3::prelude::*;
use regorus_mimalloc::{charge, live_bytes};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[inline]
fn size(bytes: usize) -> i64 {
    bytes.cast_signed() as i64
}

// SAFETY: every method forwards its arguments unchanged to `System` and returns what it returns; counting neither
// allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`, which is the one of `System.alloc`.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            charge(size(layout.size()));
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            charge(size(layout.size()));
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, through one of the methods here.
        unsafe { System.dealloc(block, layout) };
        charge(-size(layout.size()));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; the caller upholds what `realloc` asks of `new_size`.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            charge(size(new_size) - size(layout.size()));
        }
        moved
    }
}

#[pyfunction]
pub(crate) fn rust_bytes() -> i64 {
    live_bytes()
}
