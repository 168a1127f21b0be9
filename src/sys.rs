//! The facade of the platform: the system calls that Rust's library lacks, and all the `unsafe` of the program but that
//! of its entry.
//!
//! Nothing here decides anything. `std::process::Command` cannot serve: it resets SIGPIPE in the child, needs SIGCHLD not
//! to be ignored, knows no script without `#!`, and its runtime reopens closed descriptors.
//!
//! # The `unsafe` of the program
//!
//! A function is named once for each block in it; a test compares the names with the source. No unsafe function is ours.
//!
//! | where | what for | why it is sound |
//! |---|---|---|
//! | `set_of`, `passed_on` | sets of signals | the C library fills them before they are read |
//! | `mask`, `dispose`, `is_ignored` | mask, dispositions | live structures of ours, set or zeroed, which is a value |
//! | `environ`, `environment` | the environment as bytes | no thread of ours ever changes it |
//! | `spawn`, `spawn`, `run_child` | a child in our memory | we wait; it has its own stack, allocates nothing, runs no handler |
//! | `next_signal`, `try_wait`, `ended_child`, `random`, `readable` | what the kernel tells | it writes into live buffers of ours, as long as is said |
//! | `send`, `own_pid`, `leads_session`, `die_of` | numbers of processes | numbers go in and come out, no memory |
//! | `is_root` | who we are | a number goes in and one comes out, no memory |
//! | `given_randomness`, `given_randomness` | what the kernel gave us | a number goes in; 16 bytes of ours come out |
//! | `in_foreground` | the terminal | a constant path; the descriptor is ours alone until it is closed |
//! | `is_open` | a descriptor | numbers go in and come out, no memory |
//! | `are_same_file` | two descriptors | numbers go in and come out; structures of ours are zeroed, which is a value |
//! | `Alarm::after`, `Alarm::drop` | a timer, its signal | its handler does nothing; in the end the signal is as it was |
//! | `entry::main` | the symbol `main` | the crate is `no_main`: there is no other |
#![expect(unsafe_code, reason = "this module is the facade of the platform; each block says why it is sound")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use libc::{pid_t, sigset_t};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A signal that arrived, and who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Its number.
    pub signal: c_int,
    /// Whether the kernel sent it (a terminal does it that way), not a process.
    pub by_kernel: bool,
    /// Whether it is a fault of our own: a write to a closed pipe or over a limit.
    pub by_us: bool,
}

/// What `cb` found at its start and changed for itself: a child gets it back.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: sigset_t,
    ignored_children: bool,
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set, sigaddset changes an initialised one.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Everything but what stops a background process at its terminal: those stop `cb` as they stop anyone.
fn passed_on() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the whole set, sigdelset changes an initialised one.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::sigdelset(set.as_mut_ptr(), libc::SIGTTIN);
        libc::sigdelset(set.as_mut_ptr(), libc::SIGTTOU);
        set.assume_init()
    }
}

/// Changes the mask of blocked signals and returns the one before.
fn mask(how: c_int, set: &sigset_t) -> sigset_t {
    let mut before = set_of(&[]);
    // SAFETY: both sets are initialised and live for the call. It cannot fail with a known `how`.
    unsafe { libc::sigprocmask(how, set, &raw mut before) };
    before
}

/// Sets a signal to its default or to be ignored, and says whether it was ignored before.
fn dispose(signal: c_int, handler: libc::sighandler_t) -> bool {
    // SAFETY: a zeroed sigaction is a valid one: no flags, an empty mask; and `handler` is one of the two constants.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        let mut before: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &raw const action, &raw mut before);
        before.sa_sigaction == libc::SIG_IGN
    }
}

/// Whether a signal is ignored. `cb` never makes one so: if it is, it was at the start.
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: as in `dispose`; a null pointer asks and changes nothing.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Readies this process: a child must not be reaped behind our back, and writing to a closed pipe or beyond a limit
/// must be an error of that write, not the end of `cb`.
pub fn take_over() -> Inherited {
    let ignored_children = dispose(libc::SIGCHLD, libc::SIG_DFL);
    let mask = mask(libc::SIG_BLOCK, &set_of(&[libc::SIGPIPE, libc::SIGXFSZ]));
    Inherited { mask, ignored_children }
}

