//! Where the state and the configuration live. Asked for once in a run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use directories::BaseDirs;

use crate::environment;
use crate::sys::{self, message};

/// Where root's home is on every Linux: of this one nobody need ask whose it is.
const ROOTS_HOME: &str = "/root";

/// The configuration of the machine, below that of the user.
pub const MACHINE_CONFIG: &str = "/etc/cb/config.toml";

/// The directory of the state files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    /// The directory, absolute.
    pub path: PathBuf,
    /// Whether it was named by the user: such a one may be shared with a group.
    pub named: bool,
}

/// Where things live.
pub struct Locations {
    /// The directory of the state files, or why there is none.
    pub state_dir: Result<StateDir>,
    /// The configuration file, and whether it was named: then it must exist; or why it cannot be found.
    pub config: Result<Option<(PathBuf, bool)>>,
    /// What a child finds in its environment, where it was said: it may be in another directory when it asks.
    pub variables: Vec<(&'static str, OsString)>,
}

impl Locations {
    /// Finds them: options first, then `CB_STATE_DIR` and `CB_CONFIG`, then the user's cache and config directories by
    /// the XDG rules (relative paths in the environment are not used, nor by root those of other users).
    pub fn find(state_dir: Option<&Path>, config: Option<&Path>) -> Self {
        let state_dir = named("--state-dir", state_dir, "CB_STATE_DIR");
        let config = named("--config", config, "CB_CONFIG");
        let needs_base = [&state_dir, &config].into_iter().any(|named| matches!(named, Ok(None)));
        let base = if needs_base { Base::find() } else { None };
        let mut variables = Vec::new();
        for (place, variable) in [(&state_dir, "CB_STATE_DIR"), (&config, "CB_CONFIG")] {
            if let Ok(Some(path)) = place {
                variables.push((variable, path.clone().into_os_string()));
            }
        }
        let state_dir = match (state_dir, &base) {
            // Without a slash at its end: that would look through a link in its place.
            (Err(error), _) => Err(error),
            (Ok(Some(named)), _) => Ok(StateDir { path: named.components().collect(), named: true }),
            (Ok(None), Some(base)) => Ok(StateDir { path: base.cache.join("cb"), named: false }),
            (Ok(None), None) => Err(anyhow!(
                "there is no home directory to keep the state in; set HOME to an absolute path, or give --state-dir"
            )),
        };
        let config = config.map(|named| match named {
            Some(named) => Some((named, true)),
            None => base.map(|base| (base.config.join("cb/config.toml"), false)),
        });
        Self { state_dir, config, variables }
    }
}

/// A path that was given by option, else by environment, made absolute. An empty variable is unset.
fn named(option: &str, given: Option<&Path>, variable: &str) -> Result<Option<PathBuf>> {
    let (path, source) = match (given, environment::value(variable)) {
        (Some(path), _) => (path.to_owned(), option),
        (None, Some(path)) => (PathBuf::from(path), variable),
        (None, None) => return Ok(None),
    };
    std::path::absolute(&path).map(Some).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "the current directory is gone".to_owned(),
            _ => message(&error),
        };
        anyhow!("could not make {source} '{}' absolute: {why}; give an absolute path", path.display())
    })
}

/// The user's directories by the XDG rules.
struct Base {
    cache: PathBuf,
    config: PathBuf,
}

impl Base {
    fn find() -> Option<Self> {
        let is_root = sys::is_root();
        let usable = |dir: &PathBuf| !is_root || !is_anothers(dir);
        let given = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"].map(environment::absolute);
        if given[0].is_some() && given.iter().flatten().all(usable) {
            let base = BaseDirs::new()?;
            return Some(Self { cache: base.cache_dir().to_owned(), config: base.config_dir().to_owned() });
        }
        let [home, cache, config] = given.map(|dir| dir.filter(usable));
        // Without HOME the C library would be asked, and a static one loads name service modules of another build.
        let in_passwd = || home_of(nix::unistd::getuid().as_raw(), &fs::read("/etc/passwd").unwrap_or_default());
        let home = home.or_else(in_passwd);
        let place = |given: Option<PathBuf>, under: &str| given.or_else(|| home.as_ref().map(|home| home.join(under)));
        Some(Self { cache: place(cache, ".cache")?, config: place(config, ".config")? })
    }
}

/// Whether a directory, or that in which it would be made, belongs to another user than root: what root made there would
/// shut its owner out, and what is configured there is not for root.
fn is_anothers(dir: &Path) -> bool {
    let owner = || dir.ancestors().find_map(|dir| fs::metadata(dir).ok()).map(|there| there.uid());
    dir != Path::new(ROOTS_HOME) && owner().is_some_and(|owner| owner != 0)
}

/// The home directory of a user by the text of `/etc/passwd`: its sixth field, if it is an absolute path.
fn home_of(uid: u32, passwd: &[u8]) -> Option<PathBuf> {
    let home = environment::passwd_entry(uid, passwd)?.get(5).map(|home| PathBuf::from(OsStr::from_bytes(home)))?;
    home.is_absolute().then_some(home)
}

/// A path as it can be pasted into a shell.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|letter| letter.is_alphanumeric() || "/._-+:@,=%".contains(letter)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_not_take_it_as_it_is() {
        for (path, word) in [
            ("/home/ann/.cache/cb/db:5432@x+y.json", "/home/ann/.cache/cb/db:5432@x+y.json"),
            ("/my dir", "'/my dir'"),
            ("/it's", r"'/it'\''s'"),
            ("/$HOME/`x`/!y/\\/\"", "'/$HOME/`x`/!y/\\/\"'"),
            ("/~", "'/~'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }

    #[test]
    fn a_home_is_found_in_passwd() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nrel:x:7:7::home:/bin/sh\nx\n";
        assert_eq!(home_of(1000, passwd), Some(PathBuf::from("/home/ann")));
        assert_eq!(home_of(7, passwd), None);
        assert_eq!(home_of(8, passwd), None);
        assert_eq!(home_of(0, b""), None);
    }
}
