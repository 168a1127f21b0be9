//! Where breakers are kept: one door for all who read or change them.
//!
//! State and the time by which it is judged arrive together: [`Store::change`] hands both to a decision, as a [`Turn`],
//! and keeps what it decides; [`Store::read`] hands them to those who only look. Nobody else knows where state lives, and
//! of which clock the time was read.

mod advice;
mod directory;
mod format;
mod slot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

pub use self::directory::Directory;
pub use self::slot::Slot;
use crate::breaker::Breaker;
use crate::clock;
use crate::name::Name;
use crate::time::Timestamp;

/// How long all looks of one command together wait for those who write.
pub const READERS_PATIENCE: Duration = Duration::from_millis(50);

/// Where breakers are kept.
pub enum Store {
    /// In a directory, one file a breaker.
    Directory(Directory),
    /// Nowhere: why, and what to do about it.
    Nowhere(String),
}

/// What is wrong with a state, and what to do about it.
#[derive(Debug)]
pub enum Trouble {
    /// It is asked for wrongly, which is 125 before anything starts.
    Misuse(Error),
    /// It cannot be used, which stops no command.
    Unusable(Error),
}

/// Whatever has no reason of its own to be misuse.
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

/// Whether a breaker that is not there is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// Make it.
    Create,
    /// Leave it.
    Leave,
}

/// What a decision gets.
pub struct Turn<'a> {
    /// The breaker, to be changed. Probes that died without reporting are counted as such already.
    pub breaker: &'a mut Breaker,
    /// The time by which it is judged.
    pub now: Timestamp,
    /// What happened to the state before, if the user should know.
    pub notice: Option<&'a str>,
}

/// What a decision says, and whether what it made of the breaker is kept.
pub enum Keep<T> {
    /// It must be; else there was no decision.
    Must(T),
    /// It should be. The decision stands even if it cannot: a refusal that could not be counted is one all the same.
    Should(T),
    /// Nothing was changed.
    Nothing(T),
}

/// A decision that was kept.
pub struct Kept<T> {
    /// What it said.
    pub value: T,
    /// If it let in a probe of this process: the probe's slot.
    pub slot: Option<Slot>,
}

/// What a look shows.
pub struct Seen {
    /// The breaker, without the probes that died.
    pub breaker: Breaker,
    /// The time by which it is judged.
    pub now: Timestamp,
}

impl Seen {
    /// What a look shows of a breaker that nobody has used.
    pub fn unused() -> Self {
        Self { breaker: Breaker::new(0), now: clock::now() }
    }
}

impl Store {
    /// Lets `decide` change a breaker, and keeps what it made of it. Nobody else changes the breaker meanwhile, or
    /// `decide` is asked again on what they made of it. `None` if there is no such breaker and none is to be made.
    ///
    /// # Errors
    /// What is wrong with the state. Nothing is changed then, but for a file that nobody could read: that is renamed, and
    /// the breaker starts anew.
    pub fn change<T>(
        &self,
        name: &Name,
        if_absent: IfAbsent,
        decide: impl FnMut(&mut Turn<'_>) -> Keep<T>,
    ) -> Result<Option<Kept<T>>, Trouble> {
        self.directory()?.change(name, if_absent, decide)
    }

    /// Reads a breaker, and changes nothing. Waits for a writer until `deadline`, then reads all the same. `None` if there
    /// is none.
    ///
    /// # Errors
    /// What is wrong with the state.
    pub fn read(&self, name: &Name, deadline: Instant) -> Result<Option<Seen>, Trouble> {
        self.directory()?.read(name, deadline)
    }

    /// Whether there is anything of this name.
    ///
    /// # Errors
    /// There is no store.
    pub fn has(&self, name: &Name) -> Result<bool, Trouble> {
        Ok(self.directory()?.has(name))
    }

    /// Forgets a breaker, whatever its state, even if a newer version wrote it. `false` if there is none.
    ///
    /// # Errors
    /// What is there is not of this breaker, and left alone; or it cannot be removed.
    pub fn remove(&self, name: &Name) -> Result<bool, Trouble> {
        self.directory()?.remove(name)
    }

    /// Forgets a breaker that nobody else changes meanwhile, if `is_so` of it. `false` if there is none, or it is not so.
    ///
    /// # Errors
    /// What is wrong with the state; nothing is removed then.
    pub fn remove_if(&self, name: &Name, is_so: impl FnMut(&Breaker, Timestamp) -> bool) -> Result<bool, Trouble> {
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
