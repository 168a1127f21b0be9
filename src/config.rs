//! Settings from options, `config.toml` and the built-in defaults, remembering where each came from.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Error, Result, anyhow, bail};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::environment::passwd_entry;
use crate::locations::{MACHINE_CONFIG, shell_word};
use crate::name::{Name, Pattern, matches, nearest};
use crate::report::speech::say;
use crate::settings::{Fault, Key, Settings, Setup, Stored};
use crate::sys::message;

/// The largest configuration in bytes. A larger file is something else.
const LARGEST: u64 = 1 << 20;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The user's file comes first.
    file: usize,
    /// The offset in its text, in bytes.
    position: usize,
}

/// Where a setting comes from, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option.
    Option,
    /// The settings last used.
    LastUsed,
    /// `[breakers.NAME]`.
    Breaker(Place),
    /// `[breakers."PATTERN"]`.
    Pattern(Place, Pattern),
    /// `[defaults]`.
    Defaults(Place),
    /// The built-in default.
    BuiltIn,
}

impl Origin {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::LastUsed => "last used",
            Self::Breaker(_) => "breaker",
            Self::Pattern(..) => "pattern",
            Self::Defaults(_) => "defaults",
            Self::BuiltIn => "built in",
        }
    }

    /// Its place in a file, if it comes from one.
    fn place(&self) -> Option<Place> {
        match self {
            Self::Breaker(place) | Self::Pattern(place, _) | Self::Defaults(place) => Some(*place),
            Self::Option | Self::LastUsed | Self::BuiltIn => None,
        }
    }
}

/// One setting of a configuration file.
struct Entry {
    key: Key,
    text: String,
    position: usize,
}

/// The breakers that a table is for.
enum Scope {
    /// `[breakers.NAME]`.
    Breaker(Name),
    /// `[breakers."PATTERN"]`.
    Pattern(Pattern),
    /// `[defaults]`.
    Defaults,
}

impl Scope {
    fn is_for(&self, name: Option<&str>) -> bool {
        match self {
            Self::Breaker(known) => name == Some(known.as_str()),
            Self::Pattern(pattern) => name.is_some_and(|name| pattern.matches(name)),
            Self::Defaults => true,
        }
    }

    fn origin(&self, place: Place) -> Origin {
        match self {
            Self::Breaker(_) => Origin::Breaker(place),
            Self::Pattern(pattern) => Origin::Pattern(place, pattern.clone()),
            Self::Defaults => Origin::Defaults(place),
        }
    }

    /// The least rank is the strongest; of two patterns it is the narrower one's.
    fn rank(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Breaker(_) => (0, Reverse(0)),
            Self::Pattern(pattern) => (1, Reverse(pattern.literals())),
            Self::Defaults => (2, Reverse(0)),
        }
    }
}

/// One table of a configuration file.
struct Table {
    scope: Scope,
    /// Decides between equal scopes: the user's table is stronger than the machine's, an earlier one than a later.
    place: Place,
    entries: Vec<Entry>,
}

/// A configuration file as it was read.
struct File {
    path: PathBuf,
    /// The whole text, in which lines are counted only when somebody asks for one, as counting takes time.
    text: Rc<str>,
}

/// What was read, of each file once: a pipe has nothing to say a second time, and trouble is told once.
#[derive(Default)]
pub struct Texts(RefCell<Vec<(PathBuf, ReadText)>>);

/// The text of a file, if there is one, or why it cannot be read.
type ReadText = std::result::Result<Option<Rc<str>>, String>;

impl Texts {
    fn of(&self, path: &Path, named: bool) -> Result<Option<Rc<str>>> {
        let mut texts = self.0.borrow_mut();
        let known = texts.iter().find(|(known, _)| known == path).map(|(_, text)| text.clone());
        let text = known.unwrap_or_else(|| {
            let text = read(path, named).map(|text| text.map(Rc::from)).map_err(|error| format!("{error:#}"));
            texts.push((path.to_owned(), text.clone()));
            text
        });
        text.map_err(|why| anyhow!("{why}"))
    }
}

/// The configuration: the tables that a command asked for. Each value by itself can be read.
#[derive(Default)]
pub struct Config {
    files: Vec<File>,
    /// The strongest first.
    tables: Vec<Table>,
}

