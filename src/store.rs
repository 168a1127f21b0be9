//! Where breakers are kept: the one door for all who read or change them.
//!
//! State and the time by which it is judged arrive together. [`Store::change`] hands both to a decision, as a [`Turn`],
//! and keeps the result; [`Store::read`] hands both to a command that only looks. Only this room knows where state
//! lives and from which clock the time was read.

mod advice;
mod directory;
mod format;
mod slot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

pub use self::directory::Directory;
pub use self::slot::Slot;
use crate::breaker::{Breaker, Gone};
use crate::clock;
use crate::name::Name;
use crate::settings::Settings;
use crate::time::Timestamp;

/// How long all reads of one command together wait for writers.
pub const READERS_PATIENCE: Duration = Duration::from_millis(50);

/// Where breakers are kept.
pub enum Store {
    /// In a directory, one file per breaker.
    Directory(Directory),
    /// Nowhere: why, and the cure.
    Nowhere(String),
}

/// What is wrong with a state, and the cure.
#[derive(Debug)]
pub enum Trouble {
    /// The user asked for it wrongly: `cb` exits 125 before anything starts.
    Misuse(Error),
    /// It cannot be used: the command runs unguarded.
    Unusable(Error),
}

/// An error is misuse only where the code says so.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Unusable(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Misuse(error) | Trouble::Unusable(error) => error,
        }
    }
}

/// Whether to make a breaker that does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// Make it.
    Create,
    /// Do not make it.
    Leave,
}

/// What a decision is given.
pub struct Turn<'a> {
    /// The breaker, to be changed. Probes that died without reporting are already counted as abandoned.
    pub breaker: &'a mut Breaker,
    /// The time by which it is judged.
    pub now: Timestamp,
    /// What happened to the state before, if the user should know.
    pub notice: Option<&'a str>,
    /// The probes that count as failures where they are killed, and were. They are yet to be judged, or given up.
    pub killed: &'a [u64],
    /// Finds out which runs are gone that count as failures where they are killed, and where and since when that can be
    /// asked; `None` where it cannot.
    pub find_gone: &'a dyn Fn(&Breaker) -> Option<(u64, Gone)>,
}

impl Turn<'_> {
    /// Counts those probes as given up which were killed, where nobody judges them.
    pub fn give_up_killed(&mut self) {
        for &serial in self.killed {
            self.breaker.abandon(serial);
        }
    }
}

/// What a decision returns, and whether its change of the breaker is kept.
pub enum Keep<T> {
    /// The change must be kept; where it cannot be, the decision fails.
    Must(T),
    /// The change should be kept; where it cannot be, the decision stands: a refusal that is not counted still refuses.
    Should(T),
    /// There is no change to keep.
    Nothing(T),
}

/// A decision that was kept.
pub struct Kept<T> {
    /// What the decision returned.
    pub value: T,
    /// The slot of the probe of this process, if the decision let one in.
    pub slot: Option<Slot>,
}

/// What a read returns.
pub struct Seen {
    /// The breaker, without the probes that died.
    pub breaker: Breaker,
    /// The time by which it is judged.
    pub now: Timestamp,
    /// The runs that are gone that count as failures where they are killed.
    gone: Gone,
}

impl Seen {
    /// The same for one who asks with these settings, and would count what is gone.
    pub fn asked_with(mut self, settings: &Settings) -> Self {
        if settings.count_stopped && self.gone != Gone::default() {
            drop(self.breaker.killed(&std::mem::take(&mut self.gone), settings, self.now));
        }
        self
    }

    /// What a read would return of a breaker that nobody has used.
    pub fn unused() -> Self {
        Self { breaker: Breaker::new(0), now: clock::now(), gone: Gone::default() }
    }
}

impl Store {
    /// Lets `decide` change a breaker, and keeps the change. If others may change the breaker meanwhile, `decide` is
    /// called again on their state. `None` if there is no breaker and none is made.
    ///
    /// # Errors
    /// What is wrong with the state. Nothing is changed then, but an unreadable file is renamed, and the breaker starts
    /// anew.
    pub fn change<T>(
        &self,
        name: &Name,
        if_absent: IfAbsent,
        decide: impl FnMut(&mut Turn<'_>) -> Keep<T>,
    ) -> Result<Option<Kept<T>>, Trouble> {
        self.directory()?.change(name, if_absent, decide)
    }

    /// Reads a breaker, and changes nothing. Waits for a writer until `deadline`, then reads all the same. `None` if there
    /// is no breaker.
    ///
    /// # Errors
    /// What is wrong with the state.
    pub fn read(&self, name: &Name, deadline: Instant) -> Result<Option<Seen>, Trouble> {
        self.directory()?.read(name, deadline)
    }

    /// Whether anything of this name exists.
    ///
    /// # Errors
    /// There is no store.
    pub fn has(&self, name: &Name) -> Result<bool, Trouble> {
        Ok(self.directory()?.has(name))
    }

    /// Forgets a breaker, whatever its state, even if a newer version wrote it. `false` if there is no breaker.
    ///
    /// # Errors
    /// The file belongs to something else and is left alone, or it cannot be removed.
    pub fn remove(&self, name: &Name) -> Result<bool, Trouble> {
        self.directory()?.remove(name)
    }

    /// Forgets a breaker if `is_so` is true of it, of now and of the time of its last write, with no change between the two.
    /// Returns whether it was forgotten.
    ///
    /// # Errors
    /// What is wrong with the state. Nothing is removed then.
    pub fn remove_if(
        &self,
        name: &Name,
        is_so: impl FnMut(&Breaker, Timestamp, Timestamp) -> bool,
    ) -> Result<bool, Trouble> {
        self.directory()?.remove_if(name, is_so)
    }

    /// The names of all breakers, sorted.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn names(&self) -> Result<Vec<Name>, Trouble> {
        self.directory()?.names()
    }

    /// Where a breaker is kept, for people to see.
    ///
    /// # Errors
    /// There is no store.
    pub fn locate(&self, name: &Name) -> Result<PathBuf, Trouble> {
        Ok(self.directory()?.locate(name))
    }

    fn directory(&self) -> Result<&Directory, Trouble> {
        match self {
            Self::Directory(directory) => Ok(directory),
            Self::Nowhere(why) => Err(Trouble::Unusable(anyhow!("{why}"))),
        }
    }
}
