//! One file a subcommand: the story of that command, no decision of its own.

mod allow;
mod check;
mod config;
mod disable;
mod enable;
mod history;
mod metrics;
mod record;
mod remove;
mod reset;
mod run;
mod status;
mod trip;
pub mod usage;

use std::collections::BTreeSet;
use std::env;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::breaker::{Answer, Breaker, Change, LONGEST_REASON, LONGEST_WHO, Refusal, shorten, stored_len};
use crate::child::{self, Ended, Limit, Task};
use crate::cli::{Command, Common, HoldArgs, Selection};
use crate::clock;
use crate::config::{Config, Tables};
use crate::exit::Exit;
use crate::locations::Locations;
use crate::name::{Name, nearest};
use crate::outcome::End;
use crate::report::speech::{self, Later, Volume, say};
use crate::settings::{Limits, Settings};
use crate::store::{Locked, Missing, READERS_PATIENCE, Store};
use crate::sys::Inherited;
use crate::time::{Timestamp, format_duration, parse_duration};

/// How long the `on-change` command may take.
const HOOK_LIMIT: Duration = Duration::from_secs(10);

/// What every command has.
pub struct Context {
    locations: Locations,
    volume: Volume,
    inherited: Inherited,
}

impl Context {
    /// Finds out where things live.
    ///
    /// # Errors
    /// A directory was given that cannot be.
    pub fn new(common: &Common, inherited: Inherited) -> Result<Self> {
        let volume = match (common.quiet, common.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        };
        let locations = Locations::find(common.state_dir.as_deref(), common.config.as_deref())?;
        Ok(Self { locations, volume, inherited })
    }

