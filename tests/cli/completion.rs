//! The completions, in real shells: keys are typed at a terminal, and a program called `cb` notes its arguments.
//! See cb-contract(7) 4.30.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::process::{ChildStdout, Stdio};

use crate::support::help::{Help, subcommands};
use crate::support::{Sandbox, have};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");

/// What separates the notes of two calls.
const END: &str = "\u{1e}\n";

/// A sandbox with breakers, files that are no breakers, things to complete, and a `cb` that notes its arguments.
struct Desk {
    sandbox: Sandbox,
}

impl Desk {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let home = sandbox.home();
        let breakers = ["github.json", "openai.json", "db:5432.json", "user@host.json"];
        let others = ["a b.json", "$(touch run).json", ".hidden.json", "-n.json", "old.json.corrupt", "notes.txt"];
        fs::create_dir_all(sandbox.state_dir()).expect("a state directory");
        for file in breakers.iter().chain(&others) {
            fs::write(sandbox.state_dir().join(file), "").expect("a file");
        }
        fs::create_dir(home.join("other states")).expect("a second state directory");
        fs::write(home.join("other states/elsewhere.json"), "").expect("a file");
        fs::write(sandbox.work().join("lonely-file"), "").expect("a file");
        fs::create_dir(sandbox.work().join("lonely-dir")).expect("a directory");
        fs::remove_file(home.join("bin/cb")).expect("cb can be replaced");
        let notes =
            "#!/bin/sh\n{ for word; do printf '%s\\n' \"$word\"; done; printf '\\036\\n'; } >>\"$HOME/notes\"\n";
        sandbox.program("cb", notes);
        sandbox.program("my-own-tool", "#!/bin/sh\n");
        Self { sandbox }
    }

    /// A bash that reads these lines first.
    fn bash(&self, lines: &str) -> String {
        let file = self.sandbox.home().join("bashrc");
        fs::write(&file, format!("PS1='READY\\#>'\n{lines}\nsource '{SCRIPTS}/cb.bash'\n")).expect("a file");
        format!("bash --noprofile --rcfile {} -i", file.display())
    }

    /// A zsh with its completion system, which inserts all candidates at Ctrl-X Ctrl-A, and reads these lines first.
    fn zsh(&self, lines: &str) -> String {
        let setup = "integer count; precmd() { PROMPT=READY$((++count))'>' }\n\
             autoload -Uz compinit && compinit -u -D\n\
             zle -C all complete-word _generic\n\
             bindkey '^X^A' all\n\
             zstyle ':completion:all:*' completer _all_matches _complete\n\
             zstyle ':completion:*' insert yes\n";
        let text = format!("fpath=('{SCRIPTS}' $fpath)\n{setup}{lines}\n");
        fs::write(self.sandbox.home().join(".zshrc"), text).expect("a file");
        "zsh -d -i".to_owned()
    }

    /// Types each line at the prompt of a shell, followed by Enter, and returns what `cb` was given by each.
    ///
    /// A line is typed only when the prompt with its number has been printed.
    #[track_caller]
    fn types(&self, shell: &str, lines: &[&str]) -> Vec<Vec<String>> {
        // The time limit is only for a shell that hangs.
        let terminal = ["--foreground", "100", "script", "-qefc", shell, "/dev/null"];
        let command = self.sandbox.command("timeout", terminal).env("TERM", "dumb").env("SHELL", "/bin/sh");
        let command = command.env("ZDOTDIR", self.sandbox.home());
        let piped = command.with(|command| {
            command.stdin(Stdio::piped()).stderr(Stdio::null());
        });
        let mut terminal = piped.spawn();
        let mut keyboard = terminal.stdin.take().expect("a pipe");
        let mut screen = Screen { output: terminal.stdout.take().expect("a pipe"), seen: String::new() };
        for (number, line) in (1..).zip(lines.iter().chain(&["exit"])) {
            screen.wait_for(&format!("READY{number}>"));
            keyboard.write_all(format!("{line}\r").as_bytes()).expect("the shell reads");
        }
        screen.read_to_end();
        terminal.wait().expect("the shell ends");
        let notes = fs::read_to_string(self.sandbox.home().join("notes")).unwrap_or_default();
        fs::remove_file(self.sandbox.home().join("notes")).expect("cb was called");
        let calls = notes.split_terminator(END).map(|call| call.lines().map(str::to_owned).collect());
        let calls: Vec<Vec<String>> = calls.collect();
        assert_eq!(calls.len(), lines.len(), "{calls:?}, on the screen: {}", screen.seen);
        // A script that complains in the middle of a line is worse than none.
        let complaint = screen.seen.lines().find(|line| line.contains("bash: ") || line.contains("_cb"));
        assert_eq!(complaint, None, "on the screen of {shell}");
        calls
    }

    /// Types the first of each pair, which must become the second.
    #[track_caller]
    fn becomes(&self, shell: &str, pairs: &[(&str, &[&str])]) {
        let lines: Vec<&str> = pairs.iter().map(|pair| pair.0).collect();
        for ((line, wanted), call) in pairs.iter().zip(self.types(shell, &lines)) {
            let home = self.sandbox.home().display().to_string();
            let call: Vec<String> = call.iter().map(|word| word.replace(&home, "HOME")).collect();
            assert_eq!(call, *wanted, "typed {line:?} to {shell}");
        }
    }

    /// What fish offers at the end of a line, without the descriptions, once it has read these commands.
    #[track_caller]
    fn fish(&self, setup: &str, line: &str) -> BTreeSet<String> {
        let script = format!("source $argv[1]/cb.fish; {setup}; complete -C $argv[2]");
        let output = self.sandbox.command("fish", ["--no-config", "-c", &script, SCRIPTS, line]).any_stdout().run();
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| line.split('\t').next().unwrap_or(line).to_owned()).collect()
    }
}

