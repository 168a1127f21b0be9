//! What a guarded run costs, as whole processes, beside programs that everybody has.
//!
//! The commands are taken in turns, A B C A B C ..., so that a machine that is slower for a while is slower for all of
//! them. What counts is the ratio; a time by itself says nothing. `cargo bench -- --short` only shows that it works.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench starts processes, reads the clock and prints; what it needs and does not find must stop it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const CB: &str = env!("CARGO_BIN_EXE_cb");

/// How much is measured.
struct Extent {
    turns: usize,
    runs: usize,
    neighbours: usize,
    crowd: usize,
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let extent = if short {
        Extent { turns: 2, runs: 5, neighbours: 100, crowd: 40 }
    } else {
        Extent { turns: 20, runs: 200, neighbours: 10_000, crowd: 2_000 }
    };
    for peer in ["timeout", "false", "true", "flock", "cat", "sh", "cc"] {
        assert!(find(peer).is_some(), "{peer} is not installed, and without it there is nothing to compare with");
    }
    let bench = Bench::new(extent);
    println!("{:<58} {:>7} {:>23} {:>6}", "what", "ratio", "quartiles of the ratio", "goal");
    bench.runs();
    bench.listing();
    bench.crowd();
    bench.size();
}

struct Bench {
    dir: PathBuf,
    extent: Extent,
}

impl Bench {
    fn new(extent: Extent) -> Self {
        let dir = std::env::temp_dir().join(format!("cb-bench-{}", std::process::id()));
        fs::create_dir_all(dir.join("many")).expect("a directory for the bench");
        let floor = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floor.c");
        let status = Command::new("cc").args(["-O2", "-static", "-o"]).arg(dir.join("floor")).arg(floor).status();
        assert!(status.is_ok_and(|status| status.success()), "cc could not build the floor program");
        // A copy, as an install makes it: what the linker has just written lies in many small pieces in the page cache,
        // which costs each start a few per cent.
        fs::copy(CB, dir.join("cb")).expect("room for the program");
        let bench = Self { dir, extent };
        bench.cb("one", &["run", "-n", "a", "--", "true"]).status().expect("cb runs");
        bench.cb("one", &["trip", "open"]).status().expect("cb runs");
        // One breaker and many neighbours, which are copies with names of their own.
        bench.cb("many", &["run", "-n", "a", "--", "true"]).status().expect("cb runs");
        let state = fs::read_to_string(bench.dir.join("many/a.json")).expect("a state");
        for number in 0..bench.extent.neighbours {
            let text = state.replacen("\"a\"", &format!("\"n{number}\""), 1);
            fs::write(bench.dir.join(format!("many/n{number}.json")), text).expect("room for the neighbours");
        }
        let config: String = (0..50)
            .map(|number| format!("[breakers.b{number}]\ncooldown = \"1m\"\nthreshold = 3\ntimeout = \"10s\"\n"))
            .chain(["[breakers.full]\nfailure-rate = 50\nslow-rate = 50\nslow-after = \"5s\"\nfailure-budget = \"50/1h\"\nwindow = \"5m\"\ntimeout = \"10s\"\n".to_owned()])
            .collect();
        fs::write(bench.dir.join("config.toml"), config).expect("room for a configuration");
        bench
    }

    /// `cb` over one of the state directories.
    fn cb(&self, state: &str, args: &[&str]) -> Command {
        let mut command = self.peer(&self.dir.join("cb").to_string_lossy());
        command.env("CB_STATE_DIR", self.dir.join(state)).args(args);
        command
    }

    fn peer(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.dir).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn with(mut command: Command, args: &[&str]) -> Command {
        command.args(args);
        command
    }

