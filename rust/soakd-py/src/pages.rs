//! Advice about memory: huge pages for what is large and read at random, and what to fetch before it is needed.

use pyo3::ffi;

/// Ask for huge pages where whole ones fit. Where the kernel has none to give, nothing changes.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_huge(start: *const u8, bytes: usize) {
    const HUGE: usize = 2 << 20;
    let skipped = start.addr().next_multiple_of(HUGE) - start.addr();
    let whole = bytes.saturating_sub(skipped) / HUGE * HUGE;
    if whole > 0 {
        // SAFETY: the range lies within an allocation that the caller has just made, and this advice changes neither
        // what is in memory nor what may be done with it. A kernel that does not know it says so, to nobody.
        unsafe { libc::madvise(start.wrapping_add(skipped).cast_mut().cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_huge(_start: *const u8, _bytes: usize) {}

/// Have the processor fetch the head of an object, without waiting for it.
#[inline]
pub(crate) fn prefetch(object: *mut ffi::PyObject) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it cannot fault, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(object.cast_const().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = object;
}
