//! What the commands of a person have in common.

use anyhow::{Result, bail};

use super::look;
use crate::breaker::{Breaker, Change, HoldKind, LONGEST_REASON, Order, stored_len};
use crate::cli::{HoldArgs, Selection};
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::{Done, Guard};
use crate::name::Name;
use crate::report::speech::say;
use crate::store::{IfAbsent, Trouble};
use crate::time::{Timestamp, parse_duration};

/// Changes a breaker. `None` from `act` is no change.
///
/// # Errors
/// Wrong configuration; a breaker that nobody knows; the state cannot be used.
pub(super) fn change(
    context: &Context,
    name: &Name,
    if_absent: IfAbsent,
    act: impl Fn(&mut Breaker, Timestamp) -> Option<Change>,
) -> Result<Done> {
    match guarded(context, name, |guard| guard.change(if_absent, act))? {
        Done::Absent if !look::is_known(context, name)? => Err(look::unknown(context, name)?),
        done => Ok(done),
    }
}

/// Does something to a breaker as its configuration says.
///
/// # Errors
/// Wrong configuration; the state cannot be used.
pub(super) fn guarded<T>(
    context: &Context,
    name: &Name,
    act: impl FnOnce(&Guard<'_>) -> Result<T, Trouble>,
) -> Result<T> {
    let config = context.config(Tables::Only(name, Use::ByHand))?;
    let guard = Guard { name, context, on_change: config.on_change(name) };
    Ok(act(&guard)?)
}

/// Holds a breaker, or ends a hold.
///
/// # Errors
/// Wrong configuration; the state cannot be used.
pub(super) fn hold(
    context: &Context,
    name: &Name,
    kind: HoldKind,
    args: &HoldArgs,
    reason: Option<&String>,
) -> Result<()> {
    let (span, replace) = (args.span, args.replace);
    let order = Order { kind, span, replace, reason: reason.cloned(), by: who() };
    guarded(context, name, |guard| guard.order(&order))
}

/// Does something to each of several breakers; what fails for one is said and does not stop the others.
pub(super) fn each(names: &[Name], act: impl Fn(&Name) -> Result<()>) -> Exit {
    let mut exit = Exit::Done;
    for name in names {
        if let Err(error) = act(name) {
            say(&format!("{error:#}"));
            exit = Exit::Failed;
        }
    }
    exit
}

/// The breakers that are named, or all there are.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn selected(context: &Context, selection: &Selection) -> Result<Vec<Name>> {
    Ok(if selection.all { context.store.names()? } else { selection.names.clone() })
}

/// The reason that a person gives for a hold.
///
/// # Errors
/// It is longer than what is kept; or the hold is not as it was meant.
pub(super) fn checked_reason(hold: &HoldArgs) -> Result<Option<String>> {
    // A hold without an end, and one more on a breaker that nobody uses, would be all that comes of it.
    let bare = |last: &&Name| last.as_str().parse::<u64>().is_err() && parse_duration(last.as_str()).is_ok();
    if let Some(last) = hold.names.last().filter(bare).filter(|_| hold.names.len() > 1 && hold.span.is_none()) {
        bail!("'{last}' would be one more breaker; to hold for that long write --for {last}");
    }
    let reason = hold.reason.as_deref();
    let length = reason.map_or(0, stored_len);
    if length > LONGEST_REASON {
        bail!("--reason: {length} bytes are too many, at most {LONGEST_REASON} are kept");
    }
    Ok(reason.filter(|reason| !reason.is_empty()).map(str::to_owned))
}
