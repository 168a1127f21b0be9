//! The definition in `cli.rs` as the generators need it: the options and operands of each subcommand, and the
//! candidates for each value.

use clap::{Arg, ArgAction, ValueHint};

use crate::signals;

/// A command: `cb` itself, or one of its subcommands.
pub struct Command {
    /// The word that calls it.
    pub name: String,
    /// What it does, in one line.
    pub about: String,
    /// The further paragraphs of its help.
    pub description: Vec<String>,
    /// Its options, which begin with a dash.
    pub options: Vec<Opt>,
    /// Its operands, in order.
    pub operands: Vec<Operand>,
    /// Its subcommands.
    pub subcommands: Vec<Command>,
}

/// An option.
#[derive(Clone)]
pub struct Opt {
    /// Its names with their dashes, the short one first.
    pub names: Vec<String>,
    /// What it does.
    pub help: String,
    /// The heading above it in the help.
    pub heading: Option<String>,
    /// Whether a value follows.
    pub takes: Takes,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it excludes all other arguments, as `--help` does.
    pub alone: bool,
    /// The names of the other options that it excludes.
    pub excludes: Vec<String>,
    /// The places of the operands that it excludes.
    pub excludes_operands: Vec<usize>,
}

/// What follows an option.
#[derive(Clone)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// Optionally a value, only after `=`.
    Attached(Value),
    /// A value, after `=` or as the next word.
    Next(Value),
}

/// An operand.
#[derive(Clone)]
pub struct Operand {
    /// What it is.
    pub value: Value,
    /// What it does.
    pub help: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may be repeated.
    pub repeated: bool,
    /// The names of the options that it excludes.
    pub excludes: Vec<String>,
}

/// The value of an option or an operand.
#[derive(Clone)]
pub struct Value {
    /// The word that stands for it in the help.
    pub placeholder: String,
    /// Where its candidates come from.
    pub kind: Kind,
}

/// Where the candidates for a value come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nowhere: it is a number, a duration or a text.
    Free,
    /// The state files.
    Breaker,
    /// Files.
    File,
    /// Directories.
    Directory,
    /// Signals.
    Signal,
    /// These words.
    Words(Vec<String>),
    /// The rest of the line is a command with its arguments.
    Command,
}

impl Command {
    /// Reads a definition that has been built.
    pub fn of(command: &clap::Command) -> Self {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
        let excluded = |argument: &Arg| -> Vec<&Arg> {
            let others = arguments.iter().copied().filter(|other| other.get_id() != argument.get_id());
            others.filter(|other| excludes(command, argument, other) || excludes(command, other, argument)).collect()
        };
        let subcommands: Vec<Self> =
            command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).map(Self::of).collect();
        let positional: Vec<&Arg> = arguments.iter().copied().filter(|argument| argument.is_positional()).collect();
        let places = |excluded: &[&Arg]| -> Vec<usize> {
            let is_excluded = |argument: &Arg| excluded.iter().any(|other| other.get_id() == argument.get_id());
            (0..positional.len()).filter(|&place| is_excluded(positional[place])).collect()
        };
        let options = arguments.iter().filter(|argument| !argument.is_positional()).map(|argument| Opt {
            names: names(argument),
            help: help(argument),
            heading: argument.get_help_heading().map(str::to_owned),
            takes: takes(argument),
            required: argument.is_required_set(),
            alone: matches!(argument.get_action(), ArgAction::Help | ArgAction::Version),
            excludes: excluded(argument).into_iter().flat_map(names).collect(),
            excludes_operands: places(&excluded(argument)),
        });
        let options = options.collect();
        let operands = positional.iter().map(|argument| Operand {
            value: value(argument),
            help: help(argument),
            required: argument.is_required_set(),
            repeated: argument.get_num_args().is_some_and(|range| range.max_values() > 1),
            excludes: excluded(argument).into_iter().flat_map(names).collect(),
        });
        let mut operands: Vec<Operand> = operands.collect();
        // `cb help` takes the names of the other subcommands.
        if operands.is_empty() && command.get_name() == "help" {
            let kind = Kind::Words(subcommands.iter().map(|subcommand| subcommand.name.clone()).collect());
            let value = Value { placeholder: "COMMAND".to_owned(), kind };
            let help = "The subcommand to explain".to_owned();
            operands.push(Operand { value, help, required: false, repeated: false, excludes: Vec::new() });
        }
        Self {
            name: command.get_name().to_owned(),
            // A long text begins with the short one.
            description: match long.split("\n\n").skip(1).map(str::to_owned).collect::<Vec<_>>() {
                none if none.is_empty() => vec![format!("{about}.")],
                paragraphs => paragraphs,
            },
            about,
            options,
            operands,
            subcommands,
        }
    }

    /// The options that every subcommand has, except `help`, which has none.
    pub fn common(&self) -> impl Iterator<Item = &Opt> {
        self.options.iter().filter(|option| self.with_options().all(|subcommand| subcommand.has(option)))
    }

    /// The options that not every subcommand has.
    pub fn own<'a>(&'a self, whole: &'a Self) -> impl Iterator<Item = &'a Opt> {
        self.options.iter().filter(|option| !whole.common().any(|common| common.names == option.names))
    }

    /// `cb` itself with an empty word, for what stands before the subcommand; and each subcommand with its name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Self)> {
        [("", self)].into_iter().chain(self.subcommands.iter().map(|subcommand| (subcommand.name.as_str(), subcommand)))
    }

    /// The subcommands with options: all but `help`.
    pub fn with_options(&self) -> impl Iterator<Item = &Self> {
        self.subcommands.iter().filter(|subcommand| !subcommand.options.is_empty())
    }

    fn has(&self, option: &Opt) -> bool {
        self.options.iter().any(|own| own.names == option.names)
    }

    /// The subcommand that runs another command.
    pub fn wrapper(&self) -> &Self {
        let mut wrappers = self.subcommands.iter().filter(|subcommand| subcommand.wraps());
        let wrapper = wrappers.next().expect("a subcommand that runs a command");
        assert!(wrappers.next().is_none(), "the templates know of one subcommand that runs a command");
        wrapper
    }

    /// Whether its operands are a command.
    pub fn wraps(&self) -> bool {
        self.operands.iter().any(|operand| operand.value.kind == Kind::Command)
    }
}

