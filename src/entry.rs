//! The entry: C's `main`.
//!
//! Rust's own start-up would reopen closed standard descriptors, ignore SIGPIPE and install handlers, all of which a child
//! would find changed; and it costs system calls that every run pays.
#![cfg_attr(not(test), expect(unsafe_code, reason = "a symbol named main can only be exported so"))]

use std::ffi::{OsString, c_char, c_int};

use crate::exit::Exit;
use crate::sys;

// SAFETY: there is no other `main`: the crate is `no_main`. The arguments are read by the standard library, which glibc
// hands them before `main`.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, expect(dead_code, reason = "the test harness has a main of its own"))]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    let args: Vec<OsString> = std::env::args_os().collect();
    let exit = crate::run(&args);
    if let Exit::Signal(signal) = exit {
        sys::die_of(signal);
    }
    exit.code().into()
}
