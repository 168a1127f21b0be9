//! The builder: a sandbox with a home of its own, and commands whose output is empty unless the test says otherwise.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const CB: &str = env!("CARGO_BIN_EXE_cb");

/// An empty home, with nothing of the caller's environment.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    /// A new one; it is removed with the value.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cb-test-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a directory to work in");
        fs::create_dir(dir.path().join("bin")).expect("a directory for programs");
        std::os::unix::fs::symlink(CB, dir.path().join("bin/cb")).expect("cb on the path");
        Self { dir }
    }

    /// HOME.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// The directory in which commands start.
    pub fn work(&self) -> PathBuf {
        self.home().join("work")
    }

    /// Where the state is by default.
    pub fn state_dir(&self) -> PathBuf {
        self.home().join(".cache/cb")
    }

    /// The state file of a breaker.
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.state_dir().join(format!("{name}.json"))
    }

    /// Writes the user's `config.toml`.
    #[track_caller]
    pub fn configure(&self, text: &str) {
        let dir = self.home().join(".config/cb");
        fs::create_dir_all(&dir).expect("a directory for the configuration");
        fs::write(dir.join("config.toml"), text).expect("the configuration can be written");
    }

    /// `cb` with these arguments.
    pub fn cb<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.command(CB, args)
    }

    /// A script for bash, with `cb` on its path.
    pub fn bash(&self, script: &str) -> Run {
        self.command("bash", ["-c", script])
    }

    /// Any command, in the sandbox: HOME, LOGNAME, PATH and `LC_ALL` are all of its environment, its input is empty.
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home())
            .env("LOGNAME", "tester")
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.home().display()))
            .env("LC_ALL", "C")
            .current_dir(self.work())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Run { command, code: 0, stdout: Text::Exact(String::new()), stderr: Text::Exact(String::new()) }
    }

    /// Runs `cb run -n NAME [options] -- sh -c 'exit CODE'` and wants that code back, in silence.
    #[track_caller]
    pub fn exits(&self, name: &str, options: &[&str], code: i32) {
        self.runs(name, options, code).run();
    }

    /// The same as a builder: what it prints and how it ends can still be said.
    pub fn runs(&self, name: &str, options: &[&str], code: i32) -> Run {
        let script = format!("exit {code}");
        let args = ["run", "-n", name].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", &script]);
        self.cb(args).code(code)
    }

    /// What `cb status NAME --json` says of a breaker.
    #[track_caller]
    pub fn status(&self, name: &str) -> Value {
        let output = self.cb(["status", name, "--json"]).any_stdout().run();
        let document: Value = serde_json::from_slice(&output.stdout).expect("status prints JSON");
        document["breakers"][0].clone()
    }

    /// The state a breaker is in, by `cb status --json`.
    #[track_caller]
    pub fn state(&self, name: &str) -> String {
        self.status(name)["state"].as_str().expect("a state").to_owned()
    }

    /// Lets time pass for a breaker, or run backwards: all its times become so many milliseconds older.
    #[track_caller]
    pub fn shift(&self, name: &str, millis: i64) {
        let path = self.state_file(name);
        let text = fs::read_to_string(&path).expect("the state file");
        fs::write(path, shift_times(&text, millis)).expect("the state file can be written");
    }
}

