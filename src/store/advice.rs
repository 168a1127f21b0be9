//! Whether a directory and its files are fit to keep state, and the cure where they are not.
//!
//! Whoever can open a state file can hold its lock, so neither file nor directory may be open to everybody. Each cure
//! works for the user who reads it: a test carries out each.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Error, anyhow};
use nix::errno::Errno;

use crate::locations::{StateDir, shell_word};
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
        let hint = match metadata.uid() {
            // With the sticky bit it is writable on purpose, like /tmp.
            _ if metadata.mode() & 0o1000 != 0 => String::new(),
            owner if owner == effective_user() => format!("run 'chmod o-w {word}', or "),
            owner => format!("its owner ({owner}) must run 'chmod o-w {word}', or "),
        };
        anyhow!("{path} is writable by everybody, who could hold its locks; {hint}give another --state-dir")
    } else if !dir.named && metadata.uid() != effective_user() {
        let hint = match left_over(&dir.path) {
            _ if effective_user() == 0 => "run cb as that user, or ".to_owned(),
            Some(top) => format!("{}, or ", chown_hint(&top)),
            None => String::new(),
        };
        anyhow!("{path} belongs to another user ({}); {hint}give another --state-dir", metadata.uid())
    } else if !dir.named && metadata.mode() & 0o020 != 0 {
        anyhow!("{path} is writable by its group; run 'chmod g-w {word}', or name it with --state-dir to share it")
    } else {
        return None;
    })
}

/// Why the state directory could not be made.
#[expect(clippy::disallowed_methods, reason = "a link that leads nowhere is to be seen")]
pub(super) fn uncreated(dir: &Path, error: &io::Error) -> Error {
    let above = dir.ancestors().skip(1).find_map(|above| Some((above, fs::symlink_metadata(above).ok()?)));
    let cure = match above {
        Some((above, there)) if error.kind() == io::ErrorKind::NotFound && there.is_symlink() => format!(
            "{} is a symbolic link that leads nowhere; make the directory that it leads to, or give another --state-dir",
            above.display()
        ),
        _ => cure_at(dir, error),
    };
    anyhow!("could not make the state directory {}: {}; {cure}", dir.display(), message(error))
}

/// Why a state file could not be opened.
#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
pub(super) fn unopened(dir: &StateDir, path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let file = fs::symlink_metadata(path).ok().filter(|file| denied && file.uid() != effective_user());
    let Some(file) = file else {
        return anyhow!("could not open {shown}: {}; {}", message(error), cure_at(path, error));
    };
    let whose = format!("could not open {shown}: it belongs to another user ({})", file.uid());
    let shared = fs::metadata(&dir.path).ok().filter(|dir| dir.mode() & 0o020 != 0).map(|dir| dir.gid());
    match (shared, left_over(path)) {
        (Some(group), _) if is_in(group) => {
            let word = shell_word(path);
            let give = if file.gid() == group { String::new() } else { format!("chgrp {group} {word} && ") };
            anyhow!("{whose}, who must run '{give}chmod 660 {word}'")
        }
        (Some(group), _) => {
            anyhow!("{whose}, and only the group {group} shares it, which you are not in; give another --state-dir")
        }
        (None, Some(top)) => {
            // The run under sudo may have left more files in the directory.
            let top = if top.starts_with(&dir.path) { &dir.path } else { &top };
            anyhow!("{whose}, perhaps from a run under sudo; {}", chown_hint(top))
        }
        (None, None) => anyhow!("{whose}, and its directory is not shared with a group; give another --state-dir"),
    }
}

/// What the system says, and the cure.
pub(super) fn with_cure(error: &io::Error) -> Error {
    anyhow!("{}; {}", message(error), cure(error))
}

/// What the system says about this path, and the cure.
pub(super) fn with_cure_at(path: &Path, error: &io::Error) -> Error {
    anyhow!("{}; {}", message(error), cure_at(path, error))
}

