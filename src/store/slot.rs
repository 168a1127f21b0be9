//! A probe's slot: a kernel lock that the probe holds for its life, so that everybody sees when its process is gone.
//! The child does not inherit it. With `count-stopped` other runs hold one too, a byte apart from those of the probes.
//!
//! The lock is on one byte of the state file, far beyond its text (`F_OFD_SETLK`). Where the kernel has no such lock
//! (WSL 1, gVisor), it is on a file, `NAME.probe.PERMIT`, as that of the state. The state says which of the two a probe
//! has, as both kinds of kernels may meet in one directory. Slots are taken and tested only under the lock of the
//! state.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::advice::{with_cure, with_cure_at};
use super::directory::{above_standard, is_regular, options};
use crate::breaker::Permit;
use crate::name::Name;

/// The offset of the first probe's byte, far beyond any text. All offsets fit into 31 bits.
const PROBES_AT: i64 = 1 << 30;
/// The first byte of the locks of other runs, and how many there are.
const RUNS_AT: i64 = 1 << 29;
const RUNS: u64 = 1 << 29;

/// Says which boot of which machine it is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A slot, which only one process can hold. The kernel frees it when this is dropped or the process is gone.
#[must_use = "dropping it gives the probe's place away"]
pub struct Slot {
    _lock: File,
    /// The file of this probe alone. A probe that dies leaves it to the next process that finds it free.
    own: Option<PathBuf>,
}

impl Slot {
    /// The slot in a state file whose byte was [`claimed`](claim_byte).
    pub(super) fn byte_of(state: File) -> Self {
        Self { _lock: state, own: None }
    }

    /// The slot in a file of its own, which is made and locked.
    ///
    /// # Errors
    /// It cannot be made or locked.
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
            // No other probe has this permit, so the file can go before its lock.
            drop(fs::remove_file(own));
        }
    }
}

/// Locks the byte of a probe. `false` if that fails, for whatever reason.
pub(super) fn claim_byte(state: &File, serial: u64) -> bool {
    fcntl(state, FcntlArg::F_OFD_SETLK(&byte_lock(serial))).is_ok()
}

/// Whether nobody has locked the byte of a probe; `None` where the kernel cannot say.
pub(super) fn is_byte_free(state: &File, serial: u64) -> Option<bool> {
    let mut lock = byte_lock(serial);
    let asked = fcntl(state, FcntlArg::F_OFD_GETLK(&mut lock));
    asked.is_ok().then(|| i32::from(lock.l_type) == libc::F_UNLCK)
}

/// Whether nobody has locked the file of a probe; `None` where that cannot be found out. A live probe keeps its file,
/// so a missing one is free.
pub(super) fn is_file_free(path: &Path) -> Option<bool> {
    if !is_regular(path).ok()? {
        return Some(true);
    }
    let file = options().open(path).ok().and_then(|file| above_standard(file).ok())?;
    // The lock is shared, as several may look at once.
    match fs2::FileExt::try_lock_shared(&file) {
        Ok(()) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(false),
        Err(_) => None,
    }
}

/// Locks the byte of a run that is to be missed where it is killed. `false` if this cannot be done here, for whatever
/// reason.
pub(super) fn claim_run(state: &File, number: u64) -> bool {
    fcntl(state, FcntlArg::F_OFD_SETLK(&lock(run_at(number), 1))).is_ok()
}

/// How many bytes of runs with these numbers are locked, or `enough`; `None` where the question cannot be asked.
pub(super) fn count_runs(state: &File, numbers: &Range<u64>, enough: u64) -> Option<u64> {
    let (first, end) = (run_at(numbers.start), run_at(numbers.end));
    let whole = RUNS_AT..PROBES_AT;
    let mut ranges = Vec::new();
    match numbers.end - numbers.start {
        length if length >= RUNS => ranges.push(whole),
        _ if first <= end => ranges.push(first..end),
        _ => ranges.extend([first..whole.end, whole.start..end]),
    }
    let mut held = 0;
    // The kernel tells of any one that is in the way, so that what is before and behind it is asked for too.
    while let Some(Range { start, end }) = ranges.pop() {
        if held >= enough || start >= end {
            continue;
        }
        let mut found = lock(start, end - start);
        fcntl(state, FcntlArg::F_OFD_GETLK(&mut found)).ok()?;
        if i32::from(found.l_type) != libc::F_UNLCK {
            held += 1;
            let at = found.l_start.clamp(start, end - 1);
            ranges.extend([start..at, at + 1..end]);
        }
    }
    Some(held)
}

fn run_at(number: u64) -> i64 {
    RUNS_AT + i64::try_from(number % RUNS).unwrap_or(0)
}

/// Where and since when locks can be asked for: this boot of this machine, or whatever kernel it is, and this file. `None`
/// where that is not told.
pub(super) fn epoch(inode: u64) -> Option<u64> {
    let mut text = [0; 36];
    options().open(BOOT_ID).ok()?.read_exact(&mut text).ok()?;
    // FNV-1a: it need not be more than unlike another.
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Some(text.iter().chain(&inode.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Whether the kernel cannot lock single bytes.
pub(super) fn has_no_bytes(state: &File) -> bool {
    let asked = fcntl(state, FcntlArg::F_OFD_GETLK(&mut byte_lock(0)));
    matches!(asked, Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP))
}

/// The path of a probe's file.
pub(super) fn file_of(dir: &Path, name: &Name, permit: &str) -> PathBuf {
    dir.join(format!("{name}.probe.{permit}"))
}

/// Removes the files of a breaker's probes: all, or those that are free.
pub(super) fn sweep(dir: &Path, name: &Name, all: bool) {
    let prefix = format!("{name}.probe.");
    // A file that cannot be listed or removed does no harm.
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
    lock(PROBES_AT + i64::try_from(serial % (1 << 30)).unwrap_or(0), 1)
}

fn lock(start: i64, length: i64) -> libc::flock {
    libc::flock {
        // The types of the fields differ between platforms, but the constants fit them all.
        l_type: libc::F_WRLCK.try_into().unwrap_or_default(),
        l_whence: libc::SEEK_SET.try_into().unwrap_or_default(),
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}
