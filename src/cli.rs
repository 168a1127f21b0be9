//! What a user can say. The doc comments are the help; there is no logic here and no IO.

use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::name::Name;
use crate::settings::Key;

/// A circuit breaker around any command: leave a dead or rate-limited service alone
#[derive(Debug, Parser)]
#[command(
    name = "cb",
    version,
    args_override_self = true,
    max_term_width = 100,
    disable_help_flag = true,
    // One screen of 24 lines.
    help_template = "{before-help}Commands:\n{subcommands}{after-help}",
    before_help = "\
        Examples: cb run -n openai --http -- curl -fsS -D /dev/fd/3 URL\n          \
        cb status; cb reset openai\n\
        cb starts the command; but after 5 failures in a row it leaves it alone for 30 s\n\
        (exit code 75), then lets one run through, a probe, to see whether it is back.",
    after_help = "\
        Options: --state-dir DIR, --config FILE, -q, --quiet, -v, --verbose,\n         \
        -h, --help, -V, --version (more: cb run --help, man cb, man cb-recipes)"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every subcommand understands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Where the state is [default: cb/ in the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// Where the settings are [default: cb/config.toml in the config directory]
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print only errors and warnings of unguarded runs
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also tell of refusals, probes and other remarks, as on a terminal
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Box<RunArgs>),
    Status(StatusArgs),
    Check(CheckArgs),
    History(HistoryArgs),
    Reset(ResetArgs),
    Trip(TripArgs),
    Disable(DisableArgs),
    Enable(EnableArgs),
    Remove(RemoveArgs),
    Allow(Box<AllowArgs>),
    Record(Box<RecordArgs>),
    Metrics(MetricsArgs),
    Config(ConfigArgs),
}

/// Run a command, if the breaker lets it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
        cb run -n openai --http -- curl -fsS -D /dev/fd/3 URL\n  \
        cb run -n api -- curl -fsS --max-time 10 https://api.example.com/health\n  \
        cb run -n db --threshold 3 --cooldown 5m --timeout 20s -- psql -c 'select 1'\n  \
        cb run -n api --failure-rate 50 --window 5m --trip-codes 22 -- ./sync\n\n\
        The exit status is the command's own. cb adds: 75 refused, 124 its time was over (137: by KILL), \
        125 cb itself failed, 126 the command could not be started, 127 it was not found.\n\n\
        The options from Tripping to Time limits, -E, --fallback, --on-change and --on-state-error can \
        stand in config.toml under their long names: [defaults] for all, [breakers.NAME] for one.")]
pub struct RunArgs {
    /// The breaker: one name for each service that can fail by itself
    #[arg(short, long, value_name = "NAME", value_parser = parse_name)]
    pub name: Name,
    /// The command and its arguments; options of cb end before it
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
    #[command(flatten)]
    pub options: Options<RunOptions>,
    /// Wait where the run would be refused, at most this long (note the =) [default: for ever]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "36500d",
        value_parser = crate::time::parse_duration, help_heading = "When refused")]
    pub wait: Option<std::time::Duration>,
}

/// The settings of a run.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    #[command(flatten)]
    breaker: BreakerOptions,
    #[command(flatten)]
    judged: JudgedOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    refusal: RefusalOptions,
    #[command(flatten)]
    run: OwnOptions,
}

/// The settings of `cb allow`.
#[derive(Args, Clone, Debug)]
pub struct AllowOptions {
    #[command(flatten)]
    breaker: BreakerOptions,
    #[command(flatten)]
    refusal: RefusalOptions,
}

