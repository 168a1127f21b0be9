//! `cb disable`: let everything through.

use anyhow::Result;

use super::by_hand::{checked_reason, each, hold};
use crate::breaker::HoldKind;
use crate::cli::DisableArgs;
use crate::context::Context;
use crate::exit::Exit;

/// Disables the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &DisableArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| hold(context, name, HoldKind::Disable, &args.hold, reason.as_ref())))
}