/// The cure for an error at this path. Where access is denied, it names what denies it.
#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
pub(super) fn cure_at(path: &Path, error: &io::Error) -> String {
    let denied = [Errno::EACCES, Errno::EPERM].into_iter().find(|errno| error.raw_os_error() == Some(*errno as i32));
    // The last part of the path that can be seen is the one that denies access.
    let next = path.ancestors().find_map(|next| Some((next, fs::symlink_metadata(next).ok()?)));
    let Some((denied, (next, there))) = denied.zip(next) else { return cure(error).to_owned() };
    let (shown, word) = (next.display(), shell_word(next));
    if denied == Errno::EPERM {
        return format!("if it is immutable run '{}chattr -ia {word}', or give another --state-dir", sudo());
    }
    if there.uid() == effective_user() {
        let bits = if there.is_dir() { "u+rwx" } else { "u+rw" };
        return format!("run 'chmod {bits} {word}', or give another --state-dir");
    }
    let owner = there.uid();
    match left_over(next) {
        Some(top) => {
            format!(
                "{shown} belongs to another user ({owner}), perhaps from a run under sudo; {}, or give another --state-dir",
                chown_hint(&top)
            )
        }
        None => format!("{shown} belongs to another user ({owner}); give another --state-dir"),
    }
}

/// Why a file could not be removed from a directory, or renamed in it.
#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
pub(super) fn unremoved(dir: &Path, path: &Path, error: &io::Error) -> Error {
    let seen = |path: &Path| fs::symlink_metadata(path).ok();
    let Some((of_dir, of_file)) = seen(dir).zip(seen(path)).filter(|_| error.raw_os_error() == Some(libc::EPERM))
    else {
        return with_cure_at(dir, error);
    };
    let (ours, owner, word) = (effective_user(), of_file.uid(), shell_word(path));
    let sticky = of_dir.mode() & 0o1000 != 0 && ours != 0 && ours != owner && ours != of_dir.uid();
    let cure = if sticky {
        format!("its owner ({owner}) must run 'rm {word}'")
    } else {
        format!("if it is immutable run '{}chattr -ia {} {word}'", sudo(), shell_word(dir))
    };
    anyhow!("{}; {cure}", message(error))
}

/// What goes before a command that only root can run.
fn sudo() -> &'static str {
    if effective_user() == 0 { "" } else { "sudo " }
}

fn cure(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => "make room on the disk, or give another --state-dir",
        Some(Errno::EACCES | Errno::EPERM) => "check its access rights, or give another --state-dir",
        Some(Errno::EROFS | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => "give another --state-dir",
        Some(Errno::EMFILE | Errno::ENFILE) => "raise the limit on open files (ulimit -n)",
        Some(Errno::EFBIG) => "raise the file size limit (ulimit -f)",
        Some(Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) => "give a --state-dir on a local file system",
        _ => "check the disk, or give another --state-dir",
    }
}

pub(super) fn effective_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether we are in this group.
fn is_in(group: u32) -> bool {
    let ours = nix::unistd::getgroups().unwrap_or_default();
    ours.into_iter().chain([nix::unistd::getegid()]).any(|own| own.as_raw() == group)
}

/// What a run under sudo left in a directory of ours: the highest part of the path that belongs to root, below a part
/// that is ours. Nobody is advised to take what was never theirs. For root there is none: all of it may be root's own.
#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
fn left_over(path: &Path) -> Option<PathBuf> {
    let ours = effective_user();
    // Below a directory that is closed to us nothing can be seen.
    let mut visible =
        path.ancestors().filter_map(|part| Some((part, fs::symlink_metadata(part).ok()?.uid()))).peekable();
    while let Some((part, 0)) = visible.next_if(|(_, owner)| ours != 0 && *owner == 0) {
        if visible.peek().is_some_and(|(_, owner)| *owner == ours) {
            return Some(part.to_owned());
        }
    }
    None
}

fn chown_hint(path: &Path) -> String {
    format!("run 'sudo chown -R {} {}'", effective_user(), shell_word(path))
}
