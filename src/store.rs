//! The state directory: one file a breaker, locked itself, written in place.
//!
//! Writes exist only on [`Locked`], which is the lock. Nobody else knows where state lives.
//!
//! The lock is `flock(2)` on the state file (fs2), exclusive to change it and shared to read it; waiters queue in the
//! kernel. A probe has a lock of its own for its life: one byte of the file far beyond its text (`F_OFD_SETLK`), which
//! the kernel frees however the process ends. Both belong to an open file description, which the child does not inherit.

mod format;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use self::format::Content;
use crate::breaker::Breaker;
use crate::clock;
use crate::locations::StateDir;
use crate::name::Name;
use crate::sys::{self, plain};

/// How long a run waits for the lock. It is held for microseconds, so a longer wait means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long all reads of one command together wait for locks.
pub const READERS_PATIENCE: Duration = Duration::from_millis(50);
/// How often a file may be replaced under us before we give up.
const REPLACEMENTS: usize = 100;
/// The first byte of the probes' locks, far beyond any text.
const PROBES_AT: i64 = 1 << 40;

/// Two names that differ only in case, on a file system that cannot tell them apart.
#[derive(Debug)]
pub struct CaseClash {
    stored: Name,
}

impl std::fmt::Display for CaseClash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stored = &self.stored;
        write!(
            f,
            "it belongs to the breaker '{stored}', and this file system does not tell the two names apart; use that name"
        )
    }
}

impl std::error::Error for CaseClash {}

/// The state directory.
pub struct Store {
    dir: StateDir,
}

/// Whether a file that is not there is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it: the breaker is new.
    Create,
    /// Leave it.
    Leave,
}

/// A breaker under its exclusive lock: the only thing that can be written. Dropping it gives up the lock.
pub struct Locked {
    /// The breaker. What is changed here is on disk after [`Locked::save`].
    pub breaker: Breaker,
    /// What happened to the file before, if the user should know.
    pub notice: Option<String>,
    name: Name,
    path: PathBuf,
    file: File,
    write: u64,
    /// What is in the file.
    bytes: Vec<u8>,
}

/// A probe's place: the kernel holds its lock until this is dropped or the process is gone.
#[must_use = "dropping it gives the place away"]
pub struct Place {
    _file: File,
}

impl Store {
    /// The store in this directory. Nothing is looked at yet.
    pub fn new(dir: StateDir) -> Self {
        Self { dir }
    }

    /// Where a breaker's state is.
    pub fn path(&self, name: &Name) -> PathBuf {
        self.dir.path.join(name.file_name())
    }

    /// Locks a breaker to change it; probes that died without reporting are counted as such. `None` if there is none and
    /// none is to be made.
    ///
    /// # Errors
    /// What is wrong with the directory, the file or the lock, and what to do about it. Nothing is changed then, but
    /// for a file that nobody could read: it is renamed to `NAME.json.corrupt` and the breaker starts anew.
    pub fn lock(&self, name: &Name, missing: Missing) -> Result<Option<Locked>> {
        let path = self.path(name);
        let deadline = clock::instant() + PATIENCE;
        let mut notice = None;
        if !self.check_dir(missing)? {
            return Ok(None);
        }
        let mut missing = missing;
        for _ in 0..REPLACEMENTS {
            let Some((file, metadata)) = self.open_locked(&path, missing, deadline)? else { return Ok(None) };
            let unread = || format!("could not read {}", path.display());
            let bytes = read_at_start(&file).with_context(unread)?;
            let (write, breaker) = match format::parse(&bytes, name).with_context(unread)? {
                Content::Breaker { write, breaker } => (write, *breaker),
                Content::Unused => (0, Breaker::new(random())),
                Content::Unreadable(why) => {
                    notice = Some(set_aside(&path, why)?);
                    // It was there, so that it starts anew is not to make one out of nothing.
                    missing = Missing::Create;
                    continue;
                }
            };
            if bytes.is_empty() || metadata.mode() & 0o077 != 0 {
                // It is new, or somebody has copied it: whoever can open it can hold its lock.
                self.set_access(&file, &metadata);
            }
            let mut locked = Locked { breaker, notice, name: name.clone(), path, file, write, bytes };
            // Before anything else: what ends the half-open state would end what is known of them too.
            forget_dead_probes(&locked.file, &mut locked.breaker);
            return Ok(Some(locked));
        }
        Err(replaced(&path))
    }