struct Screen {
    output: ChildStdout,
    seen: String,
}

impl Screen {
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.seen.contains(text) {
            let count = self.output.read(&mut bytes).expect("the terminal can be read");
            assert!(count > 0, "{text:?} was never seen on the screen: {}", self.seen);
            self.seen += &String::from_utf8_lossy(&bytes[..count]);
        }
    }

    fn read_to_end(&mut self) {
        let mut bytes = Vec::new();
        self.output.read_to_end(&mut bytes).expect("the terminal can be read");
        self.seen += &String::from_utf8_lossy(&bytes);
    }
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

const BREAKERS: [&str; 4] = ["db:5432", "github", "openai", "user@host"];

impl Desk {
    /// Checks that exactly the subcommands, and their options, are offered. `all` inserts what is offered.
    #[track_caller]
    fn offers_what_the_help_lists(&self, shell: &str, all: &str) {
        let subcommands = subcommands(&self.sandbox);
        let lines = subcommands.iter().map(|name| format!("cb {name} -{all}"));
        let lines: Vec<String> = lines.chain([format!("cb -{all}"), format!("cb {all}")]).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut calls = self.types(shell, &lines).into_iter();
        for name in &subcommands {
            let mut wanted = Help::of(&self.sandbox, &[name]).options;
            wanted.insert(name.clone());
            assert_eq!(calls.next().map(BTreeSet::from_iter), Some(wanted), "options of cb {name}");
        }
        let help = Help::of(&self.sandbox, &[]);
        assert_eq!(calls.next().map(BTreeSet::from_iter), Some(help.options), "options of cb");
        assert_eq!(calls.next().map(BTreeSet::from_iter), Some(help.subcommands), "subcommands");
    }
}

