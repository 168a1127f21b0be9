//! PURE. How a child ended, and whether that counts as success, failure or nothing.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use crate::signals;

/// What a run says about the health of what it called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// It says nothing: the user stopped it, or it was never started.
    Ignored,
}

impl Outcome {
    /// The word for it in messages, JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
        }
    }
}

/// Whether somebody stopped the run, and by which signal to `cb`. Of several the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopped {
    /// Nobody did.
    Not,
    /// TERM: a user or a limit from outside, as that of `timeout`, a supervisor, a shutdown.
    ByTerm,
    /// INT, QUIT or HUP: a user.
    ByUser,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It exited with this code.
    Exit(u8),
    /// It was killed by the signal of this number.
    Signal(i32),
    /// It was ended because its time was over.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(number) => f.write_str(&signals::name(number)),
            Self::TimedOut => f.write_str("timeout"),
            Self::NotStarted => f.write_str("not started"),
        }
    }
}

/// "Try again later", by sysexits.h and by `cb`: a refusal, which says nothing about the service.
pub const TRY_LATER: u8 = 75;

/// One finished run, as the breaker is told about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished<'a> {
    /// What it counts as.
    pub outcome: Outcome,
    /// Whether its code is one of `trip-codes`, which open the breaker at once.
    pub trips: bool,
    /// How the child ended; `None` where a script only said `success` or `failure`.
    pub end: Option<End>,
    /// How long it took, if that is known.
    pub took: Option<Duration>,
    /// The status of the last HTTP answer, where it is known.
    pub http_status: Option<u16>,
    /// For how long it said to stay away (`Retry-After`), where that was usable: longer than no time.
    pub retry_after: Option<Duration>,
    /// Whether a line of its output matched `failure-output`.
    pub matched: bool,
    /// Why it opens the breaker, in the words of who reports it; `None` is what the program says.
    pub reason: Option<&'a str>,
}

impl Finished<'_> {
    /// A run of which nothing but its outcome is known.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            trips: false,
            end: None,
            took: None,
            http_status: None,
            retry_after: None,
            matched: false,
            reason: None,
        }
    }

    /// How it came about, as far as that is known.
    pub fn how(&self) -> Option<How> {
        let ended_by_us = self.end == Some(End::TimedOut);
        if self.matched && !ended_by_us { Some(How::Matched) } else { How::of(self.end, self.http_status) }
    }
}

/// How a result came about, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The child ended so.
    Ended(End),
    /// The service answered with this status.
    Answered(u16),
    /// A line of its output matched `failure-output`.
    Matched,
}

impl How {
    /// An answer that refuses says more than the exit code that comes of it.
    pub fn of(end: Option<End>, http_status: Option<u16>) -> Option<Self> {
        match (end, http_status) {
            (Some(End::TimedOut | End::NotStarted), _) | (_, None | Some(0..400)) => end.map(Self::Ended),
            (_, Some(status)) => Some(Self::Answered(status)),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(end) => end.fmt(f),
            Self::Answered(status) => write!(f, "HTTP {status}"),
            Self::Matched => f.write_str("output matched"),
        }
    }
}

/// The number of things that can be listed: 256 exit codes, 64 signals and the timeout.
const SLOTS: usize = 256 + signals::LAST as usize + 1;
/// The most items one list may have.
pub const LONGEST_LIST: usize = 32;

/// What one of the code lists says of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeList {
    /// `--success-codes`
    Success,
    /// `--failure-codes`
    Failure,
    /// `--ignore-codes`
    Ignored,
    /// `--trip-codes`: a failure that opens the breaker at once.
    Trip,
}

impl CodeList {
    /// All four, in the order in which their lists are read and shown.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Ignored, Self::Trip];

    /// The name of the setting that lists these codes.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Success => "success-codes",
            Self::Failure => "failure-codes",
            Self::Ignored => "ignore-codes",
            Self::Trip => "trip-codes",
        }
    }
}

/// What is wrong with a list of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFault {
    /// The list at fault.
    pub list: CodeList,
    /// What is wrong with it.
    pub message: String,
    /// The list that it contradicts, if it does.
    pub other: Option<CodeList>,
}

/// The code lists of a breaker, resolved: what they say of every possible end.
#[derive(Clone, PartialEq, Eq)]
pub struct Codes {
    slots: [Option<CodeList>; SLOTS],
    /// `failure-codes` was given: every other non-zero exit and every other signal is ignored.
    failures_listed: bool,
}

impl Default for Codes {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |class: CodeList| (class.setting(), self.list(class));
        f.debug_map().entries(CodeList::ALL.map(list)).finish()
    }
}

