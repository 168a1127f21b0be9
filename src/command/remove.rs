//! `cb remove`: forget a breaker.

use anyhow::Result;

use super::{Context, each};
use crate::cli::RemoveArgs;
use crate::exit::Exit;

/// Removes the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &RemoveArgs, context: &Context) -> Result<Exit> {
    let store = context.store()?;
    let names = context.selected(&args.selection)?;
    Ok(each(&names, |name| match store.remove(name)? {
        true => {
            context.volume.remark(|| format!("{name}: removed"));
            Ok(())
        }
        false if args.selection.all || context.is_known(name)? => Ok(()),
        false => Err(context.unknown(name)?),
    }))
}
