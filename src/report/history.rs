//! The changes of state that a breaker keeps: as lines for people, and as JSON.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::escape;
use super::json::Document;
use super::view::View;
use crate::breaker::Change;
use crate::name::Name;
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
    fn new(view: &'a View) -> Self {
        let name = &view.name;
        match &view.look {
            Ok(_) => Self::Changes { name, changes: changes(view).map(Entry::new).collect() },
            Err(error) => Self::Error { name, error, path: view.path.display().to_string() },
        }
    }
}

/// The changes of each breaker, oldest first.
///
/// # Errors
/// None that can happen, as the document is plain data.
pub fn json(views: &[View]) -> anyhow::Result<String> {
    Document::render(views.iter().map(Item::new).collect())
}

/// The changes of all breakers together, oldest first.
pub fn lines(views: &[View]) -> String {
    let mut rows: Vec<(&Name, &Change)> = Vec::new();
    for view in views {
        rows.extend(changes(view).map(|change| (&view.name, change)));
    }
    rows.sort_by_key(|row| row.1.at);
    let names: BTreeSet<&Name> = rows.iter().map(|row| row.0).collect();
    let width = names.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
    let arrow = |change: &Change| format!("{} -> {}", change.from.word(), change.to.word());
    let arrows = rows.iter().map(|row| arrow(row.1).len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, change) in rows {
        let (at, arrow) = (change.at, arrow(change));
        let count = if change.count > 1 { format!(" ({} times)", change.count) } else { String::new() };
        let by = change.by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
        let why = escape(&format!("{}{by}{count}", change.reason));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{at}  {name:width$}  {arrow:<arrows$}  {why}");
    }
    text
}

fn changes(view: &View) -> impl Iterator<Item = &Change> {
    view.look.iter().flat_map(|look| look.breaker.history().newest_first().rev())
}
