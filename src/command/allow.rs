//! `cb allow`: the first of two steps, for what `cb` cannot start.

use anyhow::{Result, anyhow};

use super::{Context, remark_other_rules, switched_off};
use crate::breaker::{Admission, Ask, Permit};
use crate::cli::AllowArgs;
use crate::clock;
use crate::config::{Config, Resolved, Tables};
use crate::exit::{Exit, REFUSED};
use crate::name::Name;
use crate::outcome::{Outcome, Run};
use crate::report::speech::Later;
use crate::report::{Reader, print, speech};
use crate::store::Missing;

/// What is printed where no breaker could be asked; `cb record` accepts it and does nothing.
pub const UNGUARDED: &str = "unguarded";

/// Prints a permit, or refuses. Where the state cannot be used it says yes, as `cb run` would.
///
/// # Errors
/// Wrong configuration; standard output is closed.
pub fn run(args: &AllowArgs, context: &Context) -> Result<Exit> {
    let name = &args.name;
    let file = if switched_off() { Config::default() } else { context.config(Tables::Only(name))? };
    let config = file.resolve(Some(name), args.options.given())?;
    if switched_off() {
        print(&format!("{UNGUARDED}\n"))?;
        return Ok(Exit::Done);
    }
    match ask(args, context, &config) {
        Ok(Some(permit)) => {
            let printed = print(&format!("{permit}\n"));
            if !matches!(printed, Ok(Reader::There)) {
                // Nobody has the permit, so nobody will report.
                drop(give_back(name, permit, context, &config));
            }
            printed.map(|_| Exit::Done)
        }
        Ok(None) => Ok(Exit::Refused(REFUSED)),
        Err(error) if error.is::<crate::store::CaseClash>() => Err(error),
        Err(error) => {
            if let Some(refusal) = context.refused_by_what_is_there(name, &config.setup.breaker) {
                context.volume.remark(|| refusal);
                return Ok(Exit::Refused(REFUSED));
            }
            speech::say(&format!("{name}: unguarded: {error:#}"));
            print(&format!("{UNGUARDED}\n"))?;
            Ok(Exit::Done)
        }
    }
}

/// Records that a permit came to nothing: a probe's place is free again.
fn give_back(name: &Name, permit: Permit, context: &Context, config: &Resolved) -> Result<()> {
    let mut later = Later::new(context.volume);
    let Some(mut locked) = context.lock(name, Missing::Leave, &mut later)? else { return Ok(()) };
    let run = Run { outcome: Outcome::Ignored, trips: false, end: None, took: None };
    drop(locked.breaker.record(permit, &run, &config.setup.breaker, clock::now()));
    locked.save()
}

fn ask(args: &AllowArgs, context: &Context, config: &Resolved) -> Result<Option<Permit>> {
    let name = &args.name;
    let mut later = Later::new(context.volume);
    let locked = context.lock(name, Missing::Create, &mut later)?;
    let mut locked = locked.ok_or_else(|| anyhow!("the state is gone"))?;
    let before = locked.breaker.generation();
    let now = clock::now();
    remark_other_rules(name, &locked.breaker, &config.setup.breaker, &mut later);
    let lease = config.setup.breaker.lease.unwrap_or(AllowArgs::LEASE);
    match locked.breaker.admit(&Ask { settings: &config.setup.breaker, lease, pid: None }, now) {
        Admission::Refused(refusal) => {
            // That one refusal is not counted is no reason to say yes.
            drop(locked.save());
            later.remark(speech::refusal(name, &refusal, &locked.breaker, now));
            Ok(None)
        }
        Admission::Admitted(permit) => {
            locked.save()?;
            if locked.breaker.generation() != before {
                locked.unlock().flush();
            }
            Ok(Some(permit))
        }
    }
}
