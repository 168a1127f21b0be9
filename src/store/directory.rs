//! A state directory: one file per breaker, locked itself and written in place.
//!
//! Only [`Locked`] can write, and it is the lock: `flock(2)` on the state file (fs2), exclusive to change it and shared
//! to read it. Waiters queue in the kernel. Each probe has a lock of its own for its life, a [`Slot`], which the kernel
//! frees however the process ends. Both locks belong to an open file description, which the child does not inherit.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::advice::{cure_at, effective_user, uncreated, unfit, unopened, unremoved, with_cure, with_cure_at};
use super::format::{self, Content, NotOurs};
use super::slot::{self, Slot};
use super::{IfAbsent, Keep, Kept, Seen, Trouble, Turn};
use crate::breaker::{Breaker, Gone, Probe};
use crate::clock;
use crate::locations::{StateDir, shell_word};
use crate::name::Name;
use crate::sys::{self, message};
use crate::time::Timestamp;

/// How long a change waits for the lock. A lock is held for microseconds, so a longer wait means that something is
/// wrong.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a file may be replaced under us before we give up.
const REPLACEMENTS: usize = 100;

/// A state directory.
pub struct Directory {
    dir: StateDir,
}

/// A breaker under its exclusive lock. Nothing else can be written. Dropping it gives up the lock.
struct Locked {
    breaker: Breaker,
    /// The numbers of the probes whose slot is a file, not a byte.
    files: Vec<u64>,
    /// The probes that count as failures where they are killed, and were.
    killed: Vec<u64>,
    access: Access,
    /// What happened to the file before, if the user should know.
    notice: Option<String>,
    name: Name,
    path: PathBuf,
    file: File,
    inode: u64,
    write: u64,
    /// The old content of the file.
    bytes: Vec<u8>,
}

impl Directory {
    /// The store in this directory, which is not looked at yet.
    pub fn new(dir: StateDir) -> Self {
        Self { dir }
    }

    /// Where a breaker's state is.
    pub fn locate(&self, name: &Name) -> PathBuf {
        self.dir.path.join(name.file_name())
    }

