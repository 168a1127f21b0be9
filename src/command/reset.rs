//! `cb reset`: close, and clear what trips and holds.

use anyhow::Result;

use super::{Context, by_hand, each, who};
use crate::cli::ResetArgs;
use crate::exit::Exit;
use crate::store::Missing;

/// Resets the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &ResetArgs, context: &Context) -> Result<Exit> {
    let names = context.selected(&args.selection)?;
    Ok(each(&names, |name| {
        // One that nobody has used is as closed as it can be.
        by_hand(context, name, Missing::Leave, |breaker, now| Some(breaker.reset(who(), now)))?;
        Ok(())
    }))
}