/// What to start.
pub struct Program<'a> {
    /// The word that was given, and its arguments.
    pub argv: Vec<CString>,
    /// What the child finds in its environment beside ours.
    pub set: Vec<CString>,
    /// What it must not find there, even if we do.
    pub unset: &'static [&'static CStr],
    /// Whether it leads a process group of its own.
    pub own_group: bool,
    /// Whether it reads nothing and its data goes where speech goes: stdin is `/dev/null`, stdout is stderr. Its group is a
    /// session: no terminal is its own, which would stop it where it writes or asks for a password in the background.
    pub is_hook: bool,
    /// What it finds under a descriptor that is not open for us.
    pub lent: Option<Lent<'a>>,
    /// The descriptors that it gets as 1 and 2 in place of ours.
    pub streams: [Option<RawFd>; 2],
}

/// A file that a child finds under this descriptor: this one; or `/dev/null`, where there is none.
#[derive(Clone, Copy)]
pub struct Lent<'a> {
    /// The descriptor.
    pub number: c_int,
    /// The file.
    pub file: Option<&'a File>,
}

struct Start {
    argv: *const *const c_char,
    envp: *const *const c_char,
    inherited: Inherited,
    own_group: bool,
    is_hook: bool,
    /// Our own number, which the child knows its parent by.
    parent: pid_t,
    /// The descriptor of the child and that of the file, as it is here. Below 0 there is none.
    lent: Option<(c_int, c_int)>,
    streams: [c_int; 2],
    errno: c_int,
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Our environment as it was given to us, byte by byte, with the changes for the child.
fn environment(program: &Program<'_>) -> Vec<*const c_char> {
    let replaces = |entry: &CStr, name: &[u8]| {
        let entry = entry.to_bytes();
        entry.starts_with(name) && entry.get(name.len()) == Some(&b'=')
    };
    let mut entries = Vec::with_capacity(64);
    // SAFETY: no thread of this program ever changes `environ`, a null-terminated array of strings.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            let entry = CStr::from_ptr(*next);
            let name_of =
                |set: &CString| set.to_bytes().split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
            let ours = entry.to_bytes().starts_with(b"CB_");
            if !(ours
                && (program.set.iter().any(|set| replaces(entry, &name_of(set)))
                    || program.unset.iter().any(|name| replaces(entry, name.to_bytes()))))
            {
                entries.push(*next);
            }
            next = next.add(1);
        }
    }
    entries.extend(program.set.iter().map(|set| set.as_ptr()));
    entries.push(ptr::null());
    entries
}

/// Starts a program as `execvp` finds it, with everything as `cb` itself found it, and blocks the signals that
/// [`next_signal`] then reports. When it cannot be started, the mask is as before.
///
/// # Errors
/// What `clone` or `exec` said; the flag says whether it was `exec`.
pub fn spawn(program: &Program<'_>, inherited: Inherited) -> Result<pid_t, (io::Error, bool)> {
    let argv: Vec<*const c_char> = program.argv.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
    let envp = environment(program);
    let mut start = Start {
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        inherited,
        own_group: program.own_group,
        is_hook: program.is_hook,
        parent: own_pid(),
        lent: program.lent.map(|lent| (lent.number, lent.file.map_or(-1, AsRawFd::as_raw_fd))),
        streams: program.streams.map(|stream| stream.unwrap_or(-1)),
        errno: 0,
    };
    // execvpe keeps a path and, for a script without `#!`, a second argument list on its stack.
    let words = 4 * 1024 + argv.len();
    let mut stack: Vec<MaybeUninit<u128>> = Vec::with_capacity(words);
    let before = mask(libc::SIG_BLOCK, &passed_on());
    // SAFETY: the child shares our memory but runs on a stack of its own, and we wait (CLONE_VFORK) until it has
    // executed another program or exited. `run_child` allocates nothing and no handler can run in it: the only one of
    // ours, that of an `Alarm`, went with it before. Everything that `start` points to outlives the call.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(words);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(run_child, top.cast(), flags, (&raw mut start).cast())
    };
    let cloned = io::Error::last_os_error();
    // SAFETY: the field is a plain number that the child may have written through its pointer.
    let errno = unsafe { ptr::read_volatile(&raw const start.errno) };
    if pid > 0 && errno == 0 {
        return Ok(pid);
    }
    let error = if pid > 0 { io::Error::from_raw_os_error(errno) } else { cloned };
    if pid > 0 {
        while matches!(try_wait(pid, true), Err(error) if error.kind() == io::ErrorKind::Interrupted) {}
    }
    mask(libc::SIG_SETMASK, &before);
    Err((error, pid > 0))
}

