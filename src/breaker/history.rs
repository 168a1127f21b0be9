//! PURE. The changes of state that are remembered.

use std::borrow::Cow;

use super::LONGEST_REASON;
use super::reason::Reason;
use crate::time::Timestamp;

/// What a breaker is, as far as a change is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Runs pass.
    Closed,
    /// Runs are refused.
    Open,
    /// Probes pass.
    HalfOpen,
    /// Switched off by hand: runs pass.
    Disabled,
}

impl Phase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Disabled => "disabled",
        }
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When; of a row of failed probes, the last one.
    pub at: Timestamp,
    /// What it was.
    pub from: Phase,
    /// What it is.
    pub to: Phase,
    /// Why.
    pub reason: Reason,
    /// Who, if a person did it.
    pub by: Option<String>,
    /// How many; only a row of failed probes is more than one.
    pub count: u32,
}

impl Change {
    /// Whether it is worth a line and the `on-change` command: it opened from closed, it closed, or a person changed it.
    pub fn is_news(&self) -> bool {
        match (&self.by, self.from, self.to) {
            _ if self.reason == Reason::HoldOver => true,
            // A trip holds even what was open before, but what was closed is not changed by a reset.
            (Some(_), from, to) => from != Phase::Closed || to != Phase::Closed,
            (None, from, to) => from == Phase::Closed || to == Phase::Closed,
        }
    }
}

/// What stands between the reasons of a row of failed probes, newest first.
const BEFORE: &str = ", before that ";

impl Change {
    /// Whether `cb` prints it without a terminal: no person made it, and it changes whether runs pass.
    pub fn is_aloud(&self) -> bool {
        let passes = |phase| matches!(phase, Phase::Closed | Phase::Disabled);
        self.by.is_none() && (passes(self.from) || passes(self.to))
    }

    /// Whether a probe failed.
    fn is_failed_probe(&self) -> bool {
        self.from == Phase::HalfOpen && self.to == Phase::Open && self.by.is_none()
    }

    /// Why it was; of a row of failed probes, of the last one.
    pub fn last_reason(&self) -> Cow<'_, str> {
        match self.reason.text() {
            Cow::Borrowed(text) if self.is_failed_probe() => Cow::Borrowed(text.split(BEFORE).next().unwrap_or(text)),
            text => text,
        }
    }

    /// This and the row of failed probes before it, as one. What differs is told of each, newest first, as far as there is
    /// room for whole reasons.
    fn after(self, row: &Self) -> Self {
        let mut told = self.reason.text().into_owned();
        for reason in row.reason.text().split(BEFORE).filter(|reason| *reason != self.reason.text()) {
            if stored_len(&told) + BEFORE.len() + stored_len(reason) <= LONGEST_REASON {
                told.extend([BEFORE, reason]);
            }
        }
        let reason = if told == self.reason.text() { self.reason } else { Reason::Words(told) };
        Self { reason, count: row.count.saturating_add(1), ..self }
    }
}

/// The last changes, newest last. How many there is room for, the state decides; at least [`History::LEAST`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(pub(super) Vec<Change>);

impl History {
    /// The fewest that are kept.
    pub const LEAST: usize = 4;
    /// The most that are kept.
    pub(super) const MOST: usize = 32;
    /// Of older changes, so many bytes of the reason are always kept.
    const SHORT_REASON: usize = 40;

    /// Adds the newest change. A row of failed probes is one entry.
    pub fn push(&mut self, change: Change) {
        let change = Change { reason: change.reason.kept(), ..change };
        match self.0.last_mut() {
            Some(last) if last.is_failed_probe() && change.is_failed_probe() => *last = change.after(last),
            _ => self.0.push(change),
        }
        if self.0.len() > Self::MOST {
            self.0.remove(0);
        }
    }

    /// The changes, newest first.
    pub fn newest_first(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.0.iter().rev()
    }

    /// Whether nothing ever changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes less room: gives up the oldest change, and when only the last four are left, the ends of long reasons.
    /// `false` if it is as small as it gets.
    ///
    /// Those four always fit. Only in a state that somebody has edited can other things leave them no room; then they
    /// go as well.
    pub fn shrink(&mut self) -> bool {
        if self.0.len() <= Self::LEAST {
            let mut words = self.0.iter_mut().filter_map(|change| change.reason.words_mut());
            if let Some(long) = words.find(|words| stored_len(words) > Self::SHORT_REASON) {
                shorten(long, Self::SHORT_REASON);
                return true;
            }
        }
        let oldest = (!self.0.is_empty()).then(|| self.0.remove(0));
        oldest.is_some()
    }
}

/// How many bytes a text takes in the state, where JSON escapes some characters.
pub fn stored_len(text: &str) -> usize {
    text.chars().map(stored_letter).sum()
}

fn stored_letter(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => letter.len_utf8(),
    }
}

