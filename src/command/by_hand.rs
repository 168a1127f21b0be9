//! What the commands by hand have in common.

use anyhow::{Result, anyhow, bail};

use super::look;
use crate::breaker::{Breaker, Change, HoldKind, LONGEST_REASON, Order, stored_len};
use crate::cli::{HoldArgs, Selection};
use crate::clock;
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::environment::who;
use crate::exit::Exit;
use crate::guard::{Done, Guard, Later};
use crate::name::Name;
use crate::report::speech::say;
use crate::store::{IfAbsent, Trouble};
use crate::time::{Timestamp, Until, parse_duration};

/// What changes breakers, one after the other. Their `on-change` commands run when all are changed.
pub(super) struct Hand<'a> {
    context: &'a Context,
    later: Later,
}

impl Hand<'_> {
    /// Changes a breaker. `act` returns `None` where it changes nothing.
    ///
    /// # Errors
    /// Wrong configuration; the state cannot be used.
    pub(super) fn change(
        &self,
        name: &Name,
        if_absent: IfAbsent,
        act: impl Fn(&mut Breaker, Timestamp) -> Option<Change>,
    ) -> Result<Done> {
        self.guarded(name, |guard| guard.change(if_absent, act))
    }

    /// Does something to a breaker under its configuration.
    ///
    /// # Errors
    /// Wrong configuration; the state cannot be used.
    pub(super) fn guarded<T>(&self, name: &Name, act: impl FnOnce(&Guard<'_>) -> Result<T, Trouble>) -> Result<T> {
        let config = self.context.config(Tables::Only(name, Use::ByHand))?;
        let (context, on_change) = (self.context, config.on_change(name));
        Ok(act(&Guard { name, context, on_change, later: Some(&self.later) })?)
    }

    /// Holds a breaker, or ends a hold.
    ///
    /// # Errors
    /// Wrong configuration; the state cannot be used.
    pub(super) fn hold(
        &self,
        name: &Name,
        kind: HoldKind,
        args: &HoldArgs,
        until: Option<Timestamp>,
        reason: Option<&String>,
    ) -> Result<()> {
        let (span, replace) = (args.span, args.replace);
        let order = Order { kind, span, replace, reason: reason.cloned(), by: who() };
        self.guarded(name, |guard| guard.order(&order, until))
    }
}

/// Whether a hold would make this breaker, as nobody has used or configured it.
pub(super) fn is_new(context: &Context, name: &Name) -> bool {
    // If this fails, the order fails too and reports it.
    !look::is_known(context, name).unwrap_or(true)
}

/// That a breaker is new, and which others may have been meant.
pub(super) fn told_new(context: &Context, name: &Name) -> String {
    match look::near(context, name).ok().flatten() {
        Some(near) => {
            format!("{name}: it is new; did you mean {near}? To take it back write 'cb remove {name}'")
        }
        None => format!("{name}: it is new: nobody has used a breaker of this name"),
    }
}

/// Says that there is no breaker of this name to change, where that is no error. A name with a table in the
/// configuration is no slip, and needs no remark.
///
/// # Errors
/// What is wrong with the store; wrong configuration.
pub(super) fn remark_unknown(context: &Context, name: &Name) -> Result<()> {
    if !look::is_known(context, name)? {
        context.volume().news(&look::missing(context, name)?);
    }
    Ok(())
}

/// Does something to each of several breakers. An error with one is reported and does not stop the others.
pub(super) fn each(names: &[Name], context: &Context, act: impl Fn(&Hand<'_>, &Name) -> Result<()>) -> Exit {
    let mut exit = Exit::Done;
    let hand = Hand { context, later: Later::default() };
    for name in names {
        if let Err(error) = act(&hand, name) {
            say(&format!("{error:#}"));
            exit = Exit::Failed;
        }
    }
    hand.later.run(context);
    exit
}

/// The named breakers, or all that a run could meet: those with a state and those of the configuration.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn selected_or_configured(context: &Context, selection: &Selection) -> Result<Vec<Name>> {
    let mut names = selected(context, selection)?;
    if selection.all {
        // A mistake in the configuration stops the runs that it concerns, but must not stop a hold of all breakers.
        match context.config(Tables::All) {
            Ok(config) => names.extend(config.names().cloned()),
            Err(error) => say(&format!("{error:#}")),
        }
        names.sort_unstable();
        names.dedup();
    }
    Ok(names)
}

/// The named breakers, or all that have a state.
///
/// # Errors
/// What is wrong with the store.
pub(super) fn selected(context: &Context, selection: &Selection) -> Result<Vec<Name>> {
    Ok(if selection.all { context.store.names()? } else { selection.names.clone() })
}

/// The end of a hold, if `--until` gives it.
///
/// # Errors
/// The end is past, or too far ahead to be meant.
pub(super) fn end(hold: &HoldArgs) -> Result<Option<Timestamp>> {
    let end = hold.until.map(|until| until.moment(clock::zone, clock::now())).transpose();
    end.map_err(|message| anyhow!("--until: {message}"))
}

/// The reason that a person gives for a hold.
///
/// # Errors
/// The reason is too long to be kept, or a duration or time stands where a name should.
pub(super) fn checked_reason(hold: &HoldArgs) -> Result<Option<String>> {
    let (last, endless) =
        (hold.selection.names.last().map_or("", Name::as_str), hold.span.is_none() && hold.until.is_none());
    if hold.selection.names.len() > 1 && endless {
        // It would hold the other breakers without an end, and one more that nobody uses.
        if last.parse::<Until>().is_ok() {
            bail!("'{last}' would be one more breaker; to hold until then write --until {last}");
        }
        if last.parse::<u64>().is_err() && parse_duration(last).is_ok() {
            bail!("'{last}' would be one more breaker; to hold for that long write --for {last}");
        }
    }
    Ok(bounded_reason(hold.reason.as_deref())?.map(str::to_owned))
}

/// Why, if that was said. An empty text says nothing.
///
/// # Errors
/// It is longer than what is kept.
pub(super) fn bounded_reason(reason: Option<&str>) -> Result<Option<&str>> {
    let length = reason.map_or(0, stored_len);
    if length > LONGEST_REASON {
        bail!("--reason: {length} bytes are too many, at most {LONGEST_REASON} are kept");
    }
    Ok(reason.filter(|reason| !reason.is_empty()))
}