extern "C" fn run_child(start: *mut c_void) -> c_int {
    let start: *mut Start = start.cast();
    // SAFETY: `start` is the live value of `spawn`, which waits for us. Only functions that are safe between vfork and
    // exec are called; glibc's execvpe is written to be (it uses the stack alone).
    unsafe {
        // We are the only thread, so that its death, which is what the child is told of, is that of `cb`.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Had `cb` died before, nobody would tell. A parent in another namespace has no number here.
        let parent = libc::getppid();
        if parent != (*start).parent && parent != 0 {
            libc::_exit(127);
        }
        if (*start).own_group && !(*start).is_hook {
            libc::setpgid(0, 0);
        }
        if (*start).is_hook {
            libc::setsid();
            let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
            if nothing > 0 {
                libc::dup2(nothing, 0);
                libc::close(nothing);
            }
            if libc::dup2(2, 1) < 0 {
                // Where speech goes nowhere, it does not go among the data.
                libc::close(1);
            }
        }
        for (standard, stream) in [1, 2].into_iter().zip((*start).streams) {
            if stream >= 0 {
                libc::dup2(stream, standard);
            }
        }
        // Only now: a pipe of ours may be where it goes.
        match (*start).lent {
            // Ours is already where it is to be, and only closed by exec.
            Some((number, file)) if file == number => {
                libc::fcntl(number, libc::F_SETFD, 0);
            }
            Some((number, file)) if file >= 0 => {
                libc::dup2(file, number);
            }
            Some((number, _)) => {
                // What may be there is ours, and not for the child; where no more may be open, that makes room.
                libc::close(number);
                let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY | libc::O_APPEND);
                if nothing >= 0 && nothing != number {
                    libc::dup2(nothing, number);
                    libc::close(nothing);
                }
            }
            None => {}
        }
        if (*start).inherited.ignored_children {
            dispose(libc::SIGCHLD, libc::SIG_IGN);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const (*start).inherited.mask, ptr::null_mut());
        libc::execvpe(*(*start).argv, (*start).argv, (*start).envp);
        (*start).errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Whether the caller has left this descriptor open. It is asked before we open any.
pub fn is_open(descriptor: c_int) -> bool {
    // SAFETY: F_GETFL has no memory effects.
    unsafe { libc::fcntl(descriptor, libc::F_GETFL) >= 0 }
}

/// Moves a descriptor above the standard ones, which belong to the child even where they are closed.
///
/// # Errors
/// There can be no further descriptor.
pub fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    // The standard library duplicates to a descriptor of 3 or above.
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { descriptor.try_clone() }
}

/// An empty file in memory that is on no disk and under no path, to which is appended.
///
/// It has no seal but that nobody executes it: a program may well cut it short, as curl does with its `--dump-header`. Its
/// descriptor is none of the standard ones, even where those are closed.
///
/// # Errors
/// There is no such file to be had here.
pub fn file_in_memory(name: &CStr) -> io::Result<File> {
    let create = |flags| memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::from_bits_retain(flags));
    let file = match create(libc::MFD_NOEXEC_SEAL) {
        // A kernel before 6.3.
        Err(Errno::EINVAL) => create(0)?,
        other => other?,
    };
    let file = above_standard(file)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(File::from(file))
}

/// Whether two descriptors are one open file, as after `2>&1`. Where the kernel does not say, two of the same file that
/// are open in the same way are taken for one.
pub fn are_same_file(one: RawFd, other: RawFd) -> bool {
    const KCMP_FILE: c_int = 0;
    // SAFETY: numbers go in and come out; the structures are zeroed, which is a value, and live.
    unsafe {
        let pid = libc::getpid();
        match libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) {
            0 => true,
            1.. => false,
            _ => {
                let [mut first, mut second]: [libc::stat; 2] = std::mem::zeroed();
                libc::fstat(one, &raw mut first) == 0
                    && libc::fstat(other, &raw mut second) == 0
                    && (first.st_dev, first.st_ino, first.st_rdev) == (second.st_dev, second.st_ino, second.st_rdev)
                    && libc::fcntl(one, libc::F_GETFL) == libc::fcntl(other, libc::F_GETFL)
            }
        }
    }
}

