//! A run that is still running.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Output, Stdio};

use super::run::{Expected, Run};
use super::sandbox::Sandbox;
use super::text::Text;

/// A run whose child is running, and ends when the test says so. If the test fails, its input ends and so does it.
pub struct Held {
    /// The process of `cb`.
    pub process: Child,
    input: ChildStdin,
    expected: Expected,
    output: BufReader<std::process::ChildStdout>,
}

impl Run {
    /// Starts it, and returns once it has printed `started`; what it reads then is up to the test.
    #[track_caller]
    pub fn hold(mut self) -> Held {
        self.command.stdin(Stdio::piped());
        let mut process = self.command.spawn().expect("the command starts");
        let input = process.stdin.take().expect("a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its output");
        assert_eq!(line, "started\n", "of {:?}", self.command);
        Held { process, input, expected: self.expected, output }
    }
}

impl Held {
    /// Ends the child with this code, and wants it of `cb` too, in silence.
    #[track_caller]
    pub fn ends(self, code: i32) {
        self.ends_saying(code, "");
    }

    /// Ends the child with this code, and wants it of `cb` too, and this on stderr (see [`Run::stderr_like`]).
    #[track_caller]
    pub fn ends_saying(mut self, code: i32, pattern: &str) {
        self.release(code);
        self.expected.code = code;
        self.expected.stderr = Text::Like(pattern.to_owned());
        drop(self.wait());
    }

    /// Tells the child to end with this code.
    #[track_caller]
    pub fn release(&mut self, code: i32) {
        writeln!(self.input, "{code}").expect("the child reads");
    }

    /// Waits for `cb`, and checks what was said of it.
    #[track_caller]
    pub fn wait(self) -> Output {
        let Self { process, input, expected, mut output } = self;
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut output, &mut rest).expect("its output");
        let mut ended = process.wait_with_output().expect("it ends");
        drop(input);
        ended.stdout = rest;
        expected.check(&ended, "a run that was held");
        ended
    }

    /// Kills `cb`, as the kernel does when memory is short: nothing of it can be said afterwards.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is dead");
    }
}

/// A run whose child has started, and goes on until the test lets it end.
pub struct Begun {
    process: std::process::Child,
    /// Whether the child was told that it is a probe: `CB_PROBE=1`.
    pub probe: bool,
}

impl Sandbox {
    /// Starts `cb run -n NAME [options]` with such a child.
    ///
    /// # Errors
    /// It was refused: how it ended.
    #[track_caller]
    pub fn begin(&self, name: &str, options: &[&str]) -> Result<Begun, Output> {
        let script = r#"echo "started ${CB_PROBE-}"; read -r code; exit "$code""#;
        let args = ["run", "-n", name].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", script]);
        let mut process = self
            .cb(args)
            .with(|command| {
                command.stdin(Stdio::piped());
            })
            .spawn();
        let mut line = Vec::new();
        let stdout = process.stdout.as_mut().expect("a pipe");
        // Byte by byte: what the child may print later stays in the pipe.
        for byte in std::io::Read::bytes(stdout) {
            line.push(byte.expect("the pipe can be read"));
            if line.ends_with(b"\n") {
                return Ok(Begun { process, probe: line == b"started 1\n" });
            }
        }
        Err(process.wait_with_output().expect("the run ends"))
    }
}

impl Begun {
    /// Lets the child exit with this code, and waits for `cb`.
    #[track_caller]
    pub fn end(mut self, code: i32) -> Output {
        let mut stdin = self.process.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, format!("{code}\n").as_bytes()).expect("the child reads");
        drop(stdin);
        self.process.wait_with_output().expect("the run ends")
    }
}