/// What all shells make of a line when Tab is pressed at its end.
const LINES: [(&str, &[&str]); 21] = [
    ("cb sta\t", &["status"]),
    ("cb help tr\t", &["help", "trip"]),
    ("cb run --thr\t 3", &["run", "--threshold", "3"]),
    // The names of breakers, also where the shell takes words apart.
    ("cb status gi\t", &["status", "github"]),
    ("cb status github op\t", &["status", "github", "openai"]),
    ("cb status db:5\t", &["status", "db:5432"]),
    ("cb status \"db:5\t", &["status", "db:5432"]),
    ("cb status user@h\t", &["status", "user@host"]),
    ("cb run --name gi\t", &["run", "--name", "github"]),
    ("cb run --name=gi\t", &["run", "--name=github"]),
    ("cb run --name=db:5\t", &["run", "--name=db:5432"]),
    ("cb run -ngi\t", &["run", "-ngithub"]),
    ("cb run -qn gi\t", &["run", "-qn", "github"]),
    ("cb run -qngi\t", &["run", "-qngithub"]),
    // Values.
    ("cb run --on-state-error ref\t", &["run", "--on-state-error", "refuse"]),
    ("cb run --preserve-status=t\t", &["run", "--preserve-status=true"]),
    ("cb run -s TE\t", &["run", "-s", "TERM"]),
    ("cb --config lonely-f\t", &["--config", "lonely-file"]),
    // After the state directory that the line gives.
    (
        "cb --state-dir ~/other\\ states --quiet status el\t",
        &["--state-dir", "HOME/other states", "--quiet", "status", "elsewhere"],
    ),
    ("cb status --state-dir=\"../other states\" el\t", &["status", "--state-dir=../other states", "elsewhere"]),
    ("cb status --state-dir \"$HOME/other states\" el\t", &["status", "--state-dir", "HOME/other states", "elsewhere"]),
];

/// The command to run is completed as the shell itself would.
const HAND_OVER: [(&str, &[&str]); 8] = [
    ("cb run -n github my-own-t\t", &["run", "-n", "github", "my-own-tool"]),
    ("cb run -n github -- my-own-t\t", &["run", "-n", "github", "--", "my-own-tool"]),
    ("cb run -n github my-own-tool al\t", &["run", "-n", "github", "my-own-tool", "alpha"]),
    (
        "cb run -qp --timeout 3 -n=github -- my-own-tool be\t",
        &["run", "-qp", "--timeout", "3", "-n=github", "--", "my-own-tool", "beta"],
    ),
    ("cb run -n github my-own-tool --g\t", &["run", "-n", "github", "my-own-tool", "--gamma"]),
    (
        "cb run -n github my-own-tool 'x y' status al\t",
        &["run", "-n", "github", "my-own-tool", "x y", "status", "alpha"],
    ),
    ("cb run -n github my-own-tool -n al\t", &["run", "-n", "github", "my-own-tool", "-n", "alpha"]),
    ("cb run -n github cat lonely-f\t", &["run", "-n", "github", "cat", "lonely-file"]),
];

const INSERT_ALL_IN_BASH: &str = "\x1b*";
const INSERT_ALL_IN_ZSH: &str = "\x18\x01";

/// The completion of a command that bash knows.
const TOOL_IN_BASH: &str = r#"
    _my_own_tool() { COMPREPLY=($(compgen -W "alpha beta --gamma at-$COMP_CWORD-${#COMP_WORDS[@]}" -- "$2")); }
    complete -F _my_own_tool my-own-tool
    complete -W 'one two' my-other-tool
"#;
const TOOL_IN_ZSH: &str =
    "compdef _my_own_tool my-own-tool; _my_own_tool() { compadd alpha beta --gamma at-$CURRENT-$#words }";

/// bash as it is, and with the package bash-completion.
#[track_caller]
fn bashes(test: impl Fn(&Desk, &str)) {
    if !have("script") {
        return;
    }
    test(&Desk::new(), "");
    if have("../share/bash-completion/bash_completion") {
        test(&Desk::new(), "source /usr/share/bash-completion/bash_completion");
    }
}

#[test]
fn bash_offers_what_the_help_lists() {
    bashes(|desk, setup| desk.offers_what_the_help_lists(&desk.bash(setup), INSERT_ALL_IN_BASH));
}

