//! Programs that may be missing.

use std::path::{Path, PathBuf};

/// Whether a program is there. Under `CB_REQUIRE_TOOLS=1` a missing program fails the test.
pub fn have(program: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    skips_without(program, found);
    found
}

/// The path of a program that cargo has installed, which may be anywhere on our own path.
pub fn cargo_tool(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    skips_without(program, found.is_some());
    found
}

/// Whether the program needs no shared library. The tests are linked in the same way.
pub fn linked_statically() -> bool {
    let found = cfg!(target_feature = "crt-static");
    skips_without("a static C library to link with", found);
    found
}

fn skips_without(program: &str, found: bool) {
    let required = std::env::var_os("CB_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(found || !required, "{program} is missing, and CB_REQUIRE_TOOLS=1 asks for it");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
}
