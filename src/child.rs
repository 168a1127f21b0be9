//! The child: start it, pass signals on, end it when its time is over, learn how it ended.

mod headers;
mod output;

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

pub use self::headers::Headers;
pub use self::output::Watch;
use crate::clock;
use crate::exit::Exit;
use crate::outcome::{End, Stopped};
use crate::settings::TimeLimits;
use crate::sys::{self, Arrived, Inherited, Program, Status, message};

/// How long after a wait that failed it is repeated.
const AGAIN: Duration = Duration::from_millis(1);

/// A command line for the shell.
pub fn shell(line: &str) -> [OsString; 3] {
    ["/bin/sh", "-c", line].map(OsString::from)
}

/// What is to be run, and how.
pub struct Task<'a> {
    /// The command and its arguments.
    pub command: &'a [OsString],
    /// The `CB_...` that it finds in its environment. `CB_PROBE` is taken out of it where it is not among them.
    pub variables: Vec<CString>,
    /// How long it may run.
    pub limit: TimeLimit<'a>,
    /// A command of our own beside the user's: it reads nothing, its data goes where speech goes, and it leads a group.
    pub is_hook: bool,
    /// Where it may write the headers of HTTP answers.
    pub headers: Option<&'a Headers>,
    /// What looks at its output, which then comes by way of us.
    pub watch: Option<&'a Watch>,
}

/// A child that runs.
struct Child {
    pid: libc::pid_t,
    own_group: bool,
    started: Instant,
}

/// How a run ended, seen from outside.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// How the child ended.
    pub end: End,
    /// How `cb` ends for it.
    pub exit: Exit,
    /// What was sent to `cb` before, to stop it.
    pub stopped: Stopped,
    /// How long the child ran.
    pub took: Duration,
}

/// A child that could not be started, and why.
#[derive(Debug)]
pub struct NotStarted {
    /// How `cb` ends for it.
    pub exit: Exit,
    /// The sentence for the user, without the word that was given.
    pub message: String,
}

/// A limit on a child's time: how long, and what ends it.
#[derive(Clone, Copy)]
pub struct TimeLimit<'a> {
    /// How long it may run; `None` is for ever.
    pub time: Option<Duration>,
    /// What ends it.
    pub limits: &'a TimeLimits,
}

/// What goes on beside a child while it runs.
pub trait Meanwhile {
    /// How long the child, which has run for so long, may be left alone at most; `None` is until something happens.
    fn left(&self, ran: Duration) -> Option<Duration>;

    /// Does what is due, after so long a time of the child, and waits for nothing.
    fn turn(&mut self, ran: Duration);

    /// The number of a child of its own.
    fn child(&self) -> Option<libc::pid_t>;
}

/// Runs a command to its end, passes on the signals that `cb` gets meanwhile, and keeps the limit; beside it goes on what
/// there is.
///
/// # Errors
/// Why it was not started, as a shell would say it.
pub fn run(task: Task<'_>, inherited: Inherited, meanwhile: Option<&mut dyn Meanwhile>) -> Result<Ended, NotStarted> {
    let (limit, watch) = (task.limit, task.watch);
    Ok(Child::start(task, inherited)?.wait(limit, meanwhile, watch))
}

/// A child that runs beside another. Who waits for that one looks after it too.
pub struct Beside<'a> {
    child: Child,
    limit: TimeLimit<'a>,
    timer: Timer<'a>,
}

impl<'a> Beside<'a> {
    /// Starts it, with this limit, which is that of the task.
    ///
    /// # Errors
    /// Why it was not started, as a shell would say it.
    pub fn start(task: Task<'_>, limit: TimeLimit<'a>, inherited: Inherited) -> Result<Self, NotStarted> {
        let child = Child::start(task, inherited)?;
        Ok(Self { limit, timer: Timer::new(child.started, limit), child })
    }

    /// Its process number.
    pub fn pid(&self) -> libc::pid_t {
        self.child.pid
    }

