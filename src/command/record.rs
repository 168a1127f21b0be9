//! `cb record`: the second of two steps, or what was seen elsewhere.

use anyhow::Result;

use super::allow::UNGUARDED;
use super::{Context, Told, announce, remark_other_rules, switched_off};
use crate::breaker::{Permit, Recorded};
use crate::cli::{RecordArgs, Reported};
use crate::clock;
use crate::config::Tables;
use crate::exit::Exit;
use crate::outcome::{Codes, End, Outcome, Run};
use crate::report::speech::{self, Later};
use crate::settings::Settings;
use crate::store::{CaseClash, Missing};

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
        Some(word) => Some(word.parse::<Permit>().map_err(|message| anyhow::anyhow!("--permit: {message}"))?),
        None => None,
    };
    let given = args.options.given();
    let config = context.config(Tables::Only(&args.name))?.resolve(Some(&args.name), given)?;
    let own_settings = (!given.is_empty()).then_some(&config.setup.breaker);
    match report(args, permit, own_settings, &config.setup.breaker, context) {
        Ok(Some(told)) => announce(context, &args.name, &told, config.setup.conduct.on_change.as_deref()),
        Ok(None) => {}
        Err(error) if error.is::<CaseClash>() => return Err(error),
        Err(error) => speech::say(&format!("{}: could not record the result: {error:#}", args.name)),
    }
    Ok(Exit::Done)
}

/// Reports it to the breaker: by the settings given, else by those last used, else by those of the configuration.
fn report(
    args: &RecordArgs,
    permit: Option<Permit>,
    given: Option<&Settings>,
    configured: &Settings,
    context: &Context,
) -> Result<Option<Told>> {
    let name = &args.name;
    let late = |why: &str| format!("{name}: late: {why}; it changes nothing");
    let mut later = Later::new(context.volume);
    let missing = if permit.is_some() { Missing::Leave } else { Missing::Create };
    let Some(mut locked) = context.lock(name, missing, &mut later)? else {
        let near = context.near(name).ok().flatten();
        let hint = near.map_or("it changes nothing".to_owned(), |near| format!("did you mean '{near}'?"));
        later.news(format!("{name}: late: there is no breaker of this name (any more); {hint}"));
        return Ok(None);
    };
    let breaker = &mut locked.breaker;
    let settings = given.or(breaker.settings()).unwrap_or(configured).clone();
    let run = judge(args, &settings.codes);
    remark_other_rules(name, breaker, &settings, &mut later);
    let now = clock::now();
    let before = breaker.generation();
    let recorded = match permit {
        None => Recorded::Counted(breaker.observe(&run, &settings, now)),
        Some(permit) => breaker.record(permit, &run, &settings, now),
    };
    let change = match recorded {
        Recorded::Counted(change) => {
            if given.is_some() {
                breaker.use_settings(&settings);
            }
            change
        }
        Recorded::Late => {
            later.news(late("the permit was recorded before, is too old, or the state has moved on since"));
            None
        }
        Recorded::Foreign => {
            later.news(late("the permit is of a breaker that was removed, or of one with another name"));
            return Ok(None);
        }
    };
    locked.save()?;
    let told = change.map(|change| Told::new(name, change, &locked.breaker, now));
    if locked.breaker.generation() != before {
        locked.unlock().flush();
    }
    Ok(told)
}

/// What was reported, as a run.
fn judge(args: &RecordArgs, codes: &Codes) -> Run {
    let said = |outcome| Run { outcome, trips: false, end: None, took: args.took };
    match (args.outcome, args.exit_code) {
        (Some(Reported::Success), _) => said(Outcome::Success),
        (Some(Reported::Failure), _) => said(Outcome::Failure),
        (Some(Reported::Ignored), _) | (None, None) => said(Outcome::Ignored),
        (None, Some(code)) => {
            // What a shell has in `$?` after a death by signal.
            let end = if (129..=192).contains(&code) { End::Signal(i32::from(code) - 128) } else { End::Exit(code) };
            let (outcome, trips) = codes.judge(end, false);
            Run { outcome, trips, end: Some(end), took: args.took }
        }
    }
}
