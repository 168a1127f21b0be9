//! `cb trip`: open by hand, and hold it open.

use anyhow::{Result, anyhow};

use super::{Context, checked_reason, each, who};
use crate::cli::TripArgs;
use crate::clock;
use crate::exit::Exit;
use crate::name::Name;
use crate::store::Missing;

/// Trips the named breakers.
///
/// # Errors
/// The reason is too long.
pub fn run(args: &TripArgs, context: &Context) -> Result<Exit> {
    let reason = checked_reason(args.reason.as_deref())?;
    Ok(each(&args.names, |name| trip(name, args, reason.clone(), context)))
}

fn trip(name: &Name, args: &TripArgs, reason: Option<String>, context: &Context) -> Result<()> {
    let locked = context.lock(name, Missing::Create)?;
    let mut locked = locked.ok_or_else(|| anyhow!("the state of {name} is gone"))?;
    if locked.breaker.trip(args.span, reason, who(), clock::now()).is_none() {
        let text = format!("{name}: it is held open until 'cb reset {name}', which --for does not shorten");
        context.volume.remark(|| text);
        return Ok(());
    }
    locked.save()?;
    locked.unlock().flush();
    context.volume.remark(|| format!("{name}: held open by hand"));
    Ok(())
}
