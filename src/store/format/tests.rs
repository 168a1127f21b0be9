//! Whether everything fits into one block.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{BLOCK, Content, NotOurs, belongs_to, parse, render};
use crate::breaker::{
    Admission, Answer, Ask, Breaker, Draw, HoldKind, LONGEST_REASON, LONGEST_WHO, Order, pack, stored_len,
};
use crate::fuzz::Mutator;
use crate::name::{LONGEST_NAME, Name};
use crate::outcome::{End, Finished, Outcome};
use crate::report::view::{Look, View};
use crate::report::{json, metrics, table};
use crate::settings::{Key, Settings};
use crate::store::Trouble;
use crate::time::{LONGEST, Timestamp};

/// The largest number that every JSON reader can hold, at which counters stop.
const MOST: u64 = (1 << 53) - 1;
/// The largest number of a process.
const LARGEST_PID: u32 = 1 << 22;
/// The last moment that the text form can say.
const LAST: Timestamp = Timestamp::from_millis(u64::MAX);

/// Every setting as long as it can be and not its default, all four code lists full.
fn largest_settings() -> Settings {
    let time = "36499d 23h 59m 59s 999ms";
    let budget = format!("100/{time}");
    let every_other = |first: usize| (0..32).map(|index| (first + 2 * index).to_string()).collect::<Vec<_>>().join(",");
    let signals: Vec<String> = (34..=64).map(|number| format!("SIG{number}")).collect();
    let lists = [every_other(0), every_other(1), every_other(128), format!("{},timeout", signals.join(","))];
    let settings = Settings::parse(|key| match key {
        Key::Threshold | Key::MinCalls | Key::ProbeSuccesses | Key::ProbeFailures => Some("4294967295"),
        Key::FailureRate | Key::SlowRate | Key::Jitter => Some("100%"),
        Key::Window
        | Key::SlowAfter
        | Key::Cooldown
        | Key::MaxCooldown
        | Key::BackoffReset
        | Key::Ramp
        | Key::Lease
        | Key::MaxRetryAfter => Some(time),
        Key::FailureBudget => Some(&budget),
        Key::Backoff => Some("99.999999"),
        Key::Probes => Some("16"),
        Key::CountStopped => Some("true"),
        Key::SuccessCodes => Some(&lists[0]),
        Key::FailureCodes => Some(&lists[1]),
        Key::IgnoreCodes => Some(&lists[2]),
        Key::TripCodes => Some(&lists[3]),
        _ => None,
    });
    settings.expect("settings that agree")
}

/// A breaker that runs and people have filled as far as they can.
fn filled() -> Breaker {
    let settings = largest_settings();
    // The budget would open the breaker at the hundredth failure, and nothing more would be counted.
    let patient =
        Settings { trip: crate::settings::TripRules { budget: None, ..settings.trip.clone() }, ..settings.clone() };
    let mut breaker = Breaker::new(u64::MAX);
    let mut now = Timestamp::from_millis(0);
    let run = Finished {
        end: Some(End::Signal(64)),
        took: Some(LONGEST),
        http_status: Some(999),
        ..Finished::of(Outcome::Failure)
    };
    for _ in 0..1_000 {
        now = now.after(LONGEST / 100);
        assert_eq!(breaker.observe(&run, &patient, now), None);
    }
    // People's changes, while the clock steps over all of time.
    for index in 0..40 {
        let reason = "\"".repeat(LONGEST_REASON / 2);
        let at = if index % 2 == 0 { Timestamp::from_millis(0) } else { LAST };
        // Each ends the hold of the one before.
        let span = (index % 2 == 1).then_some(Duration::ZERO);
        assert!(breaker.trip(span, Some(reason), "w".repeat(LONGEST_WHO), at).is_some());
    }
    let lease = LONGEST * 2 + Duration::from_secs(10);
    for index in 0..16 {
        let now = if index == 0 { Timestamp::from_millis(0) } else { LAST };
        let ask = Ask { settings: &settings, lease, pid: Some(LARGEST_PID), draw: Draw::FIRST };
        let Admission::Admitted(permit) = breaker.admit(&ask, now) else { panic!("probe {index} is let through") };
        assert!(permit.is_probe());
    }
    breaker
}