impl Codes {
    /// No list at all.
    pub const NONE: Self = Self { slots: [None; SLOTS], failures_listed: false };

    /// The lists, each as it was written: `0,22,64-78,SIGTERM,timeout`. A single code beats a range.
    ///
    /// # Errors
    /// All that is wrong: an item that is none, a list that is too long, or the same code or two overlapping ranges in two
    /// lists.
    pub fn parse(lists: &[(CodeList, &str)]) -> Result<Self, Vec<ListFault>> {
        let mut codes =
            Self { failures_listed: lists.iter().any(|list| list.0 == CodeList::Failure), ..Self::default() };
        let mut singles: Vec<(usize, CodeList)> = Vec::new();
        let mut faults = Vec::new();
        for &(class, text) in lists {
            let items: Vec<&str> = text.split(',').map(str::trim).collect();
            if items.len() > LONGEST_LIST {
                let count = items.len();
                let message = format!("{count} items are too many, at most {LONGEST_LIST} fit; use ranges like 64-78");
                faults.push(ListFault { list: class, message, other: None });
                continue;
            }
            for item in items {
                match parse_item(item) {
                    Ok((first, last)) if first == last => singles.push((first, class)),
                    Ok((first, last)) => {
                        faults.extend((first..=last).try_for_each(|slot| codes.claim(slot, class)).err());
                    }
                    Err(message) => faults.push(ListFault { list: class, message, other: None }),
                }
            }
        }
        let ranges = std::mem::replace(&mut codes.slots, [None; SLOTS]);
        faults.extend(singles.iter().filter_map(|&(slot, class)| codes.claim(slot, class).err()));
        if !faults.is_empty() {
            return Err(faults);
        }
        for (slot, range) in codes.slots.iter_mut().zip(ranges) {
            *slot = slot.or(range);
        }
        Ok(codes)
    }

    fn claim(&mut self, slot: usize, class: CodeList) -> Result<(), ListFault> {
        let merged = match (self.slots[slot], class) {
            (None, _) => class,
            (Some(before), _) if before == class => class,
            // A trip code may repeat a failure code.
            (Some(CodeList::Failure), CodeList::Trip) | (Some(CodeList::Trip), CodeList::Failure) => CodeList::Trip,
            (Some(before), _) => {
                let message = format!("{} is in {} too; list it once", slot_name(slot), before.setting());
                return Err(ListFault { list: class, message, other: Some(before) });
            }
        };
        self.slots[slot] = Some(merged);
        Ok(())
    }

    /// What an end counts as, and whether it opens the breaker at once.
    ///
    /// `stopped` says that the user had sent INT, QUIT, TERM or HUP to `cb` before, `answered` what an answer says of the
    /// service.
    pub fn judge(&self, end: End, stopped: bool, answered: Option<Outcome>) -> (Outcome, bool) {
        if stopped && end != End::Exit(0) {
            return (Outcome::Ignored, false);
        }
        let class = match end {
            End::Exit(code) => self.slots[usize::from(code)],
            End::Signal(number) => usize::try_from(number).ok().and_then(|number| *self.slots.get(255 + number)?),
            End::TimedOut => self.slots[SLOTS - 1],
            End::NotStarted => None,
        };
        match class {
            Some(CodeList::Success) => (Outcome::Success, false),
            Some(CodeList::Failure) => (Outcome::Failure, false),
            Some(CodeList::Ignored) => (Outcome::Ignored, false),
            Some(CodeList::Trip) => (Outcome::Failure, true),
            None if end == End::TimedOut => (Outcome::Failure, false),
            None => (answered.unwrap_or_else(|| self.unlisted(end)), false),
        }
    }

    fn unlisted(&self, end: End) -> Outcome {
        match end {
            End::Exit(0) => Outcome::Success,
            // It was refused for the moment, by another `cb` say, or by convention never started; nobody read on, or somebody
            // pressed Ctrl-C.
            End::Exit(TRY_LATER | 125..=127) | End::NotStarted | End::Signal(libc::SIGPIPE | libc::SIGINT) => {
                Outcome::Ignored
            }
            End::Exit(_) | End::Signal(_) if self.failures_listed => Outcome::Ignored,
            End::Exit(_) | End::Signal(_) | End::TimedOut => Outcome::Failure,
        }
    }

    /// Whether this end counts as nothing because it is [`TRY_LATER`], of which no list says anything.
    pub fn tried_in_vain(&self, end: End) -> bool {
        end == End::Exit(TRY_LATER) && self.slots[usize::from(TRY_LATER)].is_none() && !self.failures_listed
    }

