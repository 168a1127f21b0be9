//! Breakers for the commands that only look.

use std::collections::BTreeSet;
use std::fmt::Display;

use anyhow::{Error, Result, anyhow};

use crate::clock;
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::name::{self, Name};
use crate::report::speech::say;
use crate::report::view::{Look, View};
use crate::store::{READERS_PATIENCE, Seen};

/// The named breakers, or all, sorted by name: those with a state and those of the configuration.
///
/// # Errors
/// A name that nobody knows; what is wrong with the store.
pub(super) fn at(context: &Context, names: &[Name]) -> Result<Vec<View>> {
    let store = &context.store;
    // An error of the store comes before one of the configuration.
    let stored = if names.is_empty() { store.names()? } else { names.to_vec() };
    // A slip in the configuration stops the runs it is about, but must not blind those who look why.
    let (config, mistakes) = context.whole_config();
    let mut told = Told::default();
    if let Some(mistake) = mistakes.first() {
        told.tell(mistake);
    }
    let deadline = clock::instant() + READERS_PATIENCE;
    let wanted: BTreeSet<&Name> = stored.iter().chain(config.names().filter(|_| names.is_empty())).collect();
    let mut views = Vec::with_capacity(wanted.len());
    for name in wanted {
        let seen = match store.read(name, deadline) {
            Ok(Some(seen)) => Ok(seen),
            Ok(None) if config.names().any(|known| known == name) || store.has(name)? => Ok(Seen::unused()),
            // Somebody removed it after it was listed.
            Ok(None) if names.is_empty() => continue,
            Ok(None) => return Err(unknown(context, name)?),
            Err(trouble) => Err(format!("{:#}", Error::from(trouble))),
        };
        let look = seen.map(|Seen { breaker, now, .. }| {
            let of_run = config.of_run(name);
            if let (None, Err(error)) = (breaker.settings(), &of_run) {
                told.tell(error);
            }
            Look::new(breaker, now, of_run.ok())
        });
        views.push(View { path: store.locate(name)?, name: name.clone(), look });
    }
    Ok(views)
}

/// What was said, each line once.
#[derive(Default)]
pub(super) struct Told(BTreeSet<String>);

impl Told {
    /// Says it, unless that was done before.
    pub(super) fn tell(&mut self, mistake: &impl Display) {
        let text = format!("{mistake:#}");
        if !self.0.contains(&text) {
            say(&text);
            self.0.insert(text);
        }
    }
}

/// Whether a breaker is known: it has a state or a table in the configuration.
///
/// # Errors
/// There is no store; wrong configuration.
pub(super) fn is_known(context: &Context, name: &Name) -> Result<bool> {
    let exists = context.store.has(name)?;
    Ok(exists || context.config(Tables::Only(name, Use::ByHand))?.names().any(|known| known == name))
}

/// At most three breakers that an unknown name may mean, like `'a'` or `'a' or 'b'`.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn near(context: &Context, name: &Name) -> Result<Option<String>> {
    let stored = context.store.names()?;
    // What is wrong with the configuration is reported where it is used.
    let (config, _) = context.whole_config();
    let names: BTreeSet<&Name> = stored.iter().chain(config.names()).filter(|other| *other != name).collect();
    let others = names.into_iter().map(Name::as_str);
    let near: Vec<String> = name::near(name.as_str(), others).iter().take(3).map(|near| format!("'{near}'")).collect();
    Ok(match near.as_slice() {
        [] => None,
        [first @ .., last] if !first.is_empty() => Some(format!("{} or {last}", first.join(", "))),
        one => Some(one.concat()),
    })
}

/// The error that there is no such breaker, with those that may be meant.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn unknown(context: &Context, name: &Name) -> Result<Error> {
    Ok(anyhow!("{}", missing(context, name)?))
}

/// The words of [`unknown`], for where it is no error.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn missing(context: &Context, name: &Name) -> Result<String> {
    let hint = match near(context, name)? {
        Some(near) => format!("did you mean {near}?"),
        None if context.store.names()?.is_empty() && context.whole_config().0.names().next().is_none() => {
            "there is none yet; the first 'cb run' makes one".to_owned()
        }
        None => "'cb status' lists those there are".to_owned(),
    };
    Ok(format!("there is no breaker '{name}'; {hint}"))
}
