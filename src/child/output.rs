//! What the command prints: passed on as it comes, and looked at line by line.
//!
//! A thread for each stream, since a write to a pipe whose reader is slow blocks, and neither a signal nor a limit is to
//! wait for that. Nothing is stored of what is printed.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::thread;

use libc::sigset_t;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::report;
use crate::settings::OutputPattern;
use crate::sys;

/// How much is read at once; what fits into a pipe.
const CHUNK: usize = 64 * 1024;
/// So much of a line is looked at.
const LONGEST_LINE: usize = 64 * 1024;
/// The stack of a thread, in bytes.
const STACK: usize = 256 * 1024;

/// What is looked at while a child prints it.
pub struct Watch {
    /// What the child gets as 1 and as 2; `None` stays as it is. It is given up once the child has it: a stream that
    /// somebody could still write to does not end.
    ends: RefCell<[Option<Rc<OwnedFd>>; 2]>,
    /// Closed when the child has ended.
    goes_on: RefCell<Option<OwnedFd>>,
    /// The pipe of each stream, which is its thread's to close, and whether the thread has something of it in hand.
    streams: RefCell<Vec<(RawFd, Arc<AtomicBool>)>>,
    seen: Arc<Seen>,
    /// What was blocked before, until a child is started.
    mask: Cell<Option<sigset_t>>,
}

/// Where a stream goes.
#[derive(Clone, Copy)]
enum Target {
    Output,
    Error,
}

impl Watch {
    /// Passes on what a child will print, through a pipe for each of 1 and 2 that is open; one for both where they are one
    /// open file, so that what is written to either stays in order.
    ///
    /// # Errors
    /// There can be no further descriptor or thread.
    pub fn new(pattern: &OutputPattern) -> io::Result<Self> {
        let (told, goes_on) = pipe()?;
        let watch = Self {
            ends: RefCell::default(),
            goes_on: RefCell::new(Some(goes_on)),
            streams: RefCell::default(),
            seen: Arc::default(),
            // A thread that has signals unblocked would get them in our place.
            mask: Cell::new(Some(sys::block_signals())),
        };
        let told = Arc::new(told);
        let [output, error] = [1, 2].map(sys::is_open);
        let same = output && error && sys::are_same_file(1, 2);
        if output {
            watch.pass_on(Target::Output, &told, pattern)?;
        }
        if same {
            let mut ends = watch.ends.borrow_mut();
            let both = ends[0].clone();
            ends[1] = both;
        } else if error {
            watch.pass_on(Target::Error, &told, pattern)?;
        }
        Ok(watch)
    }

    fn pass_on(&self, target: Target, told: &Arc<OwnedFd>, pattern: &OutputPattern) -> io::Result<()> {
        let (from, end) = pipe()?;
        let busy = Arc::new(AtomicBool::new(false));
        self.streams.borrow_mut().push((from.as_raw_fd(), Arc::clone(&busy)));
        let stream = Stream { from, busy, target, told: Arc::clone(told), seen: Arc::clone(&self.seen) };
        let lines = Lines::new(pattern.clone());
        self.seen.running.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(move || stream.run(lines)) {
            self.seen.running.fetch_sub(1, Ordering::AcqRel);
            return Err(error);
        }
        self.ends.borrow_mut()[target as usize] = Some(Rc::new(end));
        Ok(())
    }

    /// The descriptors that the child gets as 1 and 2.
    pub(super) fn for_child(&self) -> [Option<RawFd>; 2] {
        let ends = self.ends.borrow();
        [0, 1].map(|index| ends[index].as_ref().map(AsRawFd::as_raw_fd))
    }

    /// A child has them now.
    pub(super) fn started(&self) {
        self.ends.take();
        self.mask.take();
    }

    /// The child has ended: what is in the pipes is passed on, and nothing that comes later.
    pub(super) fn finish(&self) {
        self.ends.take();
        self.goes_on.take();
    }

    /// Whether all is passed on. When it is, SIGCHLD comes.
    pub(super) fn is_done(&self) -> bool {
        // Most commands have printed nothing that is still to be passed on, and then no thread is waited for. What a thread
        // reads it has in hand before, so this is asked last; a pipe that it has closed has nothing to read.
        let idle = |(from, busy): &(RawFd, Arc<AtomicBool>)| sys::readable(*from) == 0 && !busy.load(Ordering::SeqCst);
        self.seen.running.load(Ordering::Acquire) == 0 || self.streams.borrow().iter().all(idle)
    }

    /// Whether a line has matched until now.
    pub fn matched(&self) -> bool {
        self.seen.matched.load(Ordering::Acquire)
    }

    /// Why something could not be written, if that was not because nobody reads on.
    pub fn failure(&self) -> Option<io::Error> {
        let number = self.seen.failed.load(Ordering::Acquire);
        (number != 0).then(|| io::Error::from_raw_os_error(number))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mask) = self.mask.take() {
            sys::unblock_signals(&mask);
        }
    }
}

/// A pipe whose ends are none of 0, 1 and 2, where the child would find them.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok((sys::above_standard(from)?, sys::above_standard(to)?))
}

/// What the threads have to tell.
#[derive(Default)]
struct Seen {
    matched: AtomicBool,
    running: AtomicUsize,
    /// The number of the error by which something could not be written, or 0.
    failed: AtomicI32,
}

/// One stream, in a thread of its own.
struct Stream {
    from: OwnedFd,
    /// Whether something was read of it that is not passed on, or a line has no end yet.
    busy: Arc<AtomicBool>,
    target: Target,
    told: Arc<OwnedFd>,
    seen: Arc<Seen>,
}

