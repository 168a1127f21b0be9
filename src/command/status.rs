//! `cb status`: look, and change nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::{Context, switched_off};
use crate::breaker::Breaker;
use crate::cli::StatusArgs;
use crate::clock;
use crate::config::Tables;
use crate::exit::Exit;
use crate::name::Name;
use crate::report::json::{Document, Item, Status};
use crate::report::{print, table};
use crate::settings::Settings;
use crate::store::{Entry, READERS_PATIENCE};

/// A breaker to show.
struct Shown {
    name: Name,
    path: PathBuf,
    /// What was read, or what was wrong.
    breaker: Result<Breaker, String>,
    /// The settings last used, else those of the configuration.
    settings: Settings,
}

/// Shows the named breakers, or all.
///
/// # Errors
/// A name that nobody knows; the state directory cannot be used; standard output is closed.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Exit> {
    let shown = read(args, context)?;
    let now = clock::now();
    let text = if args.json {
        let items = shown.iter().map(|shown| match &shown.breaker {
            Ok(breaker) => {
                Item::Breaker(Box::new(Status::new(&shown.name, breaker, &shown.settings, &shown.path, now)))
            }
            Err(error) => Item::Error { name: &shown.name, error: error.clone(), path: &shown.path },
        });
        Document::render(items.collect())?
    } else {
        let rows = shown.iter().map(|shown| table::Row {
            name: &shown.name,
            breaker: shown.breaker.as_ref().map_err(String::as_str),
            settings: &shown.settings,
        });
        table::render(&rows.collect::<Vec<_>>(), now)
    };
    print(&text)?;
    if switched_off() {
        context.volume.news("CB_DISABLED is set: every run passes, and none is recorded");
    }
    Ok(Exit::Done)
}

fn read(args: &StatusArgs, context: &Context) -> Result<Vec<Shown>> {
    let store = context.store()?;
    let config = context.config(Tables::All)?;
    let deadline = clock::instant() + READERS_PATIENCE;
    let mut entries = if args.names.is_empty() {
        store.list(deadline)?
    } else {
        let mut entries = Vec::new();
        for name in args.names.iter().collect::<BTreeSet<_>>() {
            match store.read(name, deadline) {
                Ok(Some(snapshot)) => {
                    entries.push((name.clone(), Entry::Breaker(Box::new(snapshot.without_dead_probes()))));
                }
                Ok(None) => {}
                Err(error) => entries.push((name.clone(), Entry::Unreadable(error))),
            }
        }
        entries
    };
    // Breakers of the configuration that nobody has used yet.
    let wanted = config.names().filter(|name| args.names.is_empty() || args.names.contains(name));
    for name in wanted.collect::<Vec<_>>() {
        if !entries.iter().any(|entry| entry.0 == *name) {
            entries.push((name.clone(), Entry::Breaker(Box::new(Breaker::new(0)))));
        }
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    for name in &args.names {
        if !entries.iter().any(|entry| entry.0 == *name) {
            return Err(context.unknown(name)?);
        }
    }
    let mut shown = Vec::new();
    for (name, entry) in entries {
        let breaker = match entry {
            Entry::Breaker(breaker) => Ok(*breaker),
            Entry::Unreadable(error) => Err(format!("{error:#}")),
        };
        let used = breaker.as_ref().ok().and_then(Breaker::settings).cloned();
        let settings = match used {
            Some(settings) => settings,
            None => config.resolve(Some(&name), &[])?.settings,
        };
        shown.push(Shown { path: store.path(&name), name, breaker, settings });
    }
    Ok(shown)
}