    /// See [`super::Store::change`]. The decision is made once, under the lock.
    pub fn change<T>(
        &self,
        name: &Name,
        if_absent: IfAbsent,
        mut decide: impl FnMut(&mut Turn<'_>) -> Keep<T>,
    ) -> Result<Option<Kept<T>>, Trouble> {
        let Some(mut locked) = self.lock(name, if_absent)? else { return Ok(None) };
        let now = locked.breaker.time(clock::now());
        let before = Before::of(&locked.breaker);
        let Locked { breaker, killed, notice, file, inode, .. } = &mut locked;
        let find_gone = |breaker: &Breaker| {
            let epoch = slot::epoch(*inode)?;
            Some((epoch, Gone { runs: missing(file, breaker, epoch), probes: killed.clone() }))
        };
        let notice = notice.as_deref();
        let keep = decide(&mut Turn { breaker, now, notice, killed, find_gone: &find_gone });
        let (value, must) = match keep {
            Keep::Must(value) => (value, true),
            Keep::Should(value) => (value, false),
            Keep::Nothing(value) => return Ok(Some(Kept { value, slot: None })),
        };
        let probe = before.new_probe(&locked.breaker);
        let own = match probe {
            Some(serial) => self.claim(&mut locked, serial)?,
            None => None,
        };
        // One that cannot be missed is not counted.
        let run = before.new_run(&locked.breaker).filter(|&number| {
            let claimed = slot::claim_run(&locked.file, number);
            if !claimed {
                locked.breaker.unwatch(number);
            }
            claimed
        });
        match locked.save() {
            Err(error) if must => return Err(error.into()),
            saved => drop(saved),
        }
        let moved = before.has_moved(&locked.breaker);
        let slot = if moved || probe.or(run).is_some() {
            let file = locked.unlock();
            if moved {
                flush(&file);
            }
            own.or_else(|| probe.or(run).map(|_| Slot::byte_of(file)))
        } else {
            None
        };
        Ok(Some(Kept { value, slot }))
    }

    /// See [`super::Store::read`].
    pub fn read(&self, name: &Name, deadline: Instant) -> Result<Option<Seen>, Trouble> {
        if self.check(IfAbsent::Leave)?.is_none() {
            return Ok(None);
        }
        let path = self.locate(name);
        if !is_regular(&path)? {
            return Ok(None);
        }
        let file = match options().open(&path) {
            Ok(file) => above_standard(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unopened(&self.dir, &path, &error).into()),
        };
        let mut locked = fs2::FileExt::try_lock_shared(&file).is_ok();
        loop {
            match self.parse(&read_at_start(&file).with_context(|| unread(&path))?, name) {
                Content::Unused => return Ok(None),
                Content::Breaker { mut breaker, files, .. } => {
                    let look = if locked { Look::Only } else { Look::Afar };
                    let probes = self.forget_dead_probes(name, &file, &mut breaker, &files, look);
                    let runs = if breaker.under_way().count() == 0 {
                        0
                    } else {
                        let epoch = file.metadata().ok().and_then(|metadata| slot::epoch(metadata.ino()));
                        epoch.map_or(0, |epoch| missing(&file, &breaker, epoch))
                    };
                    for &serial in &probes {
                        breaker.abandon(serial);
                    }
                    let now = breaker.time(clock::now());
                    return Ok(Some(Seen { breaker: *breaker, now, gone: Gone { runs, probes } }));
                }
                // A writer may have been in the middle of a write: read again, under the lock.
                Content::Unreadable(_) if !locked && lock_until(&file, Mode::Shared, deadline).is_ok() => locked = true,
                Content::Unreadable(why) => return Err(unreadable(&path, why).into()),
                Content::NotOurs(trouble) => return Err(trouble.of(&path)),
            }
        }
    }

    /// What a file of this name holds. Where the file system tells names apart that differ only in case, the other name is
    /// that of another breaker.
    fn parse(&self, bytes: &[u8], name: &Name) -> Content {
        match format::parse(bytes, name) {
            Content::NotOurs(NotOurs::OtherCase(stored)) if !self.are_one(name, &stored) => {
                Content::Unreadable("it is the state of another breaker")
            }
            content => content,
        }
    }

    /// Whether the file system takes both names for one file.
    #[expect(clippy::disallowed_methods, reason = "a link is to be seen, not followed")]
    fn are_one(&self, name: &Name, other: &Name) -> bool {
        let file = fs::symlink_metadata(self.locate(name));
        file.is_ok_and(|file| is_at(&file, &self.locate(other)))
    }

    /// See [`super::Store::has`].
    #[expect(clippy::disallowed_methods, reason = "whatever it is, it is there")]
    pub fn has(&self, name: &Name) -> bool {
        self.locate(name).symlink_metadata().is_ok()
    }

    /// See [`super::Store::remove`]. The file is deleted under its lock.
    pub fn remove(&self, name: &Name) -> Result<bool, Trouble> {
        let path = self.locate(name);
        if self.check(IfAbsent::Leave)?.is_none() {
            return Ok(false);
        }
        if let Some(there) = look_at(&path)?.filter(|there| !there.is_file()) {
            let (kind, word) = (kind(&there), shell_word(&path));
            let rm = if there.is_dir() { "rm -r" } else { "rm" };
            return Err(
                anyhow!("{} is {kind}, so it was left alone; to remove it run '{rm} {word}'", path.display()).into()
            );
        }
        let deadline = clock::instant() + PATIENCE;
        let Some((file, _)) = self.open_locked(&path, IfAbsent::Leave, deadline)? else { return Ok(false) };
        let bytes = read_at_start(&file).with_context(|| unread(&path))?;
        if !format::belongs_to(&bytes, name) {
            if let Content::NotOurs(trouble @ NotOurs::OtherCase(_)) = self.parse(&bytes, name) {
                return Err(trouble.of(&path));
            }
            let (shown, word) = (path.display(), shell_word(&path));
            let left = format!("{shown} is not the state of {name}, so it was left alone");
            return Err(anyhow!("{left}; to remove it run 'rm {word}'").into());
        }
        self.delete(
            &path,
            name,
            &file,
            matches!(self.parse(&bytes, name), Content::Breaker { files, .. } if !files.is_empty()),
        )?;
        Ok(true)
    }

    /// Deletes a state, with the files of its probes' slots.
    fn delete(&self, path: &Path, name: &Name, file: &File, has_files: bool) -> Result<()> {
        let removed = fs::remove_file(path).map_err(|error| unremoved(&self.dir.path, path, &error));
        removed.with_context(|| format!("could not remove {}", path.display()))?;
        if has_files || slot::has_no_bytes(file) {
            slot::sweep(&self.dir.path, name, true);
        }
        Ok(())
    }

    /// See [`super::Store::remove_if`]. The breaker is judged and deleted under one lock.
    pub fn remove_if(
        &self,
        name: &Name,
        mut is_so: impl FnMut(&Breaker, Timestamp, Timestamp) -> bool,
    ) -> Result<bool, Trouble> {
        let path = self.locate(name);
        let deadline = clock::instant() + PATIENCE;
        if self.check(IfAbsent::Leave)?.is_none() {
            return Ok(false);
        }
        let Some((file, metadata)) = self.open_locked(&path, IfAbsent::Leave, deadline)? else { return Ok(false) };
        let (breaker, has_files) = match self.parse(&read_at_start(&file).with_context(|| unread(&path))?, name) {
            Content::Breaker { mut breaker, files, .. } => {
                let files_left = !files.is_empty();
                let killed = self.forget_dead_probes(name, &file, &mut breaker, &files, Look::Only);
                for serial in killed {
                    breaker.abandon(serial);
                }
                (*breaker, files_left)
            }
            Content::Unused => (Breaker::new(0), false),
            Content::Unreadable(why) => return Err(unreadable(&path, why).into()),
            Content::NotOurs(trouble) => return Err(trouble.of(&path)),
        };
        let written = metadata.mtime().saturating_mul(1_000).saturating_add(metadata.mtime_nsec() / 1_000_000);
        let written = Timestamp::from_millis(u64::try_from(written).unwrap_or_default());
        if !is_so(&breaker, breaker.time(clock::now()), written) {
            return Ok(false);
        }
        self.delete(&path, name, &file, has_files)?;
        Ok(true)
    }

    /// See [`super::Store::names`].
    pub fn names(&self) -> Result<Vec<Name>, Trouble> {
        if self.check(IfAbsent::Leave)?.is_none() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        let dir = &self.dir.path;
        let unlisted = |error| with_cure_at(dir, &error).context(format!("could not list {}", dir.display()));
        for entry in fs::read_dir(dir).map_err(unlisted)? {
            let file_name = entry.map_err(unlisted)?.file_name();
            names.extend(file_name.to_str().and_then(Name::from_file_name));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Locks a breaker to change it, and counts dead probes as abandoned. `None` if there is no breaker and none is
    /// made.
    fn lock(&self, name: &Name, if_absent: IfAbsent) -> Result<Option<Locked>, Trouble> {
        let path = self.locate(name);
        let deadline = clock::instant() + PATIENCE;
        let mut notice = None;
        let Some(dir) = self.check(if_absent)? else { return Ok(None) };
        let access = self.access(&dir);
        let mut if_absent = if_absent;
        for _ in 0..REPLACEMENTS {
            let Some((file, metadata)) = self.open_locked(&path, if_absent, deadline)? else { return Ok(None) };
            let bytes = read_at_start(&file).with_context(|| unread(&path))?;
            let (write, breaker, files) = match self.parse(&bytes, name) {
                Content::Breaker { write, breaker, files } => (write, *breaker, files),
                Content::Unused => (0, Breaker::new(random()), Vec::new()),
                Content::Unreadable(why) => {
                    notice = Some(set_aside(&path, why)?);
                    // The breaker existed, so it starts anew whether or not the caller would make one.
                    if_absent = IfAbsent::Create;
                    continue;
                }
                Content::NotOurs(trouble) => return Err(trouble.of(&path)),
            };
            access.give(&file, &metadata);
            let (name, inode, killed) = (name.clone(), metadata.ino(), Vec::new());
            let mut locked = Locked { breaker, files, killed, access, notice, name, path, file, inode, write, bytes };
            // Before anything else: what ends the half-open state would end what is known of them too.
            let Locked { breaker, files, name, file, .. } = &mut locked;
            locked.killed = self.forget_dead_probes(name, file, breaker, files, Look::AndRemove);
            return Ok(Some(locked));
        }
        Err(replaced(&path).into())
    }

    /// Takes the slot of a probe: a byte of the state, which lasts as long as the state's open file; else a file, which
    /// is returned.
    ///
    /// # Errors
    /// Neither can be had.
    fn claim(&self, locked: &mut Locked, serial: u64) -> Result<Option<Slot>> {
        if slot::claim_byte(&locked.file, serial) {
            return Ok(None);
        }
        // Dead probes may have left files that no state mentions any more.
        slot::sweep(&self.dir.path, &locked.name, false);
        let path = slot::file_of(&self.dir.path, &locked.name, &locked.breaker.permit_of(serial));
        let give_access = |file: &File| {
            if let Ok(metadata) = file.metadata() {
                locked.access.give(file, &metadata);
            }
        };
        let own = Slot::file_at(path, give_access)?;
        locked.files.push(serial);
        Ok(Some(own))
    }

    /// Counts the probes out that died without reporting, but for those that count as failures where they are killed: it
    /// tells which these are. Where that cannot be asked, the place lasts until its lease is over.
    fn forget_dead_probes(
        &self,
        name: &Name,
        file: &File,
        breaker: &mut Breaker,
        files: &[u64],
        look: Look,
    ) -> Vec<u64> {
        let mut killed = Vec::new();
        let probes: Vec<Probe> = breaker.probes().iter().filter(|probe| probe.pid.is_some()).copied().collect();
        for Probe { serial, counts, .. } in probes {
            let own = files.contains(&serial).then(|| {
                let permit = breaker.permit_of(serial);
                slot::file_of(&self.dir.path, name, &permit)
            });
            let free = match &own {
                None => slot::is_byte_free(file, serial),
                Some(_) if look == Look::Afar => None,
                Some(own) => slot::is_file_free(own),
            };
            if free == Some(true) {
                let counts = counts && own.is_none() && is_watched(file, breaker);
                if let Some(own) = own.filter(|_| look == Look::AndRemove) {
                    // A file that cannot be removed is free all the same.
                    drop(fs::remove_file(own));
                }
                if counts {
                    killed.push(serial);
                } else {
                    breaker.abandon(serial);
                }
            }
        }
        killed
    }

    /// Opens a file to change it, and locks it. After that it is still the file at the path. `None` if there is no file
    /// and none is made.
    fn open_locked(&self, path: &Path, if_absent: IfAbsent, deadline: Instant) -> Result<Option<(File, Metadata)>> {
        for _ in 0..REPLACEMENTS {
            let exists = is_regular(path)?;
            if !exists && if_absent == IfAbsent::Leave {
                return Ok(None);
            }
            let file = match options().write(true).create(!exists).open(path) {
                Ok(file) => above_standard(file)?,
                // It was removed between the look and the open.
                Err(error) if error.kind() == io::ErrorKind::NotFound && exists => continue,
                Err(error) => return Err(unopened(&self.dir, path, &error)),
            };
            lock_until(&file, Mode::Exclusive, deadline)
                .with_context(|| format!("could not lock {}", path.display()))?;
            let metadata = file.metadata().map_err(|error| with_cure(&error));
            let metadata = metadata.with_context(|| format!("could not look at {}", path.display()))?;
            if is_at(&metadata, path) {
                return Ok(Some((file, metadata)));
            }
        }
        Err(replaced(path))
    }

    /// Whether the directory is fit: a link could be anybody's, and whoever can write to the directory can hold our
    /// locks. `None` if there is no directory and none is made.
    #[expect(clippy::disallowed_methods, reason = "a link is to be seen, not followed")]
    fn check(&self, if_absent: IfAbsent) -> Result<Option<Metadata>> {
        let dir = &self.dir.path;
        let unseen =
            |error| anyhow!("could not look at {}: {}; {}", dir.display(), message(&error), cure_at(dir, &error));
        let metadata = match fs::symlink_metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if if_absent == IfAbsent::Leave {
                    return Ok(None);
                }
                make_dir(dir).map_err(|error| uncreated(dir, &error))?;
                fs::symlink_metadata(dir).map_err(unseen)?
            }
            Err(error) => return Err(unseen(error)),
        };
        unfit(&self.dir, &metadata).map_or(Ok(Some(metadata)), Err)
    }

    /// Who may open the files of this directory: their owner, and the group with which the directory is shared.
    fn access(&self, dir: &Metadata) -> Access {
        Access { group: (self.dir.named && dir.mode() & 0o020 != 0).then(|| dir.gid()) }
    }
}

/// How many runs are gone that count as failures where they are killed. Those of another epoch count as nothing.
fn missing(file: &File, breaker: &Breaker, epoch: u64) -> u64 {
    let under_way = breaker.under_way();
    if under_way.count() == 0 || !breaker.is_watched(epoch) {
        return 0;
    }
    let held = slot::count_runs(file, &under_way.numbers(), under_way.count());
    held.map_or(0, |held| under_way.count().saturating_sub(held))
}

/// Whether the locks of what counts as a failure where it is killed can be asked for.
fn is_watched(file: &File, breaker: &Breaker) -> bool {
    let epoch = file.metadata().ok().and_then(|metadata| slot::epoch(metadata.ino()));
    epoch.is_some_and(|epoch| breaker.is_watched(epoch))
}

/// Who may open a file, and so can hold its lock.
#[derive(Clone, Copy)]
struct Access {
    /// The group with which the file is shared.
    group: Option<u32>,
}

impl Access {
    /// Gives a file these access rights. It has others if it is new, was copied, or its directory became shared later.
    fn give(self, file: &File, metadata: &Metadata) {
        let wrong_group = self.group.filter(|group| *group != metadata.gid());
        let mode = if self.group.is_some() { 0o660 } else { 0o600 };
        let is_right = wrong_group.is_none() && metadata.mode() & 0o777 == mode;
        if is_right || metadata.uid() != effective_user() {
            return;
        }
        // If we are not in that group, the file stays ours alone, and others read the cure when they open it.
        let shared = wrong_group.is_none_or(|group| fchown(file, None, Some(group)).is_ok());
        let mode = if shared { mode } else { 0o600 };
        if metadata.mode() & 0o777 != mode {
            drop(file.set_permissions(Permissions::from_mode(mode)));
        }
    }
}

/// How to find out which probes have died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Without the state's lock: lock no file, not even for a moment.
    Afar,
    /// Under the state's lock.
    Only,
    /// Under the state's exclusive lock: also remove the files of dead probes.
    AndRemove,
}

