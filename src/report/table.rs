//! The table for people.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::json::words;
use super::{escape, stdout};
use crate::breaker::{Answer, Breaker};
use crate::name::Name;
use crate::outcome::Outcome;
use crate::settings::Settings;
use crate::time::{Timestamp, format_rough};

/// One breaker, as the table needs it.
pub struct Row<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What was read, or what was wrong.
    pub breaker: Result<&'a Breaker, &'a str>,
    /// The settings last used.
    pub settings: &'a Settings,
}

/// The table, coloured where standard output is a terminal.
pub fn render(rows: &[Row<'_>], now: Timestamp) -> String {
    if rows.is_empty() {
        return "no breakers yet; the first 'cb run --name NAME -- COMMAND' makes one\n".to_owned();
    }
    let colour = stdout().is_terminal();
    let mut lines = vec![["NAME", "STATE", "FAILURES", "NEXT TRY", "LAST RESULT"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| cells(row, now)));
    let widths: Vec<usize> =
        (0..5).map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut out = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count() + 2);
            let paint = if colour && index > 0 && column == 1 { paint(cell) } else { None };
            match paint {
                Some(code) => write!(out, "\u{1b}[{code}m{cell}\u{1b}[0m{pad}"),
                None => write!(out, "{cell}{pad}"),
            }
            .unwrap_or_default();
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

fn paint(state: &str) -> Option<&'static str> {
    match state {
        "closed" => Some("32"),
        "open" | "held open" | "unreadable" => Some("31"),
        "half-open" | "probe due" => Some("33"),
        _ => None,
    }
}

fn cells(row: &Row<'_>, now: Timestamp) -> [String; 5] {
    let name = row.name.to_string();
    let breaker = match row.breaker {
        Ok(breaker) => breaker,
        Err(error) => return [name, "unreadable".to_owned(), "-".to_owned(), "-".to_owned(), escape(error)],
    };
    let admits = !matches!(breaker.answer(row.settings, now), Answer::Refuse(_));
    let state = match words(breaker, now) {
        (_, "disabled") => "disabled",
        (_, "held") => "held open",
        ("open", _) if admits => "probe due",
        ("half_open", _) => "half-open",
        (state, _) => state,
    };
    let limit = row.settings.trip.threshold.map_or(String::new(), |limit| format!("/{limit}"));
    let next = match breaker.retry_at(now) {
        _ if admits => "now".to_owned(),
        Some(at) => format!("in {}", format_rough(at.left(now))),
        None => "-".to_owned(),
    };
    let last = breaker.last().map_or("-".to_owned(), |last| {
        let ago = last.at.age(now).map_or(String::new(), |age| format!(", {} ago", format_rough(age)));
        let what = match (last.outcome, last.end) {
            (Outcome::Success, _) => "success".to_owned(),
            (outcome, Some(end)) => format!("{} ({end})", outcome.word()),
            (outcome, None) => outcome.word().to_owned(),
        };
        format!("{what}{ago}")
    });
    [name, state.to_owned(), format!("{}{limit}", breaker.consecutive_failures()), next, last]
}
