//! The time that entries of a cache expire by.

/// Nanoseconds of CLOCK_MONOTONIC_COARSE: up to one tick of the kernel late (4 ms at 250 Hz), and a quarter of the price
/// of CLOCK_MONOTONIC, which costs more than a lookup.
#[cfg(target_os = "linux")]
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for a timespec. The call cannot fail: Linux has had this clock since 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Nanoseconds of a monotonic clock, from the first time anybody asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now_ns() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(std::time::Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}