/// How many bytes can be read from a pipe at once; none where it is closed.
pub fn readable(pipe: RawFd) -> usize {
    let mut count: c_int = 0;
    // SAFETY: the number is live for the call.
    let asked = unsafe { libc::ioctl(pipe, libc::FIONREAD, &raw mut count) };
    if asked == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// Blocks the signals that [`next_signal`] reports, and returns what was blocked before: for threads, which get no signal
/// then.
pub fn block_signals() -> sigset_t {
    mask(libc::SIG_BLOCK, &passed_on())
}

/// Blocks what was blocked before [`block_signals`], and nothing else.
pub fn unblock_signals(before: &sigset_t) {
    mask(libc::SIG_SETMASK, before);
}

/// Waits for the next signal, at most so long. `None` is the end of the time, or a wait that was interrupted.
pub fn next_signal(limit: Option<Duration>) -> Option<Arrived> {
    let set = passed_on();
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: a zeroed siginfo is a valid one; the pointers are live, and a null time is "for ever". The sender is read
    // only where the code says that there is one.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let signal = libc::sigtimedwait(&raw const set, &raw mut info, limit);
        // Such a fault looks as if we had sent it. Any other that this process has sent was sent before it became us.
        let fault = info.si_code == libc::SI_USER && matches!(signal, libc::SIGPIPE | libc::SIGXFSZ);
        (signal > 0).then(|| Arrived {
            signal,
            by_kernel: info.si_code == libc::SI_KERNEL,
            by_us: fault && info.si_pid() == libc::getpid(),
        })
    }
}

/// How a child ended: its exit code or the signal that killed it.
#[derive(Clone, Copy, Debug)]
pub enum Status {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

/// Looks whether the child has ended, or waits until it has.
///
/// # Errors
/// What `waitpid` said; ECHILD is final.
pub fn try_wait(pid: pid_t, block: bool) -> io::Result<Option<Status>> {
    let mut status = 0;
    // SAFETY: the pointer is live for the call.
    match unsafe { libc::waitpid(pid, &raw mut status, if block { 0 } else { libc::WNOHANG }) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ if libc::WIFSIGNALED(status) => Ok(Some(Status::Killed(libc::WTERMSIG(status)))),
        // An exit status has eight bits.
        _ => Ok(Some(Status::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)))),
    }
}

/// Takes the orphans that have ended out of the table of processes, where they are ours to take: as process 1, which gets
/// all of its namespace. The children that `cb` has started are left to [`try_wait`].
pub fn reap_orphans(ours: &[pid_t]) {
    if own_pid() != 1 {
        return;
    }
    while let Some(orphan) = ended_child().filter(|child| !ours.contains(child)) {
        if try_wait(orphan, false).is_err() {
            break;
        }
    }
}

/// A child that has ended and was not waited for, if there is one.
fn ended_child() -> Option<pid_t> {
    // SAFETY: a zeroed siginfo is a valid one, and the pointer is live. Its number is 0 where no child has ended.
    let child = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        (libc::waitid(libc::P_ALL, 0, &raw mut info, flags) == 0).then(|| info.si_pid())
    };
    child.filter(|&child| child > 0)
}

/// Sends a signal to a process, or to the group that it led at first and to itself if it has left that. A process that
/// is gone needs no signal.
pub fn send(pid: pid_t, group: bool, signal: c_int) {
    // SAFETY: kill and getpgid have no memory effects.
    unsafe {
        if group {
            libc::kill(-pid, signal);
        }
        if !group || libc::getpgid(pid) != pid {
            libc::kill(pid, signal);
        }
    }
}

/// Stops this process as its terminal would have; returns when it is continued.
pub fn stop_self() {
    let only = set_of(&[libc::SIGTSTP]);
    send(own_pid(), false, libc::SIGTSTP);
    mask(libc::SIG_UNBLOCK, &only);
    mask(libc::SIG_BLOCK, &only);
}

