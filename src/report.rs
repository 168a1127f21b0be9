//! All output but the texts of errors: lines on stderr, the table, JSON, metrics, history.

pub mod history;
pub mod json;
pub mod metrics;
pub mod speech;
pub mod table;
pub mod view;

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;

use anyhow::{Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::message;

/// Whether anybody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody does.
    There,
    /// The other end of the pipe is closed, which is the end of the output and no error.
    Gone,
}

/// Prints data.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(text: &str) -> Result<Reader> {
    match write_all(&stdout(), text.as_bytes()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(anyhow!("could not write to standard output: {}", message(&error))),
    }
}

/// Standard output, to ask about; printing is for [`print()`].
#[expect(clippy::disallowed_methods, reason = "asked about or written to as a descriptor, never as a buffer")]
pub fn stdout() -> io::Stdout {
    io::stdout()
}

/// Standard error, to ask about; speaking is for [`speech`].
#[expect(clippy::disallowed_methods, reason = "asked about or written to as a descriptor, never as a buffer")]
pub fn stderr() -> io::Stderr {
    io::stderr()
}

/// Writes all of it. The standard library buffers, and reports success on a closed descriptor; output must do neither.
///
/// # Errors
/// What the system says of a write.
pub fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            // Another process made it non-blocking, and it is full for the moment.
            Err(Errno::EAGAIN) => wait_for_room(to),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for_room(to: &impl AsFd) {
    // Where the wait fails, the next write says why.
    let _ = poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
}

/// Whether a terminal acts on this character instead of showing it.
fn acts(letter: char) -> bool {
    let hidden = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    hidden || letter.is_control()
}

/// Stored text made safe for a terminal: no character moves the cursor, turns the writing direction or is invisible.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts(letter) {
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
        let json = json::line(&"a\u{1b}b\u{7f}c\u{9b}é\n").expect("a text");
        assert_eq!(json, "\"a\\u001bb\\u007fc\\u009bé\\n\"\n");
        assert_eq!(json::line(&"\u{7f}").expect("a text"), "\"\\u007f\"\n");
        assert_eq!(escape("a\u{1b}[2Jb\nc\u{202e}d\u{9b}é漢"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}é漢");
    }
}
