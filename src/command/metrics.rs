//! `cb metrics`: for Prometheus.

use anyhow::Result;

use super::Context;
use crate::cli::MetricsArgs;
use crate::clock;
use crate::exit::Exit;
use crate::report::{metrics, print, speech};

/// Prints the metrics of all breakers. What cannot be read is left out and said.
///
/// # Errors
/// The state directory cannot be used; standard output is closed.
pub fn run(_args: &MetricsArgs, context: &Context) -> Result<Exit> {
    let shown = context.shown(&[])?;
    let mut breakers = Vec::new();
    for shown in &shown {
        match &shown.breaker {
            Ok(breaker) => breakers.push((&shown.name, breaker, &shown.settings)),
            Err(error) => speech::say(&format!("{}: left out: {error}", shown.name)),
        }
    }
    print(&metrics::render(&breakers, clock::now()))?;
    Ok(Exit::Done)
}
