//! The `on-change` command.

use std::time::Duration;

use crate::breaker::Change;
use crate::child::{self, Ended, Task, TimeLimit};
use crate::context::Context;
use crate::environment::HOOK;
use crate::name::Name;
use crate::outcome::End;
use crate::report::speech::say;
use crate::settings::TimeLimits;
use crate::time::{Timestamp, format_duration};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs it, and waits for its end. Its trouble is a warning.
pub(super) fn run(command: &str, name: &Name, change: &Change, retry_at: Option<Timestamp>, context: &Context) {
    let variables = [
        ("CB_NAME", name.to_string()),
        ("CB_FROM", change.from.word().to_owned()),
        ("CB_TO", change.to.word().to_owned()),
        ("CB_REASON", change.reason.to_string()),
        ("CB_BY", change.by.clone().unwrap_or_default()),
        (HOOK, "1".to_owned()),
        ("CB_RETRY_AT", retry_at.map_or(String::new(), |at| at.to_string())),
    ];
    // A hand-edited reason may hold a NUL byte, which no environment can.
    let variables = variables.into_iter().map(|(variable, value)| (variable, value.replace('\0', "").into()));
    let limits = TimeLimits { signal: libc::SIGKILL, ..TimeLimits::NONE };
    let task = Task {
        command: &child::shell(command),
        variables: context.environment(variables),
        limit: TimeLimit { time: Some(LIMIT), limits: &limits },
        is_hook: true,
    };
    match child::run(task, context.inherited) {
        Ok(Ended { end: End::Exit(0), .. }) => {}
        Ok(Ended { end: End::TimedOut, .. }) => {
            say(&format!("{name}: the on-change command took more than {} and was ended", format_duration(LIMIT)));
        }
        Ok(ended) => say(&format!("{name}: the on-change command failed: {}", ended.end)),
        Err(error) => say(&format!("{name}: could not run the on-change command: {}", error.message)),
    }
}
