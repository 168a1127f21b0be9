//! PURE. How long a hold lasts, as people write it: for a span, until a time, or until local clocks show a time.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{Timestamp, parse_duration};

/// The longest hold that has an end. A longer one is mostly a Unix time in place of a duration.
const LONGEST_HOLD: Duration = Duration::from_secs(366 * 86_400);

/// The end of a hold, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// A point in time.
    At(Timestamp),
    /// `HH:MM`: the next moment at which local clocks show this time or jump over it.
    Clock(Time),
}

impl FromStr for Until {
    type Err = String;

    /// Reads RFC 3339 with any offset, a Unix time, or `HH:MM`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LIKE: &str = "write one like 2026-01-02T15:04:05Z, 15:04, or a Unix time";
        if let Some(whole) = bare_number(text) {
            return match whole.len() {
                0..=9 => Err(format!("{text} is too small for a Unix time; for so many seconds write --for {text}")),
                10..=12 => unix(text).map(Self::At).ok_or_else(|| format!("{text} is not a time; {LIKE}")),
                _ => Err(finer_than_seconds(whole)),
            };
        }
        if let Some((hour, minute)) = time_of_day(text) {
            let time = hour.parse().ok().zip(minute.parse().ok());
            return time
                .and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
                .map(Self::Clock)
                .ok_or_else(|| format!("no clock shows {text}; write a time from 00:00 to 23:59"));
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap_or(0))));
        }
        Err(match text {
            _ if parse_duration(text).is_ok() => format!("'{text}' is a duration; write --for '{text}'"),
            _ if text.parse::<jiff::civil::DateTime>().is_ok_and(|_| text.contains(':')) => {
                format!("'{text}' says not in which time zone; write {text}Z for UTC, or an offset like +02:00")
            }
            _ => format!("'{text}' is not a time; {LIKE}"),
        })
    }
}

impl Until {
    /// The moment that is meant at `now`. `zone` is called only where the local time zone matters.
    ///
    /// # Errors
    /// The moment is past, or too far ahead to be meant.
    pub fn moment(self, zone: impl FnOnce() -> TimeZone, now: Timestamp) -> Result<Timestamp, String> {
        let moment = match self {
            Self::At(time) => time,
            Self::Clock(time) => {
                next_showing(&zone(), time, now).ok_or("local clocks never show it; write the time with its day")?
            }
        };
        if moment <= now {
            return Err(format!("{moment} is past, it is {now}; write a time that is yet to come"));
        }
        if moment.left(now) > LONGEST_HOLD {
            return Err(format!(
                "{moment} is more than 366 days ahead; without --until it holds until it is ended by hand"
            ));
        }
        Ok(moment)
    }
}

/// The span of a hold: a duration of at most 366 days.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn parse_hold(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text)?;
    if span <= LONGEST_HOLD {
        return Ok(span);
    }
    Err(match bare_number(text) {
        Some(whole) if (10..=12).contains(&whole.len()) => {
            format!("{text} looks like a Unix time; write --until {text}")
        }
        Some(whole) if whole.len() > 12 => finer_than_seconds(whole),
        _ => format!("'{text}' is longer than 366 days; without --for it holds until it is ended by hand"),
    })
}

/// That a number counts units smaller than seconds, as `date +%s%N` does.
fn finer_than_seconds(whole: &str) -> String {
    let seconds: String = whole.chars().take(10).collect();
    format!("{whole} looks like a Unix time in more than seconds; write --until {seconds}")
}

/// The digits before the point of a number without a unit; `None` if the text is no such number.
fn bare_number(text: &str) -> Option<&str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!whole.is_empty() && digits(whole) && digits(fraction)).then_some(whole)
}

/// A Unix time, with or without a fraction.
fn unix(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(Timestamp::from_millis(whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(thousandths)?))
}

/// The digits of `HH:MM`; `None` if the text is something else.
fn time_of_day(text: &str) -> Option<(&str, &str)> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = (1..=2).contains(&hour.len()) && minute.len() == 2 && digits(hour) && digits(minute);
    shaped.then_some((hour, minute))
}

