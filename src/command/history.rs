//! `cb history`: the changes that a breaker keeps.

use anyhow::Result;

use super::look;
use crate::cli::HistoryArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::speech::say;
use crate::report::{history, print};

/// Shows the changes of the named breakers, or of all, oldest first.
///
/// # Errors
/// A name that nobody knows; the state directory cannot be used; standard output is closed.
pub fn run(args: &HistoryArgs, context: &Context) -> Result<Exit> {
    let views = look::at(context, &args.names)?;
    for view in views.iter().filter(|_| !args.json) {
        if let Err(error) = &view.look {
            say(&format!("{}: left out: {error}", view.name));
        }
    }
    print(&if args.json { history::json(&views)? } else { history::lines(&views) })?;
    Ok(Exit::Done)
}