/// The breaker before a decision, to find out what the decision changed.
struct Before {
    generation: u64,
    hold: Option<crate::breaker::Hold>,
    /// The number that the next permit will have.
    serial: u64,
    /// The numbers of the runs that count as failures where they are killed end here.
    runs: u64,
}

impl Before {
    fn of(breaker: &Breaker) -> Self {
        Self {
            generation: breaker.generation(),
            hold: breaker.hold_or_what_was().cloned(),
            serial: breaker.serial(),
            runs: breaker.under_way().numbers().end,
        }
    }

    /// Whether something changed that must outlive a power cut. A counter need not.
    fn has_moved(&self, breaker: &Breaker) -> bool {
        self.generation != breaker.generation() || self.hold.as_ref() != breaker.hold_or_what_was()
    }

    /// The number of the run of this process that was let in and counts as a failure if it is killed.
    fn new_run(&self, breaker: &Breaker) -> Option<u64> {
        let end = breaker.under_way().numbers().end;
        end.checked_sub(1).filter(|_| end != self.runs)
    }

    /// The number of the probe that was let in for this process.
    fn new_probe(&self, breaker: &Breaker) -> Option<u64> {
        let newest = breaker.probes().last().filter(|probe| probe.serial == self.serial && probe.pid.is_some());
        newest.map(|probe| probe.serial)
    }
}

