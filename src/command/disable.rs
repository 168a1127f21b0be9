//! `cb disable`: let everything through.

use anyhow::Result;

use super::{Context, by_hand, checked_reason, each, who};
use crate::cli::DisableArgs;
use crate::exit::Exit;
use crate::store::Missing;

/// Disables the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &DisableArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| {
        by_hand(context, name, Missing::Create, |breaker, now| {
            Some(breaker.disable(args.hold.span, reason.clone(), who(), now))
        })?;
        Ok(())
    }))
}
