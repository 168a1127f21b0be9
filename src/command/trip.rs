//! `cb trip`: open by hand, and hold it open; or what a run reports of itself.

use anyhow::Result;

use super::by_hand::{checked_reason, each, guarded, hold};
use crate::breaker::HoldKind;
use crate::cli::TripArgs;
use crate::context::Context;
use crate::environment::{reports_on, switched_off};
use crate::exit::Exit;
use crate::name::Name;
use crate::report::speech;

/// Trips the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &TripArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| {
        if args.hold.replace || !reports_on(name) {
            return hold(context, name, HoldKind::Trip, &args.hold, reason.as_ref());
        }
        report(args, context, name, reason.as_deref())
    }))
}

/// What the run of this breaker has learned is no order of a person.
fn report(args: &TripArgs, context: &Context, name: &Name, reason: Option<&str>) -> Result<()> {
    if switched_off() {
        return Ok(());
    }
    guarded(context, name, |guard| guard.report(args.hold.span, reason))?;
    if speech::to_terminal() {
        context.volume.remark(|| format!("{name}: no hold; for one: env -u CB_NAME cb trip {name}"));
    }
    Ok(())
}