/// How a breaker decides.
#[derive(Args, Clone, Debug)]
pub struct BreakerOptions {
    /// Open after N failures in a row; 0 switches this off [default: 5, or 0 if another rule is given]
    #[arg(long, value_name = "N", help_heading = "Tripping")]
    threshold: Option<String>,
    /// Open when PCT per cent of the results in the window are failures
    #[arg(long, value_name = "PCT", help_heading = "Tripping")]
    failure_rate: Option<String>,
    /// The window of the rates: the last N results, or the results of the last DURATION [default: 20]
    #[arg(long, value_name = "N|DURATION", help_heading = "Tripping")]
    window: Option<String>,
    /// Judge rates only once N results are in the window [default: 10]
    #[arg(long, value_name = "N", help_heading = "Tripping")]
    min_calls: Option<String>,
    /// A run that takes this long is slow; a slow probe fails
    #[arg(long, value_name = "DURATION", help_heading = "Tripping")]
    slow_after: Option<String>,
    /// Open when PCT per cent of the results in the window were slow (needs --slow-after)
    #[arg(long, value_name = "PCT", help_heading = "Tripping")]
    slow_rate: Option<String>,
    /// Open after N failures within DURATION, whatever succeeds between them (3/1h)
    #[arg(long, value_name = "N/DURATION", help_heading = "Tripping")]
    failure_budget: Option<String>,
    /// Open at once on these, which are failures: exit codes, ranges, signals, timeout (22,64-78,SIGTERM,timeout)
    #[arg(long, value_name = "LIST", help_heading = "Tripping")]
    trip_codes: Option<String>,

    /// How long it stays open before a probe is let through [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    cooldown: Option<String>,
    /// Multiply the cool-down by this with each reopening in a row, 1 to 100 [default: 1]
    #[arg(long, value_name = "FACTOR", help_heading = "Recovery")]
    backoff: Option<String>,
    /// How long the cool-down may grow [default: 1h, or the cool-down where that is longer]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    max_cooldown: Option<String>,
    /// Let the cool-down begin anew only once it has stayed closed this long [default: 0, whenever it closes]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    backoff_reset: Option<String>,
    /// Lengthen each cool-down at random by up to PCT per cent [default: 0]
    #[arg(long, value_name = "PCT", help_heading = "Recovery")]
    jitter: Option<String>,
    /// Once it has closed, let runs in step by step, a growing share of them, over this long [default: 0, all at once]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    ramp: Option<String>,
    /// How many probes may run at once, in all processes, 1 to 16 [default: 1]
    #[arg(long, value_name = "N", help_heading = "Recovery")]
    probes: Option<String>,
    /// Close after N probes have succeeded [default: 1]
    #[arg(long, value_name = "N", help_heading = "Recovery")]
    probe_successes: Option<String>,
    /// Open again after N probes have failed [default: 1]
    #[arg(long, value_name = "N", help_heading = "Recovery")]
    probe_failures: Option<String>,
    /// Give a probe's place away after this long [default: its time limit + kill-after + 10s, or 1h; of cb allow 60s]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    lease: Option<String>,
    /// Stay away at most this long because a run says so: Retry-After, or its own cb trip [default: 1h]
    #[arg(long, value_name = "DURATION", help_heading = "Recovery")]
    max_retry_after: Option<String>,

    /// These count as success, as 0 does: exit codes, ranges, signals, timeout (22,64-78)
    #[arg(long, value_name = "LIST", help_heading = "What counts")]
    success_codes: Option<String>,
    /// These count as failure, beside --timeout; any other exit but 0, and any signal, then counts as nothing
    #[arg(long, value_name = "LIST", help_heading = "What counts")]
    failure_codes: Option<String>,
    /// These count as nothing, as 75, 125-127, SIGINT and SIGPIPE do
    #[arg(long, value_name = "LIST", help_heading = "What counts")]
    ignore_codes: Option<String>,
}

/// What of a run counts, beside its exit.
#[derive(Args, Clone, Debug)]
pub struct JudgedOptions {
    /// A run that a limit from outside ends, by TERM or KILL of cb, is a failure and not nothing [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = ["true", "false"], hide_possible_values = true, help_heading = "What counts")]
    count_stopped: Option<String>,
    /// A command that still runs after this long is a success at that moment, however it ends [default: 0, never]
    #[arg(long, value_name = "DURATION", help_heading = "What counts")]
    healthy_after: Option<String>,
}

