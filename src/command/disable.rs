//! `cb disable`: let everything through.

use anyhow::Result;

use super::by_hand::{change, checked_reason, each};
use crate::cli::DisableArgs;
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::store::IfAbsent;

/// Disables the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &DisableArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| {
        change(context, name, IfAbsent::Create, |breaker, now| {
            Some(breaker.disable(args.hold.span, reason.clone(), who(), now))
        })?;
        Ok(())
    }))
}
