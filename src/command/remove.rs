//! `cb remove`: forget a breaker.

use std::time::Duration;

use anyhow::Result;

use super::by_hand::{each, remark_unknown};
use crate::breaker::{Answer, Breaker, Draw};
use crate::cli::RemoveArgs;
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::exit::Exit;
use crate::time::Timestamp;

/// Removes the named breakers, or all, or those that have gone unused.
///
/// # Errors
/// The state directory cannot be used.
pub fn run(args: &RemoveArgs, context: &Context) -> Result<Exit> {
    let by_name = !args.names.is_empty();
    let names = if by_name { args.names.clone() } else { context.store.names()? };
    Ok(each(&names, context, |_, name| {
        // Whether remarks are wanted. What is wrong with the configuration does not keep a breaker.
        drop(context.config(Tables::Only(name, Use::ByHand)));
        let removed = match args.unused {
            None => context.store.remove(name)?,
            Some(span) => {
                context.store.remove_if(name, |breaker, now, written| is_unused(breaker, span, now, written))?
            }
        };
        if removed {
            context.volume().remark(|| format!("{name}: removed"));
        } else if by_name {
            remark_unknown(context, name)?;
        }
        Ok(())
    }))
}

/// Whether removing would lose nothing: no result or change is younger than `span`, runs pass, and there is no hold and
/// no probe. A time after now, by a clock that was ahead, counts as young. One without any time is as old as what is
/// written of it: its first run may be under way, or a permit out.
fn is_unused(breaker: &Breaker, span: Duration, now: Timestamp, written: Timestamp) -> bool {
    let settings = breaker.settings().cloned().unwrap_or_default();
    let passes =
        breaker.probes().is_empty() && !matches!(breaker.answer(&settings, Draw::FIRST, now), Answer::Refuse(_));
    let newest_change = breaker.history().newest_first().next().map(|change| change.at);
    let newest = breaker.last().map(|last| last.at).into_iter().chain(newest_change).max().unwrap_or(written);
    let quiet = newest.age(now).is_some_and(|age| age >= span);
    quiet && passes && breaker.hold(now).is_none()
}