/// How long the child may run, as GNU timeout has it.
#[derive(Args, Clone, Debug)]
pub struct LimitOptions {
    /// End the command after this long, which is a failure; cb exits 124 [default: 0, no limit]
    #[arg(long, value_name = "DURATION", help_heading = "Time limits")]
    timeout: Option<String>,
    /// End a probe after this long, in place of --timeout; 0 is no limit [default: that of --timeout]
    #[arg(long, value_name = "DURATION", help_heading = "Time limits")]
    probe_timeout: Option<String>,
    /// Send KILL this long after the signal; cb exits 137 [default: 0, never]
    #[arg(short, long, value_name = "DURATION", help_heading = "Time limits")]
    kill_after: Option<String>,
    /// The signal that ends the command [default: TERM]
    #[arg(short, long, value_name = "SIGNAL", help_heading = "Time limits")]
    signal: Option<String>,
    /// Exit with the command's own status even when its time was over [default: false]
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = ["true", "false"], hide_possible_values = true, help_heading = "Time limits")]
    preserve_status: Option<String>,
    /// Keep the command in the caller's process group and signal it alone [default: false]
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = ["true", "false"], hide_possible_values = true, help_heading = "Time limits")]
    foreground: Option<String>,
}

/// How a refusal ends.
#[derive(Args, Clone, Debug)]
pub struct RefusalOptions {
    /// Exit with this code when refused, 0 to 255 [default: 75]
    #[arg(short = 'E', long, value_name = "N", help_heading = "When refused")]
    open_exit_code: Option<String>,
}

/// What else a run does.
#[derive(Args, Clone, Debug)]
pub struct OwnOptions {
    /// A line of its output that REGEX matches makes it a failure; the command then sees no terminal
    #[arg(long, value_name = "REGEX", help_heading = "What counts")]
    failure_output: Option<String>,
    /// Judge by the HTTP answer whose headers the command writes to descriptor 3, or N from 3 to 9 (note the =), as
    /// curl -D /dev/fd/3 does: 408, 429 and 5xx are failures, and Retry-After opens at once [default: false]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help_heading = "What counts")]
    http: Option<String>,
    /// Run this with 'sh -c' when refused, under --timeout too, and exit as it does
    #[arg(long, value_name = "CMD", value_hint = clap::ValueHint::CommandString, help_heading = "When refused")]
    fallback: Option<String>,
    /// When to run it: refused, or failure, which is also after a run that counts as failure [default: refused]
    #[arg(long, value_name = "refused|failure", help_heading = "When refused")]
    fallback_on: Option<String>,
    /// Decide and count, but run the command even if refused: its result then counts as late [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = ["true", "false"], hide_possible_values = true, help_heading = "When refused")]
    observe: Option<String>,
    /// Run this with 'sh -c' when the breaker opens from closed, closes, or is changed by hand
    #[arg(long, value_name = "CMD", value_hint = clap::ValueHint::CommandString, help_heading = "Output")]
    on_change: Option<String>,
    /// When the state cannot be used: run the command unguarded, or refuse with 125 [default: run]
    #[arg(long, value_name = "run|refuse", help_heading = "Output")]
    on_state_error: Option<String>,
}

/// The settings that were given as options, each as it was written. `A` defines those options, and their help.
#[derive(Clone, Debug)]
pub struct Options<A> {
    given: Vec<(Key, String)>,
    defined_by: PhantomData<A>,
}

impl<A> Options<A> {
    /// None.
    pub fn none() -> Self {
        Self { given: Vec::new(), defined_by: PhantomData }
    }

    /// Each given setting as it was written.
    pub fn given(&self) -> &[(Key, String)] {
        &self.given
    }
}

impl<A: Args> Args for Options<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        A::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        A::augment_args_for_update(command)
    }
}

impl<A> FromArgMatches for Options<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::none();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = |key: Key| {
            // The name of the field that defines it. Not every command has every option.
            let text = matches.try_get_one::<String>(&key.name().replace('-', "_")).ok().flatten()?;
            Some((key, text.clone()))
        };
        self.given.extend(Key::all().filter_map(given));
        Ok(())
    }
}

