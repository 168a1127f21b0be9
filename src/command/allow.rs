//! `cb allow`: the first of two steps, for what `cb` cannot start.

use std::borrow::Cow;

use anyhow::Result;

use crate::chance;
use crate::cli::AllowArgs;
use crate::config::{Config, Tables, Use};
use crate::context::Context;
use crate::environment::switched_off;
use crate::exit::Exit;
use crate::guard::{Entering, Entrance, Guard, Report};
use crate::outcome::{Finished, Outcome};
use crate::report::{Reader, json, print};
use crate::settings::OnStateError;

/// The permit where no breaker could be asked: `cb record` accepts it and does nothing.
pub const UNGUARDED: &str = "unguarded";

/// Prints a permit, or refuses. Where the state cannot be used, it allows the step, as `cb run` would.
///
/// # Errors
/// Wrong configuration; standard output is closed.
pub fn run(args: &AllowArgs, context: &Context) -> Result<Exit> {
    let name = &args.name;
    // The kill switch touches no file.
    let file = if switched_off() { Config::default() } else { context.config(Tables::Only(name, Use::Allow))? };
    let setup = file.resolve(Some(name), args.options.given())?.setup;
    let guard = Guard { name, context, on_change: setup.run.on_change.as_deref(), later: None };
    let entrance = if switched_off() {
        Entrance::Unguarded
    } else {
        guard.enter(&Entering {
            settings: &setup.breaker,
            lease: setup.breaker.lease.unwrap_or(AllowArgs::LEASE),
            pid: None,
            draw: chance::draw(),
            overrule: false,
            patient: false,
            on_trouble: OnStateError::Run,
        })?
    };
    match entrance {
        Entrance::Admitted(ticket) => {
            let printed = print(&written(args, &ticket.permit.to_string())?);
            if !matches!(printed, Ok(Reader::There)) {
                // Nobody got the permit, so nobody will report: ignore it, which also frees a probe's place.
                let run = Finished::of(Outcome::Ignored);
                let settings = &setup.breaker;
                drop(guard.leave(ticket, |_| Ok(Report { run, settings: Cow::Borrowed(settings) })));
            }
            printed.map(|_| Exit::Done)
        }
        Entrance::Refused(denial) => {
            if args.json {
                print(&json::refused(denial.reason.as_deref(), denial.retry_at, denial.retry_in)?)?;
            }
            Ok(Exit::Refused(setup.run.open_exit_code))
        }
        Entrance::NotYet => Ok(Exit::Refused(setup.run.open_exit_code)),
        Entrance::Unguarded => print(&written(args, UNGUARDED)?).map(|_| Exit::Done),
    }
}

/// A permit as it is printed.
fn written(args: &AllowArgs, permit: &str) -> Result<String> {
    if args.json { json::permit(permit) } else { Ok(format!("{permit}\n")) }
}