/// The same breaker after more runs than a test can make.
fn fullest() -> Breaker {
    let mut state = serde_json::to_value(filled()).expect("plain data");
    let mut set = |path: &str, value: Value| *state.pointer_mut(path).expect(path) = value;
    set("/generation", MOST.into());
    set("/serial", MOST.into());
    set("/consecutive_failures", u32::MAX.into());
    set("/state/half_open/reopened", u32::MAX.into());
    set("/state/half_open/successes", u32::MAX.into());
    set("/state/half_open/failures", u32::MAX.into());
    set("/state/half_open/probes/1", (MOST - 256).into());
    set("/totals", pack::rows(&[[MOST; 8]]).into());
    let slices = state["slices"][2].as_str().and_then(pack::unrows::<4>).expect("slices");
    assert_eq!(slices.len(), 10);
    let full: Vec<_> = slices.iter().map(|slice| [slice[0], (1 << 28) - 1, (1 << 28) - 1, (1 << 28) - 1]).collect();
    state["slices"][2] = pack::rows(&full).into();
    let probes = state["state"]["half_open"]["probes"][2].as_str().and_then(pack::unrows::<4>).expect("probes");
    assert_eq!(probes.len(), 16);
    let spread: Vec<_> = probes.iter().map(|&[serial, pid, since, lease]| [serial * 16, pid, since, lease]).collect();
    state["state"]["half_open"]["probes"][2] = pack::rows(&spread).into();
    // The middle of the history is a long row of failed probes.
    let changes = state["history"][1].as_str().and_then(pack::unrows::<3>).expect("history");
    let many: Vec<_> = changes.iter().map(|&[after, phases, _]| [after, phases, u32::MAX.into()]).collect();
    state["history"][1] = pack::rows(&many).into();
    state["spent"] = pack::digits((0..=255).map(|bit: u8| 1 - bit % 2), 2).into();
    state["last_failure"] = state["last"].clone();
    state["last"]["outcome"] = "success".into();
    state["rules_differ"] = true.into();
    state["windows_differ"] = true.into();
    state["in_vain"] = Breaker::MANY_IN_VAIN.into();
    state["outage"] = json!([LAST, MOST]);
    state["under_way"] =
        pack::rows(&[[u64::MAX, MOST, (1 << 48) - 10_001, (1 << 48) - 1, 10_000, u16::MAX.into()]]).into();
    state["hold"] = json!({
        "kind": "disable",
        "by": "w".repeat(LONGEST_WHO),
        "reason": "\"".repeat(LONGEST_REASON / 2),
        "since": LAST,
        "for_ms": 3_153_600_000_000_u64,
    });
    serde_json::from_value(state).expect("a state that can be")
}

#[test]
fn everything_at_its_largest_fits_into_the_block() {
    let name: Name = "n".repeat(LONGEST_NAME).parse().expect("the longest name");
    let mut breaker = fullest();
    let probes: Vec<u64> = breaker.probes().iter().map(|probe| probe.serial).collect();
    let block = render(&mut breaker, &name, MOST, &probes).expect("it fits");
    assert_eq!(block.len(), BLOCK);
    let Content::Breaker { write: MOST, breaker: read, files } = parse(&block, &name) else {
        panic!("it cannot be read again")
    };
    assert_eq!((files.len(), files), (16, probes));
    assert!(*read == breaker, "something was lost on the way through the text");
    let kept: Vec<_> = read.history().newest_first().collect();
    assert!(kept.len() >= 4, "{} changes are kept", kept.len());
    for change in &kept[..4] {
        assert!(
            stored_len(&change.reason.text()) >= 40,
            "of a reason, {} bytes are kept",
            stored_len(&change.reason.text())
        );
        assert_eq!(change.by.as_deref().map(str::len), Some(LONGEST_WHO));
    }
    // Only history gives way.
    let mut before = fullest();
    while before.history().newest_first().count() > kept.len() {
        assert!(before.shrink());
    }
    while before.shrink() {}
    while breaker.shrink() {}
    assert!(before == breaker, "more than history has given way");
}