impl Stream {
    fn run(self, mut lines: Lines) {
        let Self { from, busy, target, told, seen } = self;
        forward(from, &busy, target, &told, &seen, &mut lines);
        seen.matched.fetch_or(lines.end(), Ordering::AcqRel);
        busy.store(false, Ordering::SeqCst);
        seen.running.fetch_sub(1, Ordering::AcqRel);
        // Whoever waits for the child waits for this signal.
        sys::send(sys::own_pid(), false, libc::SIGCHLD);
    }
}

/// Passes on until the stream ends, nobody reads on, or the child has ended and what was in the pipe then is passed on.
/// Closes the stream, so that whoever still writes to it is told.
fn forward(from: OwnedFd, busy: &AtomicBool, target: Target, told: &OwnedFd, seen: &Seen, lines: &mut Lines) {
    let mut from = File::from(from);
    // Most commands print nothing, and then nothing is allocated here: the first time in a thread costs a hundred pages.
    let mut buffer = Vec::new();
    let mut left: Option<usize> = None;
    let mut writes = true;
    while left != Some(0) {
        if left.is_none() {
            let mut ends = [PollFd::new(from.as_fd(), PollFlags::POLLIN), PollFd::new(told.as_fd(), PollFlags::POLLIN)];
            // A wait that fails is repeated by the read, which waits too.
            let _ = poll(&mut ends, PollTimeout::NONE);
            if ends[1].any() == Some(true) {
                left = Some(sys::readable(from.as_raw_fd()));
                continue;
            }
            if ends[0].revents() == Some(PollFlags::POLLHUP) {
                return;
            }
        }
        busy.store(true, Ordering::SeqCst);
        buffer.resize(CHUNK, 0);
        let most = left.map_or(CHUNK, |left| left.min(CHUNK));
        let bytes = match from.read(&mut buffer[..most]) {
            Ok(0) => return,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        left = left.map(|left| left.saturating_sub(bytes.len()));
        if writes {
            let written = match target {
                Target::Output => report::write_all(&report::stdout(), bytes),
                Target::Error => report::write_all(&report::stderr(), bytes),
            };
            match written {
                Ok(()) => {}
                // As without us: the next write of the child fails too.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
                // The child runs on, and what it does is done.
                Err(error) => {
                    seen.failed.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Release);
                    writes = false;
                }
            }
        }
        if lines.look(bytes) {
            seen.matched.store(true, Ordering::Release);
        }
        busy.store(lines.has_begun(), Ordering::SeqCst);
    }
}

/// The lines of a stream.
struct Lines {
    pattern: OutputPattern,
    /// The beginning of a line whose end is yet to come.
    begun: Vec<u8>,
    matched: bool,
}

impl Lines {
    fn new(pattern: OutputPattern) -> Self {
        Self { pattern, begun: Vec::new(), matched: false }
    }

    /// Looks at what has come. Says whether a line has matched, now or before.
    fn look(&mut self, mut bytes: &[u8]) -> bool {
        while !self.matched {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.keep(bytes);
                break;
            };
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.begun.is_empty() {
                self.matched = self.pattern.matches(&line[..line.len().min(LONGEST_LINE)]);
            } else {
                self.keep(line);
                self.matched = self.pattern.matches(&self.begun);
                self.begun.clear();
            }
            bytes = rest;
        }
        self.matched
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE - self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether a line that may match has no end yet.
    fn has_begun(&self) -> bool {
        !self.matched && !self.begun.is_empty()
    }

    /// Looks at a last line without an end.
    fn end(&mut self) -> bool {
        self.matched |= !self.begun.is_empty() && self.pattern.matches(&self.begun);
        self.matched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pattern: &str) -> Lines {
        Lines::new(pattern.parse().expect("a pattern"))
    }

    /// Whether a pattern matches what comes in these pieces.
    fn matches(pattern: &str, pieces: &[&[u8]]) -> bool {
        let mut lines = lines(pattern);
        for piece in pieces {
            lines.look(piece);
        }
        lines.end()
    }

    #[test]
    fn a_line_is_looked_at_as_a_whole_however_it_comes() {
        let text = b"first\nrate limit exceeded\nlast";
        for pattern in ["^rate limit exceeded$", "limit", "^first$", "^last$", "e l", "rst$"] {
            for cut in 0..=text.len() {
                let (one, two) = text.split_at(cut);
                assert!(matches(pattern, &[one, two]), "{pattern} at {cut}");
            }
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert!(matches(pattern, &bytes), "{pattern}");
        }
        for pattern in ["first.rate", "(?s)t.r", "^limit", "exceeded.", "x\\ny", "\\nlast", "first\\s"] {
            assert!(!matches(pattern, &[text]), "{pattern}");
        }
        assert!(!matches("^$", &[b"a\n"]), "nothing after the last line end is no line");
        assert!(matches("^$", &[b"a\n", b"\n"]));
        assert!(!matches("x", &[]));
    }

    #[test]
    fn of_a_line_the_first_64_kib_are_looked_at() {
        let mut line = vec![b'-'; LONGEST_LINE];
        line.extend(b"late\nsoon\n");
        assert!(!matches("late", &[&line]));
        assert!(matches("soon", &[&line]));
        let pieces: Vec<&[u8]> = line.chunks(1_000).collect();
        assert!(!matches("late", &pieces));
        assert!(matches("soon", &pieces));
        line[LONGEST_LINE - 1] = b'!';
        assert!(matches("!$", &[&line]), "as if the line ended there");
        assert!(matches("!$", &line.chunks(1_000).collect::<Vec<_>>()));
    }

    #[test]
    fn bytes_need_be_no_text() {
        assert!(matches(r"\xff\x00", &[b"a\xff\x00b\n"]));
        assert!(matches("a.b", &[b"a\xffb\n"]));
        assert!(matches("é", &["é\n".as_bytes()]));
    }
}