    /// How long it is until its time is over.
    pub fn left(&self) -> Option<Duration> {
        self.timer.left()
    }

    /// How it ended, if it has; ends it if its time is over.
    pub fn look(&mut self) -> Option<Ended> {
        let Self { child, timer, .. } = self;
        timer.ring(|signal| sys::send(child.pid, child.own_group, signal));
        match sys::try_wait(child.pid, false) {
            Ok(Some(status)) => Some(child.ended(timer, Some(status), Stopped::Not)),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Some(child.ended(timer, None, Stopped::Not)),
            // What fails is asked again when something else happens.
            Ok(None) | Err(_) => None,
        }
    }

    /// Waits for its end, where the other has ended.
    pub fn wait(mut self) -> Ended {
        // Its end and that of the other may have come as one signal, which nobody sends again.
        self.look().unwrap_or_else(|| self.child.wait(self.limit, None, None))
    }
}

impl Child {
    fn start(task: Task<'_>, inherited: Inherited) -> Result<Self, NotStarted> {
        const UNSET: &[&CStr] = &[c"CB_PROBE"];
        let Task { command, variables, limit, is_hook, headers, watch } = task;
        // Arguments come from an exec and cannot hold a NUL byte.
        let argv: Vec<CString> = command.iter().filter_map(|word| CString::new(word.clone().into_vec()).ok()).collect();
        let own_group = is_hook || limit.time.is_some() && !limit.limits.foreground && !sys::in_foreground();
        let lent = headers.map(Headers::lent);
        let streams = watch.map(Watch::for_child).unwrap_or_default();
        let program = Program { argv, set: variables, unset: UNSET, own_group, is_hook, streams, lent };
        let started = clock::instant();
        match sys::spawn(&program, inherited) {
            Ok(pid) => {
                watch.into_iter().for_each(Watch::started);
                Ok(Self { pid, own_group, started })
            }
            Err((error, executed)) => {
                Err(NotStarted::because(&error, executed, command.first().map_or(OsStr::new(""), OsString::as_os_str)))
            }
        }
    }

    /// Waits until it has ended.
    fn wait(self, limit: TimeLimit<'_>, mut meanwhile: Option<&mut dyn Meanwhile>, watch: Option<&Watch>) -> Ended {
        let mut stopped = Stopped::Not;
        let mut timer = Timer::new(self.started, limit);
        let mut soon = None;
        let mut held_back: Option<HeldBack> = None;
        let status = loop {
            let grace = held_back.as_ref().map(HeldBack::left);
            let beside = meanwhile.as_ref().and_then(|meanwhile| meanwhile.left(self.ran()));
            match sys::next_signal([soon, grace, timer.left(), beside].into_iter().flatten().min()) {
                Some(arrived) if arrived.signal != libc::SIGCHLD => {
                    // They reach the child in the order in which they came.
                    self.release(held_back.take(), &mut timer);
                    stopped = stopped.max(self.pass_on(arrived, &mut held_back, &mut timer));
                }
                Some(_) => {}
                None => timer.ring(|signal| sys::send(self.pid, self.own_group, signal)),
            }
            match sys::try_wait(self.pid, false) {
                Ok(Some(status)) => break Some(status),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => break None,
                Ok(None) => soon = None,
                // Asked at a bad moment. No other signal may come, so a wait that fails is repeated without one.
                Err(_) => soon = Some(AGAIN),
            }
            self.release(held_back.take_if(|held| held.left().is_zero()), &mut timer);
            if let Some(meanwhile) = &mut meanwhile {
                meanwhile.turn(self.ran());
            }
            let beside = meanwhile.as_ref().and_then(|meanwhile| meanwhile.child());
            sys::reap_orphans(&[self.pid, beside.unwrap_or(self.pid)]);
        };
        let ended = self.ended(&timer, status, stopped);
        if let Some(watch) = watch {
            watch.finish();
            drain(watch, &timer, stopped);
        }
        ended
    }

