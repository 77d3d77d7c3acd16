//! Leaks in Rust, called through ctypes: a library of its own, without a crate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

static EVENTS: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Append an event to a list that nobody empties.
#[no_mangle]
pub extern "C" fn record_event(size_bytes: usize) {
    let event = vec![0xA5_u8; size_bytes].into_boxed_slice(); // leak: rust_static
    if let Ok(mut events) = EVENTS.lock() {
        events.push(event);
    }
}

static NAMES: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());

/// Keep a name for a number.
#[no_mangle]
pub extern "C" fn intern(number: usize) {
    let mut name = String::with_capacity(100); // leak: rust_strings
    name.push_str(&number.to_string());
    if let Ok(mut names) = NAMES.lock() {
        names.insert(number, name); // leak: rust_strings
    }
}

/// Drop the name of a number.
#[no_mangle]
pub extern "C" fn forget(number: usize) {
    if let Ok(mut names) = NAMES.lock() {
        names.remove(&number);
    }
}

struct Node {
    _payload: Box<[u8]>,
    other: OnceLock<Arc<Node>>,
}

fn node(size_bytes: usize) -> Arc<Node> {
    let payload = vec![0_u8; size_bytes].into_boxed_slice(); // leak: rust_cycle
    Arc::new(Node { _payload: payload, other: OnceLock::new() }) // leak: rust_cycle
}

/// Make two nodes that hold each other.
#[no_mangle]
pub extern "C" fn link_pair(size_bytes: usize) {
    let (first, second) = (node(size_bytes), node(size_bytes)); // leak: rust_cycle
    let _ = first.other.set(Arc::clone(&second));
    let _ = second.other.set(first);
}
