//! `cb enable`: end `cb disable`.

use super::by_hand::{change, each};
use crate::cli::EnableArgs;
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::Done;
use crate::store::IfAbsent;

/// Enables the named breakers.
pub fn run(args: &EnableArgs, context: &Context) -> Exit {
    each(&args.names, |name| {
        if change(context, name, IfAbsent::Leave, |breaker, now| breaker.enable(who(), now))? != Done::Changed {
            context.volume.remark(|| format!("{name}: it was not disabled"));
        }
        Ok(())
    })
}
