//! From arguments to a command, and from a wrong word to one line that says what would be right.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, FromArgMatches, Parser};

use crate::cli::{Cli, Command, Common, PlainRun};
use crate::exit::Exit;
use crate::report::print;
use crate::report::speech::say;

/// Reads the arguments.
///
/// # Errors
/// How to end: help was asked for and given, or something was wrong and was said.
pub fn parse(args: &[OsString]) -> Result<Cli, Exit> {
    read(args).map_err(|error| explain(&error))
}

/// `cb run` is on the hot path. A plain run is read by the definition of its few arguments alone; whatever that does not
/// understand, and all help and errors, are for the whole definition.
fn read(args: &[OsString]) -> Result<Cli, clap::Error> {
    if args.get(1).is_some_and(|word| word == "run")
        && let Some(cli) = read_plain_run(&args[1..])
    {
        return Ok(cli);
    }
    Cli::try_parse_from(args)
}

fn read_plain_run(args: &[OsString]) -> Option<Cli> {
    let mut command = PlainRun::augment_args(Common::augment_args(clap::Command::new("run")));
    let matches = command.try_get_matches_from_mut(args);
    // The process is about to wait for another: taking the definition apart first would be time spent for nothing.
    std::mem::forget(command);
    let matches = matches.ok()?;
    let plain = PlainRun::from_arg_matches(&matches).ok()?;
    let common = Common::from_arg_matches(&matches).ok()?;
    Some(Cli { common, command: Command::Run(Box::new(plain.into())) })
}

fn explain(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print(&error.render().to_string()) {
            Ok(_) => Exit::Done,
            Err(error) => {
                say(&format!("{error:#}"));
                Exit::Failed
            }
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say("a subcommand is missing; try 'cb run --name NAME -- COMMAND', 'cb status', or 'cb --help'");
            Exit::Failed
        }
        _ => {
            say(&one_line(error));
            Exit::Failed
        }
    }
}

/// clap's message without its frame: what is wrong, its suggestion, where to read more.
fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let mut lines = rendered.lines().map(str::trim).skip_while(|line| line.is_empty());
    let mut message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("cb");
    for line in lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more")) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            message.push_str("; ");
            message.push_str(tip);
        } else if !line.is_empty() {
            message.push(' ');
            message.push_str(line);
        }
    }
    // The help of the subcommand at hand, if there is one.
    let subcommand = usage.split_whitespace().take(2).filter(|word| !word.starts_with(['<', '[', '-']));
    let help: Vec<&str> = subcommand.collect();
    format!("{message}; see '{} --help'", help.join(" "))
}
