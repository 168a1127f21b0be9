//! `cb remove`: forget a breaker.

use anyhow::Result;

use super::by_hand::{each, selected};
use super::look;
use crate::cli::RemoveArgs;
use crate::context::Context;
use crate::exit::Exit;

/// Removes the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &RemoveArgs, context: &Context) -> Result<Exit> {
    let names = selected(context, &args.selection)?;
    Ok(each(&names, |name| match context.store.remove(name)? {
        true => {
            context.volume.remark(|| format!("{name}: removed"));
            Ok(())
        }
        false if args.selection.all || look::is_known(context, name)? => Ok(()),
        false => Err(look::unknown(context, name)?),
    }))
}
