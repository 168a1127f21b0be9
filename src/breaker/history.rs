//! PURE. The changes of state that are remembered.

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
            // A trip holds even what was open before, but what was closed is not changed by a reset.
            (Some(_), from, to) => from != Phase::Closed || to != Phase::Closed,
            (None, from, to) => from == Phase::Closed || to == Phase::Closed,
        }
    }
}

/// The last changes, newest last. How many there is room for, the state decides; at least [`History::LEAST`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(pub(super) Vec<Change>);

impl History {
    /// So many are always kept.
    pub const LEAST: usize = 8;
    /// No more are kept, whatever room there is.
    pub(super) const MOST: usize = 32;
    /// Of older changes, so many bytes of the reason are always kept.
    const SHORT_REASON: usize = 60;

    /// Adds the newest change. A row of failed probes is one entry.
    pub fn push(&mut self, change: Change) {
        let change = Change { reason: change.reason.kept(), ..change };
        let failed_probe =
            |change: &Change| change.from == Phase::HalfOpen && change.to == Phase::Open && change.by.is_none();
        match self.0.last_mut() {
            Some(last) if failed_probe(last) && failed_probe(&change) => {
                *last = Change { count: last.count.saturating_add(1), ..change };
            }
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

    /// Takes less room: gives up the oldest change, and when only the last eight are left, the ends of long reasons.
    /// `false` if it is as small as it gets.
    ///
    /// Those eight always fit. Only in a state that somebody has edited can other things leave them no room; then they
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
        let shorter = |short: usize| [vec![60; short], vec![100; 8 - short]].concat();
        let expected = [vec![100; 10], vec![100; 9]].into_iter().chain((0..=8).map(shorter));
        // Only where somebody has edited the state do these go as well.
        let expected = expected.chain((0..8).rev().map(|kept| vec![60; kept]));
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