#[test]
fn bash_completes_breakers_and_values() {
    bashes(|desk, setup| {
        let shell = desk.bash(setup);
        desk.becomes(&shell, &LINES);
        desk.becomes(
            &shell,
            &[
                ("cb reset \x1b*", &["reset", "db:5432", "github", "openai", "user@host"]),
                ("cb run -n \x1b*", &["run", "-n", "db:5432", "github", "openai", "user@host"]),
                ("cb run --on-state-error \x1b*", &["run", "--on-state-error", "refuse", "run"]),
                ("cb run -s T\x1b*", &["run", "-s", "TERM", "TRAP", "TSTP", "TTIN", "TTOU"]),
                ("cb --state-dir lone\t", &["--state-dir", "lonely-dir/"]),
                ("cb --state-dir=lone\t", &["--state-dir=lonely-dir/"]),
                // What is typed after the cursor does not count.
                ("cb status gizzz\x1b[D\x1b[D\x1b[D\t", &["status", "githubzzz"]),
                // Where nothing can stand, nothing is offered, not even the one file.
                ("cb check github \t", &["check", "github"]),
                ("cb run --threshold lonely-f\t", &["run", "--threshold", "lonely-f"]),
                ("cb nonsense lonely-f\t", &["nonsense", "lonely-f"]),
            ],
        );
    });
}

#[test]
fn bash_hands_over_to_the_command() {
    bashes(|desk, setup| {
        let shell = desk.bash(&format!("{setup}\n{TOOL_IN_BASH}"));
        desk.becomes(&shell, &HAND_OVER);
        desk.becomes(
            &shell,
            &[
                ("cb run -n github my-other-tool tw\t", &["run", "-n", "github", "my-other-tool", "two"]),
                // It finds itself at the beginning of the line.
                ("cb run -n db:5432 my-own-tool a at\t", &["run", "-n", "db:5432", "my-own-tool", "a", "at-2-3"]),
            ],
        );
    });
}

#[test]
fn bash_minds_the_options_and_variables_of_the_user() {
    let github: (&str, &[&str]) = ("cb status gi\t", &["status", "github"]);
    let nothing: (&str, &[&str]) = ("cb status gi\t", &["status", "gi"]);
    bashes(|desk, setup| {
        for option in
            ["shopt -s failglob", "shopt -s nullglob", "shopt -s dotglob nocaseglob", "set -u", "COMP_WORDBREAKS=' '"]
        {
            desk.becomes(
                &desk.bash(&format!("{setup}\n{option}")),
                &[github, ("cb run -n=gi\t", &["run", "-n=github"])],
            );
            desk.becomes(&desk.bash(&format!("{setup}\n{option}\nexport CB_STATE_DIR=~/nowhere")), &[nothing]);
        }
        let failglob = desk.bash(&format!("{setup}\nshopt -s failglob"));
        let line = "cb status gi\t$(shopt -q failglob && echo still)";
        desk.becomes(&failglob, &[(line, &["status", "github", "still"])]);
    });
}

#[test]
fn bash_runs_nothing_that_stands_on_the_line() {
    bashes(|desk, setup| {
        // Ctrl-U empties the line after each attempt.
        let line = "cb --state-dir \"$(touch ~/ran)\" status \t\x15cb --state-dir=`touch ~/ran` status \t\x15cb end";
        desk.becomes(&desk.bash(setup), &[(line, &["end"])]);
        assert!(!desk.sandbox.home().join("ran").exists());
    });
}

/// zsh is wanted, and something that gives it a terminal.
fn have_zsh() -> bool {
    have("zsh") && have("script")
}

#[test]
fn zsh_offers_what_the_help_lists() {
    if have_zsh() {
        let desk = Desk::new();
        desk.offers_what_the_help_lists(&desk.zsh(""), INSERT_ALL_IN_ZSH);
    }
}

