//! The builder: a sandbox with a home of its own, and commands whose output is empty unless the test says otherwise.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use assert_cmd::assert::OutputAssertExt;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const CB: &str = env!("CARGO_BIN_EXE_cb");

/// An empty home, with nothing of the caller's environment.
pub struct Sandbox {
    dir: TempDir,
    /// The user as whom its commands run, if that is not ours.
    user: Option<u32>,
}

impl Sandbox {
    /// A new one; it is removed with the value.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cb-test-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a directory to work in");
        fs::create_dir(dir.path().join("bin")).expect("a directory for programs");
        std::os::unix::fs::symlink(CB, dir.path().join("bin/cb")).expect("cb on the path");
        Self { dir, user: None }
    }

    /// One whose commands run as a user to whom a directory can be closed: where the tests run as root, as another.
    pub fn unprivileged() -> Self {
        let mut sandbox = Self::new();
        if is_root() {
            let program = sandbox.home().join("bin/cb");
            fs::remove_file(&program).expect("the link to cb");
            if fs::hard_link(CB, &program).is_err() {
                // Not by this process, for the reason that `program` gives.
                sandbox.command("cp", [CB.as_ref(), program.as_os_str()]).run();
            }
            sandbox.user = Some(NOBODY);
            for dir in ["", "work", "bin"] {
                sandbox.own(&sandbox.home().join(dir));
            }
        }
        sandbox
    }

    /// Makes something belong to the sandbox's user.
    #[track_caller]
    pub fn own(&self, path: &Path) {
        lchown(path, self.user, self.user).expect("root may give things away");
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
        let mut command = match self.user {
            Some(_) if program == CB => Command::new(self.home().join("bin/cb")),
            _ => Command::new(program),
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
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
        with_default_signals(&mut command);
        let nothing = || Text::Exact(String::new());
        Run { command, expected: Expected { code: 0, stdout: nothing(), stderr: nothing() } }
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
        let mut file = File::options().read(true).write(true).open(self.state_file(name)).expect("the state file");
        // As `cb` does it: one that waits meanwhile must not read an empty file.
        fs2::FileExt::lock_exclusive(&file).expect("the lock");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("the state");
        file.write_all_at(shift_times(&text, millis).as_bytes(), 0).expect("the state file can be written");
    }

    /// Opens a breaker by five failures of this code, with these options.
    #[track_caller]
    pub fn open_by(&self, name: &str, options: &[&str], code: i32) {
        for _ in 0..5 {
            self.runs(name, options, code).any_stderr().run();
        }
        assert_eq!(self.state(name), "open");
    }

    /// Starts a run whose child runs until the test says how it ends. Returns once the child is running.
    #[track_caller]
    pub fn holds(&self, name: &str, options: &[&str]) -> Held {
        self.hold(name, options, "echo started; read -r code; exit \"$code\"")
    }

    /// The same with a script of its own, which says `started` first and reads its end from its input.
    #[track_caller]
    pub fn hold(&self, name: &str, options: &[&str], script: &str) -> Held {
        let args = ["run", "-n", name].into_iter().chain(options.iter().copied()).chain(["--", "sh", "-c", script]);
        self.cb(args).hold()
    }

    /// The state file as it is.
    #[track_caller]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.state_file(name)).expect("the state file")
    }

    /// Puts something in place of the state file, in a state directory as `cb` makes it.
    #[track_caller]
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.make_state_dir();
        fs::write(self.state_file(name), bytes).expect("the state file can be written");
        self.own(&self.state_file(name));
    }

    /// Remembers the state of a breaker as it is now; what it returns puts that back, or takes all state away if there is
    /// none now.
    pub fn restorer(&self, name: &str) -> impl Fn() {
        let file = self.state_file(name);
        let cache = self.home().join(".cache");
        let start = fs::read(&file).ok();
        move || match &start {
            Some(bytes) => fs::write(&file, bytes).expect("the state can be put back"),
            None => drop(fs::remove_dir_all(&cache)),
        }
    }

    /// Makes the state directory, as `cb` does.
    #[track_caller]
    pub fn make_state_dir(&self) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.state_dir()).expect("the state directory");
        self.own(&self.home().join(".cache"));
        self.own(&self.state_dir());
    }

    /// Writes the configuration file where it is by default.
    #[track_caller]
    pub fn configure(&self, text: &str) -> PathBuf {
        let path = self.home().join(".config/cb/config.toml");
        fs::create_dir_all(path.parent().expect("a directory")).expect("the config directory");
        fs::write(&path, text).expect("the configuration");
        path
    }

    /// A shell script on the path of the sandbox.
    #[track_caller]
    pub fn script(&self, name: &str, text: &str) {
        self.program(name, &format!("#!/bin/sh\n{text}\n"));
    }

    /// A program on the path of the sandbox. Another process writes it: were it open for writing here while another test
    /// starts a process, that process could hold it open for a moment, and nobody can execute it then.
    #[track_caller]
    pub fn program(&self, name: &str, text: &str) {
        let make = self.command("sh", ["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]);
        let make = make.with(|command| {
            command.arg(self.home().join("bin").join(name)).stdin(Stdio::piped());
        });
        let mut writer = make.spawn();
        writer.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the program is read");
        assert!(writer.wait().expect("it ends").success(), "the program is written");
    }
}

impl Drop for Sandbox {
    /// What a test has closed must be open again to be removed.
    fn drop(&mut self) {
        for dir in [self.home().to_owned(), self.home().join(".cache"), self.state_dir()] {
            drop(fs::set_permissions(dir, fs::Permissions::from_mode(0o700)));
        }
    }
}

/// The user that root's tests become where root would be let through.
pub const NOBODY: u32 = 65_534;

/// Whoever runs the tests under nohup or in the background of a script has signals ignored, and every child would inherit
/// that.
#[expect(unsafe_code, reason = "nothing safe runs between fork and exec")]
fn with_default_signals(command: &mut Command) {
    // SAFETY: signal(2) may be called there; that some signals cannot be changed does not matter.
    unsafe {
        command.pre_exec(|| {
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

/// Whether the tests run as root, to whom no directory is closed.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A run whose child is running, and ends when the test says so. If the test fails, its input ends and so does it.
pub struct Held {
    /// The process of `cb`.
    pub process: Child,
    input: ChildStdin,
    expected: Expected,
    output: BufReader<std::process::ChildStdout>,
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
    Like(String),
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
                    let there = predicate::str::contains(part.as_str());
                    assert!(there.eval(&actual), "{what} of {context} lacks {part:?}:\n{actual}");
                }
            }
            Self::Like(pattern) => {
                assert!(is_like(pattern, &actual), "{what} of {context} should be like\n{pattern}\nand is\n{actual}");
            }
            Self::Any => {}
        }
    }
}

/// Whether a text is like a pattern, in which `<time>` stands for a time, `<span>` for a duration as it is shown
/// (`1m 30s`) and `<number>` for digits.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('<') else { return pattern == text };
    let Some(text) = text.strip_prefix(before) else { return false };
    let (word, rest) = rest.split_once('>').expect("a placeholder ends");
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = |text: &str| text.bytes().take_while(u8::is_ascii_lowercase).count();
    let length = match word {
        "time" => text.find('Z').map_or(0, |end| end + 1),
        "number" => digits(text),
        "span" => {
            let mut length = 0;
            loop {
                let number = digits(&text[length..]);
                let unit = letters(&text[length + number..]);
                if number == 0 || unit == 0 {
                    break length.saturating_sub(1);
                }
                length += number + unit;
                if !text[length..].starts_with(' ') {
                    break length;
                }
                length += 1;
            }
        }
        other => panic!("<{other}> stands for nothing"),
    };
    let (part, text) = text.split_at(length);
    !part.is_empty() && (word != "time" || is_time(part)) && is_like(rest, text)
}