    fn ran(&self) -> Duration {
        clock::instant().saturating_duration_since(self.started)
    }

    fn ended(&self, timer: &Timer<'_>, status: Option<Status>, stopped: Stopped) -> Ended {
        let (end, exit) = timer.verdict(status);
        Ended { end, exit, stopped, took: self.ran() }
    }

    /// Passes a signal on, unless the child already has it. Says whether it is one by which things are stopped.
    fn pass_on(&self, arrived: Arrived, held_back: &mut Option<HeldBack>, timer: &mut Timer<'_>) -> Stopped {
        let Arrived { signal, by_kernel, by_us } = arrived;
        if by_us || sys::is_ignored(signal) {
            return Stopped::Not;
        }
        // What a terminal sends goes to its whole foreground group; a hang-up to the leader of the session alone.
        let hangs_up = matches!(signal, libc::SIGHUP | libc::SIGCONT);
        let typed = hangs_up || matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP | libc::SIGWINCH);
        let has_it = by_kernel && typed && !self.own_group && !(hangs_up && sys::leads_session());
        let stops = stops(signal);
        if has_it && stops {
            timer.kill_later();
        } else if !has_it && stops && !self.own_group {
            *held_back = Some(HeldBack { signal, until: clock::instant() + GRACE });
        } else if !has_it {
            self.hand_on(signal, timer);
        }
        if signal == libc::SIGTSTP {
            sys::stop_self();
        }
        match signal {
            libc::SIGTERM => Stopped::ByTerm,
            _ if stops => Stopped::ByUser,
            _ => Stopped::Not,
        }
    }

    fn release(&self, held_back: Option<HeldBack>, timer: &mut Timer<'_>) {
        if let Some(held) = held_back {
            self.hand_on(held.signal, timer);
        }
    }

    fn hand_on(&self, signal: libc::c_int, timer: &mut Timer<'_>) {
        let send = |signal| sys::send(self.pid, self.own_group, signal);
        if stops(signal) || signal == timer.limits.signal { timer.end(signal, send) } else { send(signal) }
    }
}

/// Waits until what the child has printed is passed on. Who reads slowly is waited for, but not beyond the time limit of the
/// run, nor once somebody stops it.
fn drain(watch: &Watch, timer: &Timer<'_>, stopped: Stopped) {
    let now = clock::instant();
    let ended = timer.timed_out || stopped != Stopped::Not;
    let until = if ended { now.checked_add(GRACE) } else { timer.next };
    while !watch.is_done() {
        let left = until.map(|until| until.saturating_duration_since(clock::instant()));
        if left.is_some_and(|left| left.is_zero()) {
            return;
        }
        match sys::next_signal(left) {
            Some(Arrived { signal, by_us: false, .. }) if stops(signal) && !sys::is_ignored(signal) => return,
            Some(Arrived { signal: libc::SIGTSTP, by_us: false, .. }) => sys::stop_self(),
            _ => {}
        }
    }
}

/// Whether it is a signal by which a user stops things.
fn stops(signal: libc::c_int) -> bool {
    matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGTERM | libc::SIGHUP)
}

/// How long a signal that stops things is held back.
const GRACE: Duration = Duration::from_millis(50);

/// A signal that is not passed on at once. `kill` may have sent it to our whole group, and nothing tells that from one to
/// us alone; a child that has it then ends, as a rule, before it would get it a second time.
struct HeldBack {
    signal: libc::c_int,
    until: Instant,
}

impl HeldBack {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(clock::instant())
    }
}

/// The time limit of one child, as GNU `timeout` keeps it: the signal, then CONT so that a stopped child notices, and
/// after `kill-after` SIGKILL. A user who stops `cb` does not wait longer for the child's end than a limit would.
struct Timer<'a> {
    next: Option<Instant>,
    limits: &'a TimeLimits,
    limited: bool,
    timed_out: bool,
    /// It was told to end: what comes next is SIGKILL.
    ending: bool,
}