impl Locked {
    /// Writes the breaker in place, by one write of one block. A process killed at any moment leaves the old state or
    /// the new one.
    ///
    /// # Errors
    /// The write failed, and the disk holds the old state.
    fn save(&mut self) -> Result<()> {
        self.write = self.write.wrapping_add(1);
        let unwritten = || format!("could not write {}", self.path.display());
        let block = format::render(&mut self.breaker, &self.name, self.write, &self.files).with_context(unwritten)?;
        match self.file.write_at(&block, 0) {
            Ok(written) if written == block.len() => {
                if self.bytes.len() > block.len() {
                    // Somebody had formatted the text by hand. A rest that cannot be cut off is not read.
                    drop(self.file.set_len(block.len() as u64));
                }
                Ok(())
            }
            Ok(written) => {
                // A partly written state is unreadable, so the old one is put back.
                drop(self.file.write_at(&self.bytes[..written.min(self.bytes.len())], 0));
                drop(self.file.set_len(self.bytes.len() as u64));
                let cure = "make room on the disk, or raise the file size limit (ulimit -f)";
                Err(anyhow!("only {written} of {} bytes fit; {cure}", block.len())).with_context(unwritten)
            }
            Err(error) => Err(with_cure(&error)).with_context(unwritten),
        }
    }

