//! Texts that nobody would write, for whatever reads text: nothing panics, nothing hangs, and what is understood comes
//! back from its own text.
//!
//! The texts are changed examples, the same ones in each run. Those for the state and the configuration are read beside
//! their readers.

use std::time::Duration;

use crate::breaker::{Permit, stored};
use crate::name::Name;
use crate::outcome::{CodeList, Codes, End};
use crate::settings::{Key, Setup};
use crate::signals;
use crate::time::{LONGEST, Timestamp, format_duration, parse_duration};

/// Makes new texts of examples.
pub struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// Of these examples, with these words put in now and then. A seed makes the same texts each time.
    pub fn new(seed: u64, seeds: &[&str], words: &[&str]) -> Self {
        let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        Self { state: seed, seeds: bytes(seeds), words: bytes(words) }
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }

    fn one_of(&mut self, texts: &[Vec<u8>]) -> Vec<u8> {
        texts[self.below(texts.len())].clone()
    }

    /// The next one.
    pub fn bytes(&mut self) -> Vec<u8> {
        let (seeds, words) = (self.seeds.clone(), self.words.clone());
        let mut bytes = self.one_of(&seeds);
        let last = self.below(4).saturating_sub(1);
        for _ in 0..=last {
            let place = self.below(bytes.len() + 1);
            let length = self.below(9).min(bytes.len() - place);
            let end = if self.below(8) == 0 { bytes.len() } else { place + length };
            match self.below(9) {
                0 if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
                1 => drop(bytes.drain(place..end)),
                2 => {
                    let part = bytes[place..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, part);
                }
                3 => {
                    let other = self.one_of(&seeds);
                    let from = self.below(other.len() + 1);
                    bytes.splice(place.., other[from..].iter().copied());
                }
                4 => {
                    // A number becomes another.
                    const NUMBERS: [&str; 14] = [
                        "0",
                        "1",
                        "-1",
                        "9",
                        "00",
                        "100",
                        "101",
                        "255",
                        "256",
                        "4294967295",
                        "4294967296",
                        "1e999",
                        "18446744073709551615",
                        "18446744073709551616",
                    ];
                    let first = bytes.iter().skip(place).position(u8::is_ascii_digit).map(|digit| place + digit);
                    if let Some(first) = first {
                        let digits = bytes[first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                        let number = NUMBERS[self.below(NUMBERS.len())];
                        bytes.splice(first..first + digits, number.bytes());
                    }
                }
                5 => {
                    const ODD: [&str; 12] =
                        ["\0", " ", "\n", "\u{1b}", "\u{7f}", "é", "µ", "\u{202e}", "\"", "\\", "-", "."];
                    bytes.splice(place..place, ODD[self.below(ODD.len())].bytes());
                }
                6 => bytes.insert(place, u8::try_from(self.below(256)).expect("a byte")),
                _ => {
                    let word = self.one_of(&words);
                    bytes.splice(place..end, word);
                }
            }
        }
        bytes
    }

    /// The next one as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// Calls `reads` with so many texts; it says of each whether it was understood. Of a hundred, at least `least` are.
#[track_caller]
fn try_all(seeds: &[&str], words: &[&str], count: usize, least: usize, mut reads: impl FnMut(&str) -> bool) {
    let mut mutator = Mutator::new(count as u64, seeds, words);
    let mut understood = 0;
    for _ in 0..count {
        understood += usize::from(reads(&mutator.text()));
    }
    assert!(understood * 100 >= count * least, "only {understood} of {count} texts were understood");
    assert!(understood < count, "every text was understood");
}

const DURATIONS: [&str; 10] =
    ["30", ".5", "1.5s", "250ms", "2m", "1h30m", "1d", "1w 2d 3h", "0.000000001h", "99999999999999999999d"];

#[test]
fn durations() {
    try_all(&DURATIONS, &["ms", "us", "µs", "M", "-", ".", "days", " "], 40_000, 20, |text| {
        let Ok(span) = parse_duration(text) else { return false };
        assert!(span <= LONGEST && span.subsec_nanos() % 1_000_000 == 0, "{text:?}");
        assert_eq!(parse_duration(&format_duration(span)), Ok(span), "{text:?}");
        true
    });
}

#[test]
fn times() {
    let seeds = ["2026-01-02T03:04:05.678Z", "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"];
    try_all(&seeds, &["00", "13", "1969", "02-29", "23:59:60", "+"], 20_000, 3, |text| {
        let Ok(time) = text.parse::<Timestamp>() else { return false };
        let again = time.to_string();
        assert_eq!(again.parse(), Ok(time), "{text:?}");
        // The second that is put in at the end of some years is the one after it.
        assert!(again == text || text < "1970" || text[17..].starts_with("60"), "{text:?}");
        true
    });
}

#[test]
fn names() {
    let long = "n".repeat(128);
    let seeds = ["a", "openai", "db:5432", "user@host", "A-b_c.d+e", "0", &long];
    try_all(&seeds, &["..", "/", ".json", "-", "_", "x"], 20_000, 20, |text| {
        let Ok(name) = text.parse::<Name>() else { return false };
        assert_eq!(name.as_str(), text);
        let file = name.file_name();
        assert!(!file.contains(['/', '\0']) && !file.starts_with(['.', '-']) && file.len() <= 255, "{text:?}");
        assert_eq!(Name::from_file_name(&file), Some(name), "{text:?}");
        true
    });
}

#[test]
fn permits() {
    let seeds = ["00000000000000ff-3-7", "ffffffffffffffff-18446744073709551615-0p", "0123456789abcdef-1-256p"];
    try_all(&seeds, &["-", "p", "+", "unguarded", "0x"], 30_000, 10, |text| {
        let Ok(permit) = text.parse::<Permit>() else { return false };
        assert_eq!(permit.to_string().parse(), Ok(permit), "{text:?}");
        true
    });
}

#[test]
fn signals() {
    try_all(&["TERM", "SIGKILL", "sigrtmin", "SIG34", "SIG64", "int"], &["SIG", "sig", "1", "+"], 10_000, 5, |text| {
        let Some(number) = signals::number(text) else { return false };
        assert_eq!(signals::number(&signals::name(number.into())), Some(number), "{text:?}");
        true
    });
}

const CODES: [&str; 6] =
    ["0,22,64-78,SIGTERM,timeout", "1-255", "0", "7,7,7", "SIG34, SIG64 ,hup", "5-9,8-12,timeout,126"];

#[test]
fn code_lists() {
    let mut mutator = Mutator::new(3, &CODES, &["timeout", "SIGINT", ",", "-", "0-255"]);
    let words = [",", "-", "timeout", "SIG", "255", "256", "term", " "];
    try_all(&CODES, &words, 40_000, 10, |text| {
        for class in CodeList::ALL {
            let other = mutator.text();
            let both = Codes::parse(&[(CodeList::Failure, &other), (class, text)]);
            let Ok(codes) = Codes::parse(&[(class, text)]) else {
                assert!(both.is_err(), "{text:?} is a list only beside {other:?}");
                return false;
            };
            let list = codes.list(class).expect("it has items");
            assert_eq!(Codes::parse(&[(class, &list)]).as_ref(), Ok(&codes), "{text:?}");
            for codes in both.iter().chain([&codes]) {
                let numbers: Vec<u8> = codes.to_numbers().collect();
                assert_eq!(Codes::from_numbers(&numbers).as_ref(), Some(codes), "{text:?}");
                for end in [End::Exit(0), End::Exit(255), End::Signal(64), End::Signal(i32::MIN), End::TimedOut] {
                    let _ = codes.judge(end, false, None);
                }
            }
        }
        true
    });
}

#[test]
fn settings() {
    let seeds = ["5", "50%", "0.5", "20", "5m", "3/1h", "1.5", "100", "0", "true", "refuse", "TERM", "1h30m", "64-78"];
    let mut keys = Mutator::new(7, &["x"], &["x"]);
    try_all(&seeds, &["%", "/", ".", "s", "-", "0", "100", "101", "1000", "1001"], 60_000, 5, |text| {
        let key = Key::all().nth(keys.below(Key::COUNT)).expect("a key");
        let name = key.name();
        assert_eq!(Key::named(name), Some(key));
        if key.read(&mut Setup::default(), text).is_err() {
            return false;
        }
        // What must be said beside it for it to make sense.
        let beside = |asked| match asked {
            _ if asked == key => Some(text),
            Key::SlowAfter if key == Key::SlowRate => Some("1s"),
            Key::Cooldown if key == Key::MaxCooldown => Some("1ms"),
            _ => None,
        };
        let Ok(setup) = Setup::parse(beside) else { return false };
        let texts: Vec<_> = Key::all().map(|key| key.value(&setup).text()).collect();
        assert_eq!(Setup::parse(|key| texts[key as usize].as_deref()).as_ref(), Ok(&setup), "{name} {text:?}");
        let settings = setup.breaker;
        assert_eq!(stored::settings(&stored::settings_text(&settings)), settings, "{name} {text:?}");
        for reopened in [0, 1, 1_000, u32::MAX] {
            let cooldown = settings.cooldown_after(reopened);
            assert!(cooldown <= settings.longest_cooldown() && cooldown >= settings.cooldown, "{name} {text:?}");
        }
        assert!(settings.longest_cooldown() >= Duration::ZERO);
        true
    });
}
