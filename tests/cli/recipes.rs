//! The recipes of cb-recipes(7): every text in `man/prose/recipes.md` is tried as it stands there, with the programs
//! and servers that it is about. Where a test replaces a host, a path or a time, it says so.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::{Run, Sandbox, have, timeless};

mod attempt;

/// Makes of each line a test with the function of the same name, and a list of the titles.
macro_rules! recipes {
    ($($name:ident: $title:literal with $programs:expr;)+) => {
        $(#[test]
        fn $name() {
            let programs: &[&str] = &$programs;
            if programs.iter().all(|program| have(program)) {
                let recipe = Recipe::of($title);
                attempt::$name(&recipe);
                assert_eq!(recipe.left(), 0, "texts of {:?} that were not tried", $title);
            }
        })+
        const TITLES: &[&str] = &[$($title),+];
    };
}

recipes! {
    cron: "A cron job that mails only on change" with [];
    systemd: "A systemd service and its timer" with ["systemd-analyze"];
    json_api: "curl, a JSON API, 429 and Retry-After" with ["bash", "curl"];
    python_helper: "A program that asks over HTTP by itself" with ["python3"];
    postgresql: "PostgreSQL" with ["psql"];
    redis: "Redis" with ["redis-cli", "redis-server"];
    git: "git fetch" with ["git"];
    ssh: "ssh" with ["ssh", "sshd", "ssh-keygen"];
    rsync: "rsync" with ["rsync", "ssh", "sshd", "ssh-keygen"];
    tunnel: "A tunnel under systemd" with ["systemd-analyze", "ssh"];
    worker: "A worker under supervisord" with ["supervisord"];
    model: "A language model, and another in its place" with ["bash", "curl", "jq"];
    agent: "The loop of an agent" with ["bash", "curl", "jq"];
    before_tool: "The shell tool of an agent" with ["bash", "jq"];
    xargs: "xargs -P" with ["curl", "xargs"];
    breaker_inside: "The breaker inside the retry" with ["curl"];
    retry_inside: "The retry inside the breaker" with ["curl"];
    ping: "A ping on change" with ["curl"];
    prometheus: "Prometheus" with ["promtool"];
}

#[test]
fn every_recipe_is_tried() {
    let titles: Vec<String> = Recipe::all().into_iter().map(|recipe| recipe.title).collect();
    assert_eq!(titles, TITLES);
}

#[test]
fn shellcheck_has_nothing_to_say() {
    if !have("shellcheck") {
        return;
    }
    let sandbox = Sandbox::new();
    let blocks = Recipe::all().into_iter().flat_map(|recipe| recipe.blocks.into_inner());
    let scripts: Vec<_> = blocks.filter(|block| block.language == "sh" || block.language == "bash").collect();
    assert!(scripts.len() >= 10, "they are found");
    for script in scripts {
        let file = sandbox.work().join("script");
        fs::write(&file, &script.text).expect("the script");
        sandbox.command("shellcheck", ["--shell", &script.language, "script"]).run();
    }
}

/// A fenced text.
struct Block {
    /// The language that the fence names.
    language: String,
    text: String,
}

/// One recipe, with the texts in it that are still to be tried.
struct Recipe {
    title: String,
    blocks: RefCell<VecDeque<Block>>,
}

impl Recipe {
    fn all() -> Vec<Self> {
        let mut recipes = Vec::<Self>::new();
        let mut block: Option<Block> = None;
        for line in include_str!("../../man/prose/recipes.md").lines() {
            match (&mut block, line.strip_prefix("```")) {
                (None, Some(language)) => {
                    block = Some(Block { language: language.to_owned(), text: String::new() });
                }
                (Some(_), Some(end)) => {
                    assert_eq!(end, "");
                    let recipe = recipes.last_mut().expect("a text belongs to a recipe");
                    recipe.blocks.get_mut().extend(block.take());
                }
                (Some(block), None) => block.text.extend([line, "\n"]),
                (None, None) => {
                    let title = line.strip_prefix("## ").map(str::to_owned);
                    recipes.extend(title.map(|title| Self { title, blocks: RefCell::default() }));
                }
            }
        }
        recipes
    }

    #[track_caller]
    fn of(title: &str) -> Self {
        let recipe = Self::all().into_iter().find(|recipe| recipe.title == title);
        let recipe = recipe.expect("there is such a recipe");
        assert_ne!(recipe.left(), 0, "a recipe has a text");
        recipe
    }

    fn left(&self) -> usize {
        self.blocks.borrow().len()
    }

    /// The next text, with replacements for its examples, each of which must be there.
    #[track_caller]
    fn text(&self, language: &str, examples: &[(&str, &str)]) -> String {
        let block = self.blocks.borrow_mut().pop_front().expect("one more text");
        assert_eq!(block.language, language);
        replaced(&block.text, examples)
    }

