//! What version 0.1.0 makes of every golden state: it reads what is new, and refuses where we refuse. Only a ramp it does
//! not know, and lets runs through in one.
//!
//! `tests/golden/0.1.0.said` holds what its own program has said, a line for each state and moment, and nothing of it is
//! ever changed. Where `CB_0_1_0` names that program, what it says of a golden state that is not in there yet is added: it
//! looks at a copy whose times are shifted, so that the moment is now.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::golden::{Golden, golden};
use super::{Content, parse};
use crate::breaker::{Answer, Breaker, Cause, Draw};
use crate::clock;
use crate::time::Timestamp;

const SAID: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/0.1.0.said");

/// The moments, in seconds after the newest time of a state: none is near an end of anything.
const MOMENTS: [i64; 6] = [-7_200, 5, 70, 3_000, 18_000, 8_640_000];

/// Settings that cannot be read, which no version writes: 0.1.0 sets such a state aside.
const NEVER_WRITTEN: [&str; 2] = ["settings-bad-codes", "settings-bad-values"];

/// What a state is at a moment, by the settings last used and without any of the processes that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Passes,
    Refuses,
    /// It may refuse, by what is drawn in a ramp.
    Ramps,
}

impl Says {
    fn word(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Refuses => "refuses",
            Self::Ramps => "ramps",
        }
    }
}

/// Where in a text a time stands, and which.
fn times(text: &str) -> Vec<(usize, Timestamp)> {
    let time = |(quote, _): (usize, &str)| Some((quote + 1, text.get(quote + 1..quote + 25)?.parse().ok()?));
    text.match_indices('"').filter_map(time).collect()
}

/// The newest time of a state; `None` where its times lie at the ends of what can be written, and cannot be shifted.
fn newest(text: &str) -> Option<Timestamp> {
    let (first, last) = ("2000-01-01T00:00:00.000Z".parse().ok()?, "2100-01-01T00:00:00.000Z".parse().ok()?);
    let times: Vec<Timestamp> = times(text).into_iter().map(|time| time.1).collect();
    times.iter().all(|time| (first..last).contains(time)).then(|| times.into_iter().max())?
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add_signed(seconds * 1_000))
}

fn we_say(breaker: &Breaker, clock: Timestamp) -> Says {
    let mut breaker = breaker.clone();
    let dead: Vec<u64> =
        breaker.probes().iter().filter(|probe| probe.pid.is_some()).map(|probe| probe.serial).collect();
    for serial in dead {
        breaker.abandon(serial);
    }
    let settings = breaker.settings().cloned().unwrap_or_default();
    match breaker.answer(&settings, Draw::LAST, breaker.time(clock)) {
        Answer::Pass | Answer::Probe => Says::Passes,
        Answer::Refuse(refusal) if refusal.cause == Cause::Ramp => Says::Ramps,
        Answer::Refuse(_) => Says::Refuses,
    }
}

/// The lines of a state: whether it was read, and at each moment what it says.
fn lines(golden: &Golden, read: bool, says: impl Fn(Timestamp) -> &'static str) -> Vec<String> {
    let name = &golden.name;
    let text = String::from_utf8(golden.state.clone()).expect("text");
    let read = format!("{name} {}", if read { "read" } else { "unreadable" });
    let at = |newest: Timestamp| MOMENTS.map(|seconds| format!("{name} {seconds:+}s {}", says(later(newest, seconds))));
    std::iter::once(read).chain(newest(&text).map(at).into_iter().flatten()).collect()
}

/// What is in the file, by state.
fn said() -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in fs::read_to_string(SAID).expect("a file").lines() {
        let name = line.split(' ').next().expect("a name");
        said.entry(name.to_owned()).or_default().push(line.to_owned());
    }
    said
}

/// Asks the program of version 0.1.0 about a state.
#[expect(clippy::disallowed_methods, reason = "a test may run another program, and write where no state of ours is")]
fn they_say(program: &str, directory: &Path, golden: &Golden) -> Vec<String> {
    let text = String::from_utf8(golden.state.clone()).expect("text");
    let path = directory.join(golden.name.file_name());
    let ask = |text: &str, arguments: &[&str]| {
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("access rights");
        let mut command = std::process::Command::new(program);
        let command = command.arg("--state-dir").arg(directory).args(["--config", "/dev/null"]);
        command.args(arguments).output().expect("it runs")
    };
    let status = ask(&text, &["status", "--json", golden.name.as_str()]).stdout;
    let read = !String::from_utf8(status).expect("text").contains("\"error\":");
    lines(golden, read, |moment| {
        let (now, mut shifted) = (clock::now(), text.clone());
        for (at, time) in times(&text) {
            let time = (now.as_millis() + time.as_millis()).saturating_sub(moment.as_millis());
            shifted.replace_range(at..at + 24, &Timestamp::from_millis(time).to_string());
        }
        match ask(&shifted, &["check", golden.name.as_str()]).status.code() {
            Some(0) => Says::Passes.word(),
            Some(75) => Says::Refuses.word(),
            other => panic!("{}: {other:?}", golden.name),
        }
    })
}

/// Adds what version 0.1.0 says of states that it was not asked about yet.
#[expect(clippy::disallowed_methods, reason = "who runs the tests says so, and what is written is no state")]
fn add_what_it_says() {
    let Ok(program) = std::env::var("CB_0_1_0") else { return };
    let directory = std::env::temp_dir().join(format!("cb-older-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&directory).expect("a directory of our own");
    let mut said = said();
    for golden in golden() {
        said.entry(golden.name.to_string()).or_insert_with(|| they_say(&program, &directory, &golden));
    }
    fs::remove_dir_all(&directory).expect("it was ours");
    let lines: Vec<String> = said.into_values().flatten().collect();
    fs::write(SAID, lines.join("\n") + "\n").expect("a file");
}

#[test]
fn version_0_1_0_reads_every_state_and_refuses_where_we_refuse_but_in_a_ramp() {
    add_what_it_says();
    let mut said = said();
    let mut ramps = 0;
    for golden in golden() {
        let name = &golden.name;
        let theirs = said
            .remove(name.as_str())
            .unwrap_or_else(|| panic!("0.1.0 was not asked about {name}: see the head of this file"));
        if NEVER_WRITTEN.contains(&name.as_str()) {
            assert_eq!(theirs[0], format!("{name} unreadable"));
            continue;
        }
        let breaker = match parse(&golden.state, name) {
            Content::Breaker { breaker, .. } => breaker,
            Content::Unused => Breaker::new(0).into(),
            Content::Unreadable(_) | Content::NotOurs(_) => panic!("{name} is read"),
        };
        let ours = lines(&golden, true, |moment| we_say(&breaker, moment).word());
        assert_eq!(theirs.len(), ours.len(), "{name}");
        for (theirs, ours) in theirs.iter().zip(&ours) {
            let ramp = ours.strip_suffix(Says::Ramps.word()).map(|moment| format!("{moment}{}", Says::Passes.word()));
            ramps += usize::from(ramp.is_some());
            assert_eq!(*theirs, ramp.unwrap_or_else(|| ours.clone()));
        }
    }
    assert!(said.is_empty(), "there are no such states: {:?}", said.keys());
    assert!(ramps > 0, "no state is in a ramp");
}