/// What a command uses of the configuration. The rest is not judged: a file that needs the options of a run must not
/// stop other commands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `cb run`, and what answers in its place.
    Run,
    /// `cb allow`, which starts nothing and so has no time limit.
    Allow,
    /// `cb record`.
    Record,
    /// The commands of a person, which use only the hook.
    ByHand,
}

impl Use {
    fn has(self, key: Key) -> bool {
        let of_breaker = key.is_of_breaker();
        match self {
            Self::Run => true,
            // It needs the hook, as it may be the first to find that a hold is over; and `http`, as what
            // answers alone open is open for it too.
            Self::Allow => of_breaker || matches!(key, Key::OpenExitCode | Key::OnChange | Key::Verbose | Key::Http),
            Self::Record => of_breaker || Self::ByHand.has(key),
            Self::ByHand => matches!(key, Key::OnChange | Key::Verbose),
        }
    }

    /// Whether an unknown key may be meant as one that this command uses.
    fn has_unknown(self) -> bool {
        self != Self::ByHand
    }
}

/// Which tables are read beside `[defaults]`.
#[derive(Clone, Copy)]
pub enum Tables<'a> {
    /// Those of this breaker, as far as they are used. Mistakes in other tables do not concern this caller.
    Only(&'a Name, Use),
    /// All tables, with all their keys.
    All,
}

impl Tables<'_> {
    fn usage(self) -> Use {
        match self {
            Self::Only(_, usage) => usage,
            Self::All => Use::Run,
        }
    }
}

impl Config {
    /// Reads the named file, which must exist; without one, the user's file and the machine's.
    ///
    /// # Errors
    /// A file cannot be read, or has a mistake: file, line, key and what would be right.
    pub fn load(place: Option<&(PathBuf, bool)>, texts: &Texts, tables: Tables<'_>) -> Result<Self> {
        let (config, mistakes) = Self::read(place, texts, tables);
        mistakes.into_iter().next().map_or(Ok(config), Err)
    }

    /// As [`Self::load`], but returns all mistakes and what is left without them.
    pub fn read(place: Option<&(PathBuf, bool)>, texts: &Texts, tables: Tables<'_>) -> (Self, Vec<Error>) {
        let (mut config, mut mistakes) = (Self::default(), Vec::new());
        let below = (Path::new(MACHINE_CONFIG), false);
        let below = Some(below).filter(|_| place.is_none_or(|(_, named)| !named));
        for (path, named) in place.map(|(path, named)| (path.as_path(), *named)).into_iter().chain(below) {
            match texts.of(path, named) {
                Ok(Some(text)) => config.add(path, text, tables, &mut mistakes),
                Ok(None) => {}
                Err(error) => mistakes.push(error),
            }
        }
        config.tables.sort_by_key(|table| (table.scope.rank(), table.place));
        (config, mistakes)
    }

    /// Adds the tables of a file that a command asked for.
    fn add(&mut self, path: &Path, text: Rc<str>, tables: Tables<'_>, mistakes: &mut Vec<Error>) {
        let mut reader = Reader {
            source: Source { path, text: &text },
            file: self.files.len(),
            tables: &mut self.tables,
            mistakes: Vec::new(),
        };
        reader.document(tables);
        let mut found = reader.mistakes;
        found.sort_by_key(|mistake| mistake.0);
        mistakes.extend(found.into_iter().map(|mistake| mistake.1));
        self.files.push(File { path: path.to_owned(), text });
    }

    /// The line of the setting in its file.
    pub fn line(&self, origin: &Origin) -> Option<usize> {
        origin.place().and_then(|place| Some(line_at(&self.files.get(place.file)?.text, place.position)))
    }

    /// The file of the setting.
    pub fn file(&self, origin: &Origin) -> Option<&Path> {
        origin.place().and_then(|place| Some(self.files.get(place.file)?.path.as_path()))
    }