/// The first moment after `now` at which the clocks of a zone show this time or jump over it.
fn next_showing(zone: &TimeZone, time: Time, now: Timestamp) -> Option<Timestamp> {
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
    // Four days from yesterday on are enough even where a zone leaves out a day.
    let first = zone.to_datetime(now).date().yesterday().ok()?;
    let days = std::iter::successors(Some(first), |day: &Date| day.tomorrow().ok()).take(4);
    let moments = days.flat_map(|day| {
        let shown = day.to_datetime(time);
        let under = |offset: jiff::tz::Offset| offset.to_timestamp(shown).ok();
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => [under(offset), None],
            // The clocks show it twice.
            AmbiguousOffset::Fold { before, after } => [under(before), under(after)],
            // The clocks jump over it: the moment is the jump, the next change after that time by the later offset.
            AmbiguousOffset::Gap { after, .. } => {
                let jump = under(after).and_then(|earlier| zone.following(earlier).next());
                [jump.map(|jump| jump.timestamp()), None]
            }
        }
    });
    let next = moments.flatten().filter(|moment| *moment > now).min()?;
    u64::try_from(next.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn the_end_of_a_hold_is_a_time_a_unix_time_or_what_clocks_show() {
        let noon = at("2026-11-24T12:00:00.000Z");
        for text in [
            "2026-11-24T12:00:00Z",
            "2026-11-24t12:00:00z",
            "2026-11-24 12:00:00+00:00",
            "2026-11-24T12:00:00.000Z",
            "2026-11-24T13:00:00+01:00",
            "2026-11-24T06:15:00-05:45",
            "1795521600",
            "1795521600.0",
            "1795521600.",
        ] {
            assert_eq!(text.parse(), Ok(Until::At(noon)), "{text}");
        }
        assert_eq!("1795521600.25".parse(), Ok(Until::At(at("2026-11-24T12:00:00.250Z"))));
        assert_eq!("1795521600.123456789".parse(), Ok(Until::At(at("2026-11-24T12:00:00.123Z"))));
        for (text, hour, minute) in [("14:02", 14, 2), ("00:00", 0, 0), ("23:59", 23, 59), ("9:30", 9, 30)] {
            assert_eq!(text.parse(), Ok(Until::Clock(Time::constant(hour, minute, 0, 0))), "{text}");
        }
    }

    #[test]
    fn a_wrong_end_says_what_would_be_right() {
        let like = "write one like 2026-01-02T15:04:05Z, 15:04, or a Unix time";
        for (text, hint) in [
            ("90", "90 is too small for a Unix time; for so many seconds write --for 90".to_owned()),
            (
                "999999999",
                "999999999 is too small for a Unix time; for so many seconds write --for 999999999".to_owned(),
            ),
            (
                "1795521600123",
                "1795521600123 looks like a Unix time in more than seconds; write --until 1795521600".to_owned(),
            ),
            ("90s", "'90s' is a duration; write --for '90s'".to_owned()),
            ("24:00", "no clock shows 24:00; write a time from 00:00 to 23:59".to_owned()),
            ("12:60", "no clock shows 12:60; write a time from 00:00 to 23:59".to_owned()),
            (
                "2026-11-24T12:00:00",
                "'2026-11-24T12:00:00' says not in which time zone; write 2026-11-24T12:00:00Z for UTC, \
                 or an offset like +02:00"
                    .to_owned(),
            ),
            ("2026-11-24", format!("'2026-11-24' is not a time; {like}")),
            ("2026-13-24T12:00:00Z", format!("'2026-13-24T12:00:00Z' is not a time; {like}")),
            ("12:00:00", format!("'12:00:00' is not a time; {like}")),
            ("tomorrow", format!("'tomorrow' is not a time; {like}")),
            ("-5", format!("'-5' is not a time; {like}")),
            ("", format!("'' is not a time; {like}")),
        ] {
            assert_eq!(text.parse::<Until>(), Err(hint), "{text}");
        }
    }

    #[test]
    fn a_span_is_no_longer_than_a_leap_year() {
        assert_eq!(parse_hold("366d"), Ok(LONGEST_HOLD));
        assert_eq!(parse_hold("31622400"), Ok(LONGEST_HOLD));
        for (text, hint) in [
            ("1795000000", "1795000000 looks like a Unix time; write --until 1795000000"),
            ("1795000000.5", "1795000000.5 looks like a Unix time; write --until 1795000000.5"),
            ("1795000000123", "1795000000123 looks like a Unix time in more than seconds; write --until 1795000000"),
            ("366d1ms", "'366d1ms' is longer than 366 days; without --for it holds until it is ended by hand"),
            ("999999999", "'999999999' is longer than 366 days; without --for it holds until it is ended by hand"),
            ("5M", "'5M' would be months, of no certain length; for minutes write '5m'"),
        ] {
            assert_eq!(parse_hold(text), Err(hint.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_end_is_yet_to_come_and_within_a_leap_year() {
        let now = at("2026-11-24T12:00:00.000Z");
        let until = |text: &str| text.parse::<Until>().expect(text).moment(|| TimeZone::UTC, now);
        assert_eq!(until("1795521601"), Ok(at("2026-11-24T12:00:01.000Z")));
        assert_eq!(until("2027-11-25T12:00:00Z"), Ok(at("2027-11-25T12:00:00.000Z")));
        for past in ["1795521600", "2026-11-24T12:00:00+00:01", "1000000000", "0001-01-01T00:00:00Z"] {
            let error = until(past).expect_err(past);
            assert!(
                error.ends_with(" is past, it is 2026-11-24T12:00:00.000Z; write a time that is yet to come"),
                "{error}"
            );
        }
        for far in ["2027-11-25T12:00:00.001Z", "179552160012"] {
            let error = until(far).expect_err(far);
            assert!(error.contains("is more than 366 days ahead; "), "{error}");
        }
    }

    /// Central Europe: on 2026-03-29 clocks jump from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
    #[test]
    fn a_time_of_day_is_the_first_moment_at_which_clocks_show_it_or_jump_over_it() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let kathmandu = TimeZone::posix("<+0545>-5:45").expect("a zone");
        let kiritimati = TimeZone::posix("<+14>-14").expect("a zone");
        for (zone, now, clock, expected) in [
            (&TimeZone::UTC, "2026-11-24T12:00:00.000Z", "12:01", "2026-11-24T12:01:00.000Z"),
            (&TimeZone::UTC, "2026-11-24T12:00:00.000Z", "12:00", "2026-11-25T12:00:00.000Z"),
            (&TimeZone::UTC, "2026-11-24T12:00:00.001Z", "12:00", "2026-11-25T12:00:00.000Z"),
            (&TimeZone::UTC, "2026-11-24T11:59:59.999Z", "12:00", "2026-11-24T12:00:00.000Z"),
            (&TimeZone::UTC, "2026-12-31T12:00:00.000Z", "11:00", "2027-01-01T11:00:00.000Z"),
            (&kathmandu, "2026-11-24T12:00:00.000Z", "17:46", "2026-11-24T12:01:00.000Z"),
            (&kathmandu, "2026-11-24T12:00:00.000Z", "05:44", "2026-11-24T23:59:00.000Z"),
            (&kiritimati, "2026-11-24T12:00:00.000Z", "01:59", "2026-11-25T11:59:00.000Z"),
            (&berlin, "2026-11-24T12:00:00.000Z", "14:02", "2026-11-24T13:02:00.000Z"),
            (&berlin, "2026-07-24T12:00:00.000Z", "14:02", "2026-07-24T12:02:00.000Z"),
            // Jumped over.
            (&berlin, "2026-03-28T12:00:00.000Z", "02:30", "2026-03-29T01:00:00.000Z"),
            (&berlin, "2026-03-29T00:59:59.000Z", "02:30", "2026-03-29T01:00:00.000Z"),
            (&berlin, "2026-03-29T01:00:00.000Z", "02:30", "2026-03-30T00:30:00.000Z"),
            (&berlin, "2026-03-29T00:30:00.000Z", "03:00", "2026-03-29T01:00:00.000Z"),
            // Shown twice.
            (&berlin, "2026-10-24T12:00:00.000Z", "02:30", "2026-10-25T00:30:00.000Z"),
            (&berlin, "2026-10-25T00:30:00.000Z", "02:30", "2026-10-25T01:30:00.000Z"),
            (&berlin, "2026-10-25T01:30:00.000Z", "02:30", "2026-10-26T01:30:00.000Z"),
        ] {
            let until: Until = clock.parse().expect(clock);
            assert_eq!(until.moment(|| zone.clone(), at(now)), Ok(at(expected)), "{clock} from {now}");
        }
    }
}
