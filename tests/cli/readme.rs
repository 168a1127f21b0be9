//! README.md does what it says: every block is run, from the first to the last, in one sandbox.
//!
//! - `console`: bash on a terminal runs each line that begins with `$ `, which prints what stands below it. Where nothing
//!   stands below it, it prints nothing and exits 0. A line `$ # ...` says what happens meanwhile, and it happens: the
//!   server stops or starts, and time passes (see [`Story::happens`]).
//! - `sh`: a function, which a shell calls.
//! - `crontab`: a line, run as cron runs it.
//! - `toml`: the configuration from there on.
//!
//! A block of any other kind fails, as nothing would run it. Only two things differ: what depends on the day (times, how
//! long ago), and what cannot be had here:
//!
//! - `localhost:8080` is a server of the test at another address, by curl's own `connect-to` in `~/.curlrc`.
//! - `cargo run --release --` is the `cb` under test, and the output of cargo and of the command is dropped; `cargo test`
//!   is what runs this; `cargo install --locked --path .` checks in `Cargo.toml` that the binary is called `cb`, and puts
//!   it where cargo would; `cargo deb` makes an empty package, and `sudo apt install` requires it.
//! - `psql`, `./sync` and `./ask` do nothing; `logger` writes to a file; the user is called `ann`.
//! - Nothing is coloured.
//!
//! `CB_BLESS=1 cargo test --test cli readme` writes into README.md what was really printed, where it differs.

use std::fs;

use crate::cron::cron;
use crate::support::server::Server;
use crate::support::terminal::Terminal;
use crate::support::{Sandbox, have, timeless};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A block of the README between two fences.
struct Block {
    /// The line of its first fence, from 1.
    line: usize,
    language: String,
    text: String,
}

/// The blocks of a text in Markdown.
#[track_caller]
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line.strip_prefix("```") {
            Some("") if open => open = false,
            Some(language) if !open => {
                open = true;
                blocks.push(Block { line: number, language: language.to_owned(), text: String::new() });
            }
            Some(_) => panic!("README.md:{number}: a block begins within another"),
            None if open => {
                let block = blocks.last_mut().expect("a block is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {
                let hidden = line.starts_with("    ") || line.starts_with('\t') || line.trim_start().starts_with("~~~");
                assert!(!hidden, "README.md:{number}: a block without a language, which nothing runs");
            }
        }
    }
    assert!(!open, "README.md: a block does not end");
    blocks
}

/// A transcript as pairs of a command and what stands below it.
#[track_caller]
fn steps(block: &Block) -> Vec<(usize, &str, String)> {
    let mut steps: Vec<(usize, &str, String)> = Vec::new();
    for (number, line) in (block.line + 1..).zip(block.text.lines()) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((number, command, String::new()));
            continue;
        }
        let step = steps.last_mut();
        let (_, _, output) =
            step.unwrap_or_else(|| panic!("README.md:{number}: what prints this? A command begins with '$ '"));
        output.push_str(line);
        output.push('\n');
    }
    steps
}

/// A text without what depends on the day: times, ages, and the wait for the next try.
fn blurred(text: &str) -> String {
    const UNITS: &[char] = &['s', 'm', 'h', 'd'];
    let line = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for index in 0..words.len() {
            let digits = words[index].strip_suffix(UNITS).unwrap_or_default();
            let length = digits.len();
            if length == 0 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            if words.get(index + 1).is_some_and(|word| word.trim_end() == "ago") {
                words[index] = String::from("N");
            } else if index > 0 && words[index - 1] == "in" && words[index].ends_with('s') {
                words[index] = format!("{}s", "N".repeat(length));
            }
        }
        words.join(" ")
    };
    timeless(text).split_inclusive('\n').map(line).collect()
}

/// The sandbox of the README, and its server.
struct Story {
    sandbox: Sandbox,
    server: Server,
    up: bool,
}