/// Makes every time in a text older by so many milliseconds. The text keeps its length.
pub fn shift_times(text: &str, millis: i64) -> String {
    const LENGTH: usize = "2026-01-02T03:04:05.678Z".len();
    let mut shifted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let time = rest.get(..LENGTH).filter(|word| word.ends_with('Z') && word.as_bytes()[4] == b'-');
        let parsed = time.and_then(|word| humantime::parse_rfc3339(word).ok());
        if let Some(time) = parsed {
            let span = Duration::from_millis(millis.unsigned_abs());
            let moved = if millis >= 0 { time.checked_sub(span) } else { time.checked_add(span) };
            let moved = moved.filter(|time| *time >= SystemTime::UNIX_EPOCH).unwrap_or(SystemTime::UNIX_EPOCH);
            shifted.push_str(&humantime::format_rfc3339_millis(moved).to_string());
            rest = &rest[LENGTH..];
        } else {
            shifted.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    shifted
}

/// Some facts out of a document, by their paths: `pick(&status, ["state", "totals.late"])`.
pub fn pick<const N: usize>(document: &Value, paths: [&str; N]) -> Value {
    Value::from_iter(paths.map(|path| path.split('.').fold(document, |value, key| &value[key]).clone()))
}

/// A text with `TIME` in place of every time.
pub fn timeless(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let word = rest.as_bytes().get(..SHAPE.len());
        let digit_or_same =
            |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
        if word.is_some_and(|word| word.iter().zip(SHAPE).all(digit_or_same)) {
            shown.push_str("TIME");
            rest = &rest[SHAPE.len()..];
        } else {
            shown.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    shown
}

enum Text {
    Exact(String),
    Timeless(String),
    Contains(Vec<String>),
    Any,
}

impl Text {
    #[track_caller]
    fn check(&self, what: &str, actual: &[u8], context: &str) {
        let actual = String::from_utf8_lossy(actual);
        match self {
            Self::Exact(expected) => assert_eq!(actual, *expected, "{what} of {context}"),
            Self::Timeless(expected) => assert_eq!(timeless(&actual), *expected, "{what} of {context}"),
            Self::Contains(parts) => {
                for part in parts {
                    assert!(actual.contains(part), "{what} of {context} lacks {part:?}:\n{actual}");
                }
            }
            Self::Any => {}
        }
    }
}

/// A command about to run. It is expected to exit 0 and to print nothing, unless the test says otherwise.
#[must_use = "nothing runs until run() is called"]
pub struct Run {
    command: Command,
    code: i32,
    stdout: Text,
    stderr: Text,
}

impl Run {
    /// The exit status it must have; a death by signal is 128 + n.
    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// What it must print on stdout, exactly.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Text::Exact(text.into());
        self
    }

    /// What it must print on stderr, exactly.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Text::Exact(text.into());
        self
    }

    /// What it must print on stderr, exactly but for the times in it, for which `TIME` stands.
    pub fn stderr_timeless(mut self, text: impl Into<String>) -> Self {
        self.stderr = Text::Timeless(text.into());
        self
    }

    /// What must be somewhere in stderr, where the rest depends on the day. Each call adds a part.
    pub fn stderr_has(mut self, part: impl Into<String>) -> Self {
        match &mut self.stderr {
            Text::Contains(parts) => parts.push(part.into()),
            other => *other = Text::Contains(vec![part.into()]),
        }
        self
    }

    /// What must be somewhere in stdout, where the rest depends on the day. Each call adds a part.
    pub fn stdout_has(mut self, part: impl Into<String>) -> Self {
        match &mut self.stdout {
            Text::Contains(parts) => parts.push(part.into()),
            other => *other = Text::Contains(vec![part.into()]),
        }
        self
    }

    /// The test looks at stdout itself.
    pub fn any_stdout(mut self) -> Self {
        self.stdout = Text::Any;
        self
    }

    /// The test looks at stderr itself.
    pub fn any_stderr(mut self) -> Self {
        self.stderr = Text::Any;
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Where it starts.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// The command itself, for what only a test of one thing needs.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts it, for tests that have something to do meanwhile. Nothing is checked.
    #[track_caller]
    pub fn spawn(mut self) -> std::process::Child {
        self.command.spawn().expect("the command starts")
    }

    /// Runs it to its end and checks what was said of it.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let output = self.command.output().expect("the command starts");
        self.check(&output);
        output
    }

    #[track_caller]
    fn check(&self, output: &Output) {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
        let context = format!("{:?}", self.command);
        self.stderr.check("stderr", &output.stderr, &context);
        self.stdout.check("stdout", &output.stdout, &context);
        assert_eq!(
            code,
            Some(self.code),
            "exit status of {context}; stderr: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A run whose child has started, and goes on until the test lets it end.
pub struct Held {
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
    pub fn hold(&self, name: &str, options: &[&str]) -> Result<Held, Output> {
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
                return Ok(Held { process, probe: line == b"started 1\n" });
            }
        }
        Err(process.wait_with_output().expect("the run ends"))
    }
}

impl Held {
    /// Lets the child exit with this code, and waits for `cb`.
    #[track_caller]
    pub fn end(mut self, code: i32) -> Output {
        let mut stdin = self.process.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, format!("{code}\n").as_bytes()).expect("the child reads");
        drop(stdin);
        self.process.wait_with_output().expect("the run ends")
    }
}

/// Whether a program is there. Under `CB_REQUIRE_TOOLS=1` it must be: then missing is failing.
pub fn have(program: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    let required = std::env::var_os("CB_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(found || !required, "{program} is missing, and CB_REQUIRE_TOOLS=1 asks for it");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
