//! `cb disable`: let everything through.

use anyhow::Result;

use super::by_hand::{checked_reason, each, end, is_new, selected_or_configured, told_new};
use crate::breaker::HoldKind;
use crate::cli::DisableArgs;
use crate::context::Context;
use crate::exit::Exit;

/// Disables the named breakers, or all.
///
/// # Errors
/// The reason is too long, the end is past, or a duration stands where a name should.
pub fn run(args: &DisableArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    let until = end(&args.hold)?;
    let names = selected_or_configured(context, &args.hold.selection)?;
    Ok(each(&names, context, |hand, name| {
        let new = is_new(context, name) && args.hold.span.is_none_or(|span| !span.is_zero());
        hand.hold(name, HoldKind::Disable, &args.hold, until, reason.as_ref())?;
        if new {
            context.volume().remark(|| told_new(context, name));
        }
        Ok(())
    }))
}
