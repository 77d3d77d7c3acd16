//! Leaks in Rust, called through ctypes: a library of its own, without a crate.

use std::sync::Mutex;

static EVENTS: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Append an event to a list that nobody empties.
#[no_mangle]
pub extern "C" fn record_event(size_bytes: usize) {
    let event = vec![0xA5_u8; size_bytes].into_boxed_slice(); // leak: rust_static
    if let Ok(mut events) = EVENTS.lock() {
        events.push(event);
    }
}
