//! `completions/cb.bash`.

use std::fmt::Write as _;

use super::model::{Command, Kind, Opt, signals};
use super::{fill, wrapped};

/// Makes the script.
pub fn script(cb: &Command) -> String {
    let template = include_str!("cb.bash.in");
    let command = cb.wrapper().name.as_str();
    let parts =
        [("OPTIONS", options(cb)), ("VALUES", values(cb)), ("OPERANDS", operands(cb)), ("COMMAND", command.into())];
    fill(template, &parts)
}

fn options(cb: &Command) -> String {
    let mut text = lists(cb.common(), "=", "    ");
    text.push_str("    case $1 in\n");
    for (word, command) in cb.all() {
        let word = if word.is_empty() { "''" } else { word };
        let lists = match command {
            _ if command.options.is_empty() => "            flags=()\n            valued=()\n".to_owned(),
            _ => lists(command.own(cb), "+=", "            "),
        };
        if !lists.is_empty() {
            writeln!(text, "        {word})\n{lists}            ;;").expect("a string");
        }
    }
    text + "    esac"
}

fn lists<'a>(options: impl Iterator<Item = &'a Opt>, operator: &str, indent: &str) -> String {
    let (valued, flags): (Vec<&Opt>, Vec<&Opt>) = options.partition(|option| option.takes_next());
    let list = |name: &str, options: Vec<&Opt>| {
        if options.is_empty() {
            return String::new();
        }
        let words: Vec<String> = options.into_iter().flat_map(|option| option.names.clone()).collect();
        wrapped(&format!("{indent}{name}{operator}("), &words, "") + ")\n"
    };
    list("flags", flags) + &list("valued", valued)
}

fn values(cb: &Command) -> String {
    let mut arms = Vec::new();
    for option in cb.common() {
        arms.extend(arm(option, |name| format!("*' {name}'")));
    }
    for (word, command) in cb.all() {
        for option in command.own(cb) {
            arms.extend(arm(option, |name| format!("'{word} {name}'")));
        }
    }
    case(arms)
}

fn arm(option: &Opt, pattern: impl Fn(&String) -> String) -> Option<(String, String)> {
    let action = action(&option.value()?.kind)?;
    Some((option.names.iter().map(pattern).collect::<Vec<_>>().join(" | "), action))
}

fn operands(cb: &Command) -> String {
    let names: Vec<String> = cb.subcommands.iter().map(|subcommand| subcommand.name.clone()).collect();
    let mut arms: Vec<(String, String)> =
        action(&Kind::Words(names)).map(|action| ("' 0'".to_owned(), action)).into_iter().collect();
    for subcommand in &cb.subcommands {
        let word = &subcommand.name;
        for (index, operand) in subcommand.operands.iter().enumerate() {
            assert!(!operand.repeated || index == 0, "{word}: only its first operand may be repeated");
            let pattern = if operand.repeated { format!("'{word} '*") } else { format!("'{word} {index}'") };
            arms.extend(action(&operand.value.kind).map(|action| (pattern, action)));
        }
    }
    case(arms)
}

/// The arms of a `case`, from patterns and actions. Patterns with the same action share an arm.
fn case(arms: Vec<(String, String)>) -> String {
    let mut grouped = Vec::<(String, String)>::new();
    for (pattern, action) in arms {
        match grouped.iter_mut().find(|known| known.1 == action) {
            Some(known) => known.0 = format!("{} | {pattern}", known.0),
            None => grouped.push((pattern, action)),
        }
    }
    let arms = grouped.into_iter().map(|(pattern, action)| format!("        {pattern})\n{action}\n            ;;"));
    arms.collect::<Vec<_>>().join("\n")
}

/// The command that offers the candidates for a value.
fn action(kind: &Kind) -> Option<String> {
    let offer = |words: &[String]| wrapped("            __cb_offer ", words, " \\");
    Some(match kind {
        // The script has handed over a command before it comes here.
        Kind::Free | Kind::Command => return None,
        Kind::Breaker => "            __cb_breakers".to_owned(),
        // Readline knows best about quotes and tildes in file names.
        Kind::File => "            compopt -o default".to_owned(),
        Kind::Directory => "            compopt -o dirnames".to_owned(),
        Kind::Signal => offer(&signals()),
        Kind::Words(words) => offer(words),
    })
}
