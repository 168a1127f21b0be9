//! PURE. A breaker as the text of its state file, and back.
//!
//! Nothing here may change its meaning: `tests/golden/` holds states that every version must read. What is new is a
//! further field, which an older version leaves out. Times other than those written out are relative to one of these.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::history::{Change, History, Phase, shorten};
use super::pack;
use super::permit::Spent;
use super::reason::Reason;
use super::window::{FailureTimes, Mark, Recent, Slices, Tally};
use super::{Breaker, Hold, HoldKind, LONGEST_REASON, LONGEST_WHO, Last, Outage, Probe, State, Totals, UnderWay};
use crate::outcome::{Codes, End, Outcome};
use crate::settings::{Key, MOST_BUDGET, MOST_CALLS, MOST_PROBES, Settings, Setup, Stored};
use crate::time::{LONGEST, Timestamp, millis};

impl Serialize for Breaker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Breaker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.breaker().map_err(D::Error::custom)
    }
}

/// What cannot be read, by name.
type Unreadable = &'static str;

/// The whole of it. What is as in a new breaker is left out, but for what tells a state from other JSON.
#[derive(Serialize, Deserialize)]
struct Text {
    /// 16 hexadecimal digits: as a number JSON would not keep it.
    id: String,
    generation: u64,
    serial: u64,
    /// One bit for each of the last 256 numbered permits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    spent: String,
    state: StateText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<HoldText>,
    #[serde(default, skip_serializing_if = "is_zero")]
    consecutive_failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<RecentText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slices: Option<SlicesText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failures: Option<FailuresText>,
    totals: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<LastText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_failure: Option<LastText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<HistoryText>,
    /// Of each change, newest first, whether its reason is a person's own words although the program has the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    own_words: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsText>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rules_differ: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    windows_differ: bool,
    /// Of the last results, how many in a row were exit 75 that counted as nothing.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    in_vain: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outage: Option<OutageText>,
    /// Of the runs that count as failures where they are killed: the epoch, the generation, the first number, the next,
    /// how many; and of the probes in their order, the lowest bit for the first, which are such.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    under_way: String,
}

