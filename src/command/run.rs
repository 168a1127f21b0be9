//! `cb run`: admit, start, wait, record, and end as the command did.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use anyhow::Result;

use super::{Context, switched_off};
use crate::breaker::{Admission, Answer, Ask, Permit, Recorded};
use crate::child::{Child, Ended, Limit, NotStarted};
use crate::cli::{Given, RunArgs};
use crate::clock;
use crate::config::{Resolved, Tables};
use crate::exit::Exit;
use crate::name::Name;
use crate::outcome::{End, Run};
use crate::report::speech;
use crate::settings::OnStateError;
use crate::store::{CaseClash, Missing, Place};

/// What the breaker said.
enum Entrance {
    /// Go ahead, and report.
    Guarded(Ticket),
    /// Do not.
    Refused,
    /// Nobody could say: run without a guard.
    Unguarded,
}

/// What is needed to report.
struct Ticket {
    permit: Permit,
    /// A probe's lock, held until its result is on disk.
    place: Option<Place>,
}

/// Runs the command if the breaker lets it.
///
/// # Errors
/// Wrong configuration, or with `--on-state-error refuse` a state that cannot be used: nothing was started.
pub fn run(args: &RunArgs, context: &Context) -> Result<Exit> {
    let config = context.config(Tables::Only(&args.name))?.resolve(Some(&args.name), &args.given())?;
    let guard = Guard { name: &args.name, config: &config, context };
    let entrance = if switched_off() { Entrance::Unguarded } else { guard.enter()? };
    let ticket = match entrance {
        Entrance::Refused => return Ok(Exit::Refused(config.conduct.open_exit_code)),
        Entrance::Unguarded => None,
        Entrance::Guarded(ticket) => Some(ticket),
    };
    let probe = ticket.as_ref().is_some_and(|ticket| ticket.permit.is_probe());
    let ended = guard.start(&args.command, probe);
    if let Some(ticket) = ticket {
        guard.record(ticket, &ended);
    }
    Ok(ended.exit)
}

/// One breaker, as one run sees it.
struct Guard<'a> {
    name: &'a Name,
    config: &'a Resolved,
    context: &'a Context,
}

