//! A home of its own for each test, and what a test does with `cb` in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::run::Run;
use super::text::shift_times;

/// The binary under test.
pub const CB: &str = env!("CARGO_BIN_EXE_cb");

/// An empty home, without the caller's environment.
pub struct Sandbox {
    dir: TempDir,
    /// The user of its commands, if not ours.
    user: Option<u32>,
}

impl Sandbox {
    /// A new sandbox, which is removed with the value.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cb-test-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a directory to work in");
        fs::create_dir(dir.path().join("bin")).expect("a directory for programs");
        std::os::unix::fs::symlink(CB, dir.path().join("bin/cb")).expect("cb on the path");
        Self { dir, user: None }
    }

    /// A sandbox whose commands run as a user to whom a directory can be closed: another one where the tests run as
    /// root.
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

    /// A command of a shell whose output goes into a pipe that nobody reads any more.
    ///
    /// This shell alone has ever had the pipe open. In `a | b` the shell above them has it too, for a moment longer than `b`:
    /// what `a` writes in that moment is written.
    pub fn unread(&self, command: &str) -> Run {
        self.bash(&format!("mkfifo gone && exec 3<>gone 4>gone 3<&- && rm gone && exec {command} >&4 4>&-"))
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
        Run::new(command)
    }

    /// Runs `cb run -n NAME [options] -- sh -c 'exit CODE'`, which must return that code in silence.
    #[track_caller]
    pub fn exits(&self, name: &str, options: &[&str], code: i32) {
        self.runs(name, options, code).run();
    }

    /// The same as a builder, for other expectations.
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

    /// Lets time pass for a breaker, or run backwards: makes all its times so many milliseconds older.
    #[track_caller]
    pub fn shift(&self, name: &str, millis: i64) {
        let mut file = File::options().read(true).write(true).open(self.state_file(name)).expect("the state file");
        // In one write, as `cb` does, since a waiting `cb` must not read an empty file.
        fs2::FileExt::lock_exclusive(&file).expect("the lock");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("the state");
        file.write_all_at(shift_times(&text, millis).as_bytes(), 0).expect("the state file can be written");
        // A process that another test is starting has all our descriptors until it executes its program, locks and all.
        fs2::FileExt::unlock(&file).expect("the lock is given up");
    }

    /// Opens a breaker by five failures with this code and these options.
    #[track_caller]
    pub fn open_by(&self, name: &str, options: &[&str], code: i32) {
        for _ in 0..5 {
            self.runs(name, options, code).any_stderr().run();
        }
        assert_eq!(self.state(name), "open");
    }

    /// The state file as it is.
    #[track_caller]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.state_file(name)).expect("the state file")
    }

    /// Writes something in place of the state file, in a state directory as `cb` makes it.
    #[track_caller]
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.make_state_dir();
        fs::write(self.state_file(name), bytes).expect("the state file can be written");
        self.own(&self.state_file(name));
    }

    /// Returns a function that restores the present state of a breaker, or removes all state if there is none now.
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

    /// A program on the path of the sandbox. Another process writes it: if we had it open for writing, a process that
    /// another test is starting could hold it open for a moment too, and nobody could execute it.
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
    /// A directory that a test has closed must be opened to be removed.
    fn drop(&mut self) {
        for dir in [self.home().to_owned(), self.home().join(".cache"), self.state_dir()] {
            drop(fs::set_permissions(dir, fs::Permissions::from_mode(0o700)));
        }
    }
}

/// Root's tests use this user where root would be let through.
pub const NOBODY: u32 = 65_534;

/// Under nohup, or in the background of a script, signals are ignored, and every child would inherit that.
#[expect(unsafe_code, reason = "nothing safe runs between fork and exec")]
fn with_default_signals(command: &mut Command) {
    // SAFETY: signal(2) and fcntl(2) may be called there; that some signals cannot be changed does not matter.
    unsafe {
        command.pre_exec(|| {
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            // Those that a command can be lent by `--http` are free, whatever whoever runs the tests has left open.
            for descriptor in 3..=9 {
                libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Ok(())
        });
    }
}

/// Whether the tests run as root, to whom no directory is closed.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What is in a directory, sorted.
pub fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}
