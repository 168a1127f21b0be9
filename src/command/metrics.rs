//! `cb metrics`: for Prometheus.

use anyhow::Result;

use super::look;
use crate::cli::MetricsArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::speech::say;
use crate::report::{metrics, print};

/// Prints the metrics of all breakers. A breaker that cannot be read is left out, with a warning.
///
/// # Errors
/// The state directory cannot be used; standard output is closed.
pub fn run(_args: &MetricsArgs, context: &Context) -> Result<Exit> {
    let views = look::at(context, &[])?;
    for view in &views {
        if let Err(error) = &view.look {
            say(&format!("{}: left out: {error}", view.name));
        }
    }
    print(&metrics::render(&views))?;
    Ok(Exit::Done)
}