/// Whether a text is a time as `cb` writes it.
pub fn is_time(text: &str) -> bool {
    text.len() == "2026-01-02T03:04:05.678Z".len() && humantime::parse_rfc3339(text).is_ok()
}

/// The milliseconds since 1970 of a time in JSON.
#[track_caller]
pub fn millis(time: &Value) -> u64 {
    let text = time.as_str().expect("a time");
    assert!(is_time(text), "{text} is a time");
    let time = humantime::parse_rfc3339(text).expect("a time").duration_since(SystemTime::UNIX_EPOCH);
    time.expect("after 1970").as_millis().try_into().expect("not too far")
}

#[test]
fn likeness_is_exact_but_for_its_placeholders() {
    for (pattern, text) in [
        ("in <span> (<time>)", "in 1m 30s (2026-01-02T03:04:05.678Z)"),
        ("in <span>, then", "in 30s, then"),
        ("<span> ago", "1d 2h 3s ago"),
        ("pid <number>\n", "pid 12\n"),
    ] {
        assert!(is_like(pattern, text), "{text}");
    }
    for (pattern, text) in [
        ("in <span>", "in "),
        ("in <span>", "in 30"),
        ("<time>", "2026-01-02T03:04:05Z"),
        ("<time>", "2026-13-02T03:04:05.678Z"),
        ("<span> ago", "30s ago "),
        ("a<number>", "a"),
        ("x", "xy"),
    ] {
        assert!(!is_like(pattern, text), "{text}");
    }
}

/// A command about to run. It is expected to exit 0 and to print nothing, unless the test says otherwise.
#[must_use = "nothing runs until run() is called"]
pub struct Run {
    command: Command,
    expected: Expected,
}

/// How a command must end and what it must print.
struct Expected {
    code: i32,
    stdout: Text,
    stderr: Text,
}

impl Run {
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

    /// What must be somewhere in stderr, where the rest depends on the day. Each call adds a part.
    pub fn stderr_has(mut self, part: impl Into<String>) -> Self {
        match &mut self.expected.stderr {
            Text::Contains(parts) => parts.push(part.into()),
            other => *other = Text::Contains(vec![part.into()]),
        }
        self
    }

    /// What must be somewhere in stdout, where the rest depends on the day. Each call adds a part.
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

    /// Runs it to its end. Nothing is checked.
    #[track_caller]
    pub fn output(mut self) -> Output {
        self.command.output().expect("the command starts")
    }

    /// Runs it to its end and checks what was said of it.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let output = self.command.output().expect("the command starts");
        self.expected.check(&output, &format!("{:?}", self.command));
        output
    }
}

impl Expected {
    #[track_caller]
    fn check(&self, output: &Output, context: &str) {
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

/// Whether a program is there. Under `CB_REQUIRE_TOOLS=1` it must be: then missing is failing.
pub fn have(program: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    skips_without(program, found);
    found
}

/// The same for what cargo installs, which may be anywhere on our own path; it says where.
pub fn cargo_tool(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    skips_without(program, found.is_some());
    found
}

fn skips_without(program: &str, found: bool) {
    let required = std::env::var_os("CB_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(found || !required, "{program} is missing, and CB_REQUIRE_TOOLS=1 asks for it");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
}
