//! `cb status`: look, and change nothing.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;

use super::look;
use crate::cli::StatusArgs;
use crate::clock;
use crate::context::Context;
use crate::environment::{dumb_terminal, switched_off};
use crate::exit::Exit;
use crate::report::view::View;
use crate::report::{Reader, escape, json, print, stdout, table};

/// How often `--watch` looks.
const AGAIN: Duration = Duration::from_secs(1);

/// The line about the kill switch, which leaves the breakers as they are.
const SWITCHED_OFF: &str = "CB_DISABLED is set: every run passes and nothing is recorded";

/// Shows the named breakers, or all.
///
/// # Errors
/// A name that nobody knows; the state directory cannot be used; standard output is closed.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Exit> {
    let redraw = args.watch && !args.json && stdout().is_terminal() && !dumb_terminal();
    let mut seen = false;
    loop {
        let looked = look::at(context, &args.names).and_then(|views| render(args, &views, context));
        let mut text = match looked {
            // A breaker that was shown was removed or cannot be read. It may be back in a second.
            Err(error) if redraw && seen => one_by_one(args, context, &error),
            other => other?,
        };
        seen = true;
        if redraw {
            // Overwriting each line does not flicker as clearing the screen would.
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

/// Shows each breaker by itself, where an error with one keeps them from being shown together.
fn one_by_one(args: &StatusArgs, context: &Context, error: &anyhow::Error) -> String {
    let told = |error: &anyhow::Error| format!("{}\n", escape(&format!("{error:#}")));
    let one = |name| look::at(context, std::slice::from_ref(name)).and_then(|views| render(args, &views, context));
    let texts: Vec<String> = args.names.iter().map(|name| one(name).unwrap_or_else(|error| told(&error))).collect();
    if texts.is_empty() { told(error) } else { texts.join("\n") }
}

fn render(args: &StatusArgs, views: &[View], context: &Context) -> Result<String> {
    if args.json {
        if switched_off() {
            context.volume().news(SWITCHED_OFF);
        }
        return json::status(views);
    }
    let style = table::Style::of_stdout();
    let mut text = if switched_off() { format!("{SWITCHED_OFF}\n") } else { String::new() };
    if args.names.is_empty() {
        text.push_str(&table::overview(views, &style));
    } else {
        let details: Vec<String> = views.iter().map(|view| table::details(view, &style)).collect();
        text.push_str(&details.join("\n"));
    }
    Ok(text)
}