impl Opt {
    /// Its value, if it takes one.
    pub fn value(&self) -> Option<&Value> {
        match &self.takes {
            Takes::Nothing => None,
            Takes::Attached(value) | Takes::Next(value) => Some(value),
        }
    }

    /// Whether its value may be the next word.
    pub fn takes_next(&self) -> bool {
        matches!(self.takes, Takes::Next(_))
    }

    /// What it does, without default and possible values, for which a completion has no room.
    pub fn summary(&self) -> &str {
        self.help.split(" [").next().unwrap_or(&self.help)
    }
}

fn excludes(command: &clap::Command, argument: &Arg, other: &Arg) -> bool {
    command.get_arg_conflicts_with(argument).iter().any(|conflict| conflict.get_id() == other.get_id())
}

fn names(argument: &Arg) -> Vec<String> {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    short.into_iter().chain(long).collect()
}

fn help(argument: &Arg) -> String {
    if matches!(argument.get_action(), ArgAction::Help) {
        // clap's own text explains the short and the long help.
        return "Print help".to_owned();
    }
    let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    // clap adds these, in this order.
    if argument.get_action().takes_values() {
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() && !argument.is_hide_default_value_set() {
            help.extend([" [default: ", &defaults.join(" "), "]"]);
        }
        let possible = argument.get_possible_values();
        let possible: Vec<&str> =
            possible.iter().filter(|value| !value.is_hide_set()).map(clap::builder::PossibleValue::get_name).collect();
        if !possible.is_empty() && !argument.is_hide_possible_values_set() {
            help.extend([" [possible values: ", &possible.join(", "), "]"]);
        }
    }
    help
}

fn takes(argument: &Arg) -> Takes {
    if !argument.get_action().takes_values() {
        Takes::Nothing
    } else if argument.get_num_args().is_some_and(|range| range.min_values() == 0) {
        assert!(argument.is_require_equals_set(), "{}: an optional value needs require_equals", argument.get_id());
        Takes::Attached(value(argument))
    } else {
        Takes::Next(value(argument))
    }
}

/// What a value may be: by its possible values, by its hint, or else by its placeholder.
fn value(argument: &Arg) -> Value {
    let placeholder = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    let possible = argument.get_possible_values();
    let alternatives: Vec<&str> = placeholder.split('|').collect();
    let literal = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let kind = match argument.get_value_hint() {
        _ if !possible.is_empty() => Kind::Words(possible.iter().map(|value| value.get_name().to_owned()).collect()),
        ValueHint::FilePath | ValueHint::AnyPath => Kind::File,
        ValueHint::DirPath => Kind::Directory,
        ValueHint::CommandWithArguments => Kind::Command,
        _ if alternatives.iter().all(|word| literal(word)) => {
            Kind::Words(alternatives.into_iter().map(str::to_owned).collect())
        }
        _ if placeholder == "NAME" => Kind::Breaker,
        _ if placeholder == "SIGNAL" => Kind::Signal,
        _ => Kind::Free,
    };
    Value { placeholder, kind }
}

/// The names of the signals, without `SIG`.
pub fn signals() -> Vec<String> {
    (1..=31).map(|number| signals::name(number).trim_start_matches("SIG").to_owned()).collect()
}
