//! Only `Cargo.toml` states the version, and only `CHANGELOG.md` the day of each release. All other places are made
//! from these two.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use toml::de::DeTable;

use super::compare;
use crate::time::Timestamp;

/// A release in `CHANGELOG.md`.
#[derive(Debug, PartialEq, Eq)]
struct Release {
    version: String,
    /// Like `2026-01-02`.
    date: String,
}

/// The day of the newest release.
pub fn date() -> String {
    newest_first().swap_remove(0).date
}

/// All releases, of which there must be one.
fn newest_first() -> Vec<Release> {
    let releases = releases(&read("CHANGELOG.md")).unwrap_or_else(|message| panic!("CHANGELOG.md: {message}"));
    assert!(!releases.is_empty(), "CHANGELOG.md: there is no release");
    releases
}

fn read(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("could not read {file}: {error}"))
}

/// The releases of a changelog, in its order.
///
/// # Errors
/// A heading that is not one of a release.
fn releases(changelog: &str) -> Result<Vec<Release>, String> {
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    let release = |heading: &str| {
        let (version, date) = heading.strip_prefix('[')?.split_once("] - ")?;
        midnight(date)?;
        Some(Release { version: version.to_owned(), date: date.to_owned() })
    };
    let read = |heading: &str| {
        let right = "write '## [1.2.3] - 2026-01-02' or '## [Unreleased]'";
        release(heading).ok_or_else(|| format!("'## {heading}' is no heading of a release; {right}"))
    };
    headings.filter(|heading| *heading != "[Unreleased]").map(read).collect()
}

/// The beginning of a day.
fn midnight(date: &str) -> Option<Timestamp> {
    format!("{date}T00:00:00.000Z").parse().ok()
}

/// A day as Debian's changelogs have it: `Fri, 02 Jan 2026 00:00:00 +0000`.
fn debian_date(date: &str) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = midnight(date).expect("a day").as_millis() / 86_400_000;
    // 1970 began on a Thursday.
    let day_of_week = DAYS[usize::try_from(days % 7).expect("a small number")];
    let mut parts = date.split('-');
    let mut part = || parts.next().expect("a day has three parts");
    let (year, month, day) = (part(), part(), part());
    let month = MONTHS[month.parse::<usize>().expect("a number") - 1];
    format!("{day_of_week}, {day} {month} {year} 00:00:00 +0000")
}

/// `packaging/debian/changelog`: each release with its version and its day, and where to read what is new.
fn debian_changelog(releases: &[Release]) -> String {
    let manifest = read("Cargo.toml");
    let manifest = DeTable::parse(&manifest).expect("TOML").into_inner();
    let package = manifest["package"].get_ref();
    let maintainer = package["metadata"].get_ref()["deb"].get_ref()["maintainer"].get_ref().as_str().expect("a text");
    let mut text = String::new();
    for Release { version, date } in releases {
        let (blank, name, date) = (if text.is_empty() { "" } else { "\n" }, env!("CARGO_PKG_NAME"), debian_date(date));
        write!(
            text,
            "{blank}{name} ({version}-1) unstable; urgency=medium\n\n  \
             * changelog.gz beside this file says what is new in this version.\n\n \
             -- {maintainer}  {date}\n"
        )
        .expect("a string");
    }
    text
}

#[test]
fn the_newest_release_is_this_version() {
    let (newest, version) = (newest_first().swap_remove(0).version, env!("CARGO_PKG_VERSION"));
    assert!(
        newest == version,
        "Cargo.toml has the version {version}, and the newest release in CHANGELOG.md is {newest}: \
         they are changed together"
    );
}

#[test]
fn the_releases_are_told_newest_first() {
    let releases = newest_first();
    let later = releases.windows(2).find(|pair| pair[0].date < pair[1].date);
    assert!(later.is_none(), "CHANGELOG.md: a release stands below an older one: {later:?}");
}

#[test]
fn the_changelog_for_debian_is_that_of_the_releases() {
    let wanted = [("changelog".to_owned(), debian_changelog(&newest_first()))].into();
    compare("packaging/debian", |path| path.ends_with("changelog"), &wanted, "CHANGELOG.md and Cargo.toml");
}

#[test]
fn a_release_has_a_version_and_a_day() {
    let release = |version: &str, date: &str| Release { version: version.to_owned(), date: date.to_owned() };
    let changelog =
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n## [1.2.3] - 2026-02-28\n\n## [1.2.2] - 2024-02-29\n";
    assert_eq!(releases(changelog), Ok(vec![release("1.2.3", "2026-02-28"), release("1.2.2", "2024-02-29")]));
    for wrong in ["1.2.3", "[1.2.3]", "[1.2.3] - 2026-13-01", "[1.2.3] - 28.2.2026", "[unreleased]"] {
        let told = releases(&format!("## {wrong}\n")).expect_err(wrong);
        assert!(told.starts_with(&format!("'## {wrong}' is no heading of a release; ")), "{told}");
    }
}

#[test]
fn a_changelog_for_debian_has_an_entry_for_each_release() {
    for (date, written) in [
        ("1970-01-01", "Thu, 01 Jan 1970 00:00:00 +0000"),
        ("2024-02-29", "Thu, 29 Feb 2024 00:00:00 +0000"),
        ("2026-12-31", "Thu, 31 Dec 2026 00:00:00 +0000"),
        ("2027-01-01", "Fri, 01 Jan 2027 00:00:00 +0000"),
    ] {
        assert_eq!(debian_date(date), written);
    }
    let release = |version: &str| Release { version: version.to_owned(), date: "2026-11-24".to_owned() };
    let text = debian_changelog(&[release("1.1.0"), release("1.0.0")]);
    let (newer, older) = text.split_once("\n\ncb-cli (1.0.0-1) unstable; urgency=medium\n\n  * ").expect("two entries");
    assert!(newer.starts_with("cb-cli (1.1.0-1) unstable; urgency=medium\n\n  * "), "{newer}");
    let signed = newer.lines().last().expect("a line");
    assert!(signed.starts_with(" -- ") && signed.ends_with(">  Tue, 24 Nov 2026 00:00:00 +0000"), "{signed}");
    assert!(older.ends_with(&format!("\n{signed}\n")), "{older}");
}