#[test]
fn zsh_completes_breakers_and_values() {
    if !have_zsh() {
        return;
    }
    let desk = Desk::new();
    let shell = desk.zsh("");
    desk.becomes(&shell, &LINES);
    desk.becomes(
        &shell,
        &[
            ("cb reset \x18\x01", &["reset", "db:5432", "github", "openai", "user@host"]),
            ("cb run -n \x18\x01", &["run", "-n", "db:5432", "github", "openai", "user@host"]),
            ("cb run --on-state-error \x18\x01", &["run", "--on-state-error", "refuse", "run"]),
            ("cb run -s T\x18\x01", &["run", "-s", "TERM", "TRAP", "TSTP", "TTIN", "TTOU"]),
            ("cb run -s SIGTE\t", &["run", "-s", "SIGTERM"]),
            ("cb --state-dir lone\t", &["--state-dir", "lonely-dir"]),
            ("cb --state-dir=lone\t", &["--state-dir=lonely-dir"]),
            ("cb run --threshold lonely-f\t", &["run", "--threshold", "lonely-f"]),
            ("cb nonsense lonely-f\t", &["nonsense", "lonely-f"]),
            // All breakers or some, not both; loud or quiet, not both.
            ("cb reset --all gi\t", &["reset", "--all", "gi"]),
            ("cb reset github --al\t", &["reset", "github", "--al"]),
            ("cb status -q --verb\t", &["status", "-q", "--verb"]),
        ],
    );
}

#[test]
fn zsh_hands_over_to_the_command() {
    if !have_zsh() {
        return;
    }
    let desk = Desk::new();
    let shell = desk.zsh(TOOL_IN_ZSH);
    desk.becomes(&shell, &HAND_OVER);
    // It finds itself at the beginning of the line.
    let line = "cb run -n db:5432 my-own-tool a at\t";
    desk.becomes(&shell, &[(line, &["run", "-n", "db:5432", "my-own-tool", "a", "at-3-3"])]);
}

#[test]
fn zsh_minds_the_options_of_the_user() {
    if !have_zsh() {
        return;
    }
    let desk = Desk::new();
    for options in ["setopt shwordsplit ksharrays", "setopt nullglob nounset", "setopt cshnullglob noextendedglob"] {
        desk.becomes(&desk.zsh(options), &[("cb status gi\t", &["status", "github"])]);
        let empty = format!("{options}\nexport CB_STATE_DIR=~/nowhere");
        desk.becomes(&desk.zsh(&empty), &[("cb status gi\t", &["status", "gi"])]);
    }
}

#[test]
fn zsh_runs_nothing_that_stands_on_the_line() {
    if have_zsh() {
        let desk = Desk::new();
        let line = "cb --state-dir \"$(touch ~/ran)\" status \t\x15cb --state-dir=`touch ~/ran` status \t\x15cb end";
        desk.becomes(&desk.zsh(""), &[(line, &["end"])]);
        assert!(!desk.sandbox.home().join("ran").exists());
    }
}

/// Each shell finds the state directory as `cb` does.
#[test]
fn the_state_directory_is_that_of_the_environment() {
    let cases = [
        ("export CB_STATE_DIR=HOME/'other states'", "elsewhere"),
        ("export CB_STATE_DIR='../other states'", "elsewhere"),
        ("export CB_STATE_DIR='' XDG_CACHE_HOME=relative", "github"),
        ("export CB_STATE_DIR='' XDG_CACHE_HOME=HOME/xdg", "cached"),
    ];
    for (variables, name) in cases {
        let desk = Desk::new();
        let variables = variables.replace("=HOME", &format!("={}", desk.sandbox.home().display()));
        let cached = desk.sandbox.home().join("xdg/cb");
        fs::create_dir_all(&cached).expect("a cache directory");
        fs::write(cached.join("cached.json"), "").expect("a file");
        let pair: (&str, &[&str]) = (&format!("cb check {}\t", &name[..2]), &["check", name]);
        if have("script") {
            desk.becomes(&desk.bash(&variables), &[pair]);
        }
        if have_zsh() {
            desk.becomes(&desk.zsh(&variables), &[pair]);
        }
        if have("fish") {
            assert_eq!(desk.fish(&variables, &format!("cb check {}", &name[..2])), set(&[name]), "{variables}");
        }
    }
}

