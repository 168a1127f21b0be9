//! Turns arguments into a command, and a wrong argument into one line that says what would be right.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command, Common, RunArgs};
use crate::exit::Exit;
use crate::name::Name;
use crate::report::print;
use crate::report::speech::say;
use crate::settings::Key;
use crate::time::parse_duration;

/// How to guard a command, for a user who left out a part of it.
const GUARD: &str = "'cb run --name NAME -- COMMAND'";

/// Reads the arguments.
///
/// # Errors
/// How to end, after printing the help that was asked for or reporting what is wrong.
pub fn parse(args: &[OsString]) -> Result<Cli, Exit> {
    let error = match read(args) {
        Ok(cli) => {
            let Some(line) = lost_value(&cli, args) else { return Ok(cli) };
            say(&line);
            return Err(Exit::Failed);
        }
        Err(error) => error,
    };
    let line = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print(&error.render().to_string()) {
            Ok(_) => return Err(Exit::Done),
            Err(error) => format!("{error:#}"),
        },
        _ => explain(&error, args),
    };
    say(&line);
    Err(Exit::Failed)
}

/// The error of `--wait 5m` and `--http 4`: only after `=` do they take a value, so `5m` would be the command. After `--` it
/// may be.
fn lost_value(cli: &Cli, args: &[OsString]) -> Option<String> {
    let Command::Run(run) = &cli.command else { return None };
    let http = run.options.given().iter().any(|(key, text)| *key == Key::Http && text == "true");
    if run.wait.is_none() && !http {
        return None;
    }
    let word = run.command.first()?;
    let before = args.split(|arg| arg == "--").next()?;
    let follows = |option: &str| before.windows(2).any(|pair| pair[0] == option && pair[1] == *word);
    let word = word.to_str()?;
    let is_lost = |option: &str| match option {
        "--wait" => parse_duration(word).is_ok(),
        _ => word.parse::<u32>().is_ok(),
    };
    let option = ["--wait", "--http"].into_iter().find(|option| follows(option) && is_lost(option))?;
    Some(format!("'{option} {word}' would run the command '{word}'; write {option}={word}"))
}

/// Defining all subcommands takes as long as half a run. So the most frequent arguments are read without clap, and the
/// subcommands that scripts call often by their own definition alone. All else, with help and errors, needs the whole
/// definition.
fn read(args: &[OsString]) -> Result<Cli, clap::Error> {
    match read_at_sight(args).or_else(|| read_alone(args)) {
        Some(cli) => Ok(cli),
        None => read_whole(args),
    }
}

fn read_whole(args: &[OsString]) -> Result<Cli, clap::Error> {
    let command = Cli::command().mut_args(takes_dashes).mut_subcommands(|command| command.mut_args(takes_dashes));
    Cli::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// Reads `cb run -n NAME --SETTING VALUE ... -- COMMAND ...`, if no more is said than the name and settings by their long
/// names.
fn read_at_sight(args: &[OsString]) -> Option<Cli> {
    let [_, run, words @ ..] = args else { return None };
    let mut words = words.iter();
    let (mut name, mut settings) = (None, Vec::new());
    loop {
        let word = words.next()?.to_str()?;
        if word == "--" {
            break;
        }
        let (option, given) = word.split_once('=').map_or((word, None), |(option, given)| (option, Some(given)));
        if word == "-n" || word == "--name" {
            name = Some(words.next()?.to_str()?);
            continue;
        }
        let key = option.strip_prefix("--").and_then(Key::named).filter(|key| *key != Key::Verbose)?;
        let text = match (given, key.is_switch()) {
            (None, true) => "true",
            (None, false) => words.next().and_then(|word| word.to_str()).filter(|word| is_plain(word))?,
            (Some(given), true) => ["true", "false"].into_iter().find(|known| *known == given)?,
            (Some(given), false) => Some(given).filter(|given| is_plain(given))?,
        };
        settings.push((key, text));
    }
    let command = words.as_slice();
    let name = if run == "run" && !command.is_empty() { name?.parse().ok()? } else { return None };
    Some(Cli { common: Common::default(), command: Command::Run(Box::new(RunArgs::with(name, &settings, command))) })
}

/// Whether a value cannot be meant otherwise: one that is empty, or that begins with a dash, may be.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.starts_with('-')
}

