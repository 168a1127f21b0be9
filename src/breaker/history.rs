//! PURE. The changes of state that are remembered.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

    fn letter(self) -> char {
        match self {
            Self::Closed => 'c',
            Self::Open => 'o',
            Self::HalfOpen => 'h',
            Self::Disabled => 'd',
        }
    }

    fn of_letter(letter: char) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen, Self::Disabled].into_iter().find(|phase| phase.letter() == letter)
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
    pub reason: String,
    /// Who, if a person did it.
    pub by: Option<String>,
    /// How many; only a row of failed probes is more than one.
    pub count: u32,
}

impl Change {
    /// Whether it is worth a line and the `on-change` command: it opened from closed, it closed, or a person changed it.
    pub fn is_news(&self) -> bool {
        let moved = self.from != self.to;
        match (self.by.is_some(), self.to) {
            // A trip holds even what was open before.
            (true, to) => moved || to != Phase::Closed,
            (false, Phase::Closed) => true,
            (false, _) => moved && self.from == Phase::Closed,
        }
    }
}

/// The last changes, newest last. How many there is room for, the state decides; at least [`History::LEAST`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Change>);

impl History {
    /// So many are always kept.
    pub const LEAST: usize = 8;
    /// No more are kept, whatever room there is.
    const MOST: usize = 32;
    /// Of older changes, so many bytes of the reason are always kept.
    const SHORT_REASON: usize = 60;

    /// Adds the newest change. A row of failed probes is one entry.
    pub fn push(&mut self, change: Change) {
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
    pub fn shrink(&mut self) -> bool {
        if self.0.len() > Self::LEAST {
            self.0.remove(0);
            return true;
        }
        let long = self.0.iter_mut().find(|change| stored_len(&change.reason) > Self::SHORT_REASON);
        long.map(|change| shorten(&mut change.reason, Self::SHORT_REASON)).is_some()
    }
}

/// How many bytes a text takes in the state, where JSON escapes some characters.
pub fn stored_len(text: &str) -> usize {
    text.chars()
        .map(|letter| match letter {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => letter.len_utf8(),
        })
        .sum()
}

/// Cuts a text so that it takes at most so many bytes in the state.
pub fn shorten(text: &mut String, most: usize) {
    while stored_len(text) > most {
        text.pop();
    }
}

impl Serialize for History {
    /// The newest time, then for each change, newest first: how many milliseconds before the one after it, from and to,
    /// why, who, how many.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let newest = self.0.last().map(|change| change.at);
        let mut later = newest.map_or(0, Timestamp::as_millis);
        let entries = self.newest_first().map(|change| {
            // A clock that was set back makes a negative distance.
            let before = i128::from(later) - i128::from(change.at.as_millis());
            later = change.at.as_millis();
            let phases: String = [change.from.letter(), change.to.letter()].into_iter().collect();
            (
                i64::try_from(before).unwrap_or(0),
                phases,
                &change.reason,
                change.by.as_deref().unwrap_or(""),
                change.count,
            )
        });
        (newest, entries.collect::<Vec<_>>()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Entry = (i64, String, String, String, u32);
        let (newest, entries) = <(Option<Timestamp>, Vec<Entry>)>::deserialize(deserializer)?;
        let bad = || D::Error::custom("history");
        let mut at = newest.map_or(0, Timestamp::as_millis);
        let mut changes = Vec::new();
        for (before, phases, mut reason, mut by, count) in entries.into_iter().take(Self::MOST) {
            at = at.saturating_add_signed(before.saturating_neg());
            let mut letters = phases.chars().map(Phase::of_letter);
            let mut phase = || letters.next().flatten().ok_or_else(bad);
            shorten(&mut reason, super::LONGEST_REASON);
            shorten(&mut by, super::LONGEST_WHO);
            let by = Some(by).filter(|by| !by.is_empty());
            changes.push(Change { at: Timestamp::from_millis(at), from: phase()?, to: phase()?, reason, by, count });
        }
        changes.reverse();
        Ok(Self(changes))
    }
}
