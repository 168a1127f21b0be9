//! Whether a directory and its files are fit to keep state, and what to do where they are not.
//!
//! Whoever can open a state file can hold its lock, so neither may be open to everybody.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Error, anyhow};
use nix::errno::Errno;

use crate::locations::StateDir;
use crate::sys::message;

/// What is wrong with the state directory, and the cure; `None` if it is fit.
pub(super) fn unfit(dir: &StateDir, metadata: &Metadata) -> Option<Error> {
    let path = dir.path.display();
    let word = shell_word(&dir.path);
    Some(if metadata.is_symlink() {
        anyhow!("{path} is a symbolic link, which cb does not follow; give the directory itself as --state-dir")
    } else if !metadata.is_dir() {
        anyhow!("{path} is not a directory; move it away, or give another --state-dir")
    } else if metadata.mode() & 0o002 != 0 {
        anyhow!(
            "{path} is writable by everybody, who could hold its locks; run 'chmod o-w {word}', or give another --state-dir"
        )
    } else if !dir.named && metadata.uid() != effective_user() {
        let hint = match effective_user() {
            0 => "run cb as that user, or ".to_owned(),
            _ if is_left_over(&dir.path) => format!("{}, or ", chown_hint(&dir.path)),
            _ => String::new(),
        };
        anyhow!("{path} belongs to another user ({}); {hint}give another --state-dir", metadata.uid())
    } else if !dir.named && metadata.mode() & 0o020 != 0 {
        anyhow!("{path} is writable by its group; run 'chmod g-w {word}', or name it with --state-dir to share it")
    } else {
        return None;
    })
}

/// Why the state directory could not be made: perhaps since what is above it was left by a run under sudo.
pub(super) fn uncreated(dir: &Path, error: &io::Error) -> Error {
    let above = dir.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?.uid())));
    let cure = match above {
        Some((above, owner)) if error.kind() == io::ErrorKind::PermissionDenied && owner != effective_user() => {
            let hint = if is_left_over(above) { format!("{}, or ", chown_hint(above)) } else { String::new() };
            format!("{} belongs to another user ({owner}); {hint}give --state-dir", above.display())
        }
        _ => "make it yourself, or give --state-dir".to_owned(),
    };
    anyhow!("could not make the state directory {}: {}; {cure}", dir.display(), message(error))
}

/// Why a state file could not be opened.
pub(super) fn unopened(dir: &StateDir, path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let owner = owner(path);
    match (error.kind(), owner) {
        (io::ErrorKind::PermissionDenied, Some(owner)) if owner != effective_user() => {
            let whose = format!("could not open {shown}: it belongs to another user ({owner})");
            let shared = fs::metadata(&dir.path).is_ok_and(|dir| dir.mode() & 0o020 != 0);
            if is_left_over(path) && !shared {
                // There may be more of them.
                anyhow!("{whose}, perhaps from a run under sudo; {}", chown_hint(&dir.path))
            } else {
                anyhow!("{whose}, who must run 'chmod 660 {}'", shell_word(path))
            }
        }
        _ => anyhow!("could not open {shown}: {}; {}", message(error), cure(error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
fn owner(path: &Path) -> Option<u32> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.uid())
}

/// What the system says, and what to do about it.
pub(super) fn with_cure(error: &io::Error) -> Error {
    anyhow!("{}; {}", message(error), cure(error))
}

pub(super) fn cure(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => "make room on the disk, or give another --state-dir",
        Some(Errno::EACCES | Errno::EPERM) => "check its access rights, or give another --state-dir",
        Some(Errno::EROFS) => "give another --state-dir",
        Some(Errno::EMFILE | Errno::ENFILE) => "raise the limit on open files (ulimit -n)",
        Some(Errno::EFBIG) => "raise the file size limit (ulimit -f)",
        Some(Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) => "give a --state-dir on a local file system",
        _ => "check the disk, or give another --state-dir",
    }
}

pub(super) fn effective_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether what belongs to another user lies in a directory of ours: then it is left over from a run under sudo. Nobody is
/// advised to take what is not theirs, and to root everything may look like its own.
fn is_left_over(path: &Path) -> bool {
    let parent = path.parent().and_then(|parent| fs::metadata(parent).ok());
    effective_user() != 0 && parent.is_some_and(|parent| parent.uid() == effective_user())
}

fn chown_hint(path: &Path) -> String {
    format!("run 'sudo chown -R {} {}'", effective_user(), shell_word(path))
}

/// A path as it can be pasted into a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|letter| letter.is_alphanumeric() || "/._-+:@,=%".contains(letter)) {
        return text;
    }
    let mut word = String::from('"');
    for letter in text.chars() {
        match letter {
            // An interactive bash looks for it between double quotes, and a backslash would stay.
            '!' => word.push_str("\"\\!\""),
            '\\' | '"' | '$' | '`' => word.extend(['\\', letter]),
            _ => word.push(letter),
        }
    }
    word + "\""
}
