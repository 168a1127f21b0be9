//! The generators of `completions/` and `man/`, from the definition in `cli.rs`, and of what must name the version or
//! the day of a release, from `Cargo.toml` and `CHANGELOG.md`. Their files are kept in the repository and compared
//! here.
//!
//! After a change of a source, a template or the prose in `man/prose/`, `CB_BLESS=1 cargo test --bin cb paperwork`
//! writes the files anew. The program itself contains none of this.
#![expect(
    clippy::disallowed_methods,
    reason = "the files are not state: they are written when the developer asks for it"
)]

mod bash;
mod contract;
mod fish;
mod man;
mod model;
mod release;
mod zsh;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use self::model::Command;

/// The command that writes all these files anew.
const BLESS: &str = "CB_BLESS=1 cargo test --bin cb paperwork";

/// The definition, as clap completes it.
fn definition() -> Command {
    let mut command = crate::cli::Cli::command();
    command.build();
    Command::of(&command)
}

/// Puts texts into a template, each in place of its `@NAME@`.
fn fill(template: &str, parts: &[(&str, String)]) -> String {
    parts.iter().fold(template.to_owned(), |text, (name, part)| {
        let mark = format!("@{name}@");
        assert!(text.contains(&mark), "the template has no place for {name}");
        text.replace(&mark, part)
    })
}

/// Words with spaces between them, in lines of at most 80 columns. All lines but the last end with `continued`.
fn wrapped(first: &str, words: &[String], continued: &str) -> String {
    const WIDTH: usize = 80;
    let indent = " ".repeat(first.len() - first.trim_start().len() + 4);
    let mut lines = vec![first.trim_end().to_owned()];
    let mut line = first.to_owned();
    for (index, word) in words.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        if index > 0 && line.len() + space.len() + word.len() + continued.len() > WIDTH {
            *lines.last_mut().expect("a line") = line + continued;
            line = format!("{indent}{word}");
            lines.push(String::new());
        } else {
            line = line + space + word;
        }
    }
    *lines.last_mut().expect("a line") = line;
    lines.join("\n")
}

/// Compares the files of a directory that are `ours` with what is `wanted`, or writes them. `sources` names their
/// sources.
#[track_caller]
fn compare(directory: &str, ours: impl Fn(&Path) -> bool, wanted: &BTreeMap<String, String>, sources: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let present = fs::read_dir(&directory).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let present: Vec<PathBuf> = present.filter(|path| path.is_file() && ours(path)).collect();
    let named = |path: &PathBuf| wanted.keys().any(|name| path.ends_with(name));
    let stale: Vec<&PathBuf> = present.iter().filter(|path| !named(path)).collect();
    if std::env::var_os("CB_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(&directory).expect("the directory can be made");
        for (name, text) in wanted {
            fs::write(directory.join(name), text).expect("the file can be written");
        }
        for path in stale {
            fs::remove_file(path).expect("the file can be removed");
        }
        return;
    }
    assert!(stale.is_empty(), "nothing makes {stale:?} any more; '{BLESS}' removes them");
    for (name, text) in wanted {
        let path = directory.join(name);
        let actual = fs::read_to_string(&path).unwrap_or_default();
        let differing = actual.lines().zip(text.lines()).position(|(left, right)| left != right);
        let line = 1 + differing.unwrap_or_else(|| actual.lines().count().min(text.lines().count()));
        let path = path.display();
        assert!(actual == *text, "{path}:{line}: not as it follows from {sources}; '{BLESS}' writes it");
    }
}

#[test]
fn the_completions_are_those_of_the_definition() {
    let cb = definition();
    let scripts = [("cb.bash", bash::script(&cb)), ("_cb", zsh::script(&cb)), ("cb.fish", fish::script(&cb))];
    let scripts = scripts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    compare("completions", |_| true, &scripts, "src/cli.rs and the templates beside its generator");
}

#[test]
fn the_manual_is_that_of_the_definition() {
    let is_page = |path: &Path| path.extension().is_some_and(|extension| extension == "1" || extension == "7");
    compare("man", is_page, &man::pages(&definition()), "src/cli.rs, man/prose/, Cargo.toml and CHANGELOG.md");
}

#[test]
fn every_subcommand_has_prose_in_the_manual() {
    let cb = definition();
    let missing: Vec<&str> = cb
        .with_options()
        .map(|subcommand| subcommand.name.as_str())
        .filter(|name| man::prose(name).is_none())
        .collect();
    assert!(missing.is_empty(), "man/prose/ has no cb-NAME.md for {missing:?}; it needs at least '# EXAMPLES'");
}
