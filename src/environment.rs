//! The only reader of the environment. An empty variable is as one that is not set.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::breaker::{LONGEST_WHO, shorten};
use crate::name::Name;

/// What a variable says.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
pub fn value(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

/// The path that a variable says, if it is absolute.
pub fn absolute(variable: &str) -> Option<PathBuf> {
    value(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The kill switch: `CB_DISABLED` is anything but empty, `0` or `false`.
pub fn switched_off() -> bool {
    value("CB_DISABLED").is_some_and(|value| value != "0" && value != "false")
}

/// Whether this process is part of a run of this breaker, and so speaks for the run and not for a person. What the hook or
/// the fallback of a run says is an order.
pub fn reports_on(name: &Name) -> bool {
    let is = |variable, text: &str| value(variable).is_some_and(|value| value == text);
    is("CB_NAME", name.as_str()) && !is("CB_HOOK", "1") && !is("CB_FALLBACK", "1")
}

/// The person who changes something by hand: the login name, or the number of the user.
pub fn who() -> String {
    let named = ["LOGNAME", "USER"].iter().find_map(|variable| value(variable)?.into_string().ok());
    let mut who = named.unwrap_or_else(|| nix::unistd::getuid().to_string());
    shorten(&mut who, LONGEST_WHO);
    who
}