impl<'a> Timer<'a> {
    fn new(started: Instant, limit: TimeLimit<'a>) -> Self {
        let next = limit.time.and_then(|time| started.checked_add(time));
        Self { next, limits: limit.limits, limited: limit.time.is_some(), timed_out: false, ending: false }
    }

    fn left(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(clock::instant()))
    }

    /// Does what is due, if anything is.
    fn ring(&mut self, send: impl Fn(libc::c_int)) {
        if self.next.is_none_or(|next| next > clock::instant()) {
            return;
        }
        self.timed_out = true;
        self.next = None;
        if self.ending { send(libc::SIGKILL) } else { self.end(self.limits.signal, send) }
    }

    /// Tells the child to end: its time is over, or the user said so.
    fn end(&mut self, signal: libc::c_int, send: impl Fn(libc::c_int)) {
        send(signal);
        if self.limited && signal != libc::SIGKILL && signal != libc::SIGCONT {
            send(libc::SIGCONT);
        }
        self.kill_later();
    }

    /// Starts `kill-after`, if there is a limit.
    fn kill_later(&mut self) {
        if let Some(after) = self.limits.kill_after.filter(|_| self.limited && !self.ending) {
            self.ending = true;
            self.next = clock::instant().checked_add(after);
        }
    }

    /// What the run counts as, and how `cb` ends for it. No status means that somebody else has reaped the child.
    fn verdict(&self, status: Option<Status>) -> (End, Exit) {
        let (end, exit) = match status {
            Some(Status::Exited(code)) => (End::Exit(code), Exit::Child(code)),
            Some(Status::Killed(signal)) => (End::Signal(signal), Exit::Signal(signal)),
            None => (End::NotStarted, Exit::Failed),
        };
        match (self.timed_out, end) {
            (false, _) => (end, exit),
            (true, _) if self.limits.preserve_status => (End::TimedOut, exit),
            (true, End::Signal(libc::SIGKILL)) => (End::TimedOut, Exit::Killed),
            (true, _) => (End::TimedOut, Exit::TimedOut),
        }
    }
}

impl NotStarted {
    fn because(error: &io::Error, executed: bool, word: &OsStr) -> Self {
        if !executed {
            return Self { exit: Exit::Failed, message: format!("could not start a process: {}", message(error)) };
        }
        let (exit, message) = match (error.raw_os_error(), hint(word)) {
            (Some(libc::ENOENT), Some(hint)) => (Exit::NotFound, format!("command not found; {hint}")),
            // A long line in quotes.
            (Some(libc::ENAMETOOLONG), Some(hint)) => (Exit::NotExecutable, format!("{}; {hint}", message(error))),
            // Of a script the kernel says so too when it is the interpreter that is not there.
            (Some(libc::ENOENT), None) if word.as_bytes().contains(&b'/') => {
                (Exit::NotFound, "not found: no such file, or the interpreter that it names is missing".to_owned())
            }
            (Some(libc::ENOENT), None) => (
                Exit::NotFound,
                "command not found; cb starts programs: for functions, aliases and builtins see 'cb allow --help'"
                    .to_owned(),
            ),
            _ => (Exit::NotExecutable, message(error)),
        };
        Self { exit, message }
    }
}

/// What a word that is no program means, if its form shows it: only a shell would understand it.
fn hint(word: &OsStr) -> Option<String> {
    let bytes = word.as_bytes();
    let (variable, _) = bytes.split_at(bytes.iter().position(|&byte| byte == b'=').unwrap_or(0));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if bytes.iter().any(u8::is_ascii_whitespace) {
        Some("it is one word: leave out the quotes, or write sh -c".to_owned())
    } else if variable.first().is_some_and(|first| !first.is_ascii_digit()) && variable.iter().all(is_name) {
        Some(format!("to set a variable write 'env {} COMMAND'", word.to_string_lossy()))
    } else if bytes.len() > 1 && bytes.starts_with(b"-") {
        Some("options of cb stand before --".to_owned())
    } else {
        None
    }
}
