//! PURE. What the headers of HTTP answers say: the last status, and how long the server asks to be left alone.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use crate::outcome::Outcome;
use crate::time::{LONGEST, Timestamp, parse_duration};

/// So much is read of the beginning of what was written, and so much of its end.
pub const READ: u64 = 64 * 1024;

/// The last answer of those whose headers a run has written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status, from 100 to 999.
    pub status: u16,
    /// How long the server asks to be left alone, where its status is 400 or above and that is usable: never zero.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// What it counts as; `None` where that is for the exit code to say.
    ///
    /// A status that does not exist is one of a server that is broken (RFC 9110, 15).
    pub fn outcome(&self) -> Option<Outcome> {
        match self.status {
            0..400 => None,
            _ if self.retry_after.is_some() => Some(Outcome::Failure),
            408 | 429 | 500.. => Some(Outcome::Failure),
            // It was wrong to ask, but it answered.
            400..500 => Some(Outcome::Success),
        }
    }
}

/// The answer of the last status line. `now` is asked for where a date is to be counted from it.
///
/// Whoever wrote may have left anything: several answers, the holes of a file that was cut short while another wrote,
/// bodies, or nothing at all. A last status line that is none means that there is no status.
pub fn last_answer(text: &[u8], now: impl Fn() -> Timestamp) -> Option<Answer> {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').map(trimmed).collect();
    let last = lines.iter().rposition(|line| line.starts_with(b"HTTP/"))?;
    let status = status(lines[last])?;
    let headers = lines[last + 1..].iter().take_while(|line| !line.is_empty());
    let fields: Vec<(&[u8], &str)> = headers.filter_map(|line| field(line)).collect();
    let values = |name: &'static str| {
        let named = move |field: &&(&[u8], &str)| field.0.eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(named).map(|field| field.1)
    };
    let from = || values("date").find_map(date).unwrap_or_else(&now);
    // The same in finer units goes first. Of two that differ the longer one is obeyed.
    let in_millis = || values("retry-after-ms").filter_map(|value| span(value, "ms")).max();
    let in_seconds =
        || values("retry-after").filter_map(|value| span(value, "s").or_else(|| after(value, from()))).max();
    let refuses = status >= 400;
    Some(Answer { status, retry_after: if refuses { in_millis().or_else(in_seconds) } else { None } })
}

/// The beginning and the end of a text that is too long to be read, as one: without the line that the beginning does not
/// end, and without that which the end does not begin. The first byte of the end is there to tell that.
pub fn joined(mut first: Vec<u8>, last: &[u8]) -> Vec<u8> {
    let is_end = |byte: &u8| *byte == b'\n';
    first.truncate(first.iter().rposition(is_end).map_or(0, |end| end + 1));
    first.extend(last.iter().position(is_end).map_or(&[][..], |end| &last[end + 1..]));
    first
}

/// Without blanks and NULs around it. A file that is cut short while another writes has holes, which read as NULs.
fn trimmed(mut line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0);
    while let [first, rest @ ..] = line {
        if !is_blank(first) {
            break;
        }
        line = rest;
    }
    while let [rest @ .., last] = line {
        if !is_blank(last) {
            break;
        }
        line = rest;
    }
    line
}

/// The status of a status line: `HTTP/1.1 429 Too Many Requests`, `HTTP/2 200`. What follows it may be in any encoding.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (version, status) = (words.next()?, words.next()?);
    let mut parts = version.splitn(2, |&byte| byte == b'.');
    let known = parts.all(is_number) && is_number(status) && status.len() == 3;
    let status = std::str::from_utf8(status).ok()?.parse().ok();
    status.filter(|status| known && *status >= 100)
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// The name and the value of a header.
fn field(line: &[u8]) -> Option<(&[u8], &str)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((trimmed(&line[..colon]), std::str::from_utf8(trimmed(&line[colon + 1..])).ok()?))
}

/// A number of these units, with or without a fraction; `None` for zero.
fn span(value: &str, unit: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_decimal = [whole, fraction].iter().all(|part| is_number(part.as_bytes()));
    let span = if is_decimal { parse_duration(&format!("{value}{unit}")).ok() } else { None };
    span.filter(|span| !span.is_zero())
}

/// How long it is from then until this date; `None` where that is past.
fn after(value: &str, then: Timestamp) -> Option<Duration> {
    Some(date(value)?.left(then).min(LONGEST)).filter(|span| !span.is_zero())
}

