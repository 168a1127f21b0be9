//! `cb enable`: end `cb disable`.

use super::{Context, Done, by_hand, each, who};
use crate::cli::EnableArgs;
use crate::exit::Exit;
use crate::store::Missing;

/// Enables the named breakers.
pub fn run(args: &EnableArgs, context: &Context) -> Exit {
    each(&args.names, |name| {
        if by_hand(context, name, Missing::Leave, |breaker, now| breaker.enable(who(), now))? != Done::Changed {
            context.volume.remark(|| format!("{name}: it was not disabled"));
        }
        Ok(())
    })
}