    /// The prices of single runs.
    fn runs(&self) {
        let plain = ["run", "-n", "a", "--", "true"];
        let mut full = self.cb("one", &["run", "-n", "full", "--", "true"]);
        full.env("CB_CONFIG", self.dir.join("config.toml"));
        let rules = ["--failure-rate=50", "--slow-rate=50", "--slow-after=5s", "--failure-budget=50/1h", "--window=5m"];
        let mut told = Self::with(self.cb("one", &["run", "-n", "told", "--timeout=10s"]), &rules);
        told.args(["--", "true"]);
        let mut commands = [
            self.cb("one", &plain),
            Self::with(self.peer("timeout"), &["10", "true"]),
            Self::with(self.peer(&self.dir.join("floor").to_string_lossy()), &["true"]),
            Self::with(self.peer("flock"), &[&*self.dir.join("lock").to_string_lossy(), "true"]),
            self.cb("one", &["run", "-n", "open", "--", "true"]),
            self.peer("false"),
            full,
            told,
            self.cb("many", &plain),
        ];
        let times = self.turns(&mut commands, self.extent.runs);
        report("closed run / timeout 10 true", &times[0], &times[1], Some(0.80));
        report("closed run / static C posix_spawn + waitpid", &times[0], &times[2], Some(1.10));
        report("closed run / flock F true", &times[0], &times[3], None);
        report("refused run / false", &times[4], &times[5], Some(0.95));
        report("closed run with all rules and a config of 50 / plain", &times[6], &times[0], Some(1.10));
        report("closed run with all rules as options / plain", &times[7], &times[0], Some(1.10));
        let beside = format!("closed run beside {} others / beside none", self.extent.neighbours);
        report(&beside, &times[8], &times[0], Some(1.02));
    }

    fn listing(&self) {
        let cat = format!("cat {}/many/*.json > /dev/null", self.dir.display());
        let mut commands = [self.cb("many", &["status", "--json"]), Self::with(self.peer("sh"), &["-c", &cat])];
        let times = self.turns(&mut commands, 1);
        let what = format!("status --json over {} / cat DIR/*.json", self.extent.neighbours);
        report(&what, &times[0], &times[1], Some(3.0));
    }

    fn crowd(&self) {
        let crowd = |line: String| {
            let script = format!("seq {} | xargs -P 8 -I% {line}", self.extent.crowd);
            Self::with(self.peer("sh"), &["-c", &script])
        };
        let cb = self.dir.join("cb");
        let mut guarded = crowd(format!("{} run -n crowd -- true", cb.display()));
        guarded.env("CB_STATE_DIR", self.dir.join("one"));
        let mut commands = [guarded, crowd("timeout 10 true".to_owned())];
        let times = self.turns(&mut commands, 1);
        report(&format!("{} runs, 8 at a time / timeout 10 true", self.extent.crowd), &times[0], &times[1], Some(1.0));
    }

    /// Peak memory and the size of the program.
    fn size(&self) {
        let script = "grep VmHWM /proc/$PPID/status";
        let mut command = self.cb("one", &["run", "-n", "a", "--", "sh", "-c", script]);
        let output = command.stdout(Stdio::piped()).output().expect("cb runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let kib: f64 = text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("VmHWM of cb");
        println!("{:<58} {:>7.2} {:>23} {:>6}", "peak memory of a guarded run, MiB", kib / 1024.0, "", 3);
        let bytes = u32::try_from(fs::metadata(CB).expect("the program").len()).expect("a small program");
        println!("{:<58} {:>7.2} {:>23} {:>6}", "the program, MiB", f64::from(bytes) / f64::from(1 << 20), "", 2);
    }

    /// Times each command in turns: for each its seconds per run, one figure a turn.
    fn turns(&self, commands: &mut [Command], runs: usize) -> Vec<Vec<f64>> {
        let mut times = vec![Vec::new(); commands.len()];
        for turn in 0..=self.extent.turns {
            for (command, times) in commands.iter_mut().zip(&mut times) {
                let start = Instant::now();
                for _ in 0..runs {
                    command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
                }
                // The first turn only warms up.
                if turn > 0 {
                    times.push(start.elapsed().as_secs_f64());
                }
            }
        }
        times
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A temporary directory that stays is no reason to fail.
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn find(program: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists())
}

/// Prints the median and the quartiles of the ratio, turn by turn.
fn report(what: &str, ours: &[f64], theirs: &[f64], goal: Option<f64>) {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |part: usize| ratios[(ratios.len() - 1) * part / 4];
    let quartiles = format!("{:.3} - {:.3}", at(1), at(3));
    let goal = goal.map_or("-".to_owned(), |goal| format!("{goal:.2}"));
    println!("{what:<58} {:>7.3} {quartiles:>23} {goal:>6}", at(2));
}