#[test]
fn a_state_that_somebody_has_edited_shrinks_into_the_block() {
    let name: Name = "n".repeat(LONGEST_NAME).parse().expect("the longest name");
    let mut state = serde_json::to_value(fullest()).expect("plain data");
    let long = "\u{1}\"é€".repeat(2_000);
    for path in ["/generation", "/serial", "/hold/for_ms", "/last/took_ms", "/slices/0", "/state/half_open/probes/1"] {
        *state.pointer_mut(path).expect(path) = u64::MAX.into();
    }
    for path in ["/hold/by", "/hold/reason", "/history/2/0/0", "/history/2/3/1"] {
        *state.pointer_mut(path).expect(path) = long.clone().into();
    }
    state["totals"] = pack::rows(&[[u64::MAX; 8]]).into();
    let probes: Vec<_> = (0..16).map(|serial| [u64::MAX / 16 * serial, u32::MAX.into(), u64::MAX, u64::MAX]).collect();
    state["state"]["half_open"]["probes"][2] = pack::rows(&probes).into();
    // All ten slices lie within a millisecond.
    state["slices"][2] = pack::rows(&[[u64::MAX, 1, 1, 1]; 10]).into();
    let mut breaker: Breaker = serde_json::from_value(state).expect("it can be read");
    let settings = breaker.settings().expect("it was used").clone();
    let run = Finished::of(Outcome::Success);
    for now in [0, 1, u64::MAX] {
        drop(breaker.observe(&run, &settings, Timestamp::from_millis(now)));
        let block = render(&mut breaker, &name, u64::MAX, &[]).expect("it fits");
        assert_eq!(block.len(), BLOCK);
        let Content::Breaker { breaker: read, .. } = parse(&block, &name) else { panic!("it cannot be read again") };
        assert!(*read == breaker, "something was lost on the way through the text");
    }
}

#[test]
fn which_probes_hold_a_file_is_kept() {
    let name: Name = "a".parse().expect("a name");
    let mut breaker = fullest();
    let serials: Vec<u64> = breaker.probes().iter().map(|probe| probe.serial).collect();
    for held in [&serials[..], &serials[..1], &serials[15..], &[serials[3], serials[9]], &[]] {
        // A number that is no probe of this breaker any more is left out.
        let block = render(&mut breaker, &name, 1, &[held, &[7]].concat()).expect("it fits");
        let Content::Breaker { files, .. } = parse(&block, &name) else { panic!("it cannot be read again") };
        assert_eq!(files, held);
    }
}

#[test]
fn history_is_kept_where_there_is_room() {
    let name: Name = "a".parse().expect("a name");
    let mut breaker = Breaker::new(1);
    for index in 0..50 {
        let by = "root".to_owned();
        breaker.reset(by, Timestamp::from_millis(index));
    }
    let block = render(&mut breaker, &name, 1, &[]).expect("it fits");
    assert_eq!(block.len(), BLOCK);
    let times = |breaker: &Breaker| breaker.history().newest_first().map(|change| change.at).collect::<Vec<_>>();
    let newest: Vec<_> = (18..50).rev().map(Timestamp::from_millis).collect();
    assert_eq!(times(&breaker), newest);
}

/// A state with something in every field, not padded.
fn example(name: &Name, fuller: bool) -> String {
    let mut breaker = if fuller { fullest() } else { Breaker::new(0xff) };
    let block = render(&mut breaker, name, 7, &[]).expect("it fits");
    String::from_utf8(block).expect("text").trim_end().to_owned()
}

