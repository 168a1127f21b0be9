//! The only text for people outside errors: lines on stderr, the table, JSON.

pub mod json;
pub mod speech;
pub mod table;

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;

use anyhow::{Result, anyhow};

use crate::child::plain;

/// Prints data. A reader that has gone is the end of it, and no error.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(text: &str) -> Result<()> {
    match write_all(&stdout(), text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("could not write to standard output: {}", plain(&error)))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the two are used here and in the modules below, as descriptors only")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "the two are used here and in the modules below, as descriptors only")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// The standard library takes a closed descriptor for a success, and buffers; neither will do here.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Stored text as it may reach a terminal: nothing in it can move the cursor, turn the writing or hide.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if letter.is_control() || hidden {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stored_can_move_the_cursor() {
        assert_eq!(escape("a\u{1b}[2Jb\nc\u{202e}d\u{9b}é漢"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}é漢");
    }
}
