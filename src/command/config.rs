//! `cb config`: the settings in force, and where each comes from.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, json};

use crate::cli::ConfigArgs;
use crate::config::Origin;
use crate::context::Context;
use crate::exit::Exit;
use crate::locations::MACHINE_CONFIG;
use crate::report::speech::say;
use crate::report::{escape, json, print};
use crate::settings::Key;

/// Shows the settings that a run of this breaker without options would have.
///
/// # Errors
/// Any mistake in the configuration files.
pub fn run(args: &ConfigArgs, context: &Context) -> Result<Exit> {
    let (config, mut mistakes) = context.whole_config();
    mistakes.extend(config.mistakes(args.name.as_ref()));
    if !mistakes.is_empty() {
        let mut told = BTreeSet::new();
        for text in mistakes.iter().map(|mistake| format!("{mistake:#}")) {
            if !told.contains(&text) {
                say(&text);
                told.insert(text);
            }
        }
        return Ok(Exit::Failed);
    }
    let resolved = config.resolve(args.name.as_ref(), &[])?;
    if args.json {
        let mut settings = Map::new();
        for key in Key::all() {
            let (text, origin) = resolved.origin(key);
            let value = text.map_or_else(|| key.default(&resolved.setup).text(), |text| Some(text.to_owned()));
            settings.insert(
                key.name().to_owned(),
                json!({
                    "value": value, "origin": origin.word(), "line": config.line(origin),
                    "pattern": pattern(origin), "file": config.file(origin).map(|file| file.display().to_string()),
                }),
            );
        }
        let file = context.config_file()?.map(|(path, _)| path.display().to_string());
        let document = json!({ "version": 1, "name": args.name, "file": file, "settings": settings });
        print(&json::line(&document)?)?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for key in Key::all() {
        let (given, origin) = resolved.origin(key);
        let value = given.map_or_else(|| key.default(&resolved.setup).text(), |text| Some(text.to_owned()));
        let value = value.map_or("-".to_owned(), |value| escape(&value));
        let pattern = pattern(origin).map_or(String::new(), |pattern| format!(" {pattern}"));
        let line = config.line(origin).map_or(String::new(), |line| format!(", line {line}"));
        // The user's file, or the one that was named, goes without saying.
        let of_machine = config.file(origin).is_some_and(|file| file == Path::new(MACHINE_CONFIG));
        let file = if of_machine { format!(" of {MACHINE_CONFIG}") } else { String::new() };
        writeln!(text, "{:<16} {value:<20} {}{pattern}{line}{file}", key.name(), origin.word())?;
    }
    print(&text)?;
    Ok(Exit::Done)
}

/// The pattern of the table that a setting comes from.
fn pattern(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Pattern(_, pattern) => Some(pattern.as_str()),
        _ => None,
    }
}