    /// The breakers with a table of their own, among the tables that were read. A pattern's table is not one breaker's.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.tables.iter().filter_map(|table| match &table.scope {
            Scope::Breaker(name) => Some(name),
            Scope::Pattern(_) | Scope::Defaults => None,
        })
    }

    /// The settings of a breaker, from options, its table, patterns and `[defaults]`, strongest first.
    ///
    /// # Errors
    /// An impossible value or combination: where it is given, and what would be right.
    pub fn resolve(&self, name: Option<&Name>, options: &[(Key, String)]) -> Result<Resolved> {
        let (resolved, faults) = self.judge(name.map(Name::as_str), options, None);
        faults.first().map_or(Ok(()), |fault| Err(self.told(fault, &resolved.origins)))?;
        Ok(resolved)
    }

    /// The settings that judge a reported result: these options, and for each other key the setting last used, or the
    /// configuration if there is none. The configuration may need the options of runs, so only a fault of an option
    /// counts.
    ///
    /// # Errors
    /// An impossible option: why, and what would be right.
    pub fn of_report(&self, name: &Name, options: &[(Key, String)], last: Option<&Settings>) -> Result<Settings> {
        let (resolved, faults) = self.judge(Some(name.as_str()), options, last);
        let by_option = |key: Key| resolved.origins[key as usize].1 == Origin::Option;
        match faults.iter().find(|fault| by_option(fault.key) || fault.with.is_some_and(by_option)) {
            Some(fault) => Err(self.told(fault, &resolved.origins)),
            None => Ok(resolved.setup.breaker),
        }
    }

    /// The exit code of a refusal.
    ///
    /// # Errors
    /// An impossible code: why, and what would be right.
    pub fn open_exit_code(&self, name: &Name, options: &[(Key, String)]) -> Result<u8> {
        let (resolved, faults) = self.judge(Some(name.as_str()), options, None);
        match faults.iter().find(|fault| fault.key == Key::OpenExitCode) {
            Some(fault) => Err(self.told(fault, &resolved.origins)),
            None => Ok(resolved.setup.run.open_exit_code),
        }
    }

    /// The settings of a run without options.
    ///
    /// # Errors
    /// The configuration makes no sense without options: why, and what would be right.
    pub fn of_run(&self, name: &Name) -> Result<Settings> {
        let resolved = self.resolve(Some(name), &[])?;
        self.check_run(&resolved)?;
        Ok(resolved.setup.breaker)
    }

    /// The configured command to run when a breaker changes.
    pub fn on_change(&self, name: &Name) -> Option<&str> {
        self.text(Some(name), Key::OnChange).filter(|command| !command.is_empty())
    }

    /// Whether remarks are to be printed too, by the configuration.
    pub fn is_verbose(&self, name: Option<&Name>) -> bool {
        self.text(name, Key::Verbose) == Some("true")
    }

    /// What the configuration has for a key, as it was written.
    fn text(&self, name: Option<&Name>, key: Key) -> Option<&str> {
        let entries = self.tables.iter().filter(|table| table.scope.is_for(name.map(Name::as_str)));
        let found = entries.flat_map(|table| &table.entries).find(|entry| entry.key == key);
        found.map(|entry| entry.text.as_str())
    }

    /// All mistakes in the settings of this breaker, of each with a table, of each pattern, and of all other breakers.
    pub fn mistakes(&self, name: Option<&Name>) -> Vec<Error> {
        let tables = self.tables.iter().filter_map(|table| match &table.scope {
            Scope::Breaker(name) => Some(name.as_str()),
            // Judged as a breaker of that name, since broader patterns are for it too.
            Scope::Pattern(pattern) => Some(pattern.as_str()),
            Scope::Defaults => None,
        });
        let mut mistakes = Vec::new();
        for name in tables.map(Some).chain([name.map(Name::as_str), None]) {
            let (resolved, mut faults) = self.judge(name, &[], None);
            faults.extend(resolved.setup.faults_of_a_run());
            mistakes.extend(faults.iter().map(|fault| self.told(fault, &resolved.origins)));
        }
        mistakes
    }

    fn judge(&self, name: Option<&str>, options: &[(Key, String)], last: Option<&Settings>) -> (Resolved, Vec<Fault>) {
        let mut origins = vec![(None, Origin::BuiltIn); Key::COUNT];
        let mut offer = |key: Key, text: &str, origin: Origin| {
            let slot = &mut origins[key as usize];
            if slot.0.is_none() {
                *slot = (Some(text.to_owned()), origin);
            }
        };
        for (key, text) in options {
            offer(*key, text, Origin::Option);
        }
        if let Some(last) = last {
            for (key, value) in last.given() {
                if let Some(text) = value.text() {
                    offer(key, &text, Origin::LastUsed);
                }
            }
        } else {
            for table in self.tables.iter().filter(|table| table.scope.is_for(name)) {
                for entry in &table.entries {
                    let place = Place { position: entry.position, ..table.place };
                    offer(entry.key, &entry.text, table.scope.origin(place));
                }
            }
        }
        let (setup, mut faults) = Setup::judge(|key| origins[key as usize].0.as_deref());
        // A window given for this one breaker would have no effect. Elsewhere it is a default for breakers with a rate.
        if matches!(origins[Key::Window as usize].1, Origin::Option | Origin::Breaker(_)) {
            let rates = [Key::Window, Key::FailureRate, Key::SlowRate];
            let readable = !faults.iter().any(|fault| rates.contains(&fault.key));
            faults.extend(setup.breaker.idle_window().filter(|_| readable));
        }
        (Resolved { setup, origins }, faults)
    }

    /// Checks that a run can open the breaker at all, and that no probe outlives its place.
    ///
    /// # Errors
    /// The setting at fault: where it is given, and what would be right.
    pub fn check_run(&self, resolved: &Resolved) -> Result<()> {
        resolved.setup.suits_a_run().map_err(|fault| self.told(&fault, &resolved.origins))
    }

    /// The error of a fault: what is wrong and where it is given; and where the setting is given that contradicts it.
    fn told(&self, fault: &Fault, origins: &[(Option<String>, Origin)]) -> Error {
        let (name, message) = (fault.key.name(), &fault.message);
        let origin = &origins[fault.key as usize].1;
        let at = |place: Place| {
            let file = self.files.get(place.file).map_or(Path::new(""), |file| &file.path);
            format!("{}:{}", file.display(), self.line(&Origin::Defaults(place)).unwrap_or_default())
        };
        let other = fault.with.map_or(String::new(), |key| {
            let (other, key) = (&origins[key as usize].1, key.name());
            match (origin.place(), other, other.place()) {
                (None, Origin::Option, _) if *origin == Origin::Option => String::new(),
                (_, Origin::Option, _) => format!(" (--{key})"),
                (_, Origin::LastUsed, _) => format!(" ({key} as last used)"),
                (Some(here), _, Some(there)) if here.file == there.file => {
                    format!(" ({key} in line {})", self.line(other).unwrap_or_default())
                }
                (_, _, Some(there)) => format!(" ({key} at {})", at(there)),
                (_, _, None) => format!(" ({key} is built in)"),
            }
        });
        match (origin, origin.place()) {
            (_, Some(place)) => anyhow!("{}: {name}: {message}{other}", at(place)),
            (Origin::Option, None) => anyhow!("--{name}: {message}{other}"),
            (Origin::LastUsed, None) => anyhow!("{name} as last used: {message}{other}"),
            (_, None) => anyhow!("{name}: {message}{other}"),
        }
    }
}

