//! The rules of cb-contract(7) can be cited: each number exists once and in its place, and so does each that is cited.

use std::fs;
use std::path::{Path, PathBuf};

use super::man::{rule, sections};

/// The name by which the page is cited. The numbers follow it on the same line.
const PAGE: &str = "cb-contract(7)";

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("man/prose/contract.md");
    fs::read_to_string(path).expect("man/prose/contract.md")
}

/// The numbers of the rules, in the order of the page.
///
/// # Errors
/// The first number that does not follow from the one before it.
fn rules(page: &str) -> Result<Vec<String>, String> {
    let mut numbers = Vec::new();
    let mut section = 0;
    for (heading, text) in sections(page) {
        let number = heading.split(' ').next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(number) = number {
            section += 1;
            if number != section.to_string() {
                return Err(format!("section {number} stands where section {section} should"));
            }
        }
        let found = text.split("\n\n").filter_map(|block| rule(block.trim_start_matches('\n')));
        for (place, (number, _)) in (1..).zip(found) {
            let right = format!("{section}.{place}");
            if number != right {
                return Err(format!("rule {number} stands where rule {right} should"));
            }
            numbers.push(right);
        }
    }
    Ok(numbers)
}

/// The numbers of rules at the start of a text, up to the first word that is no number and joins none.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split([' ', ',', ';']).map(|word| word.trim_matches(['(', ')', '.', ':', '`', '"']));
    let words = words.take_while(|word| ["", "and", "to"].contains(word) || is_number(word));
    words.filter(|word| is_number(word))
}

fn is_number(word: &str) -> bool {
    rule(&format!("{word} ")).is_some()
}

/// The rules that another text cites.
fn cited(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split(PAGE).skip(1).flat_map(numbers))
}

/// The rules that the page itself cites: the numbers in its text that are not literal.
fn cited_within(page: &str) -> impl Iterator<Item = &str> {
    let prose = page.lines().flat_map(|line| line.split('`').step_by(2));
    prose.flat_map(|prose| prose.split(' ').skip(1)).flat_map(|word| numbers(word).collect::<Vec<_>>())
}

/// The paths and texts of all files below a directory.
fn texts(directory: &Path) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let texts = paths.map(|path| match fs::read_to_string(&path) {
        Ok(text) => vec![(path, text)],
        Err(_) => texts(&path),
    });
    texts.flatten().collect()
}

#[test]
fn each_rule_has_its_number() {
    let rules = rules(&page()).unwrap_or_else(|message| panic!("man/prose/contract.md: {message}"));
    for section in 1..=5 {
        assert!(rules.contains(&format!("{section}.1")), "there is no section {section}");
    }
}

#[test]
fn each_rule_that_is_cited_is_there() {
    let page = page();
    let rules = rules(&page).expect("numbers in order");
    let is_there = |number: &str| rules.iter().any(|rule| rule == number);
    for number in cited_within(&page) {
        assert!(is_there(number), "man/prose/contract.md cites {number}, which is no rule of it");
    }
    for directory in ["src", "tests", "benches", "man/prose"] {
        for (path, text) in texts(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory)) {
            for number in cited(&text) {
                assert!(is_there(number), "{}: there is no rule {number} in {PAGE}", path.display());
            }
        }
    }
}

#[test]
fn a_number_that_is_not_in_its_place_is_found() {
    let page = |numbers: &[&str]| {
        let rules = numbers.iter().map(|number| format!("{number} Rule.\n\nterm\n: explained\n\n"));
        format!("# NAME\n\ncb\n\n# 1 ONE\n\n1.1 Rule.\n\n# 2 TWO\n\n{}# SEE ALSO\n\nnone\n", rules.collect::<String>())
    };
    assert_eq!(rules(&page(&["2.1", "2.2"])), Ok(vec!["1.1".to_owned(), "2.1".to_owned(), "2.2".to_owned()]));
    for (numbers, found, right) in [
        (&["2.1", "2.1"][..], "2.1", "2.2"),
        (&["2.2", "2.1"], "2.2", "2.1"),
        (&["2.1", "2.3"], "2.3", "2.2"),
        (&["1.2"], "1.2", "2.1"),
        (&["2.01"], "2.01", "2.1"),
    ] {
        assert_eq!(rules(&page(numbers)), Err(format!("rule {found} stands where rule {right} should")));
    }
    let swapped = page(&["2.1"]).replace("# 2 TWO", "# 3 THREE");
    assert_eq!(rules(&swapped), Err("section 3 stands where section 2 should".to_owned()));
}

#[test]
fn a_citation_is_found() {
    for (text, numbers) in [
        (format!("{PAGE} 1.3"), &["1.3"][..]),
        (format!("// By {PAGE} 1.3, 1.5 and 2.1 to 2.4: it is open for 9.9 s."), &["1.3", "1.5", "2.1", "2.4"]),
        (format!("`{PAGE} 4.17`; and ({PAGE} 5.1)."), &["4.17", "5.1"]),
        (format!("{PAGE} has rules, 1.3 of them"), &[]),
        ("cb(1) 1.3".to_owned(), &[]),
    ] {
        assert_eq!(cited(&text).collect::<Vec<_>>(), numbers, "{text}");
    }
    let page = "1.1 As in 1.2 (and 2.3), for `1.5` or `1.5 s`.\n\n1.2 Rule.\n";
    assert_eq!(cited_within(page).collect::<Vec<_>>(), ["1.2", "2.3"]);
}
