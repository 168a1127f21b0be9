//! PURE. Signals by name and by number.

/// The largest signal number of Linux.
pub const LAST: u8 = 64;

/// The signals that have names of their own.
const SIGNALS: [(&str, i32); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", 16),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", 30),
    ("SYS", libc::SIGSYS),
    // Second names of some signals, which are read but not written.
    ("IOT", libc::SIGABRT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGIO),
];

/// The first real-time signal, as the C library keeps 32 and 33 for itself.
const FIRST_REALTIME: u8 = 34;

/// The name of a signal: `SIGTERM`, or `SIG34` for one without a name.
pub fn name(number: i32) -> String {
    match SIGNALS.iter().find(|signal| signal.1 == number) {
        Some((name, _)) => format!("SIG{name}"),
        None => format!("SIG{number}"),
    }
}

/// The number of a signal by its name, with or without `SIG`, in any case. A real-time signal is counted from either
/// end, as in `kill -l` (`RTMIN+1`, `RTMAX-1`), or has its number (`SIG34`).
pub fn number(name: &str) -> Option<u8> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = SIGNALS.iter().find(|signal| signal.0 == bare).and_then(|signal| u8::try_from(signal.1).ok());
    // A number needs the prefix, as a bare number in a list of codes is an exit code.
    let numbered = upper.strip_prefix("SIG").filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let numbered = numbered.and_then(|digits| digits.parse().ok());
    let number = named.or(numbered).or_else(|| realtime(bare));
    number.filter(|number| (1..=LAST).contains(number))
}

fn realtime(name: &str) -> Option<u8> {
    let (from_first, rest) = match name.strip_prefix("RTMIN") {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix("RTMAX")?),
    };
    let steps = match rest.strip_prefix(if from_first { '+' } else { '-' }) {
        Some(steps) if steps.bytes().all(|byte| byte.is_ascii_digit()) => steps.parse().ok()?,
        None if rest.is_empty() => 0,
        _ => return None,
    };
    let number = if from_first { FIRST_REALTIME.checked_add(steps)? } else { LAST.checked_sub(steps)? };
    (FIRST_REALTIME..=LAST).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_other_names_and_are_counted_from_either_end() {
        let names = [
            ("IOT", 6),
            ("sigpoll", 29),
            ("CLD", 17),
            ("RTMIN", 34),
            ("SIGRTMIN+1", 35),
            ("RTMAX-30", 34),
            ("RTMAX", 64),
        ];
        for (word, expected) in names {
            assert_eq!(number(word), Some(expected), "{word}");
        }
        for word in [
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+",
            "RTMIN++1",
            "RTMIN1",
            "RTMAX-300",
            "RT",
            "SIG",
            "SIG+9",
        ] {
            assert_eq!(number(word), None, "{word}");
        }
        assert_eq!(name(6), "SIGABRT");
    }
}
