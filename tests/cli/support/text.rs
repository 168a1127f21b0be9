//! Texts and documents, compared where they depend on the day, and moved in time.

use std::time::{Duration, SystemTime};

use predicates::prelude::*;
use serde_json::Value;

/// Makes every time in a text so many milliseconds older. The text keeps its length.
pub fn shift_times(text: &str, millis: i64) -> String {
    const LENGTH: usize = "2026-01-02T03:04:05.678Z".len();
    let mut shifted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let time = rest.get(..LENGTH).filter(|word| word.ends_with('Z') && word.as_bytes()[4] == b'-');
        let parsed = time.and_then(|word| humantime::parse_rfc3339(word).ok());
        if let Some(time) = parsed {
            let span = Duration::from_millis(millis.unsigned_abs());
            let moved = if millis >= 0 { time.checked_sub(span) } else { time.checked_add(span) };
            let moved = moved.filter(|time| *time >= SystemTime::UNIX_EPOCH).unwrap_or(SystemTime::UNIX_EPOCH);
            shifted.push_str(&humantime::format_rfc3339_millis(moved).to_string());
            rest = &rest[LENGTH..];
        } else {
            shifted.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    shifted
}

/// Some facts from a document, by their paths: `pick(&status, ["state", "totals.late"])`.
pub fn pick<const N: usize>(document: &Value, paths: [&str; N]) -> Value {
    Value::from_iter(paths.map(|path| path.split('.').fold(document, |value, key| &value[key]).clone()))
}

/// A text with `TIME` in place of every time.
pub fn timeless(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let word = rest.as_bytes().get(..SHAPE.len());
        let digit_or_same =
            |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
        if word.is_some_and(|word| word.iter().zip(SHAPE).all(digit_or_same)) {
            shown.push_str("TIME");
            rest = &rest[SHAPE.len()..];
        } else {
            shown.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    shown
}

pub(super) enum Text {
    Exact(String),
    Timeless(String),
    Contains(Vec<String>),
    Like(String),
    Any,
}

impl Text {
    #[track_caller]
    pub(super) fn check(&self, what: &str, actual: &[u8], context: &str) {
        let actual = String::from_utf8_lossy(actual);
        let expects_measures = match self {
            Self::Exact(text) | Self::Timeless(text) | Self::Like(text) => text.contains("closed again after"),
            Self::Contains(_) | Self::Any => true,
        };
        let actual = if expects_measures { actual.into_owned() } else { unmeasured(&actual) };
        match self {
            Self::Exact(expected) => assert_eq!(actual, *expected, "{what} of {context}"),
            Self::Timeless(expected) => assert_eq!(timeless(&actual), *expected, "{what} of {context}"),
            Self::Contains(parts) => {
                for part in parts {
                    let there = predicate::str::contains(part.as_str());
                    assert!(there.eval(&actual), "{what} of {context} lacks {part:?}:\n{actual}");
                }
            }
            Self::Like(pattern) => {
                assert!(is_like(pattern, &actual), "{what} of {context} should be like\n{pattern}\nand is\n{actual}");
            }
            Self::Any => {}
        }
    }
}

/// A text whose lines on a closing do not say how long the outage was and how many runs were refused in it, which depends
/// on the clock and is tested by itself.
pub fn unmeasured(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let Some((before, rest)) = line.split_once(" closed again after ") else { return line.to_owned() };
        let Some((_, reason)) = rest.split_once(": ") else { return line.to_owned() };
        match reason.rsplit_once("; ").filter(|(_, refused)| refused.ends_with(" refused meanwhile\n")) {
            Some((reason, _)) => format!("{before} closed again: {reason}\n"),
            None => format!("{before} closed again: {reason}"),
        }
    });
    lines.collect()
}

/// Whether a text is like a pattern, in which `<time>` stands for a time, `<span>` for a duration as it is shown
/// (`1m 30s`) and `<number>` for digits.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('<') else { return pattern == text };
    let Some(text) = text.strip_prefix(before) else { return false };
    let (word, rest) = rest.split_once('>').expect("a placeholder ends");
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = |text: &str| text.bytes().take_while(u8::is_ascii_lowercase).count();
    let length = match word {
        "time" => text.find('Z').map_or(0, |end| end + 1),
        "number" => digits(text),
        "span" => {
            let mut length = 0;
            loop {
                let number = digits(&text[length..]);
                let unit = letters(&text[length + number..]);
                if number == 0 || unit == 0 {
                    break length.saturating_sub(1);
                }
                length += number + unit;
                if !text[length..].starts_with(' ') {
                    break length;
                }
                length += 1;
            }
        }
        other => panic!("<{other}> stands for nothing"),
    };
    let (part, text) = text.split_at(length);
    !part.is_empty() && (word != "time" || is_time(part)) && is_like(rest, text)
}

/// Whether a text is a time as `cb` writes it.
pub fn is_time(text: &str) -> bool {
    text.len() == "2026-01-02T03:04:05.678Z".len() && humantime::parse_rfc3339(text).is_ok()
}

/// The milliseconds since 1970 of a time in JSON.
#[track_caller]
pub fn millis(time: &Value) -> u64 {
    let text = time.as_str().expect("a time");
    assert!(is_time(text), "{text} is a time");
    let time = humantime::parse_rfc3339(text).expect("a time").duration_since(SystemTime::UNIX_EPOCH);
    time.expect("after 1970").as_millis().try_into().expect("not too far")
}

#[test]
fn likeness_is_exact_but_for_its_placeholders() {
    for (pattern, text) in [
        ("in <span> (<time>)", "in 1m 30s (2026-01-02T03:04:05.678Z)"),
        ("in <span>, then", "in 30s, then"),
        ("<span> ago", "1d 2h 3s ago"),
        ("pid <number>\n", "pid 12\n"),
    ] {
        assert!(is_like(pattern, text), "{text}");
    }
    for (pattern, text) in [
        ("in <span>", "in "),
        ("in <span>", "in 30"),
        ("<time>", "2026-01-02T03:04:05Z"),
        ("<time>", "2026-13-02T03:04:05.678Z"),
        ("<span> ago", "30s ago "),
        ("a<number>", "a"),
        ("x", "xy"),
    ] {
        assert!(!is_like(pattern, text), "{text}");
    }
}