fn read_alone(args: &[OsString]) -> Option<Cli> {
    let args = args.get(1..)?;
    let (common, command) = match args.first()?.to_str()? {
        "run" => alone(args, |run| Command::Run(Box::new(run))),
        "check" => alone(args, Command::Check),
        "allow" => alone(args, |allow| Command::Allow(Box::new(allow))),
        "record" => alone(args, |record| Command::Record(Box::new(record))),
        _ => None,
    }?;
    Some(Cli { common, command })
}

/// Reads arguments, of which the first is the subcommand, by the definition of that subcommand alone.
fn alone<A: Args>(args: &[OsString], is: fn(A) -> Command) -> Option<(Common, Command)> {
    let mut command = A::augment_args(Common::augment_args(clap::Command::new("cb").disable_help_flag(true)))
        .args_override_self(true)
        .mut_args(|arg| takes_dashes(arg).global(false));
    let matches = command.try_get_matches_from_mut(args);
    // Freeing the definition would only cost time: the process soon waits for the child or ends.
    std::mem::forget(command);
    let matches = matches.ok()?;
    Some((Common::from_arg_matches(&matches).ok()?, is(A::from_arg_matches(&matches).ok()?)))
}

/// Makes the word after an option its value, even with a dash before it: the setting can say what is wrong with
/// `--cooldown -5s`, but clap only that there is no option `-5`.
fn takes_dashes(arg: Arg) -> Arg {
    let takes = !arg.is_positional() && arg.get_action().takes_values();
    if takes { arg.allow_hyphen_values(true) } else { arg }
}

/// The subcommand in these arguments and its place, as far as they can be understood.
fn subcommand(args: &[OsString]) -> Option<(usize, String)> {
    let mut words = args.iter().enumerate().skip(1);
    while let Some((place, word)) = words.next() {
        if word == "--state-dir" || word == "--config" {
            words.next();
        } else if let Some(command) = Cli::command().find_subcommand(word) {
            return Some((place, command.get_name().to_owned()));
        }
    }
    None
}