/// The settings in force, and where each comes from.
pub struct Resolved {
    /// The settings.
    pub setup: Setup,
    origins: Vec<(Option<String>, Origin)>,
}

impl Resolved {
    /// A setting as it was written, if it was, and where it comes from.
    pub fn origin(&self, key: Key) -> (Option<&str>, &Origin) {
        let (text, origin) = &self.origins[key as usize];
        (text.as_deref(), origin)
    }
}

fn read(path: &Path, named: bool) -> Result<Option<String>> {
    // The user may have named the wrong file.
    let cure = |own| if named { "check --config and CB_CONFIG" } else { own };
    // Most files fit, so one read gets the whole text.
    let mut text = String::with_capacity(8 * 1024);
    // A named FIFO is worth waiting for, but a FIFO in place of the usual file must not hang every run.
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = if named { open(0) } else { open(libc::O_NONBLOCK | libc::O_NOFOLLOW) };
    let is_link = !named && file.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ELOOP));
    // A link that leads nowhere is there, and was meant to be read.
    let file = if is_link { open(libc::O_NONBLOCK) } else { file };
    if let (Ok(file), false) = (&file, named) {
        match file.metadata() {
            // As an empty file: so a link to it says that there is nothing to read.
            Ok(there) if there.file_type().is_char_device() && there.rdev() == libc::makedev(1, 3) => {}
            Ok(there) if there.is_file() || there.is_dir() => may_be_used(path, &there)?,
            Ok(_) => {
                left_out(path, "it is no regular file; move it away");
                return Ok(None);
            }
            // If the file cannot be looked at, it cannot be read either, and that error is reported.
            Err(_) => {}
        }
    }
    let read = file.and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 > LARGEST => {
            bail!(
                "could not read the configuration {}: it is larger than 1 MiB; {}",
                path.display(),
                cure("move it away")
            )
        }
        Ok(_) => Ok(Some(text)),
        Err(error) if is_link && error.kind() == io::ErrorKind::NotFound => {
            left_out(path, "it is a symbolic link that leads nowhere; make what it leads to, or move it away");
            Ok(None)
        }
        Err(error) if !named && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        // The configuration is not wrong: we lack a descriptor, and the command runs all the same. The state cannot be
        // opened either, which makes a warning.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => Ok(None),
        Err(error) => {
            let shown = path.display();
            let why = match error.kind() {
                io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
                _ => message(&error),
            };
            let opened = (!named && error.kind() == io::ErrorKind::PermissionDenied).then(|| opened_by(path));
            let opened = match opened {
                // HOME may be a directory of somebody else, in which we cannot even look: as good as none.
                Some(None) => return Ok(None),
                opened => opened.flatten(),
            };
            let cure = cure(match (&opened, error.kind()) {
                (Some(opened), _) => opened,
                (None, io::ErrorKind::IsADirectory) => "move it away",
                (None, _) => "mend it, or move it away",
            });
            if named || error.kind() == io::ErrorKind::InvalidData {
                return Err(anyhow!("could not read the configuration {shown}: {why}; {cure}"));
            }
            left_out(path, &format!("{why}; {cure}"));
            Ok(None)
        }
    }
}

