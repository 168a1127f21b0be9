//! The `on-change` command.

use std::cell::RefCell;
use std::time::Duration;

use super::News;
use crate::child::{self, Ended, Task, TimeLimit};
use crate::context::Context;
use crate::environment::HOOK;
use crate::name::Name;
use crate::outcome::End;
use crate::settings::TimeLimits;
use crate::time::{format_duration, millis};

/// How long those of one process may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Commands that wait until all breakers that one call is to change are changed: one that hangs must not hold up a change.
#[derive(Default)]
pub struct Later(RefCell<Vec<(String, Name, News)>>);

impl Later {
    /// Adds one.
    pub(super) fn add(&self, command: &str, name: &Name, news: News) {
        self.0.borrow_mut().push((command.to_owned(), name.clone(), news));
    }

    /// Runs them, in the order in which they were added.
    pub fn run(&self, context: &Context) {
        for (command, name, news) in self.0.take() {
            run(&command, &name, &news, context);
        }
    }
}

/// Runs it, and waits for its end. Its trouble is a warning, unless nothing is to be said.
pub(super) fn run(command: &str, name: &Name, news: &News, context: &Context) {
    let News { change, retry_at, outage, .. } = news;
    let variables = [
        ("CB_NAME", name.to_string()),
        ("CB_FROM", change.from.word().to_owned()),
        ("CB_TO", change.to.word().to_owned()),
        ("CB_REASON", change.reason.to_string()),
        ("CB_BY", change.by.clone().unwrap_or_default()),
        (HOOK, "1".to_owned()),
        ("CB_RETRY_AT", retry_at.map_or(String::new(), |at| at.to_string())),
        ("CB_OPEN_MS", outage.map_or(String::new(), |outage| millis(outage.0).to_string())),
        ("CB_REFUSED", outage.map_or(String::new(), |outage| outage.1.to_string())),
    ];
    // A hand-edited reason may hold a NUL byte, which no environment can.
    let variables = variables.into_iter().map(|(variable, value)| (variable, value.replace('\0', "").into()));
    let warn = |line: String| context.volume().news(&format!("{name}: {line}"));
    let spent = context.time_in_hooks.get();
    let left = LIMIT.saturating_sub(spent);
    if left.is_zero() {
        let limit = format_duration(LIMIT);
        warn(format!("the on-change command was not run: those before it took the {limit} that all have together"));
        return;
    }
    let limits = TimeLimits { signal: libc::SIGKILL, ..TimeLimits::NONE };
    let task = Task {
        command: &child::shell(command),
        variables: context.environment(variables),
        limit: TimeLimit { time: Some(left), limits: &limits },
        is_hook: true,
    };
    match child::run(task, context.inherited) {
        Ok(Ended { end, took, .. }) => {
            context.time_in_hooks.set(spent.saturating_add(took));
            match end {
                End::Exit(0) => {}
                End::TimedOut => {
                    let limit = format_duration(LIMIT);
                    let whose = if spent.is_zero() { "" } else { ", with those before it," };
                    warn(format!("the on-change command{whose} took more than {limit} and was ended"));
                }
                _ => warn(format!("the on-change command failed: {end}")),
            }
        }
        Err(error) => warn(format!("could not run the on-change command: {}", error.message)),
    }
}