    /// Opens a file to change it, and locks it: that which is at the path once it is locked. `None` if there is none and
    /// none is to be made.
    fn open_locked(&self, path: &Path, missing: Missing, deadline: Instant) -> Result<Option<(File, Metadata)>> {
        for _ in 0..REPLACEMENTS {
            let exists = is_regular(path)?;
            if !exists && missing == Missing::Leave {
                return Ok(None);
            }
            let file = match options().write(true).create(!exists).open(path) {
                Ok(file) => above_standard(file)?,
                // Removed between the look and the open.
                Err(error) if error.kind() == io::ErrorKind::NotFound && exists => continue,
                Err(error) => return Err(self.unopened(path, &error)),
            };
            lock_until(&file, Mode::Exclusive, deadline)
                .with_context(|| format!("could not lock {}", path.display()))?;
            let metadata = file.metadata().with_context(|| format!("could not look at {}", path.display()))?;
            if is_at(&metadata, path) {
                return Ok(Some((file, metadata)));
            }
        }
        Err(replaced(path))
    }

    /// Reads a breaker, without changing anything; probes that died are left out. Waits for a writer until `deadline`, then
    /// reads all the same. `None` if there is none.
    ///
    /// # Errors
    /// What is wrong with the directory or the file, and what to do about it.
    pub fn read(&self, name: &Name, deadline: Instant) -> Result<Option<Breaker>> {
        let path = self.path(name);
        if !self.check_dir(Missing::Leave)? {
            return Ok(None);
        }
        self.read_file(name, &path, deadline)
    }

    fn read_file(&self, name: &Name, path: &Path, deadline: Instant) -> Result<Option<Breaker>> {
        if !is_regular(path)? {
            return Ok(None);
        }
        let file = match options().open(path) {
            Ok(file) => above_standard(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unopened(path, &error)),
        };
        let mut locked = fs2::FileExt::try_lock_shared(&file).is_ok();
        loop {
            let parsed = read_at_start(&file).and_then(|bytes| format::parse(&bytes, name));
            match parsed.with_context(|| format!("could not read {}", path.display()))? {
                Content::Unused => return Ok(None),
                Content::Breaker { mut breaker, .. } => {
                    forget_dead_probes(&file, &mut breaker);
                    return Ok(Some(*breaker));
                }
                // Perhaps a writer was at it just now: once more, under the lock.
                Content::Unreadable(_) if !locked && lock_until(&file, Mode::Shared, deadline).is_ok() => locked = true,
                Content::Unreadable(why) => {
                    bail!(
                        "{} is not readable: {why}; the next run sets it aside, or remove it yourself",
                        path.display()
                    )
                }
            }
        }
    }

    /// Forgets a breaker: deletes its file under its lock, whatever its state, even if a newer version wrote it.
    /// `false` if there is none.
    ///
    /// # Errors
    /// The file is not of this breaker, and left alone; or it could not be locked or deleted.
    pub fn remove(&self, name: &Name) -> Result<bool> {
        let path = self.path(name);
        if !self.check_dir(Missing::Leave)? {
            return Ok(false);
        }
        let deadline = clock::instant() + PATIENCE;
        let Some((file, _)) = self.open_locked(&path, Missing::Leave, deadline)? else { return Ok(false) };
        let bytes = read_at_start(&file).with_context(|| format!("could not read {}", path.display()))?;
        if !format::belongs_to(&bytes, name) {
            bail!("{} is not the state of {name}, so it was left alone; remove it yourself", path.display());
        }
        let removed = fs::remove_file(&path).map_err(|error| told(&error));
        removed.with_context(|| format!("could not remove {}", path.display()))?;
        Ok(true)
    }

    /// The names of all breakers, sorted.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn names(&self) -> Result<Vec<Name>> {
        if !self.check_dir(Missing::Leave)? {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        let unlisted = |error| told(&error).context(format!("could not list {}", self.dir.path.display()));
        for entry in fs::read_dir(&self.dir.path).map_err(unlisted)? {
            let file_name = entry.map_err(unlisted)?.file_name();
            names.extend(file_name.to_str().and_then(Name::from_file_name));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Looks at the directory: a link to one could be anybody's, and whoever can write to it can hold our locks.
    /// `false` if there is none and none is to be made.
    fn check_dir(&self, missing: Missing) -> Result<bool> {
        let dir = &self.dir.path;
        let metadata = match fs::symlink_metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if missing == Missing::Leave {
                    return Ok(false);
                }
                make_dir(dir).map_err(|error| uncreated(dir, &error))?;
                return Ok(true);
            }
            Err(error) => {
                return Err(anyhow!(
                    "could not look at {}: {}; give another --state-dir",
                    dir.display(),
                    plain(&error)
                ));
            }
        };
        let path = dir.display();
        let fault = if metadata.is_symlink() {
            format!("{path} is a symbolic link, which cb does not follow; give the directory itself as --state-dir")
        } else if !metadata.is_dir() {
            format!("{path} is not a directory; move it away, or give another --state-dir")
        } else if metadata.mode() & 0o002 != 0 {
            format!(
                "{path} is writable by everybody, who could hold its locks; run 'chmod o-w {}', or give another --state-dir",
                shell_word(dir)
            )
        } else if !self.dir.named && metadata.uid() != effective_user() {
            let hint = match effective_user() {
                0 => "run cb as that user, or ".to_owned(),
                _ if is_left_over(dir) => format!("{}, or ", chown_hint(dir)),
                _ => String::new(),
            };
            format!("{path} belongs to another user ({}); {hint}give another --state-dir", metadata.uid())
        } else if !self.dir.named && metadata.mode() & 0o020 != 0 {
            let word = shell_word(dir);
            format!("{path} is writable by its group; run 'chmod g-w {word}', or name it with --state-dir to share it")
        } else {
            return Ok(true);
        };
        Err(anyhow!(fault))
    }

