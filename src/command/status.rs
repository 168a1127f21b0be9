//! `cb status`: look, and change nothing.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;

use super::{Context, Shown, switched_off};
use crate::cli::StatusArgs;
use crate::clock;
use crate::exit::Exit;
use crate::report::json::{Document, Item, Status};
use crate::report::{Reader, escape, print, stdout, table};

/// How often `--watch` looks.
const AGAIN: Duration = Duration::from_secs(1);

/// What is said of the kill switch. The breakers below it are as they were.
const SWITCHED_OFF: &str = "CB_DISABLED is set: every run passes and nothing is recorded";

/// Shows the named breakers, or all.
///
/// # Errors
/// A name that nobody knows; the state directory cannot be used; standard output is closed.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Exit> {
    let redraw = args.watch && !args.json && stdout().is_terminal();
    let mut seen = false;
    loop {
        let shown = context.shown(&args.names).and_then(|shown| render(args, &shown, context));
        let mut text = match shown {
            // One that was there was removed, or cannot be looked at: it may be there again in a second.
            Err(error) if redraw && seen => one_by_one(args, context, &error),
            other => other?,
        };
        seen = true;
        if redraw {
            // Home, then each line over the one before it, then nothing below: no flicker.
            let screen = table::Style::of_stdout().screen(&text);
            text = format!("\u{1b}[H{}\u{1b}[J", screen.replace('\n', "\u{1b}[K\n"));
        }
        let reader = print(&text)?;
        if reader == Reader::Gone || !args.watch {
            break;
        }
        clock::sleep(AGAIN);
    }
    Ok(Exit::Done)
}

/// The same of each by itself, where something is wrong with one of them.
fn one_by_one(args: &StatusArgs, context: &Context, error: &anyhow::Error) -> String {
    let told = |error: &anyhow::Error| format!("{}\n", escape(&format!("{error:#}")));
    let one = |name| context.shown(std::slice::from_ref(name)).and_then(|shown| render(args, &shown, context));
    let texts: Vec<String> = args.names.iter().map(|name| one(name).unwrap_or_else(|error| told(&error))).collect();
    if texts.is_empty() { told(error) } else { texts.join("\n") }
}

fn render(args: &StatusArgs, shown: &[Shown], context: &Context) -> Result<String> {
    let now = clock::now();
    if args.json {
        if switched_off() {
            context.volume.news(SWITCHED_OFF);
        }
        let items = shown.iter().map(|shown| match &shown.breaker {
            Ok(breaker) => {
                Item::Breaker(Box::new(Status::new(&shown.name, breaker, &shown.settings, &shown.path, now)))
            }
            Err(error) => {
                Item::Error { name: &shown.name, error: error.clone(), path: shown.path.display().to_string() }
            }
        });
        return Document::render(items.collect());
    }
    let rows: Vec<_> = shown
        .iter()
        .map(|shown| table::Row {
            name: &shown.name,
            breaker: shown.breaker.as_ref().map_err(String::as_str),
            settings: &shown.settings,
            path: &shown.path,
        })
        .collect();
    let style = table::Style::of_stdout();
    let mut text = if switched_off() { format!("{SWITCHED_OFF}\n") } else { String::new() };
    if args.names.is_empty() {
        text.push_str(&table::overview(&rows, &style, now));
    } else {
        let details: Vec<String> = rows.iter().map(|row| table::details(row, &style, now)).collect();
        text.push_str(&details.join("\n"));
    }
    Ok(text)
}