/// A random number, if the kernel has one at hand. No descriptor is opened for it: it could land on a closed standard one.
pub fn random() -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is live and as long as is said.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (usize::try_from(filled) == Ok(bytes.len())).then(|| u64::from_ne_bytes(bytes))
}

/// The 16 random bytes that the kernel has put beside the arguments of this process. Where there are none, what it gives to
/// who asks.
pub fn given_randomness() -> [u64; 2] {
    // SAFETY: a number goes in and one comes out, no memory.
    let address = unsafe { libc::getauxval(libc::AT_RANDOM) };
    if address == 0 {
        return [random().unwrap_or_default(), own_pid().unsigned_abs().into()];
    }
    // SAFETY: there are 16 bytes, as getauxval(3) says, and they stay as long as the process.
    unsafe { ptr::read_unaligned(ptr::with_exposed_provenance(address.try_into().unwrap_or(0))) }
}

/// Our own process number, for which the kernel is asked once.
pub fn own_pid() -> pid_t {
    static OWN: OnceLock<pid_t> = OnceLock::new();
    // SAFETY: getpid cannot fail.
    *OWN.get_or_init(|| unsafe { libc::getpid() })
}

/// Whether this process began as root. The kernel has said so at its start, so this needs no system call.
pub fn is_root() -> bool {
    // SAFETY: getauxval has no memory effects.
    unsafe { libc::getauxval(libc::AT_EUID) == 0 }
}

/// Whether we lead our session: such a process alone is told of a hang-up.
pub fn leads_session() -> bool {
    // SAFETY: getsid of ourselves cannot fail.
    unsafe { libc::getsid(0) == libc::getpid() }
}

/// Whether we are in the foreground group of our terminal.
pub fn in_foreground() -> bool {
    // SAFETY: the path is a C string, and the descriptor is ours alone until it is closed.
    unsafe {
        let terminal =
            libc::open(c"/dev/tty".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK);
        let foreground = terminal >= 0 && libc::tcgetpgrp(terminal) == libc::getpgrp();
        if terminal >= 0 {
            libc::close(terminal);
        }
        foreground
    }
}

/// Dies of a signal, without a second core dump. Returns where that is not possible: as process 1 of a container.
pub fn die_of(signal: c_int) {
    // SAFETY: neither call has memory effects on us.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    dispose(signal, libc::SIG_DFL);
    send(own_pid(), false, signal);
    mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
}

/// Ends a blocking system call with EINTR once a time is over, and from then on every 10 ms until it is dropped: so a
/// wait that began a moment too late is ended too.
pub struct Alarm {
    timer: libc::timer_t,
    before: libc::sigaction,
    unblocked: sigset_t,
}

extern "C" fn interrupt(_signal: c_int) {}

impl Alarm {
    /// Sets it off after `span`. It uses a timer and a signal of its own: an `alarm(2)` that the child is meant to get
    /// is not touched.
    ///
    /// # Errors
    /// What `timer_create` said.
    pub fn after(span: Duration) -> io::Result<Self> {
        let signal = libc::SIGRTMAX();
        // SAFETY: zeroed structures of these three kinds are valid; all pointers are live; the handler does nothing, so
        // it may run anywhere.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = signal;
            let mut timer = ptr::null_mut();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) != 0 {
                return Err(io::Error::last_os_error());
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = interrupt as extern "C" fn(c_int) as libc::sighandler_t;
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &raw const action, &raw mut before);
            let unblocked = mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
            let mut when: libc::itimerspec = std::mem::zeroed();
            when.it_value.tv_sec = span.as_secs().try_into().unwrap_or(libc::time_t::MAX);
            when.it_value.tv_nsec = (span.subsec_nanos().max(1)).into();
            when.it_interval.tv_nsec = 10_000_000;
            libc::timer_settime(timer, 0, &raw const when, ptr::null_mut());
            Ok(Self { timer, before, unblocked })
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer is ours; afterwards the signal is as it was.
        unsafe {
            libc::timer_delete(self.timer);
            libc::sigaction(libc::SIGRTMAX(), &raw const self.before, ptr::null_mut());
        }
        mask(libc::SIG_SETMASK, &self.unblocked);
    }
}

/// What the system says of an error, without the number that Rust adds.
pub fn message(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}