/// Says that a file is left out, and what to do about it.
fn left_out(path: &Path, why: &str) {
    say(&format!("could not read the configuration {}, so it is left out: {why}", path.display()));
}

/// What it is that is closed to us: the file, or a directory above it; of a link, what it leads to.
#[expect(clippy::disallowed_methods, reason = "a link is to be seen, and then followed")]
fn closed_by(path: &Path, links: u8) -> Option<(PathBuf, Metadata)> {
    if let Ok(there) = path.metadata() {
        return Some((path.to_owned(), there));
    }
    let (part, there) = path.ancestors().find_map(|part| Some((part, part.symlink_metadata().ok()?)))?;
    let target = part.read_link().ok().map(|target| part.parent().unwrap_or(part).join(target));
    match target.filter(|_| links > 0) {
        Some(target) => closed_by(&target, links - 1),
        None => Some((part.to_owned(), there)),
    }
}

/// What opens a file that is closed to us; `None` if it is in the home of somebody else.
#[expect(clippy::disallowed_methods, reason = "whether it is a link or not, it is its owner who must act")]
fn opened_by(path: &Path) -> Option<String> {
    let Some((closed, there)) = closed_by(path, 8) else { return Some("check its access rights".to_owned()) };
    let (ours, owner, word) = (nix::unistd::geteuid().as_raw(), there.uid(), shell_word(&closed));
    let bits = if there.is_dir() { "rx" } else { "r" };
    if owner == ours {
        return Some(format!("run 'chmod u+{bits} {word}'"));
    }
    let in_ours =
        |path: &Path| path.ancestors().any(|part| part.symlink_metadata().is_ok_and(|there| there.uid() == ours));
    if there.is_dir() && path != Path::new(MACHINE_CONFIG) && !in_ours(path) {
        return None;
    }
    if there.is_dir() && owner == 0 && in_ours(&closed) {
        return Some(format!("run 'sudo chown -R {ours} {word}'"));
    }
    Some(format!("its owner ({owner}) must run 'chmod a+{bits} {word}'"))
}