/// What is wrong and what would be right. clap knows that, but its own words fill a screen.
fn explain(error: &clap::Error, args: &[OsString]) -> String {
    let subcommand = subcommand(args);
    let (place, name) = subcommand.as_ref().map_or((args.len(), None), |(place, name)| (*place, Some(name.as_str())));
    let help = name.map_or("see 'cb --help'".to_owned(), |name| format!("see 'cb {name} --help'"));
    let wrong = words(error, ContextKind::InvalidArg);
    let first = wrong.first().map_or("", String::as_str);
    let (option, value) = split(first);
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("a subcommand is missing; try {GUARD}, 'cb status', or 'cb --help'")
        }
        ErrorKind::InvalidSubcommand => {
            let word = words(error, ContextKind::InvalidSubcommand).join(" ");
            let near = match word.as_str() {
                // Names that other programs have for the same.
                "list" | "ls" | "show" | "ps" | "state" | "stats" => Some("status".to_owned()),
                "open" | "hold" => Some("trip".to_owned()),
                "close" | "clear" => Some("reset".to_owned()),
                "delete" | "rm" | "forget" => Some("remove".to_owned()),
                "exec" | "start" => Some("run".to_owned()),
                "version" => Some("--version".to_owned()),
                "watch" => Some("status --watch".to_owned()),
                _ => words(error, ContextKind::SuggestedSubcommand).into_iter().next(),
            };
            match near {
                Some(near) => format!("there is no subcommand '{word}'; did you mean '{near}'?"),
                None => format!("there is no subcommand '{word}'; guard a command with {GUARD}, or see 'cb --help'"),
            }
        }
        ErrorKind::UnknownArgument if !first.starts_with('-') => format!("'{first}' is one word too many; {help}"),
        ErrorKind::UnknownArgument if option == "--dry-run" => {
            "there is no option '--dry-run', as the command would be run; to run it and count what would be refused \
             write --observe"
                .to_owned()
        }
        ErrorKind::UnknownArgument if ["-n", "--name"].contains(&option) && name.is_some_and(|name| name != "run") => {
            let name = name.unwrap_or_default();
            format!("there is no option '{first}' of cb {name}; write 'cb {name} NAME'")
        }
        ErrorKind::UnknownArgument => match (words(error, ContextKind::SuggestedArg).first(), name) {
            (Some(near), _) => format!("there is no option '{first}'; did you mean '{near}'?"),
            (None, Some(name))
                if args[..place].iter().any(|word| word.as_encoded_bytes().starts_with(option.as_bytes())) =>
            {
                format!("there is no option '{first}' before '{name}'; write its options after it")
            }
            (None, Some(_)) => format!("there is no option '{first}'; {help}"),
            (None, None) => format!("there is no option '{first}' here; guard a command with {GUARD}, or {help}"),
        },
        ErrorKind::TooManyValues => format!("{option} takes no value; {help}"),
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> = wrong.iter().map(|word| shown(word)).collect();
            let are = if missing.len() == 1 { "is" } else { "are" };
            let hint = match name {
                Some("run") => match name_without_option(args, place) {
                    Some(name) if missing == ["--name NAME"] => format!("write 'cb run --name {name} -- COMMAND'"),
                    _ => format!("write {GUARD}"),
                },
                Some("remove") => "write a NAME, or --all, or --unused DURATION".to_owned(),
                Some("reset" | "trip" | "disable" | "enable") => "write a NAME, or --all".to_owned(),
                Some("record") if missing == ["OUTCOME"] => {
                    "write success, failure or ignored, or give --exit-code N or --http-status N".to_owned()
                }
                _ => help,
            };
            format!("{} {are} missing; {hint}", missing.join(" and "))
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            // Without an option the reason names the word itself.
            if option.is_empty() { why } else { format!("{option}: {why}") }
        }
        ErrorKind::InvalidValue => {
            let given = words(error, ContextKind::InvalidValue).join(" ");
            let known = match words(error, ContextKind::ValidValue).as_slice() {
                [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
                few => few.join(""),
            };
            if given.is_empty() {
                format!("{option} needs a value, {value}; {help}")
            } else {
                let what = if option.is_empty() { shown(first) } else { option.to_owned() };
                format!("{what}: '{given}' is not known; write {known}")
            }
        }
        ErrorKind::ArgumentConflict => {
            let prior = words(error, ContextKind::PriorArg);
            let prior = prior.first().map_or("", String::as_str);
            let bare = |word| if split(word).0.is_empty() { shown(word) } else { split(word).0.to_owned() };
            format!("{} and {} contradict each other; give one of them", bare(first), bare(prior))
        }
        ErrorKind::InvalidUtf8 => format!("an argument is not valid UTF-8; {help}"),
        _ => {
            let rendered = error.render().to_string();
            let line = rendered.lines().next().unwrap_or_default();
            format!("{}; {help}", line.trim_start_matches("error: "))
        }
    }
}

/// The name in `cb run NAME -- COMMAND`, which lacks `--name`.
fn name_without_option(args: &[OsString], place: usize) -> Option<Name> {
    let before = args.get(place + 1..)?.split(|arg| arg == "--").next()?;
    let is_whole = before.len() + place + 1 < args.len();
    before.first()?.to_str()?.parse().ok().filter(|_| is_whole)
}

/// The words of one kind in an error of clap.
fn words(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}

/// Splits an argument as clap shows it, `--name <NAME>`, into option and value. An operand has no option.
fn split(argument: &str) -> (&str, String) {
    let end = argument.find([' ', '[', '=', '<']).unwrap_or(argument.len());
    let (option, value) = argument.split_at(end);
    (option, shown(value))
}

