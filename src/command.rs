//! One file per subcommand, which tells its story and decides nothing.

mod allow;
mod by_hand;
mod check;
mod config;
mod disable;
mod enable;
mod history;
mod look;
mod metrics;
mod record;
mod remove;
mod reset;
mod run;
mod status;
mod trip;
pub mod usage;

use anyhow::Result;

use crate::cli::Command;
use crate::context::Context;
use crate::exit::Exit;

/// Runs the subcommand.
///
/// # Errors
/// What could not be done, and the way out.
pub fn dispatch(command: &Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Reset(args) => reset::run(args, context),
        Command::Trip(args) => trip::run(args, context),
        Command::Disable(args) => disable::run(args, context),
        Command::Enable(args) => enable::run(args, context),
        Command::Remove(args) => remove::run(args, context),
        Command::Allow(args) => allow::run(args, context),
        Command::Record(args) => record::run(args, context),
        Command::Metrics(args) => metrics::run(args, context),
        Command::Config(args) => config::run(args, context),
    }
}
