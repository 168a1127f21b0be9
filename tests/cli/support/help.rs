//! What the help says there is, for tests of what must agree with it.

use std::collections::BTreeSet;

use super::{CB, Sandbox};

/// The help of `cb` or of a subcommand.
pub struct Help {
    /// The subcommands it lists.
    pub subcommands: BTreeSet<String>,
    /// Each name of each option.
    pub options: BTreeSet<String>,
    /// The explanations of options and arguments, each in one line.
    pub explanations: Vec<String>,
}

impl Help {
    /// Reads `cb --help`, or `cb SUBCOMMAND --help`.
    #[track_caller]
    pub fn of(sandbox: &Sandbox, words: &[&str]) -> Self {
        let ask = |option| {
            let output = sandbox.command(CB, words.iter().copied().chain([option])).any_stdout().run();
            String::from_utf8(output.stdout).expect("text")
        };
        let mut help = Self { subcommands: BTreeSet::new(), options: BTreeSet::new(), explanations: Vec::new() };
        let mut heading = String::new();
        for line in ask("-h").lines() {
            if let Some(list) = line.strip_prefix("Options: ") {
                // The options of all subcommands stand beside their heading.
                let names = list.split([' ', ',']).filter(|word| word.starts_with('-'));
                help.options.extend(names.map(str::to_owned));
            } else if !line.starts_with(' ') {
                line.clone_into(&mut heading);
            } else if heading == "Commands:" {
                help.subcommands.extend(line.split_whitespace().next().map(str::to_owned));
            } else if line.trim_start().starts_with('-') {
                let names = line.split_whitespace().take_while(|word| word.starts_with('-'));
                let name = |word: &str| word.split(['[', '=', ',']).next().unwrap_or_default().to_owned();
                help.options.extend(names.map(name));
            }
        }
        // An explanation begins beside what it explains, or below it, and goes on below itself.
        for line in ask("--help").lines() {
            if line.is_empty() || !line.starts_with(' ') {
                line.clone_into(&mut heading);
            } else if heading.ends_with(':') && heading != "Commands:" && heading != "Examples:" {
                let word = line.trim_start();
                let begins = word.starts_with(['-', '<', '[']) && !word.starts_with("[default");
                let text = line.trim_start().split_once("  ").filter(|_| begins).map(|columns| columns.1.trim());
                match (begins, text, help.explanations.last_mut()) {
                    (true, text, _) => help.explanations.push(text.unwrap_or_default().to_owned()),
                    (false, _, Some(last)) if line.starts_with("          ") => {
                        *last = [last.as_str(), line.trim()].join(" ").trim().into();
                    }
                    (false, _, _) => {}
                }
            }
        }
        help.explanations.retain(|text| !text.starts_with("Print help"));
        assert!(help.options.contains("--help"), "{:?}", help.options);
        assert!(words.is_empty() || help.explanations.len() >= 4, "{:?}", help.explanations);
        help
    }
}

/// The subcommands that have options, which are all but `help`.
#[track_caller]
pub fn subcommands(sandbox: &Sandbox) -> Vec<String> {
    let all = Help::of(sandbox, &[]).subcommands;
    assert!(all.contains("run") && all.contains("help"), "{all:?}");
    all.into_iter().filter(|name| name != "help").collect()
}
