//! The shell scripts of the repository, read by shellcheck and by their shells.

use std::path::Path;

use crate::support::{Sandbox, have};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn shellcheck_has_nothing_to_say() {
    if have("shellcheck") {
        for script in ["completions/cb.bash", ".cargo/rustc-static", ".ci/run"] {
            let path = Path::new(ROOT).join(script);
            // The crate lacks some files of the repository, and some copies lack hidden files.
            if path.exists() || !script.starts_with('.') {
                let path = path.display().to_string();
                Sandbox::new().command("shellcheck", ["--enable=quote-safe-variables", &path]).run();
            }
        }
    }
}

#[test]
fn each_shell_reads_its_completion() {
    for (shell, script) in [("bash", "cb.bash"), ("zsh", "_cb"), ("fish", "cb.fish")] {
        if have(shell) {
            Sandbox::new().command(shell, ["-n", &format!("{ROOT}/completions/{script}")]).run();
        }
    }
}
