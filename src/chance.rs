//! The only source of draws.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::breaker::Draw;
use crate::sys;

/// A number from 0 to 1, drawn at random. It costs no system call: the kernel gives every process its own randomness at its
/// start.
pub fn draw() -> Draw {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    Draw::nth(sys::given_randomness(), DRAWN.fetch_add(1, Ordering::Relaxed))
}
