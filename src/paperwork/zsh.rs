//! `completions/_cb`, for zsh.

use super::fill;
use super::model::{Command, Kind, Operand, Opt, Takes, Value};

/// Makes the script.
pub fn script(cb: &Command) -> String {
    let common: Vec<String> =
        cb.common().flat_map(|option| specs(cb, option)).map(|spec| format!("    {spec}")).collect();
    let top: Vec<String> = cb.own(cb).flat_map(|option| specs(cb, option)).map(|spec| format!("    {spec}")).collect();
    let subcommands: Vec<String> = cb.subcommands.iter().map(described).collect();
    let functions: Vec<String> = cb.subcommands.iter().map(|subcommand| function(subcommand, cb)).collect();
    let parts = [
        ("COMMON", common.join("\n")),
        ("TOP", top.join(" \\\n")),
        ("SUBCOMMANDS", subcommands.join("\n")),
        ("FUNCTIONS", functions.join("\n\n")),
    ];
    fill(include_str!("cb.zsh.in"), &parts)
}

fn described(subcommand: &Command) -> String {
    format!("    {}", quoted(&format!("{}:{}", subcommand.name, subcommand.about)))
}

fn function(subcommand: &Command, cb: &Command) -> String {
    let common = if subcommand.options.is_empty() { "" } else { " $common" };
    let mut lines = vec![format!("  _arguments -s -S{common}")];
    let names: Vec<&String> = cb.subcommands.iter().map(|subcommand| &subcommand.name).collect();
    let operands = subcommand.operands.iter().map(|operand| match &operand.value.kind {
        Kind::Words(words) if words.iter().eq(names.iter().copied()) => quoted(": :__cb_subcommands"),
        _ => self::operand(operand),
    });
    let own = subcommand.own(cb).flat_map(|option| specs(subcommand, option)).chain(operands);
    lines.extend(own.map(|spec| format!("    {spec}")));
    format!("_cb_{}() {{\n{}\n}}", subcommand.name, lines.join(" \\\n"))
}

/// The specifications of an option for `_arguments`.
fn specs(command: &Command, option: &Opt) -> Vec<String> {
    let operands = option
        .excludes_operands
        .iter()
        .map(|&place| if command.operands[place].repeated { "*".to_owned() } else { (place + 1).to_string() });
    let excluded: Vec<String> = option.names.iter().chain(&option.excludes).cloned().chain(operands).collect();
    let excluded = match excluded.as_slice() {
        _ if option.alone => "(- : *)".to_owned(),
        // `_arguments` itself knows that an option excludes itself.
        [_] => String::new(),
        [_, others @ ..] if option.names.len() == 1 => format!("({})", others.join(" ")),
        all => format!("({})", all.join(" ")),
    };
    let explained = format!("[{}]", escaped(option.summary(), &['\\', '[', ']', ':']));
    match &option.takes {
        Takes::Nothing => vec![spec(&excluded, &option.names, &explained)],
        Takes::Next(value) => {
            let suffixed =
                option.names.iter().map(|name| name.clone() + if name.starts_with("--") { "=" } else { "+" });
            let names: Vec<String> = suffixed.collect();
            vec![spec(&excluded, &names, &format!("{explained}:{}", action(value)))]
        }
        // `_arguments` cannot restrict a short option to a value after `=`.
        Takes::Attached(value) => {
            let (long, short): (Vec<&String>, Vec<&String>) =
                option.names.iter().partition(|name| name.starts_with("--"));
            let short = short.into_iter().map(|name| spec(&excluded, std::slice::from_ref(name), &explained));
            let attached = format!("=-{explained}::{}", action(value));
            short.chain(long.into_iter().map(|name| spec(&excluded, std::slice::from_ref(name), &attached))).collect()
        }
    }
}

/// One specification for all these names of an option.
fn spec(excluded: &str, names: &[String], rest: &str) -> String {
    match names {
        [name] => quoted(&format!("{excluded}{name}{rest}")),
        names => format!("{}{{{}}}{}", quoted(excluded), names.join(","), quoted(rest)),
    }
}

fn operand(operand: &Operand) -> String {
    let excluded = match operand.excludes.as_slice() {
        [] => String::new(),
        names => format!("({})", names.join(" ")),
    };
    quoted(&match &operand.value.kind {
        // The first word that is no option ends the options of cb.
        Kind::Command => return "'(-):command: _command_names -e' \\\n    '*:: : _normal -p cb'".to_owned(),
        _ if operand.repeated => format!("{excluded}*:{}", action(&operand.value)),
        _ if operand.required => format!("{excluded}:{}", action(&operand.value)),
        _ => format!("{excluded}::{}", action(&operand.value)),
    })
}

/// The word for a value, and where its candidates come from.
fn action(value: &Value) -> String {
    let action = match &value.kind {
        Kind::Free | Kind::Command => " ",
        Kind::Breaker => return "breaker:__cb_breakers".to_owned(),
        Kind::File => "_files",
        Kind::Directory => "_directories",
        Kind::Signal => "_signals -s",
        Kind::Words(words) => &format!("({})", words.join(" ")),
    };
    format!("{}:{action}", escaped(&value.placeholder, &['\\', ':']))
}

fn escaped(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|letter| special.contains(&letter).then_some('\\').into_iter().chain([letter])).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