impl RunArgs {
    /// A run with these settings, of which of each the last is given.
    pub fn with(name: Name, settings: &[(Key, &str)], command: &[OsString]) -> Self {
        let given = |key| settings.iter().rfind(|given| given.0 == key).map(|given| (key, given.1.to_owned()));
        let given = if settings.is_empty() { Vec::new() } else { Key::all().filter_map(given).collect() };
        Self { name, command: command.to_vec(), options: Options { given, defined_by: PhantomData }, wait: None }
    }
}

/// Show breakers: state, failures, time to the next try
#[derive(Args, Debug)]
#[command(after_help = "\
    With names it tells everything about these breakers. It never changes anything.\n\
    In RECENT the last letter is the last result: . success, F failure, s slow, S slow failure.")]
pub struct StatusArgs {
    /// The breakers [default: all]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub names: Vec<Name>,
    /// Print JSON, stable and append-only
    #[arg(long)]
    pub json: bool,
    /// Look again each second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Ask whether runs would be let through now: exit 0 yes, 75 no
#[derive(Args, Debug)]
#[command(after_help = "\
    It never changes anything, and starts nothing. Several may be told yes at once.\n\
    Which provider?  cb check --any openai anthropic local")]
pub struct CheckArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Say yes if one of them would let a run through, and print the first that would
    #[arg(long)]
    pub any: bool,
    /// Wait until the answer is yes, at most this long (note the =) [default: for ever]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "36500d",
        value_parser = crate::time::parse_duration)]
    pub wait: Option<std::time::Duration>,
    /// Print them as cb status --json does, whatever the answer; with --any the one that lets runs through, or all
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub options: Options<RefusalOptions>,
}

/// Show the last changes of state: when, from, to, why, who
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// The breakers [default: all]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub names: Vec<Name>,
    /// Print JSON, stable and append-only
    #[arg(long)]
    pub json: bool,
}

/// Some breakers, or all.
#[derive(Args, Debug)]
pub struct Selection {
    /// The breakers
    #[arg(value_name = "NAME", value_parser = parse_name, required_unless_present = "all")]
    pub names: Vec<Name>,
    /// All breakers
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// Close breakers, clear their counters and end any hold
#[derive(Args, Debug)]
pub struct ResetArgs {
    #[command(flatten)]
    pub selection: Selection,
}

/// Open breakers by hand and hold them open
#[derive(Args, Debug)]
#[command(after_help = "\
    A command that is told to stay away (HTTP 429 and Retry-After) does so itself:\n  \
    cb trip \"$CB_NAME\" --for 90s")]
pub struct TripArgs {
    #[command(flatten)]
    pub hold: HoldArgs,
}

/// Which breakers to hold, for how long, and why.
#[derive(Args, Debug)]
pub struct HoldArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// For how long, at most 366 days [default: until it is ended by hand]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::time::parse_hold)]
    pub span: Option<std::time::Duration>,
    /// Until when: 2026-01-02T15:04:05Z or with an offset, a Unix time, or HH:MM of local clocks
    #[arg(long, value_name = "TIME", value_parser = parse_until, conflicts_with = "span")]
    pub until: Option<crate::time::Until>,
    /// Replace the present hold, even if the new one ends sooner
    #[arg(long)]
    pub replace: bool,
    /// Why, for those who look at cb status
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Let every run through, and judge none, until cb enable
#[derive(Args, Debug)]
#[command(after_help = "Results are counted meanwhile; the state stands still.")]
pub struct DisableArgs {
    #[command(flatten)]
    pub hold: HoldArgs,
}

/// End cb disable
#[derive(Args, Debug)]
pub struct EnableArgs {
    #[command(flatten)]
    pub selection: Selection,
}