#[test]
fn fish_offers_what_the_help_lists() {
    if !have("fish") {
        return;
    }
    let desk = Desk::new();
    let help = Help::of(&desk.sandbox, &[]);
    assert_eq!(desk.fish("", "cb "), help.subcommands);
    // fish offers an option with an optional value twice.
    let options = |line: &str| -> BTreeSet<String> {
        desk.fish("", line).iter().map(|option| option.trim_end_matches('=').to_owned()).collect()
    };
    assert_eq!(options("cb -"), help.options);
    for name in subcommands(&desk.sandbox) {
        assert_eq!(options(&format!("cb {name} -")), Help::of(&desk.sandbox, &[&name]).options, "options of cb {name}");
    }
}

#[test]
fn fish_completes_breakers_and_values() {
    if !have("fish") {
        return;
    }
    let desk = Desk::new();
    for (line, wanted) in LINES {
        let typed = line.split('\t').next().unwrap_or(line);
        // The word at the cursor is the last one, but where something was typed after Tab.
        let word = if line.ends_with('\t') { wanted[wanted.len() - 1] } else { wanted[wanted.len() - 2] };
        assert_eq!(desk.fish("", typed), set(&[word]), "{typed:?}");
    }
    assert_eq!(desk.fish("", "cb reset "), set(&BREAKERS));
    assert_eq!(desk.fish("", "cb run -n "), set(&BREAKERS));
    assert_eq!(desk.fish("", "cb run --on-state-error "), set(&["refuse", "run"]));
    // The letter alone is offered, as its value would need a `=`.
    assert_eq!(desk.fish("", "cb run --preserve-status="), set(&["--preserve-status=false", "--preserve-status=true"]));
    assert!(!desk.fish("", "cb run -p").iter().any(|word| word.starts_with("-pt") || word.starts_with("-pf=")));
    assert_eq!(desk.fish("", "cb run -pt"), set(&[]));
    assert_eq!(desk.fish("", "cb run -s T"), set(&["TERM", "TRAP", "TSTP", "TTIN", "TTOU"]));
    assert_eq!(desk.fish("", "cb --state-dir lone"), set(&["lonely-dir/"]));
    assert_eq!(desk.fish("", "cb --state-dir=lone"), set(&["--state-dir=lonely-dir/"]));
    for nothing in ["cb record github success ", "cb run --threshold ", "cb nonsense ", "cb help status ", "cb help -"]
    {
        assert_eq!(desk.fish("", nothing), set(&[]), "{nothing:?}");
    }
}

#[test]
fn fish_hands_over_to_the_command() {
    if !have("fish") {
        return;
    }
    let desk = Desk::new();
    let tool = "complete -c my-own-tool -f -a 'alpha beta'; complete -c my-own-tool -f -l gamma";
    for (line, wanted) in HAND_OVER {
        let offered = desk.fish(tool, line.trim_end_matches('\t'));
        assert_eq!(offered, set(&wanted[wanted.len() - 1..]), "{line:?}");
    }
    assert_eq!(desk.fish(tool, "cb run -n github my-own-tool -"), set(&["--gamma"]));
    assert_eq!(desk.fish(tool, "cb run -n github -- my-own-tool "), set(&["alpha", "beta"]));
    // It finds itself at the beginning of the line, its arguments quoted as they were.
    let counts = "complete -c my-own-tool -f -n 'test (count (commandline -opc)) -eq 3' -a third";
    assert_eq!(desk.fish(counts, "cb run -n github my-own-tool 'a b' c\\ d "), set(&["third"]));
}
