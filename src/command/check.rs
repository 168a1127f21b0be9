//! `cb check`: would a run be let through now?

use anyhow::Result;

use crate::breaker::Answer;
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::{Tables, Use};
use crate::context::Context;
use crate::environment::switched_off;
use crate::exit::Exit;
use crate::report::speech;
use crate::store::{READERS_PATIENCE, Trouble};

/// Answers by the exit code. A state that cannot be used answers yes, with a warning, as a run would.
///
/// # Errors
/// Wrong configuration, or a name that the file system takes for that of another breaker.
pub fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let name = &args.name;
    if switched_off() {
        return Ok(Exit::Done);
    }
    let config = context.config(Tables::Only(name, Use::Run))?;
    let open_exit_code = config.open_exit_code(name, args.options.given())?;
    let seen = match context.store.read(name, clock::instant() + READERS_PATIENCE) {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(Exit::Done),
        Err(Trouble::Misuse(error)) => return Err(error),
        Err(Trouble::Unusable(error)) => {
            speech::say(&format!("{name}: unguarded: {error:#}"));
            return Ok(Exit::Done);
        }
    };
    let settings = config.of_run(name).unwrap_or_else(|error| {
        context
            .volume
            .remark(|| format!("{name}: judged by the settings last used, as a run needs options: {error:#}"));
        seen.breaker.settings().cloned().unwrap_or_default()
    });
    match seen.breaker.answer(&settings, seen.now) {
        Answer::Pass | Answer::Probe => Ok(Exit::Done),
        Answer::Refuse(refusal) => {
            context.volume.remark(|| speech::refusal(name, &refusal, &seen.breaker, seen.now));
            Ok(Exit::Refused(open_exit_code))
        }
    }
}
