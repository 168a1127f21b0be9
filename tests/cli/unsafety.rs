//! The list of `unsafe` blocks at the head of `src/sys.rs` is complete and right.

use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const LIST: &str = "//! # The `unsafe` of the program";

/// All files of the source.
fn files(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let below = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The function of each `unsafe` block in a text; for any other `unsafe`, the item that it belongs to.
fn unsafe_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut function = "";
    let mut waiting = false;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        let words: Vec<&str> = code
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let after = |before: &str| words.iter().position(|word| *word == before).and_then(|at| words.get(at + 1));
        function = after("fn").unwrap_or(&function);
        let item = after("fn").or_else(|| after("static"));
        if words.contains(&"unsafe") {
            let blocks = code.matches("unsafe {").count();
            found.extend(std::iter::repeat_n(function.to_owned(), blocks));
            waiting = blocks == 0;
        }
        if let (true, Some(name)) = (waiting, item) {
            found.push((*name).to_owned());
            waiting = false;
        }
    }
    assert!(!waiting, "an unsafe of nothing");
    found
}

#[test]
fn every_unsafe_block_is_in_the_list() {
    let source = Path::new(SOURCE);
    let read = |path: &Path| fs::read_to_string(path).expect("a source file");
    let mut there: Vec<String> = files(source).iter().flat_map(|path| unsafe_in(&read(path))).collect();
    there.sort_unstable();
    let head = read(&source.join("sys.rs"));
    let rows = head.lines().skip_while(|line| *line != LIST).take_while(|line| line.starts_with("//!"));
    let rows = rows.filter_map(|line| line.strip_prefix("//! | `")?.split(" | ").next());
    let names = rows.flat_map(|row| row.split(", ")).map(|name| name.trim_matches('`'));
    let mut listed: Vec<&str> = names.map(|name| name.rsplit("::").next().unwrap_or(name)).collect();
    listed.sort_unstable();
    assert_eq!(there, listed);
}

#[test]
fn an_unsafe_is_found_whatever_its_kind() {
    let text = r#"
        unsafe extern "C" { static table: u8; }
        // unsafe { in words }
        fn one() { unsafe { 1 }; unsafe { 2 }
            unsafe { 3 } }
        #[unsafe(no_mangle)]
        extern "C" fn two() {}
        pub unsafe fn three() {}
        #[expect(unsafe_code)]
    "#;
    assert_eq!(unsafe_in(text), ["table", "one", "one", "one", "two", "three"]);
}
