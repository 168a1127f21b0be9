//! What a probe holds for its life, so that everybody sees when its process is gone: a lock of the kernel, which its child
//! does not inherit.
//!
//! It is one byte of the state file, far beyond its text (`F_OFD_SETLK`). A kernel may lack such locks (WSL 1, gVisor): then
//! it is a file, `NAME.probe.PERMIT`, locked as the state is. The state says which of the two a probe has, as processes on
//! kernels with and without may meet in one directory. Both are taken and tested only under the lock of the state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::advice::{with_cure, with_cure_at};
use super::directory::{above_standard, is_regular, options};
use crate::breaker::Permit;
use crate::name::Name;

/// The first byte of the probes' locks, far beyond any text. It and all that follow fit into 31 bits.
const PROBES_AT: i64 = 1 << 30;

/// What a probe holds for its life, and nobody else can: the kernel frees it when this is dropped or the process is gone.
#[must_use = "dropping it gives the probe's place away"]
pub struct Slot {
    _lock: File,
    /// The file that is there for this probe alone. One that died leaves it to the next who finds it free.
    own: Option<PathBuf>,
}

impl Slot {
    /// One byte of this file, which was [`claimed`](claim_byte).
    pub(super) fn byte_of(state: File) -> Self {
        Self { _lock: state, own: None }
    }

    /// The file at this path, locked.
    ///
    /// # Errors
    /// It cannot be made, or not be locked.
    pub(super) fn file_at(path: PathBuf, give_access: impl FnOnce(&File)) -> Result<Self> {
        let shown = || format!("could not lock a probe's place, {}", path.display());
        is_regular(&path).with_context(shown)?;
        let file = options().write(true).create(true).open(&path).map_err(|error| with_cure_at(&path, &error));
        let file = file.and_then(above_standard).with_context(shown)?;
        give_access(&file);
        fs2::FileExt::try_lock_exclusive(&file).map_err(|error| with_cure(&error)).with_context(shown)?;
        Ok(Self { _lock: file, own: Some(path) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            // Before the lock goes: nobody else has a use for the name, as no other probe has this permit.
            drop(fs::remove_file(own));
        }
    }
}

/// Locks the byte of a probe. `false` if this cannot be done here, for whatever reason.
pub(super) fn claim_byte(state: &File, serial: u64) -> bool {
    fcntl(state, FcntlArg::F_OFD_SETLK(&byte_lock(serial))).is_ok()
}

/// Whether nobody has the byte of a probe locked; `None` where the question cannot be asked.
pub(super) fn is_byte_free(state: &File, serial: u64) -> Option<bool> {
    let mut lock = byte_lock(serial);
    let asked = fcntl(state, FcntlArg::F_OFD_GETLK(&mut lock));
    asked.is_ok().then(|| i32::from(lock.l_type) == libc::F_UNLCK)
}

/// Whether nobody has the file of a probe locked; `None` where the question cannot be asked. Who holds it, keeps it: one
/// that is not there any more is free.
pub(super) fn is_file_free(path: &Path) -> Option<bool> {
    if !is_regular(path).ok()? {
        return Some(true);
    }
    let file = options().open(path).ok().and_then(|file| above_standard(file).ok())?;
    // Shared, as several may look at once.
    match fs2::FileExt::try_lock_shared(&file) {
        Ok(()) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(false),
        Err(_) => None,
    }
}

/// Whether the kernel has no locks for a byte.
pub(super) fn has_no_bytes(state: &File) -> bool {
    let asked = fcntl(state, FcntlArg::F_OFD_GETLK(&mut byte_lock(0)));
    matches!(asked, Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP))
}

/// The file that a probe would have.
pub(super) fn file_of(dir: &Path, name: &Name, permit: &str) -> PathBuf {
    dir.join(format!("{name}.probe.{permit}"))
}

/// Removes the files of a breaker's probes: all, or those that are free.
pub(super) fn sweep(dir: &Path, name: &Name, all: bool) {
    let prefix = format!("{name}.probe.");
    // What cannot be listed or removed lies there and does no harm.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let permit = file_name.to_str().and_then(|file_name| file_name.strip_prefix(&prefix));
        if permit.is_some_and(|permit| permit.parse::<Permit>().is_ok_and(|read| read.to_string() == permit)) {
            let path = dir.join(&file_name);
            if all || is_file_free(&path) == Some(true) {
                drop(fs::remove_file(path));
            }
        }
    }
}

fn byte_lock(serial: u64) -> libc::flock {
    libc::flock {
        // The constants are tiny; the types of the fields differ between platforms.
        l_type: libc::F_WRLCK.try_into().unwrap_or_default(),
        l_whence: libc::SEEK_SET.try_into().unwrap_or_default(),
        l_start: PROBES_AT + i64::try_from(serial % (1 << 30)).unwrap_or(0),
        l_len: 1,
        l_pid: 0,
    }
}