impl Guard<'_> {
    /// Asks the breaker. Trouble with the state never stops the command, unless that was asked for.
    fn enter(&self) -> Result<Entrance> {
        let error = match self.ask() {
            Ok(entrance) => return Ok(entrance),
            Err(error) => error,
        };
        // Wrong usage, not trouble of ours.
        if error.is::<CaseClash>() || self.config.conduct.on_state_error == OnStateError::Refuse {
            return Err(error);
        }
        // What cannot be written can perhaps be read: an open breaker on a read-only disk refuses.
        if let Some(refusal) = self.refused_by_what_is_there() {
            self.context.volume.remark(|| refusal);
            return Ok(Entrance::Refused);
        }
        speech::say(&format!("{}: unguarded: {error:#}", self.name));
        Ok(Entrance::Unguarded)
    }

    fn ask(&self) -> Result<Entrance> {
        let settings = &self.config.settings;
        let locked = self.context.lock(self.name, Missing::Create)?;
        let mut locked = locked.ok_or_else(|| anyhow::anyhow!("the state is gone"))?;
        locked.forget_dead_probes();
        let other_rules = locked.breaker.settings().is_some_and(|last| last.trip != settings.trip);
        let before = locked.breaker.generation();
        let now = clock::now();
        let ask = Ask { settings, lease: self.config.limits.lease(settings), pid: Some(std::process::id()) };
        let admission = locked.breaker.admit(&ask, now);
        if other_rules {
            let text =
                "another caller of this breaker has other trip rules; each run judges by its own, see 'cb status'";
            self.context.volume.remark(|| format!("{}: {text}", self.name));
        }
        match admission {
            Admission::Refused(refusal) => {
                // That one refusal is not counted is no reason to run.
                drop(locked.save());
                self.context.volume.remark(|| speech::refusal(self.name, &refusal, &locked.breaker, now));
                Ok(Entrance::Refused)
            }
            Admission::Admitted(permit) if permit.is_probe() => {
                if let Some(serial) = permit.serial() {
                    locked.claim_place(serial)?;
                }
                locked.save()?;
                let changed = locked.breaker.generation() != before;
                let unlocked = locked.unlock();
                if changed {
                    unlocked.flush();
                }
                self.context.volume.remark(|| format!("{}: this run is a probe", self.name));
                Ok(Entrance::Guarded(Ticket { permit, place: Some(unlocked.into_place()) }))
            }
            Admission::Admitted(permit) => {
                locked.save()?;
                Ok(Entrance::Guarded(Ticket { permit, place: None }))
            }
        }
    }

    /// The refusal that the state speaks of, as far as it can be read. Nothing is written.
    fn refused_by_what_is_there(&self) -> Option<String> {
        let snapshot = self.context.store().ok()?.read(self.name, clock::instant()).ok()??;
        let breaker = snapshot.without_dead_probes();
        let now = clock::now();
        match breaker.answer(&self.config.settings, now) {
            Answer::Refuse(refusal) => Some(speech::refusal(self.name, &refusal, &breaker, now)),
            Answer::Pass | Answer::Probe => None,
        }
    }

    /// Starts the command and waits for its end.
    fn start(&self, command: &[OsString], probe: bool) -> Ended {
        let limits = &self.config.limits;
        let limit = Limit { time: limits.limit(probe), limits };
        match Child::start(command, self.variables(probe), limit, self.context.inherited) {
            Ok(child) => child.wait(limit),
            Err(NotStarted { exit, message }) => {
                let word = command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
                speech::say(&format!("could not run '{word}': {message}"));
                Ended { end: End::NotStarted, exit, stopped: false, took: std::time::Duration::ZERO }
            }
        }
    }

    /// What the child finds in its environment.
    fn variables(&self, probe: bool) -> Vec<CString> {
        let name = [("CB_NAME", OsString::from(self.name.as_str()))].into_iter();
        let probe = probe.then(|| ("CB_PROBE", OsString::from("1")));
        let all = name.chain(probe).chain(self.context.places.variables.iter().cloned());
        // A path from the command line cannot hold a NUL byte.
        all.filter_map(|(variable, value)| {
            let mut entry = format!("{variable}=").into_bytes();
            entry.extend(value.into_vec());
            CString::new(entry).ok()
        })
        .collect()
    }

    /// Reports how it ended. Trouble is a warning: the command has run.
    fn record(&self, ticket: Ticket, ended: &Ended) {
        let (outcome, trips) = self.config.settings.codes.judge(ended.end, ended.stopped);
        let run = Run { outcome, trips, end: Some(ended.end), took: Some(ended.took) };
        if let Err(error) = self.report(ticket, &run) {
            speech::say(&format!("{}: could not record the result: {error:#}", self.name));
        }
    }

    fn report(&self, ticket: Ticket, run: &Run) -> Result<()> {
        let Ticket { permit, place } = ticket;
        // The breaker was removed meanwhile: its result goes with it.
        let Some(mut locked) = self.context.lock(self.name, Missing::Leave)? else { return Ok(()) };
        let now = clock::now();
        let before = locked.breaker.generation();
        let recorded = locked.breaker.record(permit, run, &self.config.settings, now);
        if recorded == Recorded::Foreign {
            return Ok(());
        }
        locked.save()?;
        drop(place);
        if locked.breaker.generation() == before {
            return Ok(());
        }
        let lines = if let Recorded::Counted(Some(change)) = &recorded {
            Some(speech::change(self.name, change, &locked.breaker, now))
        } else {
            None
        };
        locked.unlock().flush();
        match lines {
            Some((line, true)) => self.context.volume.news(&line),
            Some((line, false)) => self.context.volume.remark(|| line),
            None => {}
        }
        Ok(())
    }
}