/// Checks that nobody else can change a file that was not named, as it names commands that are run.
///
/// # Errors
/// It belongs to another user, or others can write to it; with the command that mends it.
fn may_be_used(path: &Path, there: &Metadata) -> Result<()> {
    let ours = nix::unistd::geteuid().as_raw();
    let (owner, of_machine) = (there.uid(), path == Path::new(MACHINE_CONFIG));
    let by_everybody = there.mode() & 0o002 != 0;
    let by_group = there.mode() & 0o020 != 0 && !is_own(there.gid());
    let (why, mend) = if owner != ours && owner != 0 {
        // What is the machine's is for all its users.
        (format!("belongs to another user ({owner})"), format!("chown {}", if of_machine { 0 } else { ours }))
    } else if by_everybody {
        ("can be written by everybody".to_owned(), "chmod go-w".to_owned())
    } else if by_group {
        (format!("can be written by the group {}, which is not your own", there.gid()), "chmod g-w".to_owned())
    } else {
        return Ok(());
    };
    // Only the owner may change the mode, and only root may change the owner.
    let sudo = if ours == 0 || owner == ours { "" } else { "sudo " };
    bail!(
        "the configuration {} {why}, and it names commands that are run; run '{sudo}{mend} {}', or move it away",
        path.display(),
        shell_word(path)
    )
}

/// Whether a group is one of the caller's: as this process is in it, or by `/etc/passwd`, as `newgrp` leaves the latter.
fn is_own(group: u32) -> bool {
    let in_passwd = || {
        let user = nix::unistd::geteuid().as_raw();
        let passwd = fs::read("/etc/passwd").unwrap_or_default();
        let of_user =
            passwd_entry(user, &passwd).and_then(|entry| std::str::from_utf8(entry.get(3)?).ok()?.parse().ok());
        of_user == Some(group)
    };
    let groups = nix::unistd::getgroups().unwrap_or_default();
    groups.into_iter().chain([nix::unistd::getegid()]).any(|own| own.as_raw() == group) || in_passwd()
}

/// The text of a file, in which mistakes have a line.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, position: usize, message: impl fmt::Display) -> anyhow::Error {
        anyhow!("{}:{}: {message}", self.path.display(), line_at(self.text, position))
    }

    /// What is wrong with a text that is no TOML. The parser's own words are for people who know its grammar.
    fn no_toml(&self, span: Range<usize>, words: &str) -> String {
        let line = self.text.lines().nth(line_at(self.text, span.start) - 1).unwrap_or_default().trim();
        if words == "duplicate key" {
            let what = self.text.get(span).filter(|_| !line.starts_with('[')).unwrap_or(line);
            return format!("{what} is there twice; keep one of them");
        }
        let shown: String = line.chars().take(40).collect();
        let right = if line.starts_with('[') && !line.contains('=') {
            "write [defaults] or [breakers.NAME], the NAME in quotes where it has . @ : + * or ?"
        } else {
            "write KEY = VALUE, and text in quotes, like cooldown = \"1m\""
        };
        format!("'{shown}' is no TOML ({}); {right}", words.replace('\n', ", "))
    }
}

/// The reader of one file.
struct Reader<'a> {
    source: Source<'a>,
    file: usize,
    tables: &'a mut Vec<Table>,
    /// All mistakes, each with its place in the text.
    mistakes: Vec<(usize, Error)>,
}