    fn unopened(&self, path: &Path, error: &io::Error) -> anyhow::Error {
        let shown = path.display();
        let owner = fs::symlink_metadata(path).ok().map(|metadata| metadata.uid());
        match (error.kind(), owner) {
            (io::ErrorKind::PermissionDenied, Some(owner)) if owner != effective_user() => {
                let whose = format!("could not open {shown}: it belongs to another user ({owner})");
                let shared = fs::metadata(&self.dir.path).is_ok_and(|dir| dir.mode() & 0o020 != 0);
                if is_left_over(path) && !shared {
                    // There may be more of them.
                    anyhow!("{whose}, perhaps from a run under sudo; {}", chown_hint(&self.dir.path))
                } else {
                    anyhow!("{whose}, who must run 'chmod 660 {}'", shell_word(path))
                }
            }
            _ => anyhow!("could not open {shown}: {}; {}", plain(error), cure(error)),
        }
    }

    /// Gives a file its access rights: its owner's alone, or in a directory shared with a group also the group's.
    fn set_access(&self, file: &File, metadata: &Metadata) {
        if metadata.uid() != effective_user() {
            return;
        }
        let dir = fs::symlink_metadata(&self.dir.path).ok();
        let group = dir.filter(|dir| self.dir.named && dir.mode() & 0o020 != 0).map(|dir| dir.gid());
        // Where we are not of that group the file stays ours alone, and the others are told when they open it.
        let shared = group.is_some_and(|group| group == metadata.gid() || fchown(file, None, Some(group)).is_ok());
        let mode = if shared { 0o660 } else { 0o600 };
        if metadata.mode() & 0o777 != mode {
            drop(file.set_permissions(Permissions::from_mode(mode)));
        }
    }
}

impl Locked {
    /// Writes the breaker in place, with one write into one block. A process killed at any moment leaves the old state
    /// or the new one.
    ///
    /// # Errors
    /// The write failed: the state on disk is the old one.
    pub fn save(&mut self) -> Result<()> {
        self.write = self.write.wrapping_add(1);
        let unwritten = || format!("could not write {}", self.path.display());
        let block = format::render(&mut self.breaker, &self.name, self.write).with_context(unwritten)?;
        match self.file.write_at(&block, 0) {
            Ok(written) if written == block.len() => {
                if self.bytes.len() > block.len() {
                    // Somebody's own formatting was longer. Where the rest stays, it is not read.
                    drop(self.file.set_len(block.len() as u64));
                }
                self.bytes = block;
                Ok(())
            }
            Ok(written) => {
                // Half a new state is none; half an old one neither.
                drop(self.file.write_at(&self.bytes[..written.min(self.bytes.len())], 0));
                drop(self.file.set_len(self.bytes.len() as u64));
                let cure = "make room on the disk, or raise the file size limit (ulimit -f)";
                Err(anyhow!("only {written} of {} bytes fit; {cure}", block.len())).with_context(unwritten)
            }
            Err(error) => Err(told(&error)).with_context(unwritten),
        }
    }

    /// Takes the lock of a probe.
    ///
    /// # Errors
    /// The file system has no such locks, or no room for one.
    pub fn claim_place(&self, serial: u64) -> Result<()> {
        let lock = byte_lock(serial);
        let claimed = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&lock)).map_err(|error| told(&error.into()));
        claimed.map(drop).with_context(|| format!("could not lock a probe's place in {}", self.path.display()))
    }

    /// Gives up the lock. The file stays open and a claimed place taken, as long as what is returned lives.
    pub fn unlock(self) -> Unlocked {
        // A lock that cannot be given up ends with the descriptor.
        drop(fs2::FileExt::unlock(&self.file));
        Unlocked { file: self.file }
    }
}

/// A state file after its lock was given up.
pub struct Unlocked {
    file: File,
}