    /// Gives up the lock. A claimed byte stays locked as long as the file stays open.
    fn unlock(self) -> File {
        // If this fails, the lock ends with the descriptor.
        drop(fs2::FileExt::unlock(&self.file));
        self.file
    }
}

/// Flushes the file to the disk.
fn flush(file: &File) {
    // If the disk refuses, the next write says so. Until then the kernel has the state.
    drop(file.sync_data());
}

/// How all state files are opened: without following a link, and without waiting for what blocks.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

/// Whether there is a file. Only a regular file is ever opened: opening a FIFO waits, and opening a device acts.
pub(super) fn is_regular(path: &Path) -> Result<bool> {
    match look_at(path)? {
        Some(there) if !there.is_file() => {
            bail!("{} is {}, which cb leaves alone; move it away", path.display(), kind(&there))
        }
        there => Ok(there.is_some()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a link is to be seen, not followed")]
fn look_at(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(with_cure_at(path, &error).context(format!("could not look at {}", path.display()))),
    }
}

/// What stands in place of a regular file.
fn kind(there: &Metadata) -> &'static str {
    if there.is_symlink() {
        "a symbolic link"
    } else if there.is_dir() {
        "a directory"
    } else {
        "no regular file"
    }
}

/// Moves a file above the standard descriptors.
pub(super) fn above_standard(file: File) -> Result<File> {
    let above = sys::above_standard(file.into()).map_err(|error| with_cure(&error));
    above.map(File::from).context("could not move a descriptor out of the child's way")
}

/// Whether the open file is still the one at this path.
#[expect(clippy::disallowed_methods, reason = "a link is to be seen, not followed")]
fn is_at(file: &Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}

/// Reads the file, at most one byte more than a state may have.
fn read_at_start(file: &File) -> Result<Vec<u8>> {
    let mut bytes = vec![0; format::BLOCK + 1];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(with_cure(&error)),
        }
        if length == format::BLOCK || length > format::LARGEST {
            break;
        }
        if length == bytes.len() {
            bytes.resize(format::LARGEST + 1, 0);
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[derive(Clone, Copy)]
enum Mode {
    Shared,
    Exclusive,
}

/// Locks the file. Waits in the kernel's queue, but not beyond the deadline.
///
/// fs2's methods are called by their full path, and only here, as std's `File` has methods of the same names.
fn lock_until(file: &File, mode: Mode, deadline: Instant) -> Result<()> {
    let try_lock = || match mode {
        Mode::Shared => fs2::FileExt::try_lock_shared(file),
        Mode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
    };
    let lock = || match mode {
        Mode::Shared => fs2::FileExt::lock_shared(file),
        Mode::Exclusive => fs2::FileExt::lock_exclusive(file),
    };
    match try_lock() {
        Ok(()) => return Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
        Err(error) => return Err(with_cure(&error)),
    }
    let left = deadline.saturating_duration_since(clock::instant());
    let alarm = sys::Alarm::after(left).context("could not set a timer for the wait")?;
    let outcome = loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && clock::instant() < deadline => {}
            other => break other,
        }
    };
    drop(alarm);
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => anyhow!("another process holds the lock; 'fuser -v' on the file says which"),
        _ => with_cure(&error),
    })
}

