//! What every command has: the store, the configuration, how much is said, what a child inherits.

use std::cell::Cell;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};

use crate::cli::Common;
use crate::config::{Config, Tables, Texts};
use crate::environment;
use crate::locations::Locations;
use crate::report::speech::Volume;
use crate::store::{Directory, Store};
use crate::sys::Inherited;

/// What every command has.
pub struct Context {
    /// Where breakers are kept.
    pub store: Store,
    /// What `cb` changed for itself and a child gets back.
    pub inherited: Inherited,
    /// The configuration file, and whether it was named, as a named file must exist; or why it cannot be found.
    config_file: Result<Option<(PathBuf, bool)>, String>,
    /// What was read of the configuration.
    texts: Texts,
    /// How long `on-change` commands have run. All of them that one command causes share one time limit.
    pub time_in_hooks: Cell<Duration>,
    /// How much is said of the breaker whose configuration was read last.
    volume: Cell<Volume>,
    /// How much the options and the environment ask for.
    asked: Volume,
    /// What a child finds in its environment, so that a `cb` in the child sees the same breakers.
    variables: Vec<(&'static str, OsString)>,
}

impl Context {
    /// Finds out where state and configuration are.
    pub fn new(common: &Common, inherited: Inherited) -> Self {
        let volume = match (common.quiet, common.verbose || environment::verbose()) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        };
        let (asked, volume) = (volume, Cell::new(volume));
        let Locations { state_dir, config, variables } =
            Locations::find(common.state_dir.as_deref(), common.config.as_deref());
        let store = match state_dir {
            Ok(dir) => Store::Directory(Directory::new(dir)),
            Err(error) => Store::Nowhere(error.to_string()),
        };
        let (texts, time_in_hooks) = (Texts::default(), Cell::default());
        // What needs none of it is stopped by nothing.
        let config_file = config.map_err(|error| format!("{error:#}"));
        Self { store, inherited, config_file, texts, time_in_hooks, volume, asked, variables }
    }

    /// How much is said: what the options and the environment ask for, else what the configuration that was read last does.
    pub fn volume(&self) -> Volume {
        self.volume.get()
    }

    /// These tables of the configuration.
    ///
    /// # Errors
    /// The first mistake in them.
    pub fn config(&self, tables: Tables<'_>) -> Result<Config> {
        let config = Config::load(self.config_file()?, &self.texts, tables)?;
        if self.asked == Volume::Normal {
            let name = if let Tables::Only(name, _) = tables { Some(name) } else { None };
            self.volume.set(if config.is_verbose(name) { Volume::Verbose } else { Volume::Normal });
        }
        Ok(config)
    }

    /// The whole configuration as far as it is right, and all mistakes in it.
    pub fn whole_config(&self) -> (Config, Vec<Error>) {
        match self.config_file() {
            Ok(file) => Config::read(file, &self.texts, Tables::All),
            Err(error) => (Config::default(), vec![error]),
        }
    }

    /// The configuration file, if there is one, and whether it was named.
    ///
    /// # Errors
    /// One was named that cannot be found.
    pub fn config_file(&self) -> Result<Option<&(PathBuf, bool)>> {
        self.config_file.as_ref().map(Option::as_ref).map_err(|why| anyhow!("{why}"))
    }

    /// These variables and those that every child gets, as a child's environment holds them.
    pub fn environment(&self, variables: impl Iterator<Item = (&'static str, OsString)>) -> Vec<CString> {
        // Values come from the command line or the environment, so none holds a NUL byte.
        let entry = |(variable, value): (&str, OsString)| {
            let mut entry = format!("{variable}=").into_bytes();
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        };
        variables.chain(self.variables.iter().cloned()).filter_map(entry).collect()
    }
}
