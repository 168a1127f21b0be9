//! PURE. Points in time and lengths of time, as `cb` reads, writes and adds them.

mod until;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::until::{Until, parse_hold};

/// The longest duration that `cb` works with, 36,500 days; longer ones saturate to it.
pub const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// 9999-12-31T23:59:59.999Z, the last moment that the text form can say.
const LAST_MILLIS: u64 = 253_402_300_799_999;

/// A point of the wall clock, in milliseconds since 1970 UTC.
///
/// Its text form is exactly `2026-01-02T03:04:05.678Z`. Earlier times become the start of 1970, later ones the end of
/// 9999, since so wrong a clock or file must neither cause a panic nor be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time this many milliseconds after the start of 1970.
    pub const fn from_millis(millis: u64) -> Self {
        // At the last moment both branches are equal.
        Self(if millis < LAST_MILLIS { millis } else { LAST_MILLIS })
    }

    /// Milliseconds since the start of 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time `span` later, at most the last that can be written.
    pub fn after(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// How long ago this time was at `now`; `None` if it is after `now`.
    pub fn age(self, now: Self) -> Option<Duration> {
        now.0.checked_sub(self.0).map(Duration::from_millis)
    }

    /// Whether a span that begins at this time is under way at `now`. It is not at its end, nor before its start.
    pub fn lasts(self, span: Duration, now: Self) -> bool {
        (self..self.after(span)).contains(&now)
    }

    /// How long it is from `now` until this time; zero if it is past.
    pub fn left(self, now: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_millis(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.0);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddZ";
        let shaped = text.len() == SHAPE.len()
            && text.bytes().zip(SHAPE).all(|(byte, &shape)| match shape {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
        if !shaped {
            return Err("a time must look like 2026-01-02T03:04:05.678Z");
        }
        match humantime::parse_rfc3339(text) {
            Ok(time) => Ok(time.into()),
            // Before 1970 is out of humantime's range but not out of ours.
            // The text is longer than `"1970"`, so any text of 1970 or later compares as greater.
            Err(_) if text < "1970" => Ok(Self(0)),
            Err(_) => Err("there is no such day or hour"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A duration in whole milliseconds, rounded up so that a short one never becomes zero.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A duration as people write it: `30` (seconds), `.5`, `1.5s`, `250ms`, `2m`, `1h30m`, `1d`.
///
/// The units are those of GNU `timeout` (`s m h d`) and the usual smaller ones. Durations beyond [`LONGEST`] saturate.
/// Fractions of a millisecond, which the state cannot hold, are rounded up. `5M` would be months, whose length differs,
/// and is refused.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total: u128 = 0;
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')) {
        return Err("a duration cannot be negative, write one like 30s, 1.5m or 1h30m".to_owned());
    }
    if text.is_empty() {
        return Err("a duration is missing, write one like 30s, 1.5m or 1h30m".to_owned());
    }
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, after) = split_where(after, |c| c.is_ascii_digit() || c == '.' || c == ' ');
        let bare = unit.is_empty() && number.len() == text.len();
        let nanos = if bare { Some(1_000_000_000) } else { unit_nanos(unit) };
        let part = nanos.and_then(|nanos| decimal(number, nanos));
        total = total.saturating_add(part.ok_or_else(|| hint(text, number, unit))?);
        rest = after.trim_start_matches(' ');
    }
    let nanos = u64::try_from(total).unwrap_or(u64::MAX);
    Ok(Duration::from_millis(millis(Duration::from_nanos(nanos))).min(LONGEST))
}

/// A duration as people read it: `45s`, `1m 30s`, `1h`; below a second `250ms`.
pub fn format_duration(span: Duration) -> String {
    let span = Duration::from_millis(millis(span));
    if span.is_zero() { "0s".to_owned() } else { day_format(span) }
}

/// humantime would write months and years, on whose length nobody agrees, so the largest unit here is a day.
fn day_format(span: Duration) -> String {
    let days = span.as_secs() / 86_400;
    let rest = span.saturating_sub(Duration::from_secs(days * 86_400));
    match (days, rest.is_zero()) {
        (0, _) => humantime::format_duration(rest).to_string(),
        (_, true) => format!("{days}d"),
        (_, false) => format!("{days}d {}", humantime::format_duration(rest)),
    }
}

/// A duration at a glance: in whole seconds above a second, rounded up so that "0s" means now.
pub fn format_rough(span: Duration) -> String {
    format_duration(Duration::from_secs(millis(span).div_ceil(1_000)))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "w" | "week" | "weeks" => 604_800_000_000_000,
        _ => return None,
    })
}

/// `number` times `nanos`, rounded up to a whole nanosecond; `None` if `number` is no decimal number.
fn decimal(number: &str, nanos: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits_only(fraction) {
        return None;
    }
    // Only overflow can fail here, and a number that large saturates.
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    let scale = |digit: u8, place: u32| u128::from(digit - b'0') * nanos * 1_000 / 10_u128.pow(place);
    let thousandths: u128 = fraction.bytes().take(18).zip(1..).map(|(digit, place)| scale(digit, place)).sum();
    Some(whole.saturating_mul(nanos).saturating_add(thousandths.div_ceil(1_000)))
}