/// Cuts a text so that it takes at most so many bytes in the state.
pub fn shorten(text: &mut String, most: usize) {
    let mut length = 0;
    let surplus = text.char_indices().find(|&(_, letter)| {
        length += stored_letter(letter);
        length > most
    });
    if let Some((end, _)) = surplus {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn news_is_what_opens_from_closed_what_closes_and_what_a_person_changes() {
        use Phase::{Closed, Disabled, HalfOpen, Open};
        let news = |from, to, by: Option<&str>| {
            let (reason, by) = (Reason::Reset, by.map(str::to_owned));
            Change { at: Timestamp::from_millis(0), from, to, reason, by, count: 1 }.is_news()
        };
        for (from, to) in [(Closed, Open), (HalfOpen, Closed), (Open, Closed)] {
            assert!(news(from, to, None), "{from:?} {to:?}");
        }
        assert!(!news(HalfOpen, Open, None), "a probe that failed");
        for (from, to) in [(Closed, Open), (HalfOpen, Open), (Open, Open), (Disabled, Open), (Open, Closed)] {
            assert!(news(from, to, Some("ann")), "{from:?} {to:?}");
        }
        for other in [Closed, HalfOpen, Open] {
            assert!(news(other, Disabled, Some("ann")) && news(Disabled, other, Some("ann")), "{other:?}");
        }
        assert!(news(Disabled, Disabled, Some("ann")), "for another span");
        assert!(!news(Closed, Closed, Some("ann")), "a reset of what is closed");
        let over = |from, to, by: Option<&str>| {
            let (reason, by) = (Reason::HoldOver, by.map(str::to_owned));
            let change = Change { at: Timestamp::from_millis(0), from, to, reason, by, count: 1 };
            (change.is_news(), change.is_aloud())
        };
        assert_eq!(over(Open, Open, None), (true, false), "the end of a trip");
        assert_eq!(over(Disabled, Open, None), (true, true), "the end of a disable");
        assert_eq!(over(Open, Open, Some("ann")), (true, false), "who does it knows it");
    }

    #[test]
    fn a_row_of_failed_probes_tells_each_reason_once_as_far_as_there_is_room() {
        let mut history = History::default();
        let mut push = |reason: &str| {
            let (from, to, reason) = (Phase::HalfOpen, Phase::Open, Reason::Words(reason.to_owned()));
            history.push(Change { at: Timestamp::from_millis(0), from, to, reason, by: None, count: 1 });
            let row = history.newest_first().next().expect("a row");
            (row.count, row.reason.text().into_owned(), row.last_reason().into_owned())
        };
        let told = |count, reason: &str, last: &str| (count, reason.to_owned(), last.to_owned());
        assert_eq!(push("exit 7"), told(1, "exit 7", "exit 7"));
        assert_eq!(push("exit 7"), told(2, "exit 7", "exit 7"));
        assert_eq!(push("timeout"), told(3, "timeout, before that exit 7", "timeout"));
        assert_eq!(push("exit 7"), told(4, "exit 7, before that timeout", "exit 7"));
        let long = "x".repeat(95);
        let all = format!("{long}, before that exit 7");
        assert_eq!(push(&long), told(5, &all, &long), "there is no room for a third");
    }

    #[test]
    fn the_oldest_gives_way_and_then_the_ends_of_long_reasons() {
        let mut history = History::default();
        for index in 0..10 {
            let (at, reason) = (Timestamp::from_millis(index), Reason::Words("r".repeat(100)));
            history.push(Change { at, from: Phase::Closed, to: Phase::Open, reason, by: None, count: 1 });
        }
        let lengths = |history: &History| history.0.iter().map(|change| change.reason.text().len()).collect::<Vec<_>>();
        let mut seen = vec![lengths(&history)];
        while history.shrink() && seen.len() < 100 {
            seen.push(lengths(&history));
        }
        let shorter = |short: usize| [vec![40; short], vec![100; 4 - short]].concat();
        let expected = (5..=10).rev().map(|kept| vec![100; kept]).chain((0..=4).map(shorter));
        // Only where somebody has edited the state do these go as well.
        let expected = expected.chain((0..4).rev().map(|kept| vec![40; kept]));
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn the_length_of_a_text_in_the_state_is_known(text in r#"([\x00-\x7f]|.|["\\\n]){0,40}"#) {
            let stored = serde_json::to_string(&text).expect("plain data");
            prop_assert_eq!(stored_len(&text) + 2, stored.len(), "{}", stored);
        }

        #[test]
        fn a_text_is_cut_as_little_as_it_must_be(text in r#"([\x00-\x7f]|.|["\\\n]){0,40}"#, most in 0_usize..60) {
            let mut cut = text.clone();
            shorten(&mut cut, most);
            prop_assert!(text.starts_with(&cut) && stored_len(&cut) <= most);
            let next = text[cut.len()..].chars().next();
            prop_assert!(next.is_none_or(|next| stored_len(&cut) + stored_letter(next) > most));
        }
    }
}
