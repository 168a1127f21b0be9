//! The table for people, and everything about one breaker in words.
//!
//! Colour only repeats what the words say, and the strip of results is plain letters: nothing is lost without colour, in
//! a pipe, or when read aloud.

use std::fmt::Write as _;
use std::io::IsTerminal;

use terminal_size::{Height, Width, terminal_size};
use unicode_width::UnicodeWidthStr;

use super::speech::STEP_BY_STEP;
use super::view::{Look, View};
use super::{escape, stdout};
use crate::breaker::window::Mark;
use crate::breaker::{Breaker, HoldKind, Last, Standing};
use crate::environment;
use crate::name::Name;
use crate::outcome::Outcome;
use crate::time::{Timestamp, format_duration, format_rough};

/// Where the table is shown.
pub struct Style {
    colour: bool,
    /// The columns of the terminal; `None` where there is no terminal, and lines are not cut.
    width: Option<usize>,
    height: Option<usize>,
}

impl Style {
    /// `NO_COLOR` (no-color.org) forbids colour, `CLICOLOR_FORCE` forces it; else only a capable terminal gets it.
    pub fn of_stdout() -> Self {
        let terminal = stdout().is_terminal();
        let forced = environment::value("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let size = if terminal { terminal_size() } else { None };
        // A terminal that does not know its size says 0; most have 80 columns.
        let width = if terminal { Some(size.map_or(80, |(Width(width), _)| width.into())) } else { None };
        Self {
            colour: (forced || terminal && !environment::dumb_terminal()) && environment::value("NO_COLOR").is_none(),
            width,
            height: size.map(|(_, Height(height))| height.into()),
        }
    }

    /// The part of a text that fits the screen, and a line that says how much is missing. Long lines are cut.
    pub fn screen(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(|line| self.line(line)).collect();
        if let Some(height) = self.height.filter(|&height| lines.len() >= height) {
            // One line for the cursor, one for what is missing.
            let room = height.saturating_sub(2);
            let missing = lines.len() - room;
            lines.truncate(room);
            lines.push(self.line(&format!("and {missing} more lines; this screen is too low")));
        }
        lines.concat()
    }

    fn line(&self, line: &str) -> String {
        let line = self.width.map_or(line.to_owned(), |columns| cut(line, columns));
        format!("{line}\n")
    }

    fn paint(&self, text: &str, colour: Option<&str>) -> String {
        match colour.filter(|_| self.colour) {
            Some(colour) => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }
}

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";

/// How the breaker stands, as a word and a colour.
fn standing(view: &View) -> (&'static str, &'static str) {
    match view.look.as_ref().map(Look::standing) {
        Err(_) => ("unreadable", RED),
        Ok(Standing::Disabled) => ("disabled", YELLOW),
        Ok(Standing::HeldOpen) => ("held open", RED),
        Ok(Standing::ProbeDue) => ("probe due", YELLOW),
        Ok(Standing::Open) => ("open", RED),
        Ok(Standing::HalfOpen) => ("half-open", YELLOW),
        Ok(Standing::Closed) => ("closed", GREEN),
    }
}

/// The table of all breakers.
pub fn overview(views: &[View], style: &Style) -> String {
    const HEAD: [&str; 6] = ["NAME", "STATE", "FAILURES", "NEXT TRY", "RECENT", "LAST FAILURE"];
    if views.is_empty() {
        return "no breakers yet; the first 'cb run --name NAME -- COMMAND' makes one\n".to_owned();
    }
    let strip = if style.width.is_some_and(|width| width >= 110) { 30 } else { 10 };
    let brief = style.width.is_some_and(|width| width < 60);
    let lines = |strip: usize| {
        let cells = views.iter().map(|view| cells(view, strip, brief));
        std::iter::once(HEAD.map(str::to_owned)).chain(cells).collect::<Vec<_>>()
    };
    let mut widths = [0; HEAD.len()];
    for line in &lines(strip) {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.width().max(*width);
        }
    }
    if let Some(columns) = style.width {
        fit(&mut widths, columns);
    }
    let lines = lines(strip.min(widths[4]));
    let mut text = String::new();
    for (index, (line, view)) in lines.iter().zip(std::iter::once(None).chain(views.iter().map(Some))).enumerate() {
        let mut used = 0;
        let mut shown = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let last = column + 1 == HEAD.len();
            if width == 0 {
                continue;
            }
            let room = if last { style.width.map(|columns| columns.saturating_sub(used)) } else { Some(width) };
            let cell = room.map_or_else(|| cell.clone(), |room| cut(cell, room));
            let colour = view.filter(|_| column == 1).map(|view| standing(view).1);
            let colour = if index == 0 { Some("1") } else { colour };
            shown.push_str(&style.paint(&cell, colour));
            if !last {
                let pad = width - cell.width() + 2;
                shown.push_str(&" ".repeat(pad));
            }
            used += width + 2;
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// Narrows the table to these columns: what says least is cut first, and in the end whole columns are left out.
fn fit(widths: &mut [usize; 6], columns: usize) {
    let beyond = |widths: &[usize; 6]| {
        let used: usize = widths[..5].iter().filter(|&&width| width > 0).map(|width| width + 2).sum();
        // The last column is cut to what is left, but says nothing in less than 16.
        (used + widths[5].min(16)).saturating_sub(columns)
    };
    // At least: the head of the strip is 6 wide, and a short name 8.
    for (column, least) in [(4, 6), (0, 8), (5, 0), (2, 0), (4, 0), (0, 1)] {
        let over = beyond(widths);
        let enough = widths[column].saturating_sub(over).max(least.min(widths[column]));
        // These columns are shown whole or not at all.
        widths[column] = if over > 0 && [2, 5].contains(&column) { 0 } else { enough };
    }
}

fn cells(view: &View, strip: usize, brief: bool) -> [String; 6] {
    let name = view.name.to_string();
    let state = standing(view).0.to_owned();
    let look = match &view.look {
        Ok(look) => look,
        Err(error) => return [name, state, "-".to_owned(), "-".to_owned(), "-".to_owned(), escape(error)],
    };
    let last = match look.breaker.hold(look.now) {
        Some(hold) => {
            let reason = hold.reason.as_ref().map_or(String::new(), |reason| format!(": {}", escape(reason)));
            format!("by {}{reason}", escape(&hold.by))
        }
        None if look.breaker.is_in_vain() => format!("{} times exit 75", Breaker::MANY_IN_VAIN),
        None if look.ramp_until().is_some() => STEP_BY_STEP.to_owned(),
        None => look.breaker.last_failure().map_or("-".to_owned(), |last| result(last, look.now)),
    };
    let next = match look.breaker.retry_at(look.now) {
        Some(at) if brief && look.admits() == Some(false) => format!("in {}", coarse(at.left(look.now))),
        _ => next_try(look),
    };
    [name, state, failures(look), next, letters(&look.breaker, strip), last]
}

/// The failures in a row, against the threshold where there is one.
fn failures(look: &Look) -> String {
    let limit = look.settings.trip.threshold.map_or(String::new(), |limit| format!("/{limit}"));
    format!("{}{limit}", look.breaker.consecutive_failures())
}

fn next_try(look: &Look) -> String {
    if let Some(end) = look.ramp_until() {
        // Each run has its own.
        return format!("within {}", format_rough(end.left(look.now)));
    }
    match look.breaker.retry_at(look.now) {
        _ if look.admits() == Some(true) => "now".to_owned(),
        Some(at) => format!("in {}", format_rough(at.left(look.now))),
        None if look.breaker.hold(look.now).is_some() => "on reset".to_owned(),
        None => "probing".to_owned(),
    }
}

/// The last results, oldest first: `.` a success, `F` a failure, `s` a slow success, `S` a slow failure.
fn letters(breaker: &Breaker, most: usize) -> String {
    let letter = |mark: Mark| match (mark.failed, mark.slow) {
        (false, false) => '.',
        (true, false) => 'F',
        (false, true) => 's',
        (true, true) => 'S',
    };
    let strip: String = breaker.recent().last(most).map(letter).collect();
    if strip.is_empty() { "-".to_owned() } else { strip }
}

/// A result: how the command ended, and how long ago.
fn result(last: &Last, now: Timestamp) -> String {
    let what = last.how().map_or(last.outcome.word().to_owned(), |how| how.to_string());
    let ago = last.at.age(now).map_or(String::new(), |age| format!(", {} ago", coarse(age)));
    format!("{what}{ago}")
}

/// An age in its largest unit: a time long past needs no seconds.
fn coarse(age: std::time::Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The characters of a text, each with its columns; those of our own colour codes have none.
fn in_columns(text: &str) -> impl Iterator<Item = (char, usize)> {
    let mut colour = false;
    text.chars().map(move |letter| {
        colour |= letter == '\u{1b}';
        let columns = if colour { 0 } else { letter.to_string().width() };
        colour &= letter != 'm';
        (letter, columns)
    })
}

/// A text cut to so many columns, with a mark where it was cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if in_columns(text).map(|(_, width)| width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let (mut short, mut used) = (String::new(), 0);
    for (letter, width) in in_columns(text) {
        used += width;
        if used + 1 > columns {
            break;
        }
        short.push(letter);
    }
    if columns > 0 {
        short.push('~');
    }
    if short.contains('\u{1b}') {
        short.push_str("\u{1b}[0m");
    }
    short
}

/// Everything about one breaker, one fact per line.
pub fn details(view: &View, style: &Style) -> String {
    let (word, colour) = standing(view);
    let mut facts: Vec<(&str, String)> = Vec::new();
    match &view.look {
        Err(error) => facts.push(("error", escape(error))),
        Ok(look) => about(&view.name, look, &mut facts),
    }
    facts.push(("file", escape(&view.path.display().to_string())));
    let mut text = format!("{}: {}\n", view.name, style.paint(word, Some(colour)));
    for (label, value) in facts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<14}{value}", format!("{label}:"));
    }
    text
}

fn about(name: &Name, look: &Look, facts: &mut Vec<(&str, String)>) {
    let Look { breaker, settings, .. } = look;
    let now = look.now;
    if let Some(since) = look.since() {
        let ago = since.age(now).map_or(String::new(), |age| format!(" ({} ago)", coarse(age)));
        facts.push(("since", format!("{since}{ago}")));
    }
    if let Some(hold) = breaker.hold(now) {
        let verb = if hold.kind == HoldKind::Trip { "held open" } else { "disabled" };
        let end = match (hold.until(), hold.kind) {
            (Some(until), _) => format!("until {until}"),
            (None, HoldKind::Trip) => format!("until 'cb reset {name}'"),
            (None, HoldKind::Disable) => format!("until 'cb enable {name}'"),
        };
        facts.push(("hold", format!("{verb} by {} {end}", escape(&hold.by))));
    }
    if let Some(reason) = breaker.reason(now) {
        facts.push(("reason", escape(&reason)));
    }
    let next = match breaker.retry_at(now) {
        Some(at) if look.admits() == Some(false) => format!("in {} ({at})", format_rough(at.left(now))),
        _ => next_try(look),
    };
    facts.push(("next try", next));
    if let Some(end) = look.ramp_until() {
        facts.push(("ramp", format!("{STEP_BY_STEP} until {end}")));
    }
    for probe in breaker.probes() {
        let by = probe.pid.map_or("cb allow".to_owned(), |pid| format!("process {pid}"));
        let ago = probe.since.age(now).map_or(String::new(), |age| format!(", {} ago", coarse(age)));
        facts.push(("probe", format!("{by}, since {}{ago}", probe.since)));
    }
    facts.push(("failures", format!("{} in a row", failures(look))));
    let window = breaker.window(settings, now);
    let slow = if settings.slow_after.is_some() { format!(", {} slow", window.slow) } else { String::new() };
    facts.push(("window", format!("{} of {} calls failed{slow}", window.failures, window.calls)));
    if let Some(budget) = settings.trip.budget {
        let (used, within) = (breaker.budget_used(settings, now), format_duration(budget.within));
        facts.push(("budget", format!("{used} of {} failures within {within}", budget.failures)));
    }
    facts.push(("recent", letters(breaker, 60)));
    if let Some(last) = breaker.last() {
        let took = last.took.map_or(String::new(), |took| format!(", took {}", format_duration(took)));
        facts.push(("last run", format!("{}: {}{took}", last.outcome.word(), result(last, now))));
    }
    if let Some(last) =
        breaker.last_failure().filter(|_| breaker.last().is_some_and(|last| last.outcome != Outcome::Failure))
    {
        facts.push(("last failure", result(last, now)));
    }
    let totals = breaker.totals();
    facts.push(("runs", format!("{} let through, {} refused", totals.admitted, totals.refused)));
    let results = [
        (totals.successes, "succeeded"),
        (totals.failures, "failed"),
        (totals.ignored, "ignored"),
        (totals.late, "late"),
        (totals.abandoned, "abandoned"),
    ];
    let results: Vec<String> = results.iter().map(|(count, word)| format!("{count} {word}")).collect();
    facts.push(("results", results.join(", ")));
    let opened = match totals.opened {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    facts.push(("opened", opened));
    let given = settings.shown_given().filter_map(|(key, value)| Some(format!("{} {}", key.name(), value.text()?)));
    let given: Vec<String> = given.collect();
    if breaker.rules_differ() {
        facts.push(("note", "its callers have different trip rules; each run judges by its own".to_owned()));
    }
    if breaker.windows_differ() {
        let note = "its callers have windows of time of different lengths, which empty each other";
        facts.push(("note", note.to_owned()));
    }
    if breaker.is_in_vain() {
        let note =
            "the last runs ended with 75, which counts as nothing; if that means an outage: --failure-codes 1-124";
        facts.push(("note", note.to_owned()));
    }
    facts.push(("settings", if given.is_empty() { "as built in".to_owned() } else { given.join(", ") }));
}