    /// The store, or why there is none.
    fn store(&self) -> Result<Store> {
        match &self.locations.state_dir {
            Ok(dir) => Ok(Store::new(dir.clone())),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// Locks a breaker to change it, and says what had to be done to its file before.
    fn lock(&self, name: &Name, missing: Missing, later: &mut Later) -> Result<Option<Locked>> {
        let locked = self.store()?.lock(name, missing)?;
        if let Some(notice) = locked.as_ref().and_then(|locked| locked.notice.as_ref()) {
            later.warn(format!("{name}: {notice}"));
        }
        Ok(locked)
    }

    /// The configuration, as far as one breaker is concerned.
    fn config(&self, tables: Tables<'_>) -> Result<Config> {
        Config::load(self.locations.config.as_ref(), tables)
    }

    /// Reads a breaker for those who only look.
    fn snapshot(&self, name: &Name) -> Result<Option<Breaker>> {
        self.store()?.read(name, clock::instant() + READERS_PATIENCE)
    }

    /// The named breakers, or all there are.
    fn selected(&self, selection: &Selection) -> Result<Vec<Name>> {
        if selection.all { self.store()?.names() } else { Ok(selection.names.clone()) }
    }

    /// Why a run would be refused now, as far as the state can be read; `None` if it would not, or if nobody can say.
    /// Nothing is written. Waits for a writer until `deadline`.
    fn refusal(&self, name: &Name, settings: &Settings, deadline: Instant) -> Option<(Refusal, Breaker)> {
        let breaker = self.store().ok()?.read(name, deadline).ok()??;
        match breaker.answer(settings, clock::now()) {
            Answer::Refuse(refusal) => Some((refusal, breaker)),
            Answer::Pass | Answer::Probe => None,
        }
    }

    /// The same in words, for those whom the state has made wait already.
    fn refused_by_what_is_there(&self, name: &Name, settings: &Settings) -> Option<String> {
        let (refusal, breaker) = self.refusal(name, settings, clock::instant())?;
        Some(speech::refusal(name, &refusal, &breaker, clock::now()))
    }

    /// The named breakers, or all: those with a state and those of the configuration, by name.
    fn shown(&self, names: &[Name]) -> Result<Vec<Shown>> {
        let store = self.store()?;
        // A slip in the configuration stops the runs it is about, but must not blind those who look why.
        let config = self.config(Tables::All).unwrap_or_else(|error| {
            say(&format!("{error:#}"));
            Config::default()
        });
        let deadline = clock::instant() + READERS_PATIENCE;
        let wanted = if names.is_empty() { store.names()? } else { names.to_vec() };
        let wanted: BTreeSet<&Name> = wanted.iter().chain(config.names().filter(|_| names.is_empty())).collect();
        let mut shown = Vec::with_capacity(wanted.len());
        for name in wanted {
            let breaker = match store.read(name, deadline) {
                Ok(Some(breaker)) => Ok(breaker),
                Ok(None) if config.names().any(|known| known == name) || store.path(name).exists() => {
                    Ok(Breaker::new(0))
                }
                // Removed since it was listed.
                Ok(None) if names.is_empty() => continue,
                Ok(None) => return Err(self.unknown(name)?),
                Err(error) => Err(format!("{error:#}")),
            };
            let used = breaker.as_ref().ok().and_then(Breaker::settings).cloned();
            let settings = used.unwrap_or_else(|| match config.resolve(Some(name), &[]) {
                Ok(config) => config.setup.breaker,
                Err(error) => {
                    say(&format!("{error:#}"));
                    Settings::default()
                }
            });
            shown.push(Shown { path: store.path(name), name: name.clone(), breaker, settings });
        }
        Ok(shown)
    }

    /// Whether a breaker is known: it has a state, or a table in the configuration.
    fn is_known(&self, name: &Name) -> Result<bool> {
        let exists = self.store()?.path(name).symlink_metadata().is_ok();
        Ok(exists || self.config(Tables::Only(name))?.names().any(|known| known == name))
    }

    /// The breaker that may be meant by a name which nobody knows.
    fn near(&self, name: &Name) -> Result<Option<String>> {
        let names = self.store()?.names()?;
        Ok(nearest(name.as_str(), names.iter().map(Name::as_str)).map(str::to_owned))
    }

    /// That there is no such breaker, with the one that may be meant.
    fn unknown(&self, name: &Name) -> Result<anyhow::Error> {
        let hint = match self.near(name)? {
            Some(near) => format!("did you mean '{near}'?"),
            None if self.store()?.names()?.is_empty() => "there is none yet; the first 'cb run' makes one".to_owned(),
            None => "'cb status' lists those there are".to_owned(),
        };
        Ok(anyhow!("there is no breaker '{name}'; {hint}"))
    }
}

/// A breaker to show.
struct Shown {
    name: Name,
    path: PathBuf,
    /// What was read, or what was wrong.
    breaker: Result<Breaker, String>,
    /// The settings last used, else those of the configuration.
    settings: Settings,
}

/// Does what was asked for.
///
/// # Errors
/// What could not be done, and the way out.
pub fn dispatch(command: &Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Reset(args) => reset::run(args, context),
        Command::Trip(args) => trip::run(args, context),
        Command::Disable(args) => disable::run(args, context),
        Command::Enable(args) => Ok(enable::run(args, context)),
        Command::Remove(args) => remove::run(args, context),
        Command::Allow(args) => allow::run(args, context),
        Command::Record(args) => record::run(args, context),
        Command::Metrics(args) => metrics::run(args, context),
        Command::Config(args) => config::run(args, context),
    }
}

/// Tells of a change once it is on disk: by a line, and where it is news by the `on-change` command.
fn announce(context: &Context, name: &Name, told: &Told, on_change: Option<&str>) {
    let Told { change, line, retry_at } = told;
    if !change.is_news() {
        context.volume.remark(|| line.clone());
        return;
    }
    if change.by.is_some() {
        // Who does it knows it.
        context.volume.remark(|| line.clone());
    } else {
        context.volume.news(line);
    }
    let Some(on_change) = on_change else { return };
    let variables = [
        ("CB_NAME", name.to_string()),
        ("CB_FROM", change.from.word().to_owned()),
        ("CB_TO", change.to.word().to_owned()),
        ("CB_REASON", change.reason.to_string()),
        ("CB_RETRY_AT", retry_at.map_or(String::new(), |at| at.to_string())),
    ];
    // A hand-edited reason may hold a NUL byte, which no environment can.
    let variables = variables.into_iter().map(|(variable, value)| (variable, value.replace('\0', "").into()));
    // The command may ask `cb` itself, and must ask about the same breakers.
    let variables = variables.chain(context.locations.variables.iter().cloned());
    let limits = Limits { signal: libc::SIGKILL, ..Limits::NONE };
    let task = Task {
        command: &shell(on_change),
        variables: entries(variables),
        limit: Limit { time: Some(HOOK_LIMIT), limits: &limits },
        apart: true,
    };
    match child::run(task, context.inherited) {
        Ok(Ended { end: End::Exit(0), .. }) => {}
        Ok(Ended { end: End::TimedOut, .. }) => {
            say(&format!("{name}: the on-change command took more than {} and was ended", format_duration(HOOK_LIMIT)));
        }
        Ok(ended) => say(&format!("{name}: the on-change command failed: {}", ended.end)),
        Err(error) => say(&format!("{name}: could not run the on-change command: {}", error.message)),
    }
}

/// Variables as an environment holds them.
fn entries(variables: impl Iterator<Item = (&'static str, OsString)>) -> Vec<CString> {
    // A path from the command line cannot hold a NUL byte.
    let entry = |(variable, value): (&str, OsString)| {
        let mut entry = format!("{variable}=").into_bytes();
        entry.extend(value.into_vec());
        CString::new(entry).ok()
    };
    variables.filter_map(entry).collect()
}

/// A command line for the shell.
fn shell(line: &str) -> [OsString; 3] {
    ["/bin/sh", "-c", line].map(OsString::from)
}

/// Says that the last caller of a breaker had other trip rules, before its settings give way to ours.
fn remark_other_rules(name: &Name, breaker: &Breaker, settings: &Settings, later: &mut Later) {
    if breaker.settings().is_some_and(|last| last.trip != settings.trip) {
        later.remark(format!(
            "{name}: another caller has other trip rules; each run judges by its own, see 'cb status {name}'"
        ));
    }
}

/// A change as it will be told, taken down while the breaker is still locked.
struct Told {
    change: Change,
    line: String,
    retry_at: Option<Timestamp>,
}

impl Told {
    fn new(name: &Name, change: Change, breaker: &Breaker, now: Timestamp) -> Self {
        Self { line: speech::change(name, &change, breaker, now), retry_at: breaker.retry_at(now), change }
    }
}

/// Changes a breaker by hand: under its lock, then on disk, then told. `None` from `act` is no change.
fn by_hand(
    context: &Context,
    name: &Name,
    missing: Missing,
    act: impl FnOnce(&mut Breaker, Timestamp) -> Option<Change>,
) -> Result<Done> {
    let on_change = context.config(Tables::Only(name))?.resolve(Some(name), &[])?.setup.conduct.on_change;
    let mut later = Later::new(context.volume);
    let Some(mut locked) = context.lock(name, missing, &mut later)? else {
        return if context.is_known(name)? { Ok(Done::Unused) } else { Err(context.unknown(name)?) };
    };
    let now = clock::now();
    let Some(change) = act(&mut locked.breaker, now) else { return Ok(Done::Unchanged) };
    locked.save()?;
    let told = Told::new(name, change, &locked.breaker, now);
    locked.unlock().flush();
    drop(later);
    announce(context, name, &told, on_change.as_deref());
    Ok(Done::Changed)
}

/// What became of a change by hand.
#[derive(PartialEq, Eq)]
enum Done {
    /// It was made.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// The breaker is one of the configuration that nobody has used yet.
    Unused,
}

/// The kill switch: `CB_DISABLED` is anything but empty, `0` or `false`.
fn switched_off() -> bool {
    env::var_os("CB_DISABLED").is_some_and(|value| !["", "0", "false"].iter().any(|off| value == *off))
}

/// The person who changes something by hand: the login name, or the number of the user.
fn who() -> String {
    let named = ["LOGNAME", "USER"].iter().filter_map(|variable| env::var(variable).ok()).find(|name| !name.is_empty());
    let mut who = named.unwrap_or_else(|| nix::unistd::getuid().to_string());
    shorten(&mut who, LONGEST_WHO);
    who
}

/// The reason that a person gives for a hold, if it is short enough to be kept and the hold is as it was meant.
fn checked_reason(hold: &HoldArgs) -> Result<Option<String>> {
    // A hold without an end, and one more on a breaker that nobody uses, would be all that comes of it.
    let bare = |last: &&Name| last.as_str().parse::<u64>().is_err() && parse_duration(last.as_str()).is_ok();
    if let Some(last) = hold.names.last().filter(bare).filter(|_| hold.names.len() > 1 && hold.span.is_none()) {
        bail!("'{last}' would be one more breaker; to hold for that long write --for {last}");
    }
    let reason = hold.reason.as_deref();
    if let Some(reason) = reason {
        let length = stored_len(reason);
        if length > LONGEST_REASON {
            bail!("--reason: {length} bytes are too many, at most {LONGEST_REASON} are kept");
        }
    }
    Ok(reason.filter(|reason| !reason.is_empty()).map(str::to_owned))
}

/// Does something to each of several breakers; what fails for one is said and does not stop the others.
fn each(names: &[Name], act: impl Fn(&Name) -> Result<()>) -> Exit {
    let mut exit = Exit::Done;
    for name in names {
        if let Err(error) = act(name) {
            say(&format!("{error:#}"));
            exit = Exit::Failed;
        }
    }
    exit
}
