//! A terminal, for what is shown only to people.

use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};

use super::Sandbox;

/// A command line under bash on a terminal of its own, its output in one stream.
pub struct Terminal {
    process: Child,
    seen: String,
}

impl Terminal {
    /// Starts it. The caller has checked that `script` exists.
    pub fn start(sandbox: &Sandbox, line: &str) -> Self {
        let process = sandbox
            .command("script", ["-qefc", line, "/dev/null"])
            .env("SHELL", "/bin/bash")
            .env("TERM", "xterm")
            .with(|command| {
                command.stderr(Stdio::null());
            })
            .spawn();
        Self { process, seen: String::new() }
    }

    /// Reads on until this was printed.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let mut stdout = self.process.stdout.take().expect("a pipe");
        let mut byte = [0];
        while !self.seen.ends_with(text) {
            let read = stdout.read(&mut byte).expect("the terminal can be read");
            assert!(read == 1, "it ended without {text:?}: {:?}", self.seen);
            self.seen.push(char::from(byte[0]));
        }
        self.process.stdout = Some(stdout);
    }

    /// Closes the terminal, and returns what was printed, as it was.
    pub fn hang_up(mut self) -> String {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is dead");
        self.seen
    }

    /// Reads to the end, and returns what was printed, with line ends as in files.
    pub fn end(mut self) -> (ExitStatus, String) {
        let output = self.process.wait_with_output().expect("it ends");
        self.seen.push_str(&String::from_utf8(output.stdout).expect("text"));
        (output.status, self.seen.replace("\r\n", "\n"))
    }
}
