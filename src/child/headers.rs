//! Where a child writes the headers of HTTP answers: a file in memory, which it finds under a descriptor.
//!
//! It is gone with those who have it open. No hook and no fallback has, as each is started without.

use std::ffi::c_int;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::http;
use crate::sys::{self, Lent};

/// What a child may write headers into.
pub struct Headers {
    /// The descriptor under which the child finds it.
    number: c_int,
    /// `None` where no such file is to be had: what the child finds then is `/dev/null`.
    file: Option<File>,
}

impl Headers {
    /// An empty one. The descriptor must not be open.
    pub fn new(number: u8) -> Self {
        Self { number: number.into(), file: sys::file_in_memory(c"cb-http").ok() }
    }

    /// Whether what is written into it can be read.
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// What the child finds.
    pub(super) fn lent(&self) -> Lent<'_> {
        Lent { number: self.number, file: self.file.as_ref() }
    }

    /// What was written into it until now: all of it, or where it is long, its beginning and its end. A process that the
    /// child has left behind may go on writing meanwhile, and nobody waits for that.
    pub fn written(&self) -> Vec<u8> {
        let Some(file) = &self.file else { return Vec::new() };
        let length = file.metadata().map_or(0, |there| there.len());
        let read = |from: u64, most: u64| {
            let mut bytes = vec![0; usize::try_from(most).unwrap_or(0)];
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read_at(&mut bytes[filled..], from + filled as u64) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => filled += count,
                }
            }
            bytes.truncate(filled);
            bytes
        };
        if length <= 2 * http::READ {
            read(0, length)
        } else {
            // One byte more tells whether the end begins a line.
            http::joined(read(0, http::READ), &read(length - http::READ - 1, http::READ + 1))
        }
    }
}