#[test]
fn a_new_breaker_says_nothing_that_goes_without_saying() {
    let text = example(&"a".parse().expect("a name"), false);
    let breaker = r#"{"id":"00000000000000ff","generation":1,"serial":0,"state":{"closed":{"since":null}},"totals":"BBBBBBBBAAAAAAAA"}"#;
    assert_eq!(text, format!(r#"{{"write":7,"version":1,"name":"a","breaker":{breaker},"end":7}}"#));
}

/// What a text means in the file of the breaker `a`.
fn told(text: impl AsRef<[u8]>) -> String {
    match parse(text.as_ref(), &"a".parse().expect("a name")) {
        Content::Unused => "unused".to_owned(),
        Content::Breaker { write, .. } => format!("write {write}"),
        Content::Unreadable(why) => why.to_owned(),
        Content::NotOurs(NotOurs::OtherCase(stored)) => format!("of {stored}"),
        Content::NotOurs(newer @ NotOurs::Newer(..)) => match newer.of(Path::new("a.json")) {
            Trouble::Unusable(error) => error.to_string(),
            Trouble::Misuse(error) => panic!("{error} is no misuse"),
        },
    }
}

#[test]
fn what_a_file_holds_is_told_apart() {
    let text = example(&"a".parse().expect("a name"), false);
    assert_eq!(told(""), "unused");
    assert_eq!(told(&text), "write 7");
    assert_eq!(told(text.replace(r#""end":7"#, r#""end":8"#)), "it was written only in part");
    assert_eq!(told(text.replace(r#""name":"a""#, r#""name":"b""#)), "it is the state of another breaker");
    assert_eq!(told(text.replace(r#""name":"a""#, r#""name":"A""#)), "of A");
    assert_eq!(told(text.replace(r#""serial":0"#, r#""serial":-1"#)), "it is damaged");
    assert_eq!(told(text.replace(r#""version":1"#, r#""version":0"#)), "it is damaged");
    assert_eq!(told(r#"{"version":1}"#), "it is damaged");
    assert_eq!(told(&text[..100]), "it is not a state of cb");
    for version in ["-1", "1.0", "\"2\"", "null"] {
        assert_eq!(told(text.replace(r#""version":1"#, &format!(r#""version":{version}"#))), "it is not a state of cb");
    }
    for newer in ["2", "18446744073709551616"] {
        let expected = format!(
            "could not read a.json: it was written by a newer cb (its version is {newer}, this cb knows 1); \
             update cb, or forget the breaker with 'cb remove a'"
        );
        assert_eq!(told(text.replace(r#""version":1"#, &format!(r#""version":{newer}"#))), expected);
        assert_eq!(told(format!(r#"{{"version":{newer}}}"#)), expected, "whatever else it has");
    }
}

#[test]
fn up_to_64_kib_are_read() {
    let text = example(&"a".parse().expect("a name"), false);
    let padded = |length: usize| text.clone() + &" ".repeat(length - text.len());
    assert_eq!(told(padded(64 * 1024)), "write 7");
    assert_eq!(told(padded(64 * 1024 + 1)), "it is larger than any state");
    let longer_than_a_block = format!("{{{}{}", " ".repeat(BLOCK), &text[1..]);
    assert_eq!(told(longer_than_a_block), "write 7");
    // The file was larger, and its writer died before it cut off the rest.
    assert_eq!(told(format!("{}\n{}", padded(BLOCK - 1), &text[..50])), "write 7");
    assert_eq!(told(format!("{}{}", padded(BLOCK - 1), &text[..50])), "it is not a state of cb");
}

#[test]
fn a_file_belongs_to_a_breaker_if_it_says_so_in_this_version_or_a_newer_one() {
    let name: Name = "a".parse().expect("a name");
    let text = example(&name, false);
    assert!(belongs_to(b"", &name) && belongs_to(text.as_bytes(), &name));
    assert!(belongs_to(br#"{"version":99999999999999999999,"name":"\u0061"}"#, &name), "a newer one");
    for foreign in [r#"{"version":1,"name":"b"}"#, r#"{"version":1,"name":"A"}"#, r#"{"name":"a"}"#, "a", "{}", " "] {
        assert!(!belongs_to(foreign.as_bytes(), &name), "{foreign}");
    }
}

#[test]
fn a_state_of_any_length_fits_or_shrinks() {
    let name = |length: usize| "n".repeat(length).parse::<Name>().expect("a name");
    let mut breaker = Breaker::new(1);
    let length = |breaker: &Breaker| example_length(breaker, &name(1));
    // There is so much history that only a short name fits beside it.
    for _ in 0..31 {
        if length(&breaker) + LONGEST_NAME < BLOCK {
            let (reason, by) = (Some("r".repeat(105)), "ann".to_owned());
            let order = Order { kind: HoldKind::Trip, span: None, replace: true, reason, by };
            drop(breaker.order(order, LAST));
        }
    }
    assert!((BLOCK - LONGEST_NAME..BLOCK).contains(&length(&breaker)));
    for letters in 1..=LONGEST_NAME {
        let (mut kept, name) = (breaker.clone(), name(letters));
        let fits = length(&breaker) + letters - 1 < BLOCK;
        let block = render(&mut kept, &name, 7, &[]).expect("it fits");
        assert_eq!((block.len(), block.last()), (BLOCK, Some(&b'\n')));
        let Content::Breaker { breaker: read, write: 7, .. } = parse(&block, &name) else {
            panic!("with {letters} letters it cannot be read again")
        };
        assert!(*read == kept && (kept == breaker) == fits, "{letters} letters");
    }
}

/// The length of the text of a state that fits.
fn example_length(breaker: &Breaker, name: &Name) -> usize {
    let block = render(&mut breaker.clone(), name, 7, &[]).expect("it fits");
    String::from_utf8(block).expect("text").trim_end().len()
}

#[test]
fn no_text_breaks_the_reader_of_states() {
    let name: Name = "a".parse().expect("a name");
    let settings = Settings::default();
    let mut small = Breaker::new(1);
    let failure =
        Finished { trips: true, end: Some(End::Exit(1)), took: Some(LONGEST), ..Finished::of(Outcome::Failure) };
    let now = Timestamp::from_millis(1_767_323_045_678);
    drop(small.observe(&failure, &settings, now));
    drop(small.disable(Some(Duration::from_secs(9)), Some("why".to_owned()), "ann".to_owned(), now));
    let open = String::from_utf8(render(&mut small, &name, 3, &[]).expect("it fits")).expect("text");
    small.reset("ann".to_owned(), now);
    let mut words = vec!["null", "{", "}", "[", "]", "\"", ",", ":", "-", "{}", "[]", "\"\"", "1.5", "true"];
    words.extend(["9999-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z", "______________", "AAAA", "\"end\":7"]);
    let seeds = [example(&name, false), example(&name, true), open.trim_end().to_owned()];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let mut mutator = Mutator::new(11, &seeds, &words);
    let mut read = 0;
    for _ in 0..40_000 {
        let text = mutator.bytes();
        let _ = belongs_to(&text, &name);
        let Content::Breaker { mut breaker, .. } = parse(&text, &name) else { continue };
        read += 1;
        let shown = || String::from_utf8_lossy(&text);
        let block = render(&mut breaker, &name, 9, &[]).unwrap_or_else(|error| panic!("{}: {error}", shown()));
        let Content::Breaker { breaker: again, write: 9, .. } = parse(&block, &name) else {
            panic!("what was written for {} cannot be read", shown())
        };
        assert!(again == breaker, "something of {} was lost on the way through the text", shown());
        // Whatever the text says, the breaker can be asked, changed, shown and reset.
        let look = Ok(Look { breaker: *breaker, now, settings: settings.clone(), of_run: settings.clone() });
        let view = View { name: name.clone(), path: "a.json".into(), look };
        let style = table::Style::of_stdout();
        let views = std::slice::from_ref(&view);
        drop(table::overview(views, &style));
        drop(table::details(&view, &style));
        drop(metrics::render(views));
        drop(json::status(views).expect("plain data"));
        for now in [now, LAST, Timestamp::from_millis(0)] {
            let mut breaker = again.clone();
            let last = breaker.settings().cloned().unwrap_or_default();
            let asked = breaker.admit(&Ask { settings: &last, lease: LONGEST, pid: None, draw: Draw::FIRST }, now);
            if let Admission::Admitted(permit) = asked {
                drop(breaker.record(&permit, &failure, &last, now));
            }
            drop(breaker.observe(&failure, &last, now));
            drop(breaker.trip(Some(LONGEST), None, "ann".to_owned(), now));
            breaker.reset("ann".to_owned(), now);
            assert_eq!(breaker.answer(&last, Draw::FIRST, now), Answer::Pass, "{}", shown());
            assert!(render(&mut breaker, &name, 10, &[]).is_ok(), "{}", shown());
        }
    }
    assert!(read >= 2_000, "only {read} texts were states");
}
