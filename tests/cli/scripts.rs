//! The shell scripts of the repository, read by those who know better.

use std::path::Path;

use crate::support::{Sandbox, have};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn shellcheck_has_nothing_to_say() {
    if have("shellcheck") {
        // What only the repository has is not in the crate.
        let scripts = ["completions/cb.bash", ".ci/run"].map(|script| format!("{ROOT}/{script}"));
        for script in scripts.iter().filter(|script| !script.contains("/.ci/") || Path::new(script).exists()) {
            Sandbox::new().command("shellcheck", ["--enable=quote-safe-variables", script]).run();
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
