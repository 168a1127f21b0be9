//! `cb reset`: close, and clear what trips and holds.

use anyhow::Result;

use super::{Context, each, who};
use crate::cli::ResetArgs;
use crate::clock;
use crate::exit::Exit;
use crate::name::Name;
use crate::store::Missing;

/// Resets the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &ResetArgs, context: &Context) -> Result<Exit> {
    let store = context.store()?;
    let names = if args.all { store.names()? } else { args.names.clone() };
    Ok(each(&names, |name| reset(name, context)))
}

fn reset(name: &Name, context: &Context) -> Result<()> {
    let Some(mut locked) = context.lock(name, Missing::Leave)? else {
        // A breaker of the configuration that was never used is as closed as it can be.
        return if context.is_known(name)? { Ok(()) } else { Err(context.unknown(name)?) };
    };
    locked.breaker.reset(who(), clock::now());
    locked.save()?;
    locked.unlock().flush();
    context.volume.remark(|| format!("{name}: closed by hand"));
    Ok(())
}