/// An argument without the brackets around its value: `--name NAME`.
fn shown(argument: &str) -> String {
    argument.trim_end_matches("...").trim().replace(['<', '>', '[', ']', '='], "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words that two readers might take differently: with dashes, options joined or apart, too few or too many.
    const WORDS: &[&str] = &[
        "-n",
        "-n",
        "-na",
        "--name",
        "--name=a",
        "a",
        "a b",
        "",
        "--",
        "--",
        "true",
        "-x",
        "-5s",
        "--http",
        "--http=4",
        "--timeout",
        "--timeout=-1s",
        "5s",
        "--wait",
        "--wait=2s",
        "--observe",
        "--observe=false",
        "--fallback",
        "-E",
        "-E7",
        "7",
        "-q",
        "-v",
        "-qv",
        "-h",
        "--help",
        "--state-dir",
        "--config=/c",
        "run",
        "check",
        "--exit-code",
        "--permit",
        "success",
        "--threshold",
        "--threshold",
        "--threshold=3",
        "--threshold=",
        "--count-stopped",
        "--observe=yes",
        "--verbose",
        "--failure-output",
        "--failure-output==x=",
    ];

    fn arguments(words: &[&str]) -> Vec<OsString> {
        std::iter::once("cb").chain(words.iter().copied()).map(OsString::from).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_is_read_quickly_is_what_the_whole_definition_reads(
            subcommand in prop::sample::select(vec!["run", "run", "run", "check", "allow", "record", "status"]),
            head in prop::sample::select(vec![vec![], vec!["-n", "a", "--"], vec!["-n", "a", "--http", "--"],
                vec!["-n", "a", "--threshold", "3"], vec!["--name", "a"], vec!["a"], vec!["a", "success"]]),
            rest in prop::collection::vec(prop::sample::select(WORDS), 0..7),
        ) {
            let args = arguments(&[&[subcommand], head.as_slice(), rest.as_slice()].concat());
            let quick = read_at_sight(&args).or_else(|| read_alone(&args));
            match (quick, read_whole(&args)) {
                (Some(quick), Ok(whole)) => prop_assert_eq!(format!("{quick:?}"), format!("{whole:?}")),
                (Some(quick), Err(error)) => prop_assert!(false, "{quick:?}, but {error}"),
                (None, whole) => {
                    let alone = ["run", "check", "allow", "record"].contains(&subcommand);
                    prop_assert!(!alone || whole.is_err(), "{whole:?} is read by the whole definition alone");
                }
            }
        }
    }

    #[test]
    fn the_most_frequent_words_are_read_at_sight() {
        let plain = |words: &[&str]| read_at_sight(&arguments(words)).is_some();
        assert!(plain(&["run", "-n", "a", "--", "true", "-n", "--"]));
        assert!(plain(&["run", "--name", "a", "--", "true"]));
        assert!(plain(&["run", "-n", "a", "--http", "--", "true", "--http"]));
        assert!(plain(&["run", "--threshold", "3", "-n", "a", "--cooldown=5m", "--observe=false", "--", "true"]));
        for other in [
            &["run", "-n", "a", "--"][..],
            &["run", "-n", "a", "--http", "--"],
            &["run", "-n", "a", "--http=4", "--", "true"],
            &["run", "-n", "a", "true", "x"],
            &["run", "-n", "a b", "--", "true"],
            &["run", "-q", "a", "--", "true"],
            &["run", "-n", "a", "-q", "--", "true"],
            &["run", "-n", "a", "--threshold", "--", "true"],
            &["run", "-n", "a", "--threshold", "-5", "--", "true"],
            &["run", "-n", "a", "--threshold=", "--", "true"],
            &["run", "-n", "a", "--observe=yes", "--", "true"],
            &["run", "-n", "a", "--verbose", "--", "true"],
            &["run", "-n", "a", "--state-dir", "x", "--", "true"],
            &["run", "--threshold", "3", "--", "true"],
            &["check", "-n", "a", "--", "true"],
        ] {
            assert!(!plain(other), "{other:?}");
        }
    }
}