fn replaced(path: &Path) -> anyhow::Error {
    anyhow!("could not lock {}: it is replaced all the time; find out by whom", path.display())
}

/// Renames an unreadable file, so that the breaker starts anew; returns the warning.
fn set_aside(path: &Path, why: &str) -> Result<String> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".corrupt");
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside).map_err(|error| {
        let shown = path.display();
        let cure = match error.kind() {
            // A user who may not rename the file may not remove it either.
            io::ErrorKind::PermissionDenied => cure_at(path.parent().unwrap_or(path), &error),
            _ => format!("run 'rm {}'", shell_word(path)),
        };
        anyhow!("{shown} is not readable ({why}) and could not be set aside: {}; {cure}", message(&error))
    })?;
    Ok(format!(
        "{} was not readable ({why}): set aside as {}, the breaker starts anew, closed",
        path.display(),
        aside.file_name().unwrap_or_default().to_string_lossy()
    ))
}

/// Makes the directory and what is missing above it, for the owner alone, as XDG asks, whatever the umask.
#[expect(clippy::disallowed_methods, reason = "a link is to be seen, not followed")]
fn make_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| dir.symlink_metadata().is_err()).collect();
    for dir in missing.iter().rev() {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => fs::set_permissions(dir, Permissions::from_mode(0o700))?,
            // Another run was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The identity of a new breaker.
fn random() -> u64 {
    // Early in the life of a machine there may be no randomness; then time and process are distinct enough.
    sys::random().unwrap_or_else(|| clock::now().as_millis() << 22 ^ u64::from(std::process::id()))
}

fn unreadable(path: &Path, why: &str) -> anyhow::Error {
    let word = shell_word(path);
    anyhow!("{} is not readable: {why}; the next run sets it aside, or run 'rm {word}'", path.display())
}

fn unread(path: &Path) -> String {
    format!("could not read {}", path.display())
}
