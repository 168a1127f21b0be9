//! Namespaces: a process 1 and an `/etc/passwd` of our own, where the kernel lets us.

use std::process::{Command, Stdio};

use super::have;

/// Whether `unshare` may be used with these options. Containers often forbid it.
pub fn may_unshare(options: &[&str]) -> bool {
    if !have("unshare") {
        return false;
    }
    let tried = Command::new("unshare").args(options).arg("true").stdin(Stdio::null()).stderr(Stdio::null()).status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: unshare {} is not permitted here", options.join(" "));
    }
    may
}