    /// Whether a run may end so that it is a failure, and so that it opens the breaker at once. `timed` says that it may end
    /// because its time is over, `answered` that an answer may say so.
    pub fn can_fail(&self, timed: bool, answered: bool) -> (bool, bool) {
        let exits = (0..=u8::MAX).map(End::Exit);
        let signals = (1..=i32::from(signals::LAST)).map(End::Signal);
        let ends = exits.chain(signals).chain(timed.then_some(End::TimedOut));
        let judged = ends.map(|end| self.judge(end, false, answered.then_some(Outcome::Failure)));
        judged.fold((false, false), |(fails, trips), (outcome, trip)| {
            (fails || outcome == Outcome::Failure, trips || trip)
        })
    }

    /// The list of one class, as it could be written again; `None` if it is empty.
    pub fn list(&self, class: CodeList) -> Option<String> {
        self.written(|listed| listed == class)
    }

    /// The list of failures, with those that trip: the state does not store whether a trip code was also a failure
    /// code, but every trip code counts as a failure. `None` where none are listed.
    pub fn failures(&self) -> Option<String> {
        let failures = |listed| matches!(listed, CodeList::Failure | CodeList::Trip);
        if self.failures_listed { self.written(failures) } else { None }
    }

    fn written(&self, is_meant: impl Fn(CodeList) -> bool) -> Option<String> {
        let listed = |slot: usize| self.slots[slot].is_some_and(&is_meant);
        let mut text = String::new();
        let mut slot = 0;
        while slot < SLOTS {
            let first = slot;
            // Ranges are of exit codes.
            while slot < 255 && listed(slot) && listed(slot + 1) {
                slot += 1;
            }
            if listed(slot) {
                let comma = if text.is_empty() { "" } else { "," };
                let end = if slot > first { format!("-{slot}") } else { String::new() };
                write!(text, "{comma}{}{end}", slot_name(first)).ok()?;
            }
            slot += 1;
        }
        (!text.is_empty()).then_some(text)
    }

    /// How many different numbers [`Codes::to_numbers`] gives.
    pub const KINDS: u8 = 5;

    /// Everything as small numbers, for the state file: a flag, then one of 0 to 4 for each possible end.
    pub fn to_numbers(&self) -> impl Iterator<Item = u8> + '_ {
        let slot = |slot: &Option<CodeList>| match slot {
            None => 0,
            Some(CodeList::Success) => 1,
            Some(CodeList::Failure) => 2,
            Some(CodeList::Ignored) => 3,
            Some(CodeList::Trip) => 4,
        };
        std::iter::once(u8::from(self.failures_listed)).chain(self.slots.iter().map(slot))
    }

    /// The reverse of [`Codes::to_numbers`], where zeros at the end may be missing; `None` if they are not such numbers.
    pub fn from_numbers(numbers: &[u8]) -> Option<Self> {
        let (&flag, rest) = numbers.split_first().unwrap_or((&0, &[]));
        let mut codes = Self { failures_listed: flag == 1, ..Self::default() };
        if flag > 1 {
            return None;
        }
        for (slot, number) in codes.slots.iter_mut().zip(rest) {
            *slot = match number {
                0 => None,
                1 => Some(CodeList::Success),
                2 => Some(CodeList::Failure),
                3 => Some(CodeList::Ignored),
                4 => Some(CodeList::Trip),
                _ => return None,
            };
        }
        Some(codes)
    }
}

/// The first and the last slot of an item of a list.
fn parse_item(item: &str) -> Result<(usize, usize), String> {
    if item == "timeout" {
        return Ok((SLOTS - 1, SLOTS - 1));
    }
    if let Some(number) = signals::number(item) {
        return Ok((255 + usize::from(number), 255 + usize::from(number)));
    }
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let code = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let code = if plain { text.parse::<u8>().ok() } else { None };
        code.map(usize::from).ok_or_else(|| {
            format!("'{item}' is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout")
        })
    };
    match (code(first)?, code(last)?) {
        (first, last) if first <= last => Ok((first, last)),
        (first, last) => Err(format!("the range {first}-{last} runs backwards; write {last}-{first}")),
    }
}