/// Forget breakers, with all that was counted
#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// The breakers
    #[arg(value_name = "NAME", value_parser = parse_name, required_unless_present_any = ["all", "unused"])]
    pub names: Vec<Name>,
    /// All breakers
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// All without a result or a change for this long that let runs through or would, and that nobody holds or disabled
    #[arg(long, value_name = "DURATION", value_parser = crate::time::parse_duration, conflicts_with_all = ["names", "all"])]
    pub unused: Option<std::time::Duration>,
}

/// Ask first, for what cb cannot start: print a permit, or exit 75
#[derive(Args, Debug)]
#[command(after_help = "\
    For a function, a pipeline, an agent's step:\n  \
    permit=$(cb allow NAME) || exit\n  \
    step; cb record NAME --exit-code $? --permit \"$permit\"")]
pub struct AllowArgs {
    /// The breaker
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub name: Name,
    /// Print JSON: the permit, or why it is refused and until when
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub options: Options<AllowOptions>,
}

impl AllowArgs {
    /// How long a probe keeps its place where nothing is said: no process of ours holds it.
    pub const LEASE: std::time::Duration = std::time::Duration::from_secs(60);
}

/// Report a result, after cb allow or as seen elsewhere
#[derive(Args, Debug)]
#[command(after_help = "\
    Without a permit, a success closes the breaker and a failure counts as that of any run.\n\
    What was asked over HTTP: cb record NAME --http-status 429 --retry-after 20s")]
pub struct RecordArgs {
    /// The breaker
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub name: Name,
    /// The outcome
    #[arg(value_name = "OUTCOME", required_unless_present_any = ["exit_code", "http_status"], conflicts_with = "exit_code")]
    pub outcome: Option<Reported>,
    /// Judge an exit status instead, as the shell has it in $?: 129 to 192 mean a signal
    #[arg(long, value_name = "N", value_parser = parse_exit_code)]
    pub exit_code: Option<u8>,
    /// Judge the status of an HTTP answer, alone or before an exit status; beside an OUTCOME it is only noted
    #[arg(long, value_name = "N", value_parser = parse_http_status)]
    pub http_status: Option<u16>,
    /// For how long the service asked to be left alone: the breaker opens at once, at most for --max-retry-after
    #[arg(long, value_name = "DURATION", value_parser = crate::time::parse_duration)]
    pub retry_after: Option<std::time::Duration>,
    /// Why, for those who look, should it open the breaker
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The permit that cb allow printed
    #[arg(long, value_name = "PERMIT")]
    pub permit: Option<String>,
    /// How long the work took
    #[arg(long, value_name = "DURATION", value_parser = crate::time::parse_duration)]
    pub took: Option<std::time::Duration>,
    #[command(flatten)]
    pub options: Options<BreakerOptions>,
}

/// An outcome as a word.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Reported {
    Success,
    Failure,
    Ignored,
}

/// Print the metrics of all breakers for Prometheus
#[derive(Args, Debug)]
#[command(after_help = "\
    For the textfile collector of node_exporter, write to a file beside and rename:\n  \
    cb metrics > cb.prom.new && mv cb.prom.new cb.prom")]
pub struct MetricsArgs {}

/// Show the settings in force and where each comes from
#[derive(Args, Debug)]
#[command(after_help = "It reads the whole configuration file and reports what is wrong in it.")]
pub struct ConfigArgs {
    /// The breaker [default: what holds for any]
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub name: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_exit_code(word: &str) -> Result<u8, String> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let code = if digits { word.parse().ok() } else { None };
    code.ok_or_else(|| format!("'{word}' is not an exit code from 0 to 255"))
}

fn parse_http_status(word: &str) -> Result<u16, String> {
    let digits = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let status = if digits { word.parse().ok() } else { None };
    let status = status.filter(|status| *status >= 100);
    status.ok_or_else(|| format!("'{}' is not an HTTP status from 100 to 999", word.escape_debug()))
}

fn parse_until(word: &str) -> Result<crate::time::Until, String> {
    word.parse()
}

fn parse_name(word: &str) -> Result<Name, String> {
    word.parse()
}
