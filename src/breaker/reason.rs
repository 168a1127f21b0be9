//! PURE. Why a state changed: typed where the program says so, a person's own words where a person does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::outcome::{End, How};
use crate::time::format_duration;

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A code of `trip-codes`.
    TripCode(Option<End>),
    /// `threshold`: so many failures in a row.
    InARow(u32, Option<How>),
    /// `failure-rate`: so many of the results in the window failed.
    FailureRate(Share, Option<How>),
    /// `failure-budget`: so many failures within so much time.
    Budget(u32, Duration, Option<How>),
    /// `slow-rate`: so many of the results in the window were slow.
    SlowRate(Share),
    /// A probe failed, or as many as `probe-failures` says.
    ProbeFailed(Option<How>),
    /// A probe took as long as `slow-after` or longer.
    ProbeSlow(Option<Duration>),
    /// As many probes succeeded as `probe-successes` says.
    ProbesSucceeded(u32),
    /// A success was seen elsewhere.
    SuccessReported,
    /// A failure was seen elsewhere.
    FailureReported(Option<How>),
    /// `cb reset`
    Reset,
    /// `cb trip` without a reason.
    Tripped,
    /// `cb disable` without a reason.
    Disabled,
    /// `cb enable`
    Enabled,
    /// The time of a hold is over, or a person has ended it.
    HoldOver,
    /// A run has reported by itself that it is to stay away.
    OwnReport,
    /// The answer that a run got, with this status if it is known, said for how long to stay away.
    RetryAfter(Option<u16>, Duration, Option<End>),
    /// What a person gave as the reason; or what a history tells, in the words in which it was told then.
    Words(String),
}

/// A part of the results in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The bad ones.
    pub part: u32,
    /// All of them.
    pub calls: u32,
}

impl Reason {
    /// Those of which nothing but their words must be known, to know them again.
    const PLAIN: [Self; 5] = [Self::Reset, Self::Tripped, Self::Disabled, Self::Enabled, Self::HoldOver];

    /// As a history keeps it: in words, but for those which it knows again.
    pub fn kept(self) -> Self {
        if matches!(self, Self::Words(_)) || Self::PLAIN.contains(&self) { self } else { Self::Words(self.to_string()) }
    }

    /// The words, where it is kept in words.
    pub fn words_mut(&mut self) -> Option<&mut String> {
        if let Self::Words(words) = self { Some(words) } else { None }
    }

    /// The plain reason that these words say, if they do.
    pub fn known(words: &str) -> Option<Self> {
        Self::PLAIN.into_iter().find(|reason| reason.text() == words)
    }

    /// Its words.
    pub fn text(&self) -> Cow<'_, str> {
        let ended = |end: &Option<End>| end.map_or(String::new(), |end| format!(": {end}"));
        let how = |how: &Option<How>| how.map_or(String::new(), |how| format!(": {how}"));
        let failures = |count: &u32| format!("{count} {}", if *count == 1 { "failure" } else { "failures" });
        Cow::Owned(match self {
            Self::TripCode(end) => format!("a trip code{}", ended(end)),
            Self::InARow(count, by) => format!("{} in a row{}", failures(count), how(by)),
            Self::FailureRate(share, by) => format!("failure rate {share}{}", how(by)),
            Self::Budget(count, within, by) => {
                format!("{} within {}{}", failures(count), format_duration(*within), how(by))
            }
            Self::SlowRate(share) => format!("slow rate {share}"),
            Self::ProbeFailed(by) => format!("probe failed{}", how(by)),
            Self::ProbeSlow(None) => "probe was slow".to_owned(),
            Self::ProbeSlow(Some(took)) => format!("probe was slow: took {}", format_duration(*took)),
            Self::ProbesSucceeded(1) => "probe succeeded".to_owned(),
            Self::ProbesSucceeded(count) => format!("{count} probes succeeded"),
            Self::SuccessReported => "success reported".to_owned(),
            Self::FailureReported(by) => format!("failure reported{}", how(by)),
            Self::Reset => return Cow::Borrowed("reset"),
            Self::Tripped => return Cow::Borrowed("tripped"),
            Self::Disabled => return Cow::Borrowed("disabled"),
            Self::Enabled => return Cow::Borrowed("enabled"),
            Self::HoldOver => return Cow::Borrowed("hold is over"),
            Self::RetryAfter(Some(status), away, _) => format!("HTTP {status}, retry after {}", format_duration(*away)),
            Self::RetryAfter(None, away, end) => format!("retry after {}{}", format_duration(*away), ended(end)),
            Self::OwnReport => return Cow::Borrowed("reported by the run"),
            Self::Words(words) => return Cow::Borrowed(words),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { part, calls } = self;
        write!(f, "{}% ({part} of {calls} calls)", u64::from(part) * 100 / u64::from(calls.max(1)))
    }
}
