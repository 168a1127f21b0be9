//! `completions/cb.fish`.

use std::fmt::Write as _;

use super::model::{Command, Kind, Opt, Takes, signals};
use super::{fill, wrapped};

/// Makes the script.
pub fn script(cb: &Command) -> String {
    let bare = cb.subcommands.iter().filter(|subcommand| subcommand.options.is_empty());
    let bare: Vec<&str> = bare.map(|subcommand| subcommand.name.as_str()).collect();
    let parts = [
        ("TAKES", takes(cb)),
        ("COMMAND", cb.wrapper().name.clone()),
        ("BARE", bare.join(" ")),
        ("COMPLETIONS", completions(cb)),
    ];
    fill(include_str!("cb.fish.in"), &parts)
}

/// The options that take the next word, and the letters of those that do not.
fn takes(cb: &Command) -> String {
    let mut text = lists(cb.common(), "set -l", "    ");
    text.push_str("    switch $argv[1]\n");
    for (word, command) in cb.all() {
        let word = if word.is_empty() { "''" } else { word };
        let lists = lists(command.own(cb), "set -a", "            ");
        if !lists.is_empty() {
            write!(text, "        case {word}\n{lists}").expect("a string");
        }
    }
    text + "    end"
}

fn lists<'a>(options: impl Iterator<Item = &'a Opt>, set: &str, indent: &str) -> String {
    let (valued, flags): (Vec<&Opt>, Vec<&Opt>) = options.partition(|option| option.takes_next());
    let valued: Vec<String> = valued.into_iter().flat_map(|option| option.names.clone()).collect();
    let flags = flags.into_iter().flat_map(|option| &option.names);
    let letters: Vec<String> =
        flags.filter_map(|name| name.strip_prefix('-').filter(|rest| rest.len() == 1)).map(str::to_owned).collect();
    let list = |name: &str, words: Vec<String>| match words.as_slice() {
        [] => String::new(),
        words => wrapped(&format!("{indent}{set} {name} "), words, " \\") + "\n",
    };
    list("letters", letters) + &list("valued", valued)
}

fn completions(cb: &Command) -> String {
    let mut groups = Vec::new();
    let subcommands = cb.subcommands.iter();
    let line = |subcommand: &Command| {
        format!("complete -c cb -n '__cb_at \"\"' -a {} -d {}", subcommand.name, quoted(&subcommand.about))
    };
    groups.push(subcommands.map(line).collect::<Vec<_>>());
    groups.push(cb.common().map(|option| self::option(option, "__cb_common")).collect());
    for (word, subcommand) in cb.all() {
        let word = if word.is_empty() { "\"\"" } else { word };
        // The options of `cb run` end where its command begins.
        let condition = if subcommand.wraps() { format!("__cb_at {word} 0") } else { format!("__cb_at {word}") };
        let mut lines: Vec<String> = subcommand.own(cb).map(|option| self::option(option, &condition)).collect();
        for (index, operand) in subcommand.operands.iter().enumerate() {
            let place = if operand.repeated { String::new() } else { format!(" {index}") };
            if let Some(candidates) = candidates(&operand.value.kind) {
                lines.push(format!("complete -c cb -n '__cb_at {word}{place}' {candidates}"));
            }
        }
        groups.push(lines);
    }
    groups.retain(|lines| !lines.is_empty());
    groups.into_iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n")
}

fn option(option: &Opt, condition: &str) -> String {
    let short = |name: &&String| !name.starts_with("--");
    if let (Takes::Attached(_), Some(letter)) = (&option.takes, option.names.iter().find(short)) {
        // fish would join letter and value without the `=` that `cb` needs between them.
        let long = Opt { names: option.names.iter().filter(|name| !short(name)).cloned().collect(), ..option.clone() };
        let letter = Opt { names: vec![letter.clone()], takes: Takes::Nothing, ..option.clone() };
        return format!("{}\n{}", self::option(&letter, condition), self::option(&long, condition));
    }
    let mut line = format!("complete -c cb -n '{condition}'");
    for name in &option.names {
        match name.strip_prefix("--") {
            Some(long) => write!(line, " -l {long}"),
            None => write!(line, " -s {}", name.trim_start_matches('-')),
        }
        .expect("a string");
    }
    if let Some(value) = option.value() {
        // `-r` and `-x` make the next word the value, and `-x` offers no files.
        line.push_str(match (&option.takes, &value.kind) {
            (Takes::Next(_), Kind::File) => " -r",
            (Takes::Next(_), _) => " -x",
            _ => "",
        });
        line.extend(candidates(&value.kind).map(|candidates| format!(" {candidates}")));
    }
    format!("{line} -d {}", quoted(option.summary()))
}

/// The arguments of `complete` for the candidates of a value.
fn candidates(kind: &Kind) -> Option<String> {
    Some(match kind {
        Kind::Free => return None,
        Kind::Breaker => "-a '(__cb_breakers)'".to_owned(),
        Kind::File => "-F".to_owned(),
        Kind::Directory => "-a '(__cb_directories)'".to_owned(),
        Kind::Signal => format!("-a '{}'", signals().join(" ")),
        Kind::Words(words) => format!("-a '{}'", words.join(" ")),
        Kind::Command => "-a '(__cb_command)'".to_owned(),
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
