//! The shell scripts of the repository, read by those who know better.

use crate::support::{Sandbox, have};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn shellcheck_has_nothing_to_say() {
    if have("shellcheck") {
        for script in ["completions/cb.bash", ".ci/run"] {
            Sandbox::new().command("shellcheck", ["--enable=quote-safe-variables", &format!("{ROOT}/{script}")]).run();
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
