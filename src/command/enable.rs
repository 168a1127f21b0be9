//! `cb enable`: end `cb disable`.

use anyhow::Result;

use super::by_hand::{each, selected};
use super::look;
use crate::cli::EnableArgs;
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::Done;
use crate::store::IfAbsent;

/// Enables the named breakers, or all.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &EnableArgs, context: &Context) -> Result<Exit> {
    let names = selected(context, &args.selection)?;
    Ok(each(&names, context, |hand, name| {
        match hand.change(name, IfAbsent::Leave, |breaker, now| breaker.enable(who(), now))? {
            Done::Changed => Ok(()),
            // With `--all`, most breakers are not disabled.
            Done::Unchanged | Done::Absent if args.selection.all => Ok(()),
            Done::Absent if !look::is_known(context, name)? => Err(look::unknown(context, name)?),
            Done::Unchanged | Done::Absent => {
                context.volume().remark(|| format!("{name}: it was not disabled"));
                Ok(())
            }
        }
    }))
}
