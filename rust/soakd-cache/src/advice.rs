//! What the caller may tell the operating system about memory before it is first touched.

use std::mem::MaybeUninit;

/// Told of each large allocation, by its address and length in bytes, before anything is written to it.
pub type Advise = fn(*const u8, usize);

/// For callers without advice.
pub(crate) fn no_advice(_start: *const u8, _bytes: usize) {}

/// Allocations below this are nobody's business: no huge page would fit.
const LARGE_BYTES: usize = 2 << 20;

pub(crate) fn advise_spare<T>(vec: &mut Vec<T>, advise: Advise) {
    let spare: &mut [MaybeUninit<T>] = vec.spare_capacity_mut();
    let bytes = size_of_val(spare);
    if bytes >= LARGE_BYTES {
        advise(spare.as_ptr().cast(), bytes);
    }
}