impl Story {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let server = Server::start();
        let connect = format!("connect-to = \"localhost:8080:{}\"\n", server.address);
        fs::write(sandbox.home().join(".curlrc"), connect).expect("the settings of curl");
        let cargo = format!(
            r#"case "$*" in
            "run --release -- "*) shift 3; exec cb "$@" >/dev/null ;;
            test) ;;
            "install --locked --path .")
                grep -A1 '^\[\[bin]]$' '{ROOT}/Cargo.toml' | grep -qx 'name = "cb"' || exit
                mkdir -p ~/.cargo/bin && ln -s {cb} ~/.cargo/bin/cb ;;
            "deb --output cb.deb") : >cb.deb ;;
            *) echo "cargo $*?"; exit 1 ;;
            esac"#,
            cb = crate::support::CB,
        );
        sandbox.script("cargo", &cargo);
        sandbox.script("sudo", "exec \"$@\"");
        sandbox.script("apt", "[ \"$1\" = install ] && [ -f \"$2\" ]");
        sandbox.script("psql", "");
        sandbox.script("logger", "printf '%s\\n' \"$*\" >>~/logged");
        for name in ["sync", "ask"] {
            sandbox.script(name, "");
            fs::rename(sandbox.home().join("bin").join(name), sandbox.work().join(name)).expect("a script");
        }
        Self { sandbox, server, up: true }
    }

    /// Runs a block by its kind. Returns the block with the output that was really printed.
    #[track_caller]
    fn run(&mut self, block: &Block) -> String {
        match block.language.as_str() {
            "console" => return steps(block).iter().map(|step| self.step(step)).collect(),
            "sh" => self.function(block),
            "crontab" => self.line_of_cron(block),
            "toml" => self.configuration(block),
            other => panic!("README.md:{}: nothing runs a block of '{other}'", block.line),
        }
        block.text.clone()
    }

    #[track_caller]
    fn step(&mut self, &(number, command, ref expected): &(usize, &str, String)) -> String {
        if let Some(cue) = command.strip_prefix("# ") {
            assert_eq!(expected, "", "README.md:{number}: a comment prints nothing");
            cue.split(", ").for_each(|cue| self.happens(number, cue));
            return format!("$ {command}\n");
        }
        let line = format!("export LOGNAME=ann NO_COLOR=1\n{command}");
        let (status, printed) = Terminal::start(&self.sandbox, &line).end();
        assert!(status.success() || !printed.is_empty(), "README.md:{number}: {command} fails in silence: {status}");
        let same = blurred(&printed) == blurred(expected);
        format!("$ {command}\n{}", if same { expected } else { &printed })
    }

    /// Makes happen what a comment says.
    #[track_caller]
    fn happens(&mut self, number: usize, cue: &str) {
        match cue {
            "the server stops" if self.up => {
                self.server.stop();
                self.up = false;
            }
            "the server is back" if !self.up => {
                self.server.come_back();
                self.up = true;
            }
            "the server is still down" => assert!(!self.up, "README.md:{number}: it is up"),
            other => {
                let seconds = other.strip_suffix(" seconds later").and_then(|number| number.parse::<i64>().ok());
                let seconds = seconds.unwrap_or_else(|| panic!("README.md:{number}: nothing makes '{other}' happen"));
                for entry in fs::read_dir(self.sandbox.state_dir()).expect("the state directory") {
                    let file = entry.expect("an entry").file_name();
                    let name = file.to_str().and_then(|file| file.strip_suffix(".json")).expect("a breaker");
                    self.sandbox.shift(name, 1_000 * seconds);
                }
            }
        }
    }

    /// A function `guarded`, which guards `step` by the breaker `api`.
    #[track_caller]
    fn function(&self, block: &Block) {
        let calls = "for i in 1 2 3 4 5 6; do guarded; echo $?; done";
        let step = "step() { echo step; return \"$(cat status)\"; }";
        let script = format!("{}{step}\necho 0 >status; guarded; echo $?; echo 7 >status; {calls}", block.text);
        let opened =
            "cb: api: opened: 5 failures in a row: exit 7; next try in 30s (TIME), or now with 'cb reset api'\n";
        self.sandbox
            .command("sh", ["-c", &script])
            .stdout(format!("step\n0\n{}75\n", "step\n7\n".repeat(5)))
            .stderr_timeless(opened)
            .run();
        self.sandbox.cb(["reset", "api"]).run();
    }

    /// Cron mails nothing while all is well, and the lines of an outage.
    #[track_caller]
    fn line_of_cron(&mut self, block: &Block) {
        let words: Vec<&str> = block.text.trim_end().splitn(6, ' ').collect();
        let [times @ .., command] = words.as_slice() else { panic!("README.md:{}: no line of a crontab", block.line) };
        let time = |word: &&str| !word.is_empty() && word.bytes().all(|byte| b"0123456789*/,-".contains(&byte));
        assert!(times.len() == 5 && times.iter().all(time), "README.md:{}: when?", block.line);
        assert!(!command.contains(['%', '\n']), "README.md:{}: cron ends the command there", block.line);
        let runs = || self.sandbox.status("api")["totals"]["admitted"].as_u64().expect("a number");
        let before = runs();
        let output = cron(&self.sandbox, command);
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(runs(), before + 1);
    }

    /// The configuration is read without an error, and a change of a breaker in it is logged.
    #[track_caller]
    fn configuration(&self, block: &Block) {
        self.sandbox.configure(&block.text);
        self.sandbox.cb(["config"]).any_stdout().run();
        self.sandbox.cb(["-q", "trip", "api", "--reason", "a test"]).run();
        self.sandbox.cb(["reset", "api"]).run();
        let logged = fs::read_to_string(self.sandbox.home().join("logged")).expect("something was logged");
        assert_eq!(logged, "-t cb api closed -> open: a test\n-t cb api open -> closed: reset\n");
    }
}