impl Reader<'_> {
    fn wrong(&mut self, position: usize, message: impl fmt::Display) {
        self.mistakes.push((position, self.source.error(position, message)));
    }

    fn document(&mut self, tables: Tables<'_>) {
        let document = match DeTable::parse(self.source.text) {
            Ok(document) => document,
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let message = self.source.no_toml(span.clone(), error.message());
                return self.wrong(span.start, message);
            }
        };
        for (word, value) in document.get_ref() {
            let position = word.span().start;
            let word = &**word.get_ref();
            match (word, value.get_ref().as_table()) {
                ("defaults", Some(table)) => self.table(Scope::Defaults, position, table, tables.usage()),
                ("breakers", Some(table)) => {
                    for (word, value) in table {
                        self.breaker(word, value, tables);
                    }
                }
                ("defaults" | "breakers", None) => self.wrong(position, format!("{word} must be a table, [{word}]")),
                _ if Key::named(word).is_some() => self.wrong(position, in_a_table(word)),
                // It is none of what a person uses.
                _ if !tables.usage().has_unknown() => {}
                _ => {
                    let there = "there are [defaults] and [breakers.NAME]";
                    let known = ["defaults", "breakers"].into_iter();
                    self.wrong(position, unknown(word, "a table", there, known));
                }
            }
        }
    }

    /// Reads one item of `[breakers]`.
    fn breaker(&mut self, word: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, tables: Tables<'_>) {
        let position = word.span().start;
        let word = &**word.get_ref();
        let Some(table) = value.get_ref().as_table() else {
            return match Key::named(word) {
                Some(_) => self.wrong(position, in_a_table(word)),
                None => self.wrong(position, format!("breakers.{word} must be a table, [breakers.{word}]")),
            };
        };
        let wanted = match tables {
            // The dots of a name without quotes make tables within tables.
            Tables::Only(name, _) => {
                let rest = name.as_str().strip_prefix(word);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') && table_in(value).is_some())
                    || Pattern::is_meant(word) && matches(word, name.as_str())
            }
            Tables::All => true,
        };
        if !wanted {
            return;
        }
        let scope =
            if Pattern::is_meant(word) { word.parse().map(Scope::Pattern) } else { word.parse().map(Scope::Breaker) };
        let scope = match scope {
            Ok(scope) => scope,
            Err(message) => return self.wrong(position, message),
        };
        if let Some((key, inner)) = table_in(value) {
            let mut dotted = format!("{word}.{}", key.get_ref());
            let mut inner = inner;
            while let Some((key, next)) = table_in(inner) {
                dotted = format!("{dotted}.{}", key.get_ref());
                inner = next;
            }
            let right = format!("a name with dots must stand in quotes: [breakers.\"{dotted}\"]");
            return self.wrong(key.span().start, right);
        }
        self.table(scope, position, table, tables.usage());
    }

    fn table(&mut self, scope: Scope, position: usize, table: &DeTable<'_>, usage: Use) {
        let entries = table.iter().filter_map(|(word, value)| self.entry(word, value, usage)).collect();
        self.tables.push(Table { scope, place: Place { file: self.file, position }, entries });
    }

    /// Reads one setting by itself. Whether it goes with the others is judged when all are known.
    fn entry(&mut self, word: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, usage: Use) -> Option<Entry> {
        let position = word.span().start;
        let Some(key) = Key::named(word.get_ref()) else {
            if usage.has_unknown() {
                // What is an option and can be no setting is not misspelt.
                let is_option = ["name", "wait"].contains(&&**word.get_ref());
                let known = Key::all().map(Key::name).filter(|_| !is_option);
                self.wrong(position, unknown(word.get_ref(), "a setting", "'cb config' lists them", known));
            }
            return None;
        };
        if !usage.has(key) {
            return None;
        }
        let may_be_list = key.stored() == Stored::Packed;
        let text = match value.get_ref() {
            DeValue::Boolean(false) if key.is_command() => Some(String::new()),
            // A list or `true` would be run as its text.
            other if key.is_command() && !other.is_str() => None,
            DeValue::Array(_) if !may_be_list => None,
            _ => text(value),
        };
        let Some(text) = text else {
            let (name, kind) = (key.name(), value.get_ref().type_str());
            let right = match (key.is_command(), may_be_list) {
                (true, _) => "a command is a string, and false is none",
                (false, true) => "write a string, a number, true or false, or a list of them",
                (false, false) => "write a string, a number, true or false",
            };
            let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
            self.wrong(position, format!("{name}: it cannot be {article} {kind}; {right}"));
            return None;
        };
        if let Err(fault) = key.read(&mut Setup::default(), &text) {
            self.wrong(position, format!("{}: {}", key.name(), fault.message));
        }
        Some(Entry { key, text, position })
    }
}

/// That a setting stands outside the tables.
fn in_a_table(key: &str) -> String {
    format!("{key} must stand in a table, [defaults] or [breakers.NAME]")
}

fn line_at(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&byte| byte == b'\n').count()
}

/// That a word is not `what` it should be; with the nearest known word, else with what is `there`.
fn unknown<'a>(word: &str, what: &str, there: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(&word.replace('_', "-"), known);
    let hint = near.map_or(there.to_owned(), |near| format!("did you mean {near}?"));
    format!("'{word}' is not {what}; {hint}")
}