fn hint(text: &str, number: &str, unit: &str) -> String {
    let lower = unit.to_ascii_lowercase();
    // The number is good, so the unit is wrong.
    let good_number = decimal(number, 1).is_some();
    match unit {
        "M" if good_number => {
            format!("'{text}' would be months, of no certain length; for minutes write '{number}m'")
        }
        _ if good_number && unit_nanos(&lower).is_some() => {
            format!("'{text}' is not a duration; did you mean '{number}{lower}'?")
        }
        _ => format!("'{text}' is not a duration, write one like 30s, 1.5m or 1h30m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_a_shell_user_writes_them() {
        for (text, millis) in [
            ("30", 30_000),
            (".5", 500),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("5.", 5_000),
            ("0.0001s", 1),
            ("1500us", 2),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn units_may_be_written_out() {
        for (units, nanos) in [
            (vec!["ns"], 1_u64),
            (vec!["us", "µs"], 1_000),
            (vec!["ms"], 1_000_000),
            (vec!["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
            (vec!["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
            (vec!["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
            (vec!["d", "day", "days"], 86_400_000_000_000),
            (vec!["w", "week", "weeks"], 604_800_000_000_000),
        ] {
            for unit in units {
                let span = Duration::from_millis(millis(Duration::from_nanos(5_000 * nanos)));
                assert_eq!(parse_duration(&format!("5000{unit}")), Ok(span), "{unit}");
            }
        }
    }

    #[test]
    fn huge_durations_saturate() {
        for text in ["9223372036854775808d", "99999999999999999999999999999999999999999999h", "40000d"] {
            assert_eq!(parse_duration(text), Ok(LONGEST), "{text}");
        }
    }

    #[test]
    fn wrong_durations_say_what_would_be_right() {
        for (text, hint) in [
            ("5M", "'5M' would be months, of no certain length; for minutes write '5m'"),
            ("-5s", "a duration cannot be negative, write one like 30s, 1.5m or 1h30m"),
            ("M", "'M' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("42D", "'42D' is not a duration; did you mean '42d'?"),
            ("1.5HOURS", "'1.5HOURS' is not a duration; did you mean '1.5hours'?"),
            ("1.2.3D", "'1.2.3D' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("D", "'D' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("5x", "'5x' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("", "a duration is missing, write one like 30s, 1.5m or 1h30m"),
            ("-.5", "a duration cannot be negative, write one like 30s, 1.5m or 1h30m"),
            ("--", "'--' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("soon", "'soon' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("1h30", "'1h30' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("1.2.3s", "'1.2.3s' is not a duration, write one like 30s, 1.5m or 1h30m"),
            (".", "'.' is not a duration, write one like 30s, 1.5m or 1h30m"),
            ("1 m", "'1 m' is not a duration, write one like 30s, 1.5m or 1h30m"),
        ] {
            assert_eq!(parse_duration(text), Err(hint.to_owned()), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_in_days_and_smaller() {
        for (secs, text) in [(0, "0s"), (45, "45s"), (5_400, "1h 30m"), (86_400, "1d"), (34_560_000, "400d")] {
            assert_eq!(format_duration(Duration::from_secs(secs)), text);
        }
        assert_eq!(format_duration(Duration::from_millis(86_400_001)), "1d 1ms");
        assert_eq!(format_duration(Duration::from_millis(250)), "250ms");
        for (nanos, text) in [
            (0, "0s"),
            (1, "1s"),
            (1_000_000, "1s"),
            (1_000_000_000, "1s"),
            (1_000_000_001, "2s"),
            (29_001_000_000, "30s"),
            (86_400_000_000_000, "1d"),
        ] {
            assert_eq!(format_rough(Duration::from_nanos(nanos)), text, "{nanos}");
        }
    }

    #[test]
    fn times_have_one_exact_form_and_a_bounded_range() {
        let text = "2026-01-02T03:04:05.678Z";
        assert_eq!(text.parse::<Timestamp>().map(|time| time.to_string()), Ok(text.to_owned()));
        assert_eq!("0900-01-01T00:00:00.000Z".parse(), Ok(Timestamp(0)));
        assert_eq!("9999-12-31T23:59:59.999Z".parse(), Ok(Timestamp(LAST_MILLIS)));
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(LAST_MILLIS - 1).to_string(), "9999-12-31T23:59:59.998Z");
        let clock = |millis: u64| Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(clock(1_767_323_045_678).to_string(), text);
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), Timestamp(0));
        for wrong in [
            "2026-01-02T03:04:05Z",
            "2026-13-02T03:04:05.678Z",
            "2026-01-02 03:04:05.678Z",
            "2026-01-02T03:04:05.678Z ",
            "0900-01-01T00:00:00.000",
            "0900-01-01T00:00:00.000Z ",
            "000000000000000000000000",
            "ééééééééé",
            "",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }
}