/// A date in the form of today or in one of the two obsolete ones, which a recipient must understand (RFC 9110, 5.6.7):
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`. That the day of the
/// week is the right one does not matter.
fn date(value: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = ["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT", "%b %e %H:%M:%S %Y"];
    let (day, rest) = value.split_once([',', ' '])?;
    let read = |form: &&str| strtime::parse(*form, rest.trim_start()).and_then(|parts| parts.to_datetime()).ok();
    let time = if day.bytes().all(|byte| byte.is_ascii_alphabetic()) { FORMS.iter().find_map(read) } else { None };
    let time: DateTime = time?;
    let millis = Offset::UTC.to_timestamp(time).ok()?.as_millisecond();
    Some(Timestamp::from_millis(u64::try_from(millis).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::Mutator;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    /// Status and how many milliseconds to stay away.
    #[track_caller]
    fn read(text: impl AsRef<[u8]>) -> Option<(u16, Option<u64>)> {
        let answer = last_answer(text.as_ref(), || NOW)?;
        Some((answer.status, answer.retry_after.map(|span| u64::try_from(span.as_millis()).expect("it is bounded"))))
    }

    #[test]
    fn the_last_status_line_decides() {
        for (text, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Some(200)),
            ("HTTP/2 503 \r\n\r\n", Some(503)),
            ("HTTP/3 404", Some(404)),
            ("HTTP/1.0 429\n", Some(429)),
            ("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\nHTTP/1.1 500 Broken\r\n\r\n", Some(500)),
            ("HTTP/1.1 200 Connection established\r\n\r\nHTTP/2 429 \r\n\r\n", Some(429)),
            ("HTTP/1.1 500 Broken\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(200)),
            // As wget has it, and as it looks where a file was cut short while another wrote.
            ("  HTTP/1.1 502 Bad Gateway\n  Server: x\n", Some(502)),
            ("\0\0\0\0HTTP/1.1 504 Late\r\n", Some(504)),
            (" \0\t\0HTTP/1.1\t 999 Denied\0", Some(999)),
            ("X-Origin: HTTP/1.1 500\r\nHTTP/1.1 100 Continue", Some(100)),
            ("HTTP/1.1 200 OK\r\n\r\nnot HTTP/1.1 500\n", Some(200)),
            // What looks like one and is none.
            ("HTTP/1.1 503 Out\r\n\r\nHTTP/1.1 banana\r\n", None),
            ("HTTP/1.1 5030 Out", None),
            ("HTTP/1.1 50", None),
            ("HTTP/1.1 +50", None),
            ("HTTP/1.1 503Out", None),
            ("HTTP/1.1 099 Early", None),
            ("HTTP/1.1", None),
            ("HTTP/ 503", None),
            ("HTTP/.1 503", None),
            ("HTTP/1. 503", None),
            ("HTTP/1.1.1 503", None),
            ("HTTP/x 503", None),
            ("http/1.1 503", None),
            ("HTTP 503", None),
            ("", None),
            ("\n\n\0", None),
        ] {
            assert_eq!(read(text).map(|answer| answer.0), status, "{text:?}");
        }
        assert_eq!(read(b"HTTP/1.1 503 Dienst nicht verf\xfcgbar\r\nRetry-After: 5\r\n"), Some((503, Some(5_000))));
    }

    #[test]
    fn a_status_counts_as_what_it_says_of_the_server() {
        let outcome =
            |status, seconds: Option<u64>| Answer { status, retry_after: seconds.map(Duration::from_secs) }.outcome();
        for status in 100..1000 {
            let expected = match status {
                100..400 => None,
                408 | 429 | 500.. => Some(Outcome::Failure),
                _ => Some(Outcome::Success),
            };
            assert_eq!(outcome(status, None), expected, "{status}");
            let told_to_wait = if status < 400 { None } else { Some(Outcome::Failure) };
            assert_eq!(outcome(status, Some(1)), told_to_wait, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_or_milliseconds() {
        // NOW is Wed, 18 Nov 2026 11:06:40 GMT.
        for (headers, expected) in [
            ("Retry-After: 20", Some(20_000)),
            ("RETRY-AFTER:20", Some(20_000)),
            ("retry-after: \t 1.5 ", Some(1_500)),
            ("Retry-After: 0119", Some(119_000)),
            ("Retry-After: 1795000000", Some(1_795_000_000_000)),
            ("Retry-After: 99999999999999999999999999999999999999999", Some(3_153_600_000_000)),
            ("retry-after-ms: 1500", Some(1_500)),
            ("retry-after-ms: 1500\r\nretry-after: 2", Some(1_500)),
            ("retry-after: 2\r\nretry-after-ms: 0.25", Some(1)),
            ("retry-after: 2\r\nretry-after-ms: 0", Some(2_000)),
            ("retry-after: 2\r\nretry-after-ms: soon", Some(2_000)),
            ("Retry-After: 5\r\nRetry-After: 7\r\nRetry-After: 6", Some(7_000)),
            ("Retry-After: Wed, 18 Nov 2026 11:07:00 GMT", Some(20_000)),
            ("Retry-After: Wednesday, 18-Nov-26 11:07:00 GMT", Some(20_000)),
            ("Retry-After: Wed Nov 18 11:07:00 2026", Some(20_000)),
            ("Retry-After: Sun Dec  6 11:06:40 2026", Some(18 * 86_400_000)),
            ("Retry-After: Mon, 18 Nov 2026 11:07:00 GMT", Some(20_000)),
            // By the clock of the server, whatever ours says.
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:00 GMT", Some(23_000)),
            ("Retry-After: Sunday, 06-Nov-94 08:50:00 GMT\r\nDATE: Sun Nov  6 08:49:37 1994", Some(23_000)),
            ("Date: tomorrow\r\nRetry-After: Wed, 18 Nov 2026 11:07:00 GMT", Some(20_000)),
            ("Date: Wed, 18 Nov 2026 11:07:00 GMT\r\nRetry-After: Wed, 18 Nov 2026 11:07:00 GMT", None),
            ("Retry-After: Wed, 18 Nov 2026 11:06:40 GMT", None),
            ("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Retry-After: Wed, 31 Feb 2027 11:07:00 GMT", None),
            ("Retry-After: 18 Nov 2026 11:07:00 GMT", None),
            ("Retry-After: Wed, 18 Nov 2026 11:07:00", None),
            ("Retry-After: 0", None),
            ("Retry-After: 0.0", None),
            ("Retry-After: -5", None),
            ("Retry-After: +5", None),
            ("Retry-After: 1e3", None),
            ("Retry-After: 5s", None),
            ("Retry-After: 5.", None),
            ("Retry-After: .5", None),
            ("Retry-After: 5, 6", None),
            ("Retry-After:", None),
            ("Retry-After", None),
            ("Retry-After: soon, a[$(touch bad)]", None),
            ("X-Retry-After: 5", None),
            // A body is no header.
            ("Server: x\r\n\r\nRetry-After: 5", None),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\nRetry-After: 77\r\n\r\nHTTP/1.1 429 Wait\r\n{headers}\r\n");
            assert_eq!(read(&text), Some((429, expected)), "{headers:?}");
            assert_eq!(read(text.replace("\r\n", "\n")), Some((429, expected)), "{headers:?}");
            let fine = text.replace("429 Wait", "399 Fine");
            assert_eq!(read(&fine), Some((399, None)), "it did not refuse");
        }
    }

    #[test]
    fn of_a_long_text_whole_lines_are_joined() {
        let join = |first: &str, last: &str| String::from_utf8(joined(first.into(), last.as_bytes())).expect("text");
        assert_eq!(join("a\nHTTP/1.1 5", "7\nb\n"), "a\nb\n");
        assert_eq!(join("a\n", "\nHTTP/1.1 503\n"), "a\nHTTP/1.1 503\n", "it begins a line");
        assert_eq!(join("a\n", "xHTTP/1.1 503"), "a\n", "it is within a line");
        assert_eq!(join("HTTP/1.1 503", "\nb"), "b");
        assert_eq!(join("", ""), "");
    }

    proptest! {
        #[test]
        fn what_was_meant_is_read(
            status in 100_u16..1000, seconds in 1_u64..3_000_000_000, before in "[ -~\r\n\0]{0,200}", minor in 0_u8..10,
            form in 0_usize..3, blanks in "[ \t\0]{0,5}", upper: bool,
        ) {
            let time = Offset::UTC.to_datetime(jiff::Timestamp::from_second(1_795_000_000 + i64::try_from(seconds % 900_000_000).expect("small")).expect("a time"));
            let date = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"][form];
            let date = strtime::format(date, time).expect("a date");
            for (value, expected) in [(seconds.to_string(), seconds), (date, seconds % 900_000_000)] {
                let name = if upper { "RETRY-AFTER" } else { "retry-after" };
                let text = format!("{before}\n{blanks}HTTP/1.{minor} {status} x\r\nA: b\r\n{name}:{value}\r\n\r\nbody");
                let expected = Some(expected * 1000).filter(|span| *span > 0 && status >= 400);
                prop_assert_eq!(read(&text), Some((status, expected)), "{}", text);
            }
        }
    }

    /// Nothing that is written panics, takes long, or keeps all away for ever; and it is read as its parts are.
    #[test]
    fn no_text_breaks_the_reader_of_headers() {
        let seeds = [
            "HTTP/1.1 429 Too Many Requests\r\nDate: Wed, 18 Nov 2026 11:06:40 GMT\r\nRetry-After: 20\r\n\r\n",
            "HTTP/2 503 \r\nretry-after-ms: 1500\r\nretry-after: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n",
            "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n\0\0\0HTTP/1.1 200 OK\r\nRetry-After: Sun Nov  6 08:49:37 2094\r\n",
        ];
        let words = ["HTTP/", "HTTP/1.1 500\n", "\n", "\0", "Retry-After: ", ":", "GMT", "-", "99999999", "Feb 31"];
        let mut mutator = Mutator::new(5, &seeds, &words);
        let (mut statuses, mut refusals) = (0, 0);
        for _ in 0..30_000 {
            let text = mutator.bytes();
            let answer = last_answer(&text, || NOW);
            let cut = mutator.below(text.len() + 1);
            let _ = last_answer(&joined(text[..cut].to_vec(), &text[cut..]), || NOW);
            let Some(Answer { status, retry_after }) = answer else { continue };
            statuses += 1;
            assert!((100..1000).contains(&status));
            let Some(span) = retry_after else { continue };
            refusals += 1;
            assert!(status >= 400 && !span.is_zero() && span <= LONGEST, "{text:?}");
        }
        assert!(statuses > 15_000 && refusals > 5_000, "{statuses} and {refusals} of 30000 were understood");
    }
}
