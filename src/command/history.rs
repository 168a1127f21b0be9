//! `cb history`: the changes that are remembered.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::{Context, Shown};
use crate::breaker::Change;
use crate::cli::HistoryArgs;
use crate::exit::Exit;
use crate::name::Name;
use crate::report::json::Document;
use crate::report::speech::say;
use crate::report::{escape, print};
use crate::time::Timestamp;

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Changes { name: &'a Name, changes: Vec<Entry<'a>> },
    Error { name: &'a Name, error: &'a str, path: String },
}

#[derive(Serialize)]
struct Entry<'a> {
    at: Timestamp,
    from: &'static str,
    to: &'static str,
    reason: Cow<'a, str>,
    by: Option<&'a str>,
    count: u32,
}

/// Shows the changes of the named breakers, or of all, oldest first.
///
/// # Errors
/// A name that nobody knows; the state directory cannot be used; standard output is closed.
pub fn run(args: &HistoryArgs, context: &Context) -> Result<Exit> {
    let shown = context.shown(&args.names)?;
    for shown in &shown {
        if let Err(error) = &shown.breaker {
            say(&format!("{}: left out: {error}", shown.name));
        }
    }
    let text = if args.json { Document::render(shown.iter().map(Item::new).collect())? } else { lines(&shown) };
    print(&text)?;
    Ok(Exit::Done)
}

fn changes(shown: &Shown) -> impl Iterator<Item = &Change> {
    shown.breaker.iter().flat_map(|breaker| breaker.history().newest_first().rev())
}

impl<'a> Entry<'a> {
    fn new(change: &'a Change) -> Self {
        Self {
            at: change.at,
            from: change.from.word(),
            to: change.to.word(),
            reason: change.reason.text(),
            by: change.by.as_deref(),
            count: change.count,
        }
    }
}

impl<'a> Item<'a> {
    fn new(shown: &'a Shown) -> Self {
        let name = &shown.name;
        match &shown.breaker {
            Ok(_) => Self::Changes { name, changes: changes(shown).map(Entry::new).collect() },
            Err(error) => Self::Error { name, error, path: shown.path.display().to_string() },
        }
    }
}

fn lines(shown: &[Shown]) -> String {
    let mut rows: Vec<(Timestamp, &Name, &Change)> = Vec::new();
    for shown in shown {
        rows.extend(changes(shown).map(|change| (change.at, &shown.name, change)));
    }
    rows.sort_by_key(|row| row.0);
    let names: BTreeSet<&Name> = rows.iter().map(|row| row.1).collect();
    let width = names.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
    let arrow = |change: &Change| format!("{} -> {}", change.from.word(), change.to.word());
    let arrows = rows.iter().map(|row| arrow(row.2).len()).max().unwrap_or(0);
    let mut text = String::new();
    for (at, name, change) in rows {
        let arrow = arrow(change);
        let count = if change.count > 1 { format!(" ({} times)", change.count) } else { String::new() };
        let by = change.by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
        let why = escape(&format!("{}{by}{count}", change.reason));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{at}  {name:width$}  {arrow:<arrows$}  {why}");
    }
    text
}