/// How many results, and two bits for each: failed, slow.
type RecentText = (usize, String);
/// The length of the window in milliseconds, the earliest slice, and a row for each: how long after it in milliseconds,
/// results, failures, slow ones.
type SlicesText = (u64, Option<Timestamp>, String);
/// The newest failure, how many came before it, and the gaps between them in milliseconds, newest first.
type FailuresText = (Option<Timestamp>, usize, String);
/// The earliest probe, the lowest number, and a row for each: number, process or 0, start and lease in milliseconds.
type ProbesText = (Option<Timestamp>, u64, String);
/// The earliest change, a row for each, oldest first: how long after it in milliseconds, from and to, how many; and of
/// each why and who.
type HistoryText = (Option<Timestamp>, String, Vec<(String, String)>);
/// When it opened from closed, and how many runs had been refused before.
type OutageText = (Timestamp, u64);
/// The letter and the text of each setting that was given, with spaces between them; and the lists of codes.
pub type SettingsText = (String, String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateText {
    Closed {
        since: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered: Option<u32>,
    },
    Open {
        since: Timestamp,
        cooldown_ms: u64,
        reopened: u32,
    },
    HalfOpen {
        since: Timestamp,
        reopened: u32,
        successes: u32,
        failures: u32,
        probes: ProbesText,
    },
}

#[derive(Serialize, Deserialize)]
struct HoldText {
    kind: HoldKindText,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HoldKindText {
    Trip,
    Disable,
}

#[derive(Serialize, Deserialize)]
struct LastText {
    at: Timestamp,
    outcome: OutcomeText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<EndText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutcomeText {
    Success,
    Failure,
    Ignored,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndText {
    Exit(u8),
    Signal(i32),
    TimedOut,
    NotStarted,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_none_yet(number: &u8) -> bool {
    *number == 0
}

impl Text {
    fn of(breaker: &Breaker) -> Self {
        let Breaker { id, generation, serial, spent, state, hold, consecutive_failures, recent, .. } = breaker;
        let Breaker { slices, failures, totals, last, last_failure, history, settings, rules_differ, in_vain, .. } =
            breaker;
        let windows_differ = &breaker.windows_differ;
        Self {
            id: format!("{id:016x}"),
            generation: *generation,
            serial: *serial,
            spent: spent_text(spent),
            state: state_text(state),
            hold: hold.as_ref().map(hold_text),
            consecutive_failures: *consecutive_failures,
            recent: (!recent.is_empty()).then(|| recent_text(recent)),
            slices: slices.as_ref().map(slices_text),
            failures: (!failures.is_empty()).then(|| failures_text(failures)),
            totals: Some(totals_text(totals)),
            last: last.as_ref().map(last_text),
            last_failure: last_failure.as_ref().map(last_text),
            history: (!history.is_empty()).then(|| history_text(history)),
            own_words: own_words_text(history),
            settings: settings.as_ref().map(settings_text),
            rules_differ: *rules_differ,
            windows_differ: *windows_differ,
            in_vain: *in_vain,
            outage: breaker.outage.map(|outage| (outage.since, outage.refused_before)),
            under_way: under_way_text(breaker),
        }
    }

    fn breaker(self) -> Result<Breaker, Unreadable> {
        let (under_way, counting) = under_way(&self.under_way).ok_or("runs under way")?;
        Ok(Breaker {
            id: u64::from_str_radix(&self.id, 16).map_err(|_| "id")?,
            generation: self.generation,
            serial: self.serial,
            spent: spent(&self.spent).ok_or("spent permits")?,
            state: state(self.state, counting)?,
            hold: self.hold.map(hold),
            consecutive_failures: self.consecutive_failures,
            recent: self.recent.map(|text| recent(&text).ok_or("recent results")).transpose()?.unwrap_or_default(),
            slices: self.slices.map(|text| slices(&text).ok_or("time window")).transpose()?,
            failures: self.failures.map(|text| failures(&text).ok_or("failure times")).transpose()?.unwrap_or_default(),
            totals: self.totals.map(|text| totals(&text).ok_or("totals")).transpose()?.unwrap_or_default(),
            last: self.last.map(last),
            last_failure: self.last_failure.map(last),
            history: match self.history {
                Some(text) => history(text, &self.own_words).ok_or("history")?,
                None => History::default(),
            },
            settings: self.settings.map(|text| settings(&text)),
            rules_differ: self.rules_differ,
            windows_differ: self.windows_differ,
            in_vain: self.in_vain.min(Breaker::MANY_IN_VAIN),
            outage: self.outage.map(|(since, refused_before)| Outage { since, refused_before }),
            under_way,
        })
    }
}

fn spent_text(spent: &Spent) -> String {
    pack::digits(spent.0.iter().flat_map(|word| (0..64).map(move |bit| u8::from(word >> bit & 1 == 1))), 2)
}

fn spent(text: &str) -> Option<Spent> {
    let mut spent = Spent::default();
    for (index, bit) in pack::undigits(text, 2)?.into_iter().enumerate().take(256) {
        spent.0[index / 64] |= u64::from(bit) << (index % 64);
    }
    Some(spent)
}

fn state_text(state: &State) -> StateText {
    match *state {
        State::Closed { since, recovered } => StateText::Closed { since, recovered },
        State::Open { since, cooldown, reopened } => StateText::Open { since, cooldown_ms: millis(cooldown), reopened },
        State::HalfOpen { since, reopened, successes, failures, ref probes } => {
            StateText::HalfOpen { since, reopened, successes, failures, probes: probes_text(probes) }
        }
    }
}

fn state(text: StateText, counting: u64) -> Result<State, Unreadable> {
    Ok(match text {
        StateText::Closed { since, recovered } => State::Closed { since, recovered },
        StateText::Open { since, cooldown_ms, reopened } => {
            // With jitter it is up to twice as long as it can be given.
            State::Open { since, cooldown: Duration::from_millis(cooldown_ms).min(2 * LONGEST), reopened }
        }
        StateText::HalfOpen { since, reopened, successes, failures, probes: text } => {
            State::HalfOpen { since, reopened, successes, failures, probes: probes(&text, counting).ok_or("probes")? }
        }
    })
}

fn probes_text(probes: &[Probe]) -> ProbesText {
    let first = probes.iter().map(|probe| probe.since).min();
    let lowest = probes.iter().map(|probe| probe.serial).min().unwrap_or(0);
    let row = |probe: &Probe| {
        // No process has the number 0, so it can stand for none.
        [probe.serial - lowest, probe.pid.unwrap_or(0).into(), after(first, probe.since), millis(probe.lease)]
    };
    (first, lowest, pack::rows(&probes.iter().map(row).collect::<Vec<_>>()))
}

fn probes((first, lowest, text): &ProbesText, counting: u64) -> Option<Vec<Probe>> {
    let rows = pack::unrows(text).filter(|rows| rows.len() <= usize::from(MOST_PROBES))?;
    let probe = |(place, [serial, pid, since, lease]): (usize, [u64; 4])| {
        Some(Probe {
            serial: lowest.wrapping_add(serial),
            pid: u32::try_from(pid).ok().filter(|&pid| pid != 0),
            since: (*first)?.after(Duration::from_millis(since)),
            lease: Duration::from_millis(lease),
            counts: counting >> place & 1 == 1,
        })
    };
    rows.into_iter().enumerate().map(probe).collect()
}

fn under_way_text(breaker: &Breaker) -> String {
    let UnderWay { epoch, generation, first, next, count } = breaker.under_way;
    let counting = breaker.probes().iter().enumerate().map(|(place, probe)| u64::from(probe.counts) << place).sum();
    if breaker.under_way == UnderWay::default() && counting == 0 {
        return String::new();
    }
    pack::rows(&[[epoch, generation, first, next, count, counting]])
}

fn under_way(text: &str) -> Option<(UnderWay, u64)> {
    match pack::unrows(text)?.as_slice() {
        [] => Some((UnderWay::default(), 0)),
        &[[epoch, generation, first, next, count, counting]] => {
            Some((UnderWay { epoch, generation, first, next, count }.read()?, counting))
        }
        _ => None,
    }
}

fn hold_text(hold: &Hold) -> HoldText {
    HoldText {
        kind: match hold.kind {
            HoldKind::Trip => HoldKindText::Trip,
            HoldKind::Disable => HoldKindText::Disable,
        },
        by: hold.by.clone(),
        reason: hold.reason.clone(),
        since: hold.since,
        for_ms: hold.span.map(millis),
    }
}

/// Texts in a state that somebody has edited may be longer than ours.
fn hold(text: HoldText) -> Hold {
    Hold {
        kind: match text.kind {
            HoldKindText::Trip => HoldKind::Trip,
            HoldKindText::Disable => HoldKind::Disable,
        },
        by: short(text.by, LONGEST_WHO),
        reason: text.reason.map(|reason| short(reason, LONGEST_REASON)),
        since: text.since,
        span: text.for_ms.map(span),
    }
}

fn recent_text(recent: &Recent) -> RecentText {
    let digits = recent.0.iter().map(|mark| u8::from(mark.failed) + 2 * u8::from(mark.slow));
    (recent.0.len(), pack::digits(digits, 4))
}

fn recent((length, text): &RecentText) -> Option<Recent> {
    let mut digits = pack::undigits(text, 4).filter(|_| *length <= usize::from(MOST_CALLS))?;
    digits.resize(*length, 0);
    let mark = |digit: u8| Mark { failed: digit & 1 == 1, slow: digit & 2 == 2 };
    Some(Recent(digits.into_iter().map(mark).collect()))
}

fn slices_text(slices: &Slices) -> SlicesText {
    // Only in a state that somebody has edited is it not that of the first slice.
    let first = slices.slices.iter().map(|slice| slice.0).min();
    let row = |&(start, count): &(Timestamp, Tally)| {
        [after(first, start), count.calls.into(), count.failures.into(), count.slow.into()]
    };
    (millis(slices.length), first, pack::rows(&slices.slices.iter().map(row).collect::<Vec<_>>()))
}

fn slices((length, first, text): &SlicesText) -> Option<Slices> {
    let rows = pack::unrows(text).filter(|rows| rows.len() <= Slices::MOST)?;
    let slice = |[after, calls, failures, slow]: [u64; 4]| {
        let count = |number: u64, most: u32| u32::try_from(number).ok().filter(|&count| count <= most);
        let start = (*first)?.after(Duration::from_millis(after));
        let calls = count(calls, Tally::MOST)?;
        Some((start, Tally { calls, failures: count(failures, calls)?, slow: count(slow, calls)? }))
    };
    Some(Slices { length: span(*length), slices: rows.into_iter().map(slice).collect::<Option<_>>()? })
}

fn failures_text(failures: &FailureTimes) -> FailuresText {
    let newest_first = failures.0.iter().rev().map(|time| time.as_millis());
    let gaps = newest_first.clone().zip(newest_first.skip(1)).map(|(newer, older)| newer.saturating_sub(older));
    let gaps: Vec<u64> = gaps.collect();
    (failures.0.back().copied(), gaps.len(), pack::gaps(&gaps))
}

fn failures((newest, count, text): &FailuresText) -> Option<FailureTimes> {
    let gaps = if *count < usize::from(MOST_BUDGET) { pack::ungaps(text, *count)? } else { return None };
    let mut failures = FailureTimes::default();
    let Some(newest) = newest else { return Some(failures) };
    failures.0.push_front(*newest);
    let mut millis = newest.as_millis();
    for gap in gaps {
        millis = millis.saturating_sub(gap);
        failures.0.push_front(Timestamp::from_millis(millis));
    }
    Some(failures)
}

/// One row of numbers, in this order.
fn totals_text(totals: &Totals) -> String {
    let &Totals { admitted, successes, failures, ignored, late, refused, opened, abandoned } = totals;
    pack::rows(&[[admitted, successes, failures, ignored, late, refused, opened, abandoned]])
}

fn totals(text: &str) -> Option<Totals> {
    let rows = pack::unrows(text)?;
    let &[[admitted, successes, failures, ignored, late, refused, opened, abandoned]] = rows.as_slice() else {
        return None;
    };
    Some(Totals { admitted, successes, failures, ignored, late, refused, opened, abandoned })
}

fn last_text(last: &Last) -> LastText {
    LastText {
        at: last.at,
        outcome: match last.outcome {
            Outcome::Success => OutcomeText::Success,
            Outcome::Failure => OutcomeText::Failure,
            Outcome::Ignored => OutcomeText::Ignored,
        },
        end: last.end.map(|end| match end {
            End::Exit(code) => EndText::Exit(code),
            End::Signal(number) => EndText::Signal(number),
            End::TimedOut => EndText::TimedOut,
            End::NotStarted => EndText::NotStarted,
        }),
        took_ms: last.took.map(millis),
        http_status: last.http_status,
    }
}

fn last(text: LastText) -> Last {
    Last {
        at: text.at,
        outcome: match text.outcome {
            OutcomeText::Success => Outcome::Success,
            OutcomeText::Failure => Outcome::Failure,
            OutcomeText::Ignored => Outcome::Ignored,
        },
        end: text.end.map(|end| match end {
            EndText::Exit(code) => End::Exit(code),
            EndText::Signal(number) => End::Signal(number),
            EndText::TimedOut => End::TimedOut,
            EndText::NotStarted => End::NotStarted,
        }),
        took: text.took_ms.map(span),
        http_status: text.http_status,
    }
}

/// From and to are their places in this list.
const PHASES: [Phase; 4] = [Phase::Closed, Phase::Open, Phase::HalfOpen, Phase::Disabled];

fn history_text(history: &History) -> HistoryText {
    // Not that of the oldest change: the clock may have been set back.
    let first = history.0.iter().map(|change| change.at).min();
    let place = |phase: Phase| PHASES.iter().position(|known| *known == phase).unwrap_or_default();
    let row = |change: &Change| {
        let phases = place(change.from) * PHASES.len() + place(change.to);
        [after(first, change.at), phases as u64, change.count.into()]
    };
    let rows: Vec<_> = history.0.iter().map(row).collect();
    let words = |change: &Change| (change.reason.text().into_owned(), change.by.clone().unwrap_or_default());
    (first, pack::rows(&rows), history.0.iter().map(words).collect())
}

fn own_words_text(history: &History) -> String {
    let own = |change: &Change| matches!(&change.reason, Reason::Words(words) if Reason::known(words).is_some());
    pack::digits(history.newest_first().map(|change| u8::from(own(change))), 2)
}

fn history((first, text, words): HistoryText, own_words: &str) -> Option<History> {
    let rows: Vec<[u64; 3]> = pack::unrows(&text).filter(|rows| rows.len() == words.len())?;
    let mut own_words = pack::undigits(own_words, 2)?.into_iter();
    let mut changes = Vec::new();
    for ([after, phases, count], (reason, by)) in rows.into_iter().zip(words).rev() {
        let phases = usize::try_from(phases).ok()?;
        let reason = short(reason, LONGEST_REASON);
        let known = if own_words.next() == Some(1) { None } else { Reason::known(&reason) };
        changes.push(Change {
            at: first?.after(Duration::from_millis(after)),
            from: *PHASES.get(phases / PHASES.len())?,
            to: PHASES[phases % PHASES.len()],
            reason: known.unwrap_or(Reason::Words(reason)),
            by: Some(short(by, LONGEST_WHO)).filter(|by| !by.is_empty()),
            count: u32::try_from(count).ok()?,
        });
    }
    changes.truncate(History::MOST);
    changes.reverse();
    Some(History(changes))
}

/// Settings as they stand in the state.
pub fn settings_text(settings: &Settings) -> SettingsText {
    let mut words = String::new();
    // Most callers give none.
    if *settings == Settings::BUILT_IN {
        return (words, String::new());
    }
    let setup = Setup { breaker: settings.clone(), ..Setup::default() };
    for key in Key::all() {
        let Stored::Letter(letter) = key.stored() else { continue };
        let value = key.value(&setup);
        if value == key.default(&setup) {
            continue;
        }
        if let Some(text) = value.written(|span| format!("{}ms", millis(span))) {
            let space = if words.is_empty() { "" } else { " " };
            words.extend([space, letter.encode_utf8(&mut [0; 4]), &text]);
        }
    }
    let codes = (settings.codes != Codes::NONE).then(|| pack::digits(settings.codes.to_numbers(), Codes::KINDS));
    (words, codes.unwrap_or_default())
}

/// The reverse of [`settings_text`]. What this version does not know, or cannot read, is as if it had not been given: one setting is no reason to forget a
/// breaker.
pub fn settings((words, codes): &SettingsText) -> Settings {
    let given = |key: Key| match key.stored() {
        Stored::Letter(letter) => words.split(' ').find_map(|word| word.strip_prefix(letter)),
        Stored::Packed | Stored::Not => None,
    };
    if words.is_empty() && codes.is_empty() {
        return Settings::BUILT_IN;
    }
    let codes = pack::undigits(codes, Codes::KINDS).and_then(|numbers| Codes::from_numbers(&numbers));
    Settings { codes: codes.unwrap_or_default(), ..Setup::read(given).breaker }
}

/// How long after the first of them a time is, in milliseconds.
fn after(first: Option<Timestamp>, time: Timestamp) -> u64 {
    first.map_or(0, |first| time.as_millis().saturating_sub(first.as_millis()))
}

fn span(millis: u64) -> Duration {
    Duration::from_millis(millis).min(LONGEST)
}

fn short(mut text: String, most: usize) -> String {
    shorten(&mut text, most);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    const TIME: Timestamp = Timestamp::from_millis(1_767_323_045_678);

    #[test]
    fn slices_in_disorder_come_back_as_they_were() {
        let text = (1000, Some(TIME), pack::rows(&[[7, 1, 1, 0], [3, 2, 0, 0]]));
        let read = slices(&text).expect("it can be read");
        assert_eq!(slices(&slices_text(&read)), Some(read));
    }

    #[test]
    fn more_than_a_hundred_failures_are_not_read() {
        let read = |gaps: usize| failures(&(Some(TIME), gaps, pack::gaps(&vec![3; gaps]))).map(|times| times.0.len());
        assert_eq!(read(99), Some(100));
        assert_eq!(read(100), None);
    }

    #[test]
    fn windows_come_back_from_text() {
        let mut kept = (Recent::default(), Slices::new(Duration::from_secs(10)), FailureTimes::default());
        for (index, now) in [0_u64, 3, 2_000, 2_001, 7_500, 9_000].into_iter().enumerate() {
            let mark = Mark { failed: index % 2 == 0, slow: index % 3 == 0 };
            kept.0.push(mark);
            kept.1.push(mark, at(now));
            kept.2.push(at(now));
        }
        assert_eq!(recent(&recent_text(&kept.0)), Some(kept.0));
        assert_eq!(slices(&slices_text(&kept.1)), Some(kept.1));
        assert_eq!(failures(&failures_text(&kept.2)), Some(kept.2));
    }

    #[test]
    fn of_spent_permits_256_come_back_from_text() {
        let mut some = Spent::default();
        assert!(some.spend(3, 10) && some.spend(255, 256));
        assert_eq!(spent(&spent_text(&some)), Some(some));
        assert_eq!(spent(&pack::digits([1; 264], 2)), Some(Spent([u64::MAX; 4])), "more than are kept");
    }

    #[test]
    fn own_words_are_not_taken_for_the_programs() {
        let mut history = History::default();
        for reason in [Reason::Enabled, Reason::Words("enabled".to_owned()), Reason::Words("moving".to_owned())] {
            history.push(Change { at: TIME, from: Phase::Disabled, to: Phase::Open, reason, by: None, count: 1 });
        }
        let (text, own_words) = (history_text(&history), own_words_text(&history));
        assert_eq!(super::history(text.clone(), &own_words), Some(history));
        // As 0.1.0 wrote it, which did not tell them apart.
        let old = super::history(text, "").expect("a history");
        assert_eq!(old.newest_first().map(|change| &change.reason).nth(1), Some(&Reason::Enabled));
    }
}
