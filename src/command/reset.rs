//! `cb reset`: close, and clear what trips and holds.

use anyhow::Result;

use super::by_hand::{each, remark_unknown, selected};
use crate::cli::ResetArgs;
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::Done;
use crate::store::IfAbsent;

/// Resets the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &ResetArgs, context: &Context) -> Result<Exit> {
    let names = selected(context, &args.selection)?;
    Ok(each(&names, context, |hand, name| {
        // A breaker that nobody has used is closed already.
        let done = hand.change(name, IfAbsent::Leave, |breaker, now| Some(breaker.reset(who(), now)))?;
        if done == Done::Absent && !args.selection.all {
            remark_unknown(context, name)?;
        }
        Ok(())
    }))
}
