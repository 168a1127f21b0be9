//! One file a subcommand: the story of that command, no decision of its own.

mod check;
mod config;
mod reset;
mod run;
mod status;
mod trip;
pub mod usage;

use std::env;

use anyhow::{Result, anyhow, bail};

use crate::breaker::{LONGEST_REASON, LONGEST_WHO, shorten, stored_len};
use crate::child::unix::Inherited;
use crate::cli::{Command, Common};
use crate::clock;
use crate::config::{Config, Tables};
use crate::exit::Exit;
use crate::name::{Name, nearest};
use crate::places::Places;
use crate::report::speech::{Volume, say};
use crate::store::{Locked, Missing, READERS_PATIENCE, Snapshot, Store};

/// What every command has.
pub struct Context {
    places: Places,
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
        let places = Places::find(common.state_dir.as_deref(), common.config.as_deref())?;
        Ok(Self { places, volume, inherited })
    }

    /// The store, or why there is none.
    fn store(&self) -> Result<Store> {
        match &self.places.state_dir {
            Ok(dir) => Ok(Store::new(dir.clone())),
            Err(error) => Err(anyhow!("{error}")),
        }
    }

    /// Locks a breaker to change it, and says what had to be done to its file before.
    fn lock(&self, name: &Name, missing: Missing) -> Result<Option<Locked>> {
        let locked = self.store()?.lock(name, missing)?;
        if let Some(notice) = locked.as_ref().and_then(|locked| locked.notice.as_ref()) {
            say(&format!("{name}: {notice}"));
        }
        Ok(locked)
    }

    /// The configuration, as far as one breaker is concerned.
    fn config(&self, tables: Tables<'_>) -> Result<Config> {
        Config::load(self.places.config.as_ref(), tables)
    }

    /// Reads a breaker for those who only look.
    fn snapshot(&self, name: &Name) -> Result<Option<Snapshot>> {
        self.store()?.read(name, clock::instant() + READERS_PATIENCE)
    }

    /// Whether a breaker is known: it has a state, or a table in the configuration.
    fn is_known(&self, name: &Name) -> Result<bool> {
        let exists = self.store()?.path(name).symlink_metadata().is_ok();
        Ok(exists || self.config(Tables::Only(name))?.names().any(|known| known == name))
    }

    /// That there is no such breaker, with the one that may be meant.
    fn unknown(&self, name: &Name) -> Result<anyhow::Error> {
        let names = self.store()?.names()?;
        let hint = match nearest(name.as_str(), names.iter().map(Name::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None if names.is_empty() => "there is none yet; the first 'cb run' makes one".to_owned(),
            None => "'cb status' lists those there are".to_owned(),
        };
        Ok(anyhow!("there is no breaker '{name}'; {hint}"))
    }
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
        Command::Reset(args) => reset::run(args, context),
        Command::Trip(args) => trip::run(args, context),
        Command::Config(args) => config::run(args, context),
    }
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

/// A reason that a person gives, if it is short enough to be kept.
fn checked_reason(reason: Option<&str>) -> Result<Option<String>> {
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
