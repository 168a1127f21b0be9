//! `cb trip`: hold a breaker open by hand, or report what a run has learned.

use anyhow::Result;

use super::by_hand::{Hand, checked_reason, each, end, is_new, selected_or_configured, told_new};
use crate::breaker::HoldKind;
use crate::cli::TripArgs;
use crate::context::Context;
use crate::environment::{reports_on, switched_off};
use crate::exit::Exit;
use crate::name::Name;
use crate::report::speech;
use crate::time::Timestamp;

/// Trips the named breakers, or all.
///
/// # Errors
/// The reason is too long, the end is past, or a duration stands where a name should.
pub fn run(args: &TripArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    let until = end(&args.hold)?;
    let names = selected_or_configured(context, &args.hold.selection)?;
    Ok(each(&names, context, |hand, name| {
        if !args.hold.selection.all && !args.hold.replace && reports_on(name) {
            return report(args, context, hand, name, until, reason.as_deref());
        }
        let new = is_new(context, name);
        hand.hold(name, HoldKind::Trip, &args.hold, until, reason.as_ref())?;
        if new {
            // After a slip in the name, the breaker that was meant still lets runs through.
            context.volume().news(&told_new(context, name));
        }
        Ok(())
    }))
}

/// Reports what the run of this breaker has learned, which is no order of a person.
fn report(
    args: &TripArgs,
    context: &Context,
    hand: &Hand<'_>,
    name: &Name,
    until: Option<Timestamp>,
    reason: Option<&str>,
) -> Result<()> {
    if switched_off() {
        return Ok(());
    }
    hand.guarded(name, |guard| guard.report(args.hold.span, until, reason))?;
    if speech::to_terminal() {
        context.volume().remark(|| format!("{name}: no hold; for one: env -u CB_NAME cb trip {name}"));
    }
    Ok(())
}