impl Unlocked {
    /// Brings what was written to the disk: a change of state must outlive a power cut, a counter need not.
    pub fn flush(&self) {
        // The state is in the kernel's hands either way; where the disk refuses, the next write will say so.
        drop(self.file.sync_data());
    }

    /// Keeps a probe's place.
    pub fn into_place(self) -> Place {
        Place { _file: self.file }
    }
}

fn forget_dead_probes(file: &File, breaker: &mut Breaker) {
    let probes: Vec<u64> =
        breaker.probes().iter().filter(|probe| probe.pid.is_some()).map(|probe| probe.serial).collect();
    for serial in probes {
        let mut lock = byte_lock(serial);
        // Where the question cannot be asked, the place lasts until its lease is over.
        if fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) == libc::F_UNLCK {
            breaker.abandon(serial);
        }
    }
}

fn byte_lock(serial: u64) -> libc::flock {
    libc::flock {
        // The constants are tiny; the types of the fields differ between platforms.
        l_type: libc::F_WRLCK.try_into().unwrap_or_default(),
        l_whence: libc::SEEK_SET.try_into().unwrap_or_default(),
        l_start: PROBES_AT + i64::try_from(serial % (1 << 40)).unwrap_or(0),
        l_len: 1,
        l_pid: 0,
    }
}

/// How all state files are opened: no link is followed, and nothing that blocks is waited for.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

/// Whether there is a file. What is there but is no regular file is never opened: opening a FIFO waits, a device acts.
fn is_regular(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(metadata) => {
            let kind = metadata.file_type();
            let kind = if kind.is_symlink() {
                "a symbolic link"
            } else if kind.is_dir() {
                "a directory"
            } else {
                "no regular file"
            };
            bail!("{} is {kind}, which cb leaves alone; move it away", path.display())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(anyhow!("could not look at {}: {}; {}", path.display(), plain(&error), cure(&error))),
    }
}

/// A descriptor that is none of the standard ones, even where those are closed: they belong to the child.
fn above_standard(file: File) -> Result<File> {
    use std::os::fd::AsRawFd;
    if file.as_raw_fd() > 2 {
        return Ok(file);
    }
    // The standard library duplicates to 3 or above.
    file.try_clone().context("could not move a descriptor out of the child's way")
}

/// Whether the open file is still the one at this path.
fn is_at(file: &Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}

/// Reads the file, and one byte beyond what a state may have.
fn read_at_start(file: &File) -> Result<Vec<u8>> {
    let mut bytes = vec![0; format::BLOCK + 1];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(told(&error)),
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
/// std's `File` has methods of the same names: fs2's are called by their full path, and only in this file.
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
        Err(error) => return Err(told(&error)),
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
        _ => told(&error),
    })
}

fn replaced(path: &Path) -> anyhow::Error {
    anyhow!("could not lock {}: it is replaced all the time; find out by whom", path.display())
}

/// What the system says, and what to do about it.
fn told(error: &io::Error) -> anyhow::Error {
    anyhow!("{}; {}", plain(error), cure(error))
}

fn cure(error: &io::Error) -> &'static str {
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

/// Renames a file that nobody can read, so that the breaker starts anew; says so.
fn set_aside(path: &Path, why: &str) -> Result<String> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".corrupt");
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside).map_err(|error| {
        anyhow!("{} is not readable ({why}) and could not be set aside: {}; remove it", path.display(), plain(&error))
    })?;
    Ok(format!(
        "{} was not readable ({why}): set aside as {}, the breaker starts anew, closed",
        path.display(),
        aside.file_name().unwrap_or_default().display()
    ))
}

/// Why the directory could not be made: perhaps since what is above it was left by a run under sudo.
fn uncreated(dir: &Path, error: &io::Error) -> anyhow::Error {
    let above = dir.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?.uid())));
    let cure = match above {
        Some((above, owner)) if error.kind() == io::ErrorKind::PermissionDenied && owner != effective_user() => {
            let hint = if is_left_over(above) { format!("{}, or ", chown_hint(above)) } else { String::new() };
            format!("{} belongs to another user ({owner}); {hint}give --state-dir", above.display())
        }
        _ => "make it yourself, or give --state-dir".to_owned(),
    };
    anyhow!("could not make the state directory {}: {}; {cure}", dir.display(), plain(error))
}

/// Makes the directory, for its owner alone whatever the umask; what lies above it likewise, as XDG asks.
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

fn effective_user() -> u32 {
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

/// The identity of a new breaker.
fn random() -> u64 {
    // Where there is no randomness, early in the life of a machine, the time and the process are distinct enough.
    sys::random().unwrap_or_else(|| clock::now().as_millis() << 22 ^ u64::from(std::process::id()))
}
