//! The exit codes of `cb` itself, the same in every subcommand.

/// How `cb` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it was done.
    Done,
    /// 75, or what `--open-exit-code` says: the breaker refused the run. 75 is `EX_TEMPFAIL` of sysexits.h, "try again later".
    Refused(u8),
    /// 124: the time limit was reached, as GNU `timeout` says it.
    TimedOut,
    /// 137: the time limit was reached and it took SIGKILL to end the command, as GNU `timeout` says it.
    Killed,
    /// 125: `cb` itself failed; as `timeout`, `env`, `nice` and `nohup` say it.
    Failed,
    /// 126: the command was found but could not be started, by the shells' convention.
    NotExecutable,
    /// 127: the command was not found, by the shells' convention.
    NotFound,
    /// The status of the child, passed through.
    Child(u8),
    /// The child was killed by this signal: `cb` dies of it too.
    Signal(i32),
}

/// What `--open-exit-code` is when nobody gives it: `EX_TEMPFAIL` of sysexits.h.
pub const REFUSED: u8 = 75;

impl Exit {
    /// The number that the shell sees in `$?`.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused(code) | Self::Child(code) => code,
            Self::TimedOut => 124,
            Self::Failed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Killed => 137,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}
