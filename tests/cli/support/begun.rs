//! A run that is still running.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Output, Stdio};

use super::run::{Expected, Run};
use super::sandbox::Sandbox;
use super::text::Text;

/// A command that runs until the test ends it. If the test fails, the command's input ends, and so does the command.
pub struct Begun {
    /// Whether the child was told that it is a probe: `CB_PROBE=1`.
    pub probe: bool,
    process: Child,
    input: ChildStdin,
    expected: Expected,
}

impl Sandbox {
    /// Starts `cb run -n NAME [options]` with a child that runs until the test ends it. Returns once the child runs.
    #[track_caller]
    pub fn begin(&self, name: &str, options: &[&str]) -> Begun {
        self.waits(name, options).begin()
    }

    /// The same for a run that may be refused.
    ///
    /// # Errors
    /// How the run ended instead.
    #[track_caller]
    pub fn try_begin(&self, name: &str, options: &[&str]) -> Result<Begun, Output> {
        self.waits(name, options).try_begin()
    }

    fn waits(&self, name: &str, options: &[&str]) -> Run {
        let script = r#"echo "started${CB_PROBE+ $CB_PROBE}"; read -r code; exit "$code""#;
        self.cb(["run", "-n", name].iter().chain(options).chain(&["--", "sh", "-c", script]))
    }
}

impl Run {
    /// Starts a command, and returns once it has printed `started`. It must then wait for a line of input.
    #[track_caller]
    pub fn begin(self) -> Begun {
        let command = format!("{:?}", self.command);
        self.try_begin().unwrap_or_else(|output| panic!("{command} should be running, and has ended: {output:?}"))
    }

    /// The same for a command that may end instead, without output.
    ///
    /// # Errors
    /// How it ended.
    #[track_caller]
    pub fn try_begin(mut self) -> Result<Begun, Output> {
        let mut process = self.command.stdin(Stdio::piped()).spawn().expect("the command starts");
        let stdout = process.stdout.as_mut().expect("a pipe");
        // Byte by byte: what is printed later stays in the pipe.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") && stdout.read(&mut byte).expect("the pipe can be read") == 1 {
            line.extend(byte);
        }
        let probe = match line.as_slice() {
            b"started\n" => false,
            b"started 1\n" => true,
            b"" => return Err(process.wait_with_output().expect("it ends")),
            other => panic!("{:?} began with {:?}", self.command, String::from_utf8_lossy(other)),
        };
        let input = process.stdin.take().expect("a pipe");
        Ok(Begun { probe, process, input, expected: self.expected })
    }
}

impl Begun {
    /// The process number of `cb`.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the child with this code, which `cb` must return in silence.
    #[track_caller]
    pub fn ends(self, code: i32) {
        self.ends_saying(code, "");
    }

    /// Ends the child with this code, which `cb` must return, with this on stderr (see [`Run::stderr_like`]).
    #[track_caller]
    pub fn ends_saying(mut self, code: i32, pattern: &str) {
        self.release(code);
        let Self { process, mut expected, .. } = self;
        expected.code = code;
        expected.stderr = Text::Like(pattern.to_owned());
        expected.check(&process.wait_with_output().expect("it ends"), "a run that was let go");
    }

    /// Tells the child to end with this code.
    #[track_caller]
    pub fn release(&mut self, code: i32) {
        writeln!(self.input, "{code}").expect("the child reads");
    }

    /// Waits for the end, and checks nothing.
    #[track_caller]
    pub fn wait(self) -> Output {
        self.process.wait_with_output().expect("it ends")
    }

    /// Kills `cb`, as the kernel does when memory is short: nothing of it can be said afterwards. The child goes with it.
    #[track_caller]
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is dead");
    }
}
