//! The breakers as those see them who only look.

use std::collections::BTreeSet;

use anyhow::{Error, Result, anyhow};

use crate::clock;
use crate::config::{Config, Tables};
use crate::context::Context;
use crate::name::{Name, nearest};
use crate::report::speech::say;
use crate::report::view::{Look, View};
use crate::settings::Settings;
use crate::store::{READERS_PATIENCE, Seen};

/// The named breakers, or all: those with a state and those of the configuration, by name.
///
/// # Errors
/// A name that nobody knows; what is wrong with the store.
pub(super) fn at(context: &Context, names: &[Name]) -> Result<Vec<View>> {
    let store = &context.store;
    // To know whether there is a store at all comes first.
    let stored = if names.is_empty() { store.names()? } else { names.to_vec() };
    // A slip in the configuration stops the runs it is about, but must not blind those who look why.
    let config = context.config(Tables::All).unwrap_or_else(|error| {
        say(&format!("{error:#}"));
        Config::default()
    });
    let deadline = clock::instant() + READERS_PATIENCE;
    let wanted: BTreeSet<&Name> = stored.iter().chain(config.names().filter(|_| names.is_empty())).collect();
    let mut views = Vec::with_capacity(wanted.len());
    for name in wanted {
        let seen = match store.read(name, deadline) {
            Ok(Some(seen)) => Ok(seen),
            Ok(None) if config.names().any(|known| known == name) || store.has(name)? => Ok(Seen::unused()),
            // Removed since it was listed.
            Ok(None) if names.is_empty() => continue,
            Ok(None) => return Err(unknown(context, name)?),
            Err(trouble) => Err(format!("{:#}", Error::from(trouble))),
        };
        let look = seen.map(|Seen { breaker, now }| {
            let settings = breaker.settings().cloned().unwrap_or_else(|| configured(&config, name));
            Look { breaker, now, settings }
        });
        views.push(View { path: store.locate(name)?, name: name.clone(), look });
    }
    Ok(views)
}

fn configured(config: &Config, name: &Name) -> Settings {
    match config.resolve(Some(name), &[]) {
        Ok(config) => config.setup.breaker,
        Err(error) => {
            say(&format!("{error:#}"));
            Settings::default()
        }
    }
}

/// Whether a breaker is known: it has a state, or a table in the configuration.
///
/// # Errors
/// There is no store; wrong configuration.
pub(super) fn is_known(context: &Context, name: &Name) -> Result<bool> {
    let exists = context.store.has(name)?;
    Ok(exists || context.config(Tables::Only(name))?.names().any(|known| known == name))
}

/// The breaker that may be meant by a name which nobody knows.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn near(context: &Context, name: &Name) -> Result<Option<String>> {
    let names = context.store.names()?;
    Ok(nearest(name.as_str(), names.iter().map(Name::as_str)).map(str::to_owned))
}

/// That there is no such breaker, with the one that may be meant.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn unknown(context: &Context, name: &Name) -> Result<Error> {
    let hint = match near(context, name)? {
        Some(near) => format!("did you mean '{near}'?"),
        None if context.store.names()?.is_empty() => "there is none yet; the first 'cb run' makes one".to_owned(),
        None => "'cb status' lists those there are".to_owned(),
    };
    Ok(anyhow!("there is no breaker '{name}'; {hint}"))
}