    /// The next text, as a program under the name that it gives itself.
    #[track_caller]
    fn program(&self, sandbox: &Sandbox, language: &str, examples: &[(&str, &str)]) {
        let text = self.text(language, examples);
        let name = text.lines().nth(1).and_then(|line| line.strip_prefix("# ")).expect("its name");
        sandbox.program(name.split(' ').next().expect("a word"), &text);
    }
}

#[track_caller]
fn replaced(text: &str, examples: &[(&str, &str)]) -> String {
    examples.iter().fold(text.to_owned(), |text, (example, actual)| {
        assert!(text.contains(example), "{example} is in {text}");
        text.replace(example, actual)
    })
}

/// A server of the system that runs in the foreground.
struct Daemon {
    process: Child,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts a script that becomes the server, and returns once the server has said that it is ready.
    #[track_caller]
    fn start(sandbox: &Sandbox, script: &str, ready: &str) -> Self {
        let mut process = sandbox.command("sh", ["-c", &format!("exec 2>&1\n{script}")]).spawn();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains(ready) {
            assert_ne!(output.read_line(&mut said).expect("text"), 0, "it ended, saying {said}");
        }
        // Its later output must not fill the pipe.
        let reader = std::thread::spawn(move || drop(std::io::copy(&mut output, &mut std::io::sink())));
        Self { process, reader: Some(reader) }
    }

    /// Ends it, and waits for its end.
    fn stop(mut self) {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill");
        assert!(sent.success());
        self.process.wait().expect("it ends");
        self.reader.take().expect("a thread").join().expect("it has read all");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A crontab.
struct Crontab {
    settings: Vec<(String, String)>,
    command: String,
}

impl Crontab {
    /// A crontab with settings and one job.
    #[track_caller]
    fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let (job, settings) = lines.split_last().expect("a job");
        let mut command = *job;
        for _ in 0..5 {
            let (field, after) = command.split_once(' ').expect("five fields");
            assert!(field.chars().all(|letter| "0123456789*/,-".contains(letter)), "{field} is a field of the time");
            command = after.trim_start();
        }
        assert!(!command.contains('%'), "cron would make a line end of it");
        let settings = settings.iter().map(|line| line.split_once('=').expect("a setting"));
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { settings, command: command.to_owned() }
    }

    /// Cron's mail of a run: all output, here without the times.
    fn mail(&self, sandbox: &Sandbox) -> String {
        let script = format!("exec 2>&1; {}", self.command);
        let mut run = sandbox.command("/bin/sh", ["-c", &script]);
        for (name, value) in &self.settings {
            run = run.env(name, value);
        }
        timeless(&String::from_utf8(run.output().stdout).expect("text"))
    }
}

/// A command that succeeds while the file `up` is there, says how it went, and is counted.
fn service(sandbox: &Sandbox, name: &str) {
    let script =
        "echo started >>\"$HOME/started\"\ntest -e \"$HOME/up\" || { echo 'no answer' >&2; exit 7; }\necho fetched";
    sandbox.script(name, script);
    up(sandbox);
}

fn up(sandbox: &Sandbox) {
    fs::write(sandbox.home().join("up"), "").expect("the service is there");
}

fn down(sandbox: &Sandbox) {
    fs::remove_file(sandbox.home().join("up")).expect("the service is gone");
}

/// How often that command was started, or another that writes to the same file.
fn started(sandbox: &Sandbox) -> usize {
    fs::read_to_string(sandbox.home().join("started")).map_or(0, |text| text.lines().count())
}

/// An outage from the first failure to the end of the cool-down of 30 s. So many runs fail, with one of these codes and
/// this output; `mend` brings the service back; the next run must succeed.
#[track_caller]
fn outage(
    sandbox: &Sandbox,
    name: &str,
    run: &dyn Fn() -> Run,
    failures: i32,
    how: (&[i32], &str),
    mend: impl FnOnce(),
) {
    let (codes, says) = how;
    for failure in 1..=failures {
        let output = run().output();
        let code = output.status.code().expect("an exit");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(codes.contains(&code) && stderr.contains(says), "exit {code}, saying {stderr}");
        let opened = format!("cb: {name}: opened: {failures} failures in a row: exit {code}; next try in 30s (");
        assert_eq!(stderr.contains(&opened), failure == failures, "{failure} of {failures}: {stderr}");
    }
    run().code(75).run();
    mend();
    run().code(75).run();
    sandbox.shift(name, 30_000);
}

/// The line of `cb` at the end of an outage.
fn closed(name: &str) -> String {
    format!("cb: {name}: closed again: probe succeeded\n")
}

/// The state, and how many failures and ignored results there were.
fn counted(sandbox: &Sandbox, name: &str) -> [Value; 3] {
    let status = sandbox.status(name);
    [&status["state"], &status["totals"]["failures"], &status["totals"]["ignored"]].map(Value::clone)
}
