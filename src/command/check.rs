//! `cb check`: would runs be let through now?

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::look::Told;
use super::run::{self, Countdown};
use crate::breaker::{Draw, Refusal};
use crate::chance;
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::{Config, Tables, Use};
use crate::context::Context;
use crate::environment::switched_off;
use crate::exit::Exit;
use crate::name::Name;
use crate::report::speech::{self, Volume};
use crate::report::view::{Look, View};
use crate::report::{json, print};
use crate::store::{READERS_PATIENCE, Seen, Trouble};

/// Answers by the exit code. Where the state cannot be used, it answers yes with a warning, as a run would.
///
/// # Errors
/// Wrong configuration; a name that the file system takes for that of another breaker; standard output is closed.
pub fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let selection = &args.selection;
    if switched_off() {
        // Every run passes, and no file is touched.
        match (args.json, args.any, selection.names.first()) {
            (true, ..) => drop(print(&json::status(&[])?)?),
            (false, true, Some(name)) => drop(print(&format!("{name}\n"))?),
            (false, ..) => {}
        }
        return Ok(Exit::Done);
    }
    let questions = questions(args, context)?;
    let mut told = Told::default();
    let deadline = args.wait.map(|most| clock::instant().checked_add(most));
    let mut countdown = None;
    let (mut answers, yes) = loop {
        let mut answers = Vec::with_capacity(questions.len());
        for question in &questions {
            answers.push(question.ask(context, &mut told)?);
            if args.any && answers.last().is_some_and(|answer| answer.refusal.is_none()) {
                break;
            }
        }
        let refused = answers.iter().filter(|answer| answer.refusal.is_some()).count();
        let yes = if args.any { refused < answers.len() } else { refused == 0 };
        match deadline.filter(|_| !yes).and_then(|deadline| pause(&answers, deadline)) {
            None => break (answers, yes),
            Some(pause) => {
                countdown = wait_for(&answers, countdown);
                clock::sleep(pause);
            }
        }
    };
    drop(countdown);
    if args.any && yes {
        // The one that would let a run through is the last that was asked.
        answers = answers.split_off(answers.len().saturating_sub(1));
        if !args.json {
            print(&format!("{}\n", answers.iter().map(|answer| answer.view.name.as_str()).collect::<String>()))?;
        }
    }
    for Answered { view, refusal, volume, .. } in &answers {
        if let (Some(refusal), Ok(look)) = (refusal, &view.look) {
            volume.remark(|| speech::refusal(&view.name, refusal, &look.breaker, look.now));
        }
    }
    let code = answers.iter().find(|answer| answer.refusal.is_some()).map(|answer| answer.open_exit_code);
    if args.json {
        let views: Vec<View> = answers.into_iter().map(|answer| answer.view).collect();
        print(&json::status(&views)?)?;
    }
    // Of none at all, all would be let through, but not any.
    let code = code.unwrap_or(crate::exit::REFUSED);
    Ok(if yes { Exit::Done } else { Exit::Refused(code) })
}

/// A breaker to ask.
struct Question<'a> {
    name: Name,
    config: Rc<Config>,
    args: &'a CheckArgs,
    volume: Volume,
    /// Where in a ramp it is let through, however often it is asked.
    draw: Draw,
}

/// What a breaker answers.
struct Answered {
    view: View,
    /// Why a run would be refused, if it would be.
    refusal: Option<Refusal>,
    open_exit_code: u8,
    volume: Volume,
}

/// Whom to ask, each with its configuration: of others, mistakes are not our business.
fn questions<'a>(args: &'a CheckArgs, context: &Context) -> Result<Vec<Question<'a>>> {
    if !args.selection.all {
        let names = args.selection.names.iter().cloned();
        let question = |name: Name| {
            let config = Rc::new(context.config(Tables::Only(&name, Use::Run))?);
            Ok(Question { name, config, args, volume: context.volume(), draw: chance::draw() })
        };
        return names.map(question).collect();
    }
    let config = Rc::new(context.config(Tables::All)?);
    let stored = match context.store.names() {
        Ok(names) => names,
        Err(Trouble::Misuse(error)) => return Err(error),
        Err(Trouble::Unusable(error)) => {
            speech::say(&format!("unguarded: {error:#}"));
            Vec::new()
        }
    };
    let names: BTreeSet<Name> = stored.into_iter().chain(config.names().cloned()).collect();
    let volume = context.volume();
    let question = |name| Question { name, config: Rc::clone(&config), args, volume, draw: chance::draw() };
    Ok(names.into_iter().map(question).collect())
}

impl Question<'_> {
    fn ask(&self, context: &Context, told: &mut Told) -> Result<Answered> {
        let Self { name, config, args, volume, draw } = self;
        let open_exit_code = config.open_exit_code(name, args.options.given())?;
        let path = context.store.locate(name).unwrap_or_default();
        let answered = |look, refusal| {
            let view = View { name: name.clone(), path, look };
            Ok(Answered { view, refusal, open_exit_code, volume: *volume })
        };
        let seen = match context.store.read(name, clock::instant() + READERS_PATIENCE) {
            Ok(seen) => seen.unwrap_or_else(Seen::unused),
            Err(Trouble::Misuse(error)) => return Err(error),
            Err(Trouble::Unusable(error)) => {
                told.tell(&format!("{name}: unguarded: {error:#}"));
                return answered(Err(format!("{error:#}")), None);
            }
        };
        let of_run = match (config.of_run(name), seen.breaker.settings()) {
            (Ok(settings), _) => settings,
            (Err(error), last_used) => {
                if volume.has_remarks() {
                    told.tell(&format!("{name}: judged by the settings last used, as a run needs options: {error:#}"));
                }
                last_used.cloned().unwrap_or_default()
            }
        };
        let Seen { breaker, now, .. } = seen.asked_with(&of_run);
        let refusal = breaker.answer(&of_run, *draw, now).refusal();
        answered(Ok(Look::new(breaker, now, Some(of_run))), refusal)
    }
}

/// How long to wait before they are asked again; `None` where the time is over.
fn pause(answers: &[Answered], deadline: Option<Instant>) -> Option<Duration> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::instant()));
    if left.is_some_and(|left| left.is_zero()) {
        return None;
    }
    let due = answers.iter().filter_map(|answer| {
        let at = answer.refusal.as_ref()?.retry_at?;
        Some(at.left(answer.view.look.as_ref().ok()?.now))
    });
    Some(run::pause(left, due))
}

/// Shows what is waited for: the first that refuses.
fn wait_for(answers: &[Answered], shown: Option<Countdown>) -> Option<Countdown> {
    let Answered { view, refusal, volume, .. } = answers.iter().find(|answer| answer.refusal.is_some())?;
    let (refusal, look) = (refusal.as_ref()?, view.look.as_ref().ok()?);
    let same = shown.filter(|countdown| *countdown.name() == view.name);
    let mut countdown = same.unwrap_or_else(|| Countdown::new(&view.name, *volume));
    countdown.show(refusal, &look.breaker, look.now);
    Some(countdown)
}
