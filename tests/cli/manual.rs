//! The manual: every page is well-formed and complete, and says of the options what the help says.

use std::collections::BTreeSet;
use std::fs;

use crate::support::help::{Help, subcommands};
use crate::support::{Sandbox, have};

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man");

/// The pages of no command.
fn prose() -> [String; 2] {
    ["contract", "recipes"].map(|name| format!("{MANUAL}/cb-{name}.7"))
}

/// The pages that commands must have, each with the words that ask for the same help.
fn pages(sandbox: &Sandbox) -> Vec<(String, Vec<String>)> {
    let subcommands = subcommands(sandbox).into_iter().map(|name| (format!("{MANUAL}/cb-{name}.1"), vec![name]));
    subcommands.chain([(format!("{MANUAL}/cb.1"), Vec::new())]).collect()
}

/// A page as a reader sees it on a very wide terminal, without bold and underlined letters.
#[track_caller]
fn rendered(sandbox: &Sandbox, page: &str) -> String {
    let output = sandbox.command("mandoc", ["-Tascii", "-Owidth=1000", page]).any_stdout().run();
    let mut text = String::new();
    for letter in String::from_utf8(output.stdout).expect("text").chars() {
        if letter == '\u{8}' {
            text.pop();
        } else {
            text.push(letter);
        }
    }
    text
}

#[test]
fn there_is_a_page_for_each_subcommand_the_contract_the_recipes_and_no_other() {
    let sandbox = Sandbox::new();
    let files = fs::read_dir(MANUAL).expect("the manual").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.is_file()).map(|path| path.display().to_string());
    let wanted = pages(&sandbox).into_iter().map(|page| page.0).chain(prose());
    assert_eq!(files.collect::<BTreeSet<_>>(), wanted.collect());
}

#[test]
fn every_page_is_clean_and_complete() {
    if !have("mandoc") {
        return;
    }
    let sandbox = Sandbox::new();
    let of_commands =
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"];
    let commands = pages(&sandbox).into_iter().map(|page| (page.0, &of_commands[..]));
    for (page, wanted) in commands.chain(prose().map(|page| (page, &["NAME", "DESCRIPTION", "SEE ALSO"][..]))) {
        sandbox.command("mandoc", ["-Tlint", &page]).run();
        let text = rendered(&sandbox, &page);
        let sections: Vec<&str> =
            text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase())).collect();
        for section in wanted {
            assert!(sections.contains(section), "{page} has no {section}: {sections:?}");
        }
    }
}

#[test]
fn every_page_leads_to_all_others() {
    if !have("mandoc") {
        return;
    }
    let sandbox = Sandbox::new();
    let pages: Vec<String> = pages(&sandbox).into_iter().map(|page| page.0).chain(prose()).collect();
    for page in &pages {
        let text = rendered(&sandbox, page);
        let also = text.split_once("\nSEE ALSO\n").expect("the section").1;
        for other in pages.iter().filter(|other| *other != page) {
            let (name, section) = other.rsplit_once('/').and_then(|path| path.1.rsplit_once('.')).expect("a name");
            let words = also.split([' ', ',', '\n']);
            assert!(words.into_iter().any(|word| word == format!("{name}({section})")), "{page} does not name {name}");
        }
    }
}

#[test]
fn every_page_says_of_the_options_what_the_help_says() {
    if !have("mandoc") {
        return;
    }
    let sandbox = Sandbox::new();
    for (page, words) in pages(&sandbox) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = Help::of(&sandbox, &words);
        let text = rendered(&sandbox, &page);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for explanation in &help.explanations {
            // An explanation stands below its option, or beside a short one.
            let beside = format!(" {explanation}");
            let said = lines.iter().any(|line| line == explanation || line.ends_with(&beside));
            assert!(said, "{page} does not say {explanation:?}");
        }
        let words = lines.iter().flat_map(|line| line.split_whitespace().take_while(|word| word.starts_with('-')));
        let names = words.map(|word| word.split([',', '[']).next().unwrap_or(word).to_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), help.options, "{page}");
    }
}
