//! `cb trip`: open by hand, and hold it open.

use anyhow::Result;

use super::{Context, Done, by_hand, checked_reason, each, who};
use crate::cli::TripArgs;
use crate::exit::Exit;
use crate::store::Missing;

/// Trips the named breakers.
///
/// # Errors
/// The reason is too long, or a duration stands where a name should.
pub fn run(args: &TripArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(&args.hold)?;
    Ok(each(&args.hold.names, |name| {
        let done = by_hand(context, name, Missing::Create, |breaker, now| {
            breaker.trip(args.hold.span, reason.clone(), who(), now)
        })?;
        if done == Done::Unchanged {
            let text = format!("{name}: it is held open until 'cb reset {name}', which --for does not shorten");
            context.volume.remark(|| text);
        }
        Ok(())
    }))
}
