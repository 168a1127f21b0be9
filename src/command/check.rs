//! `cb check`: would a run be let through now?

use anyhow::Result;

use super::{Context, switched_off};
use crate::breaker::Answer;
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::Tables;
use crate::exit::{Exit, REFUSED};
use crate::report::speech;
use crate::store::CaseClash;

/// Answers by the exit code. A state that cannot be used answers yes, with a warning, as a run would.
///
/// # Errors
/// Wrong configuration, or a name that the file system takes for that of another breaker.
pub fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let name = &args.name;
    if switched_off() {
        return Ok(Exit::Done);
    }
    let config = context.config(Tables::Only(name))?.resolve(Some(name), &[])?;
    let breaker = match context.snapshot(name) {
        Ok(Some(breaker)) => breaker,
        Ok(None) => return Ok(Exit::Done),
        Err(error) if error.is::<CaseClash>() => return Err(error),
        Err(error) => {
            speech::say(&format!("{name}: unguarded: {error:#}"));
            return Ok(Exit::Done);
        }
    };
    let now = clock::now();
    let settings = breaker.settings().unwrap_or(&config.setup.breaker);
    match breaker.answer(settings, now) {
        Answer::Pass | Answer::Probe => Ok(Exit::Done),
        Answer::Refuse(refusal) => {
            context.volume.remark(|| speech::refusal(name, &refusal, &breaker, now));
            Ok(Exit::Refused(REFUSED))
        }
    }
}
