//! The only reader of the environment. An empty variable is as one that is not set.

use std::env;
use std::ffi::OsString;
use std::fs;
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

/// Whether the terminal, if there is one, may not know escape sequences: `TERM` is `dumb` or unset.
pub fn dumb_terminal() -> bool {
    value("TERM").is_none_or(|value| value == "dumb")
}

/// The kill switch: `CB_DISABLED` is anything but empty, `0` or `false`.
pub fn switched_off() -> bool {
    is_on("CB_DISABLED")
}

fn is_on(variable: &str) -> bool {
    value(variable).is_some_and(|value| value != "0" && value != "false")
}

/// Whether remarks are to be printed too: `CB_VERBOSE` is anything but empty, `0` or `false`.
pub fn verbose() -> bool {
    is_on("CB_VERBOSE")
}

/// Says that a process is the `on-change` command of a breaker (1), or below a run in one (2).
pub const HOOK: &str = "CB_HOOK";
/// Says that a process is the fallback of a run (1), or below a run in one (2).
pub const FALLBACK: &str = "CB_FALLBACK";

/// Whether this process is in a hook, or in a fallback, however far below it: there it must start no further one, or it
/// could feed itself for ever.
pub fn is_within(variable: &str) -> bool {
    value(variable).is_some()
}

/// Of the two, what the command of a run finds: that it is not the hook or the fallback itself, but below it.
pub fn within() -> impl Iterator<Item = (&'static str, OsString)> {
    [HOOK, FALLBACK].into_iter().filter(|variable| is_within(variable)).map(|variable| (variable, "2".into()))
}

/// Whether this process is what a run of this breaker started, or below it: what it says of the breaker is what that run
/// has learned. In a hook or a fallback itself it is an order.
pub fn reports_on(name: &Name) -> bool {
    let is = |variable, expected: &str| value(variable).is_some_and(|value| value == expected);
    is("CB_NAME", name.as_str()) && !is(HOOK, "1") && !is(FALLBACK, "1")
}

/// The person who changes something by hand: who became root by sudo, else the login name, else the number of the user.
pub fn who() -> String {
    let said = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|variable| value(variable)?.into_string().ok());
    let uid = nix::unistd::getuid().as_raw();
    let mut who = said.or_else(|| login_name(uid)).unwrap_or_else(|| uid.to_string());
    shorten(&mut who, LONGEST_WHO);
    who
}

/// The name of a user by `/etc/passwd`.
fn login_name(uid: u32) -> Option<String> {
    let passwd = fs::read("/etc/passwd").ok()?;
    let name = passwd_entry(uid, &passwd)?.first().map(|name| name.to_vec())?;
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// The fields of a user in the text of `/etc/passwd`.
pub fn passwd_entry(uid: u32, passwd: &[u8]) -> Option<Vec<&[u8]>> {
    let uid = uid.to_string();
    let lines = passwd.split(|&byte| byte == b'\n').map(|line| line.split(|&byte| byte == b':').collect::<Vec<_>>());
    lines.into_iter().find(|fields| fields.get(2) == Some(&uid.as_bytes()))
}
