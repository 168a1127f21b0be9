//! The builder of commands: output is empty and the exit 0 unless the test says otherwise.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::assert::OutputAssertExt;

use super::text::Text;

/// A command about to run. It is expected to exit 0 and to print nothing, unless the test says otherwise.
#[must_use = "nothing runs until run() is called"]
pub struct Run {
    pub(super) command: Command,
    pub(super) expected: Expected,
}

/// How a command must end and what it must print.
pub(super) struct Expected {
    pub code: i32,
    pub stdout: Text,
    pub stderr: Text,
}

impl Run {
    pub(super) fn new(command: Command) -> Self {
        let nothing = || Text::Exact(String::new());
        Self { command, expected: Expected { code: 0, stdout: nothing(), stderr: nothing() } }
    }

    /// The exit status it must have; a death by signal is 128 + n.
    pub fn code(mut self, code: i32) -> Self {
        self.expected.code = code;
        self
    }

    /// What it must print on stdout, exactly.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.expected.stdout = Text::Exact(text.into());
        self
    }

    /// What it must print on stderr, exactly.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.expected.stderr = Text::Exact(text.into());
        self
    }

    /// What it must print on stderr, exactly but for the times in it, for which `TIME` stands.
    pub fn stderr_timeless(mut self, text: impl Into<String>) -> Self {
        self.expected.stderr = Text::Timeless(text.into());
        self
    }

    /// What stderr must contain, where the rest depends on the day. Each call adds a part.
    pub fn stderr_has(mut self, part: impl Into<String>) -> Self {
        match &mut self.expected.stderr {
            Text::Contains(parts) => parts.push(part.into()),
            other => *other = Text::Contains(vec![part.into()]),
        }
        self
    }

    /// What stdout must contain, where the rest depends on the day. Each call adds a part.
    pub fn stdout_has(mut self, part: impl Into<String>) -> Self {
        match &mut self.expected.stdout {
            Text::Contains(parts) => parts.push(part.into()),
            other => *other = Text::Contains(vec![part.into()]),
        }
        self
    }

    /// What it must print on stderr, where `<time>`, `<span>` and `<number>` stand for what depends on the day.
    pub fn stderr_like(mut self, pattern: impl Into<String>) -> Self {
        self.expected.stderr = Text::Like(pattern.into());
        self
    }

    /// What it must print on stdout, with the same placeholders.
    pub fn stdout_like(mut self, pattern: impl Into<String>) -> Self {
        self.expected.stdout = Text::Like(pattern.into());
        self
    }

    /// The test looks at stdout itself.
    pub fn any_stdout(mut self) -> Self {
        self.expected.stdout = Text::Any;
        self
    }

    /// The test looks at stderr itself.
    pub fn any_stderr(mut self) -> Self {
        self.expected.stderr = Text::Any;
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable from its environment.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Where it starts.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// The command itself, for what few tests need.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts it, and checks nothing: for tests that do something meanwhile.
    #[track_caller]
    pub fn spawn(mut self) -> std::process::Child {
        self.command.spawn().expect("the command starts")
    }

    /// Runs it to its end, and checks nothing.
    #[track_caller]
    pub fn output(mut self) -> Output {
        self.command.output().expect("the command starts")
    }

    /// Runs it to its end, and checks everything.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let output = self.command.output().expect("the command starts");
        self.expected.check(&output, &format!("{:?}", self.command));
        output
    }
}

impl Expected {
    #[track_caller]
    pub(super) fn check(&self, output: &Output, context: &str) {
        use std::os::unix::process::ExitStatusExt;
        self.stderr.check("stderr", &output.stderr, context);
        self.stdout.check("stdout", &output.stdout, context);
        let ended = output.clone().assert().append_context("of", context.to_owned());
        match output.status.signal() {
            Some(signal) => assert_eq!(128 + signal, self.code, "{ended}"),
            None => drop(ended.code(self.code)),
        }
    }
}