fn slot_name(slot: usize) -> String {
    match slot {
        0..=255 => slot.to_string(),
        _ if slot == SLOTS - 1 => "timeout".to_owned(),
        _ => signals::name(i32::try_from(slot - 255).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table() {
        let codes = Codes::default();
        for (end, outcome) in [
            (End::Exit(0), Outcome::Success),
            (End::Exit(1), Outcome::Failure),
            (End::Exit(74), Outcome::Failure),
            (End::Exit(75), Outcome::Ignored),
            (End::Exit(76), Outcome::Failure),
            (End::Exit(124), Outcome::Failure),
            (End::Exit(125), Outcome::Ignored),
            (End::Exit(126), Outcome::Ignored),
            (End::Exit(127), Outcome::Ignored),
            (End::Exit(128), Outcome::Failure),
            (End::Signal(libc::SIGPIPE), Outcome::Ignored),
            (End::Signal(libc::SIGINT), Outcome::Ignored),
            (End::Signal(libc::SIGTERM), Outcome::Failure),
            (End::Signal(libc::SIGQUIT), Outcome::Failure),
            (End::Signal(libc::SIGKILL), Outcome::Failure),
            (End::TimedOut, Outcome::Failure),
            (End::NotStarted, Outcome::Ignored),
        ] {
            assert_eq!(codes.judge(end, false, None), (outcome, false), "{end}");
            let stopped = if end == End::Exit(0) { Outcome::Success } else { Outcome::Ignored };
            assert_eq!(codes.judge(end, true, None), (stopped, false), "{end} after a stop by the user");
        }
    }

    #[test]
    fn a_single_code_beats_a_range() {
        let codes = Codes::parse(&[
            (CodeList::Success, "0-10"),
            (CodeList::Failure, "7"),
            (CodeList::Ignored, "SIGTERM,timeout"),
        ]);
        let codes = codes.expect("these lists agree");
        assert_eq!(codes.judge(End::Exit(7), false, None).0, Outcome::Failure);
        assert_eq!(codes.judge(End::Exit(8), false, None).0, Outcome::Success);
        assert_eq!(codes.judge(End::Signal(libc::SIGTERM), false, None).0, Outcome::Ignored);
        assert_eq!(codes.judge(End::TimedOut, false, None).0, Outcome::Ignored);
        assert_eq!(codes.judge(End::Exit(8), true, None).0, Outcome::Ignored, "the user's stop comes first");
    }

    #[test]
    fn listed_failures_make_the_others_ignored() {
        let codes = Codes::parse(&[(CodeList::Failure, "6,7")]).expect("one list");
        assert_eq!(codes.judge(End::Exit(7), false, None).0, Outcome::Failure);
        assert_eq!(codes.judge(End::Exit(22), false, None).0, Outcome::Ignored);
        assert_eq!(codes.judge(End::Signal(libc::SIGKILL), false, None).0, Outcome::Ignored);
        assert_eq!(codes.judge(End::TimedOut, false, None).0, Outcome::Failure);
        assert_eq!(codes.judge(End::Exit(0), false, None).0, Outcome::Success);
    }

    #[test]
    fn a_list_decides_over_75_and_ctrl_c_as_over_any_other() {
        let codes = Codes::parse(&[(CodeList::Failure, "1-124,SIGINT")]).expect("one list");
        assert_eq!(codes.judge(End::Exit(75), false, None).0, Outcome::Failure);
        assert_eq!(codes.judge(End::Signal(libc::SIGINT), false, None).0, Outcome::Failure);
        let codes = Codes::parse(&[(CodeList::Success, "75"), (CodeList::Trip, "SIGINT")]).expect("two lists");
        assert_eq!(codes.judge(End::Exit(75), false, None), (Outcome::Success, false));
        assert_eq!(codes.judge(End::Signal(libc::SIGINT), false, None), (Outcome::Failure, true));
    }

    #[test]
    fn a_refusal_is_in_vain_where_no_list_says_what_it_is() {
        let vain = |lists: &[(CodeList, &str)], end| Codes::parse(lists).expect("lists that agree").tried_in_vain(end);
        assert!(vain(&[], End::Exit(75)) && !vain(&[], End::Exit(74)) && !vain(&[], End::NotStarted));
        assert!(vain(&[(CodeList::Success, "22")], End::Exit(75)));
        for list in CodeList::ALL {
            assert!(!vain(&[(list, "70-80")], End::Exit(75)), "{list:?}");
        }
        assert!(!vain(&[(CodeList::Failure, "7")], End::Exit(75)), "who lists failures has said what is none");
    }

    #[test]
    fn every_signal_has_a_place_of_its_own() {
        for number in 1..=64 {
            let codes = Codes::parse(&[(CodeList::Success, &signals::name(number))]).expect("a signal");
            for other in 1..=64 {
                assert_eq!(
                    codes.judge(End::Signal(other), false, None).0 == Outcome::Success,
                    other == number,
                    "{other}"
                );
            }
            for code in 1..=255 {
                assert_ne!(codes.judge(End::Exit(code), false, None).0, Outcome::Success, "{number} and {code}");
            }
            assert_eq!(codes.judge(End::TimedOut, false, None).0, Outcome::Failure, "{number}");
        }
        assert_eq!(Codes::default().judge(End::Signal(65), false, None).0, Outcome::Failure);
    }

    #[test]
    fn outcomes_have_words() {
        let words = [Outcome::Success, Outcome::Failure, Outcome::Ignored].map(Outcome::word);
        assert_eq!(words, ["success", "failure", "ignored"]);
    }

    #[test]
    fn trip_codes_are_failures_that_may_be_listed_twice() {
        let codes =
            Codes::parse(&[(CodeList::Failure, "22"), (CodeList::Trip, "22,7")]).expect("trip codes may repeat");
        assert_eq!(codes.judge(End::Exit(22), false, None), (Outcome::Failure, true));
        assert_eq!(codes.judge(End::Exit(7), false, None), (Outcome::Failure, true));
    }

    #[test]
    fn conflicts_and_nonsense_are_named() {
        for (lists, class, message) in [
            (
                vec![(CodeList::Success, "7"), (CodeList::Failure, "7")],
                CodeList::Failure,
                "7 is in success-codes too; list it once",
            ),
            (
                vec![(CodeList::Success, "5-9"), (CodeList::Trip, "8-12")],
                CodeList::Trip,
                "8 is in success-codes too; list it once",
            ),
            (vec![(CodeList::Trip, "9-5")], CodeList::Trip, "the range 9-5 runs backwards; write 5-9"),
            (
                vec![(CodeList::Ignored, "0,256")],
                CodeList::Ignored,
                "'256' is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout",
            ),
        ] {
            let other = message.contains("success-codes").then_some(CodeList::Success);
            let fault = ListFault { list: class, message: message.to_owned(), other };
            assert_eq!(Codes::parse(&lists).map(|_| ()), Err(vec![fault]));
        }
        let long = vec!["1"; 33].join(",");
        assert!(Codes::parse(&[(CodeList::Trip, &long)]).is_err());
        for item in ["", "+5", "-", "1-", "SIGNOPE", "SIG0", "SIG65", "1-2-3", "TIMEOUT"] {
            assert!(Codes::parse(&[(CodeList::Trip, item)]).is_err(), "{item:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let lists =
            [(CodeList::Success, "0,7,20-30"), (CodeList::Failure, "7,0,x,25-40"), (CodeList::Ignored, "7,9-5")];
        let faults = Codes::parse(&lists).expect_err("lists that contradict each other");
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "'x' is not an exit code (0-255), a range like 64-78, a signal like SIGTERM, or timeout",
                "25 is in success-codes too; list it once",
                "the range 9-5 runs backwards; write 5-9",
                "7 is in success-codes too; list it once",
                "0 is in success-codes too; list it once",
                "7 is in success-codes too; list it once",
            ]
        );
    }

    #[test]
    fn a_list_has_signals_by_any_of_their_names() {
        let codes = Codes::parse(&[(CodeList::Ignored, "SIGRTMAX-1,RTMIN+2")]).expect("signals");
        assert_eq!(codes.list(CodeList::Ignored).as_deref(), Some("SIG36,SIG63"));
    }

    #[test]
    fn lists_and_numbers_say_the_same() {
        let lists =
            [(CodeList::Success, "0,22,64-78"), (CodeList::Ignored, "255,term"), (CodeList::Trip, "9,SIG34,timeout")];
        let codes = Codes::parse(&lists).expect("these lists agree");
        assert_eq!(codes.list(CodeList::Success).as_deref(), Some("0,22,64-78"));
        assert_eq!(codes.list(CodeList::Ignored).as_deref(), Some("255,SIGTERM"));
        assert_eq!(codes.list(CodeList::Trip).as_deref(), Some("9,SIG34,timeout"));
        assert_eq!(codes.list(CodeList::Failure), None);
        assert_eq!(
            format!("{codes:?}"),
            r#"{"success-codes": Some("0,22,64-78"), "failure-codes": None, "ignore-codes": Some("255,SIGTERM"), "trip-codes": Some("9,SIG34,timeout")}"#
        );
        let numbers: Vec<u8> = codes.to_numbers().collect();
        assert_eq!(Codes::from_numbers(&numbers), Some(codes));
        assert_eq!(Codes::from_numbers(&[0; 5]), Some(Codes::default()));
        assert_eq!(Codes::from_numbers(&[7; 400]), None);
        for list in ["0-255,SIGHUP,SIGINT", "254,SIG64,timeout", "254-255"] {
            let codes = Codes::parse(&[(CodeList::Ignored, list)]).expect("one list");
            assert_eq!(codes.list(CodeList::Ignored).as_deref(), Some(list));
        }
    }
}
