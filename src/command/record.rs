//! `cb record`: the second of two steps, or what was seen elsewhere.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::allow::UNGUARDED;
use super::by_hand::bounded_reason;
use super::look;
use crate::breaker::{Breaker, Permit};
use crate::cli::{RecordArgs, Reported};
use crate::clock;
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::environment::switched_off;
use crate::exit::Exit;
use crate::guard::{Guard, Left, Report, Ticket};
use crate::http::Answer;
use crate::outcome::{End, Finished, Outcome, Stopped};
use crate::report::speech::say;
use crate::settings::Settings;
use crate::store::{READERS_PATIENCE, Trouble};

/// Records a result. Trouble with the state is a warning: what is reported has happened.
///
/// # Errors
/// Wrong usage or configuration.
pub fn run(args: &RecordArgs, context: &Context) -> Result<Exit> {
    if switched_off() {
        return Ok(Exit::Done);
    }
    let permit = match args.permit.as_deref() {
        Some(UNGUARDED) => return Ok(Exit::Done),
        Some(word) => Some(word.parse::<Permit>().map_err(|message| anyhow!("--permit: {message}"))?),
        None => None,
    };
    let name = &args.name;
    let given = args.options.given();
    let reason = bounded_reason(args.reason.as_deref())?;
    let config = context.config(Tables::Only(name, Use::Record))?;
    let on_change = config.on_change(name);
    let guard = Guard { name, context, on_change, later: None };
    let report = |last_used: Option<&Settings>| {
        let settings = match last_used {
            Some(last_used) if given.is_empty() => last_used.clone(),
            last_used => config.of_report(name, given, last_used)?,
        };
        let run = Finished { reason, ..judge(args, &settings) };
        suits(args.retry_after, run.outcome)?;
        Ok(Report { run, settings: Cow::Owned(settings) })
    };
    if !given.is_empty() || args.retry_after.is_some() {
        // Find mistakes before a breaker is made.
        let seen = context.store.read(name, clock::instant() + READERS_PATIENCE).ok().flatten();
        report(seen.as_ref().and_then(|seen| seen.breaker.settings()))?;
    }
    let report = |breaker: &Breaker| report(breaker.settings());
    let left = match permit {
        Some(permit) => guard.leave(Ticket::of(permit), report),
        None => guard.observe(report),
    };
    let late = |why: &str| context.volume().news(&format!("{name}: late: {why}"));
    match left {
        Ok(Left::Counted) => {}
        Ok(Left::Lengthened) => {
            late("the state has moved on since; but it is told to stay away, so the breaker stays open for longer");
        }
        Ok(Left::Late) => {
            late("the permit was recorded before, is too old, or the state has moved on since; it changes nothing");
        }
        Ok(Left::Foreign) => {
            late("the permit is of a breaker that was removed, or of one with another name; it changes nothing");
        }
        Ok(Left::Absent) => {
            let near = look::near(context, name).ok().flatten();
            let hint = near.map_or("it changes nothing".to_owned(), |near| format!("did you mean {near}?"));
            late(&format!("there is no breaker of this name (any more); {hint}"));
        }
        Err(Trouble::Misuse(error)) => return Err(error),
        Err(Trouble::Unusable(error)) => say(&format!("{name}: could not record the result: {error:#}")),
    }
    Ok(Exit::Done)
}

/// What was reported, as a run.
fn judge(args: &RecordArgs, settings: &Settings) -> Finished<'static> {
    let retry_after = settings.stays_away(args.retry_after);
    let answer = args.http_status.map(|status| Answer { status, retry_after });
    let said =
        |outcome| Finished { took: args.took, http_status: args.http_status, retry_after, ..Finished::of(outcome) };
    match (args.outcome, args.exit_code) {
        (Some(Reported::Success), _) => said(Outcome::Success),
        (Some(Reported::Failure), _) => said(Outcome::Failure),
        (Some(Reported::Ignored), _) => said(Outcome::Ignored),
        (None, code) => {
            let answered = answer.and_then(|answer| answer.outcome());
            let Some(code) = code else {
                // There is no end that a list could have, and none that could say that a fine answer is not enough.
                return said(answered.unwrap_or(Outcome::Success));
            };
            // What a shell has in `$?` after a death by signal.
            let end = if (129..=192).contains(&code) { End::Signal(i32::from(code) - 128) } else { End::Exit(code) };
            let (outcome, trips) = settings.judge(end, Stopped::Not, answered);
            Finished { trips, end: Some(end), ..said(outcome) }
        }
    }
}

/// That a Retry-After goes with a failure. One of no time is as none, so that a script can give one always.
///
/// # Errors
/// It goes with something else.
fn suits(retry_after: Option<Duration>, outcome: Outcome) -> Result<()> {
    let what = match outcome {
        _ if retry_after.is_none_or(|span| span.is_zero()) => return Ok(()),
        Outcome::Failure => return Ok(()),
        Outcome::Success => "a success",
        Outcome::Ignored => "a result that counts as nothing",
    };
    bail!("--retry-after goes with a failure, and this is {what}; leave it out, or report failure")
}
