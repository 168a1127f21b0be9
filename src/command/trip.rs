//! `cb trip`: open by hand, and hold it open.

use anyhow::Result;

use super::by_hand::{change, checked_reason, each};
use crate::cli::TripArgs;
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::Done;
use crate::store::IfAbsent;

/// Trips the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &TripArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| {
        let done = change(context, name, IfAbsent::Create, |breaker, now| {
            breaker.trip(args.hold.span, reason.clone(), who(), now)
        })?;
        if done == Done::Unchanged {
            let text = format!("{name}: it is held open until 'cb reset {name}', which --for does not shorten");
            context.volume.remark(|| text);
        }
        Ok(())
    }))
}