#[test]
fn the_readme_does_what_it_says() {
    if !have("curl") || !have("script") {
        return;
    }
    let path = format!("{ROOT}/README.md");
    let text = fs::read_to_string(&path).expect("the README");
    let blocks = blocks(&text);
    let first: Vec<&str> = steps(&blocks[0]).iter().map(|step| step.1).collect();
    assert_eq!(first, ["cargo run --release -- run --name demo -- date", "cargo test"], "the first two commands");
    let kinds = ["console", "sh", "crontab", "toml"];
    assert!(kinds.iter().all(|kind| blocks.iter().any(|block| block.language == *kind)), "there is one of each kind");
    let mut story = Story::new();
    let mut true_text = text.clone();
    for block in &blocks {
        let really = story.run(block);
        true_text = true_text.replacen(
            &format!("```{}\n{}```", block.language, block.text),
            &format!("```{}\n{really}```", block.language),
            1,
        );
    }
    let demo = &story.sandbox.status("demo")["last"];
    assert_eq!(demo["outcome"], "success", "the first command has run: {demo}");
    if std::env::var_os("CB_BLESS").is_some_and(|value| value == "1") {
        fs::write(path, true_text).expect("the README can be written");
        return;
    }
    for (number, (says, really)) in (1..).zip(text.lines().zip(true_text.lines())) {
        let same = blurred(says) == blurred(really);
        assert!(same, "README.md:{number} says\n{says}\nand really it is\n{really}\nwhich CB_BLESS=1 writes");
    }
    assert_eq!(text, true_text);
}

#[test]
fn what_depends_on_the_day_is_all_that_may_differ() {
    let same = |left: &str, right: &str| blurred(left) == blurred(right);
    assert!(same("next try in 29s (2026-01-02T03:04:05.678Z)\n", "next try in 30s (2027-10-20T13:14:15.000Z)\n"));
    assert!(same("exit 7, 1s ago\n", "exit 7, 2m ago\n"));
    for (left, right) in [
        ("exit 7, 1s ago\n", "exit 8, 1s ago\n"),
        ("open  5/5\n", "open  4/5\n"),
        ("in 9s\n", "in 29s\n"),
        ("cooldown 30s\n", "cooldown 29s\n"),
        ("a\n", "a"),
    ] {
        assert!(!same(left, right), "{left}{right}");
    }
}