/// The first table within a table, which cannot be a setting.
fn table_in<'a, 'b>(value: &'b Spanned<DeValue<'a>>) -> Option<(&'b Spanned<DeString<'a>>, &'b Spanned<DeValue<'a>>)> {
    value.get_ref().as_table()?.iter().find(|(_, value)| value.get_ref().is_table())
}

/// A value as an option would have it: numbers and flags as they are, lists with commas.
fn text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    Some(match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        // A number too large for any setting stays as it is, and the setting refuses it.
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>()?.join(","),
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::Mutator;

    /// The tables that were read, written anew with each value as a string.
    fn written(config: &Config) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("plain data").replace('\u{7f}', "\\u007f");
        let lines = |entries: &[Entry]| {
            let lines = entries.iter().map(|entry| format!("{} = {}\n", entry.key.name(), quoted(&entry.text)));
            lines.collect::<Vec<_>>().concat()
        };
        let tables = config.tables.iter().map(|Table { scope, entries, .. }| match scope {
            Scope::Breaker(name) => format!("[breakers.{}]\n{}", quoted(name.as_str()), lines(entries)),
            Scope::Pattern(pattern) => format!("[breakers.{}]\n{}", quoted(pattern.as_str()), lines(entries)),
            Scope::Defaults => format!("[defaults]\n{}", lines(entries)),
        });
        tables.collect::<Vec<_>>().concat()
    }

    fn meaning(config: &Config) -> Vec<(Option<&str>, Key, &str)> {
        let entries = config.tables.iter().flat_map(|table| {
            let name = match &table.scope {
                Scope::Breaker(name) => Some(name.as_str()),
                Scope::Pattern(pattern) => Some(pattern.as_str()),
                Scope::Defaults => None,
            };
            table.entries.iter().map(move |entry| (name, entry.key, entry.text.as_str()))
        });
        entries.collect()
    }

    fn parse(text: &str) -> Result<Config, Error> {
        let (mut config, mut mistakes) = (Config::default(), Vec::new());
        config.add(Path::new("config.toml"), Rc::from(text), Tables::All, &mut mistakes);
        mistakes.into_iter().next().map_or(Ok(config), Err)
    }

    #[test]
    fn no_text_breaks_the_reader_of_configurations() {
        const SEEDS: [&str; 6] = [
            "[defaults]\nthreshold = 3\ncooldown = \"1m\"\n\n[breakers.api]\nprobes = 2\nsuccess-codes = [0, \"64-78\"]\n",
            "[defaults]\nfailure-rate = \"50%\"\nwindow = \"5m\"\nmin-calls = 0x0a\n[breakers.\"db:5432\"]\nbackoff = 1.5\n",
            "# all of it\n[breakers.x]\ntimeout = '10s'\nsignal = \"KILL\"\nforeground = true\nlease = \"1h\"\n",
            "breakers = { a = { jitter = 10, fallback = \"\"\"\nls\n\"\"\" }, b.slow-after = 1e3 }\n",
            "[breakers]\na.failure-budget = \"3/1h\"\na.trip-codes = ['timeout', [9, [22]]]\n# 1979-05-27\n",
            "[defaults]\r\non-state-error = \"refuse\"\r\nopen-exit-code = +75\r\non-change = \"\\u00e9\"\r\n",
        ];
        const WORDS: [&str; 14] =
            ["[", "]", "\"", "\"\"\"", "'", "= ", "\n", "[defaults]\n", "[breakers.a]\n", "[[", "{", "#", ".", "inf"];
        let mut mutator = Mutator::new(5, &SEEDS, &WORDS);
        let mut read = 0;
        for _ in 0..40_000 {
            let text = mutator.text();
            let Ok(config) = parse(&text) else { continue };
            read += 1;
            for name in config.names().map(Some).chain([None]) {
                // Combinations may be wrong; here it only matters that they do not break anything.
                drop(config.resolve(name, &[]));
            }
            let again = written(&config);
            let again_read = parse(&again).unwrap_or_else(|error| panic!("{again}: {error}"));
            assert_eq!(meaning(&again_read), meaning(&config), "{text:?}");
        }
        assert!(read >= 2_500, "only {read} texts were configurations");
    }
}
