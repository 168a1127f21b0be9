//! Settings from options, `config.toml` and the built-in defaults, remembering where each came from.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::name::{Name, nearest};
use crate::settings::{Fault, Key, Setup};
use crate::sys::message;

/// No configuration is larger; what is, is something else.
const LARGEST: u64 = 1 << 20;

/// Where a setting comes from, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option.
    Option,
    /// `[breakers.NAME]`, at this byte of the file.
    Breaker(usize),
    /// `[defaults]`, at this byte of the file.
    Defaults(usize),
    /// Nobody said anything.
    BuiltIn,
}

impl Origin {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::Breaker(_) => "breaker",
            Self::Defaults(_) => "defaults",
            Self::BuiltIn => "built in",
        }
    }
}

/// One setting of the configuration file.
struct Entry {
    key: Key,
    text: String,
    position: usize,
}

/// The configuration file: the tables that were asked for, each value readable by itself.
#[derive(Default)]
pub struct Config {
    path: PathBuf,
    /// The whole of it. To count its lines takes as long as to read one, so it waits until somebody asks.
    text: String,
    defaults: Vec<Entry>,
    breakers: Vec<(Name, Vec<Entry>)>,
}

/// Which tables beside `[defaults]` are read.
#[derive(Clone, Copy)]
pub enum Tables<'a> {
    /// This breaker's. What is wrong in the others is not this run's business.
    Only(&'a Name),
    /// All.
    All,
}

impl Config {
    /// Reads the file. One that was not named need not exist.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: file, line, key and what would be right.
    pub fn load(place: Option<&(PathBuf, bool)>, tables: Tables<'_>) -> Result<Self> {
        let Some((path, named)) = place else { return Ok(Self::default()) };
        let Some(text) = read(path, *named)? else { return Ok(Self::default()) };
        Self::parse(path, text, tables)
    }

    fn parse(path: &Path, text: String, tables: Tables<'_>) -> Result<Self> {
        let mut config = Self { path: path.to_owned(), ..Self::default() };
        config.take(&Source { path, text: &text }, tables)?;
        Ok(Self { text, ..config })
    }

    /// Takes in the tables that were asked for.
    fn take(&mut self, source: &Source<'_>, tables: Tables<'_>) -> Result<()> {
        let document = DeTable::parse(source.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            source.error(span.start, source.no_toml(span, error.message()))
        })?;
        for (word, value) in document.get_ref() {
            let Some(table) =
                value.get_ref().as_table().filter(|_| ["defaults", "breakers"].contains(&&**word.get_ref()))
            else {
                let hint = match &**word.get_ref() {
                    known @ ("defaults" | "breakers") => format!("{known} must be a table, [{known}]"),
                    key if Key::named(key).is_some() => {
                        format!("{key} must stand in a table, [defaults] or [breakers.NAME]")
                    }
                    word => {
                        let there = "there are [defaults] and [breakers.NAME]";
                        unknown(word, "a table", there, ["defaults", "breakers"].into_iter())
                    }
                };
                return Err(source.error(word.span().start, hint));
            };
            if word.get_ref() == "defaults" {
                self.defaults = source.entries(table)?;
                continue;
            }
            for (word, value) in table {
                let wanted = match tables {
                    // Without quotes, the dots of a name make tables of tables.
                    Tables::Only(name) => {
                        let rest = name.as_str().strip_prefix(&**word.get_ref());
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') && table_in(value).is_some())
                    }
                    Tables::All => true,
                };
                if !wanted {
                    continue;
                }
                let name =
                    word.get_ref().parse::<Name>().map_err(|message| source.error(word.span().start, message))?;
                let Some(table) = value.get_ref().as_table() else {
                    return Err(
                        source.error(word.span().start, format!("breakers.{name} must be a table, [breakers.{name}]"))
                    );
                };
                if let Some((key, inner)) = table_in(value) {
                    let mut dotted = format!("{name}.{}", key.get_ref());
                    let mut inner = inner;
                    while let Some((key, next)) = table_in(inner) {
                        dotted = format!("{dotted}.{}", key.get_ref());
                        inner = next;
                    }
                    let right = format!("a name with dots must stand in quotes: [breakers.\"{dotted}\"]");
                    return Err(source.error(key.span().start, right));
                }
                self.breakers.push((name, source.entries(table)?));
            }
        }
        Ok(())
    }

    /// The line in the file that says so.
    pub fn line(&self, origin: &Origin) -> Option<usize> {
        match origin {
            Origin::Breaker(position) | Origin::Defaults(position) => Some(line_at(&self.text, *position)),
            Origin::Option | Origin::BuiltIn => None,
        }
    }

    /// The breakers that have a table of their own, among those that were read.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.breakers.iter().map(|breaker| &breaker.0)
    }

    /// What holds for a breaker: options, its table, `[defaults]`, strongest first.
    ///
    /// # Errors
    /// A value or a combination that cannot be: where it was said, and what would be right.
    pub fn resolve(&self, name: Option<&Name>, options: &[(Key, String)]) -> Result<Resolved> {
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
        let own = self.breakers.iter().filter(|breaker| Some(&breaker.0) == name).flat_map(|breaker| &breaker.1);
        for entry in own {
            offer(entry.key, &entry.text, Origin::Breaker(entry.position));
        }
        for entry in &self.defaults {
            offer(entry.key, &entry.text, Origin::Defaults(entry.position));
        }
        let given = |key: Key| origins[key as usize].0.as_deref();
        match Setup::parse(given) {
            Ok(setup) => Ok(Resolved { setup, origins }),
            Err(fault) => Err(self.told(&fault, &origins)),
        }
    }

    /// That a run can open the breaker at all.
    ///
    /// # Errors
    /// What makes it impossible: where it was said, and what would be right.
    pub fn check_run(&self, resolved: &Resolved) -> Result<()> {
        resolved.setup.can_open().map_err(|fault| self.told(&fault, &resolved.origins))
    }

    /// What is wrong, and where it was said; also where that was said with which it cannot go, if that is elsewhere.
    fn told(&self, fault: &Fault, origins: &[(Option<String>, Origin)]) -> anyhow::Error {
        let (file, name, message) = (self.path.display(), fault.key.name(), &fault.message);
        let origin = &origins[fault.key as usize].1;
        let other = fault.with.map_or(String::new(), |key| {
            let (other, key) = (&origins[key as usize].1, key.name());
            match (origin, other, self.line(other)) {
                (Origin::Option, Origin::Option, _) => String::new(),
                (_, Origin::Option, _) => format!(" (--{key})"),
                (Origin::Option, _, Some(line)) => format!(" ({key} at {file}:{line})"),
                (_, _, Some(line)) => format!(" ({key} in line {line})"),
                (_, _, None) => format!(" ({key} is built in)"),
            }
        });
        match self.line(origin) {
            Some(line) => anyhow!("{file}:{line}: {name}: {message}{other}"),
            None if *origin == Origin::Option => anyhow!("--{name}: {message}{other}"),
            None => anyhow!("{name}: {message}{other}"),
        }
    }
}

/// The settings in force, and where each comes from.
pub struct Resolved {
    /// What a run is told.
    pub setup: Setup,
    origins: Vec<(Option<String>, Origin)>,
}

impl Resolved {
    /// A setting as it was written, if anybody said anything, and where.
    pub fn origin(&self, key: Key) -> (Option<&str>, &Origin) {
        let (text, origin) = &self.origins[key as usize];
        (text.as_deref(), origin)
    }
}

fn read(path: &Path, named: bool) -> Result<Option<String>> {
    // Where it was named, perhaps the wrong one was.
    let cure = |own| if named { "check --config and CB_CONFIG" } else { own };
    // Most fit, so that one read has it all.
    let mut text = String::with_capacity(8 * 1024);
    // A FIFO that was named is waited for; one in place of the usual file must not hang every run.
    let flags = if named { 0 } else { libc::O_NONBLOCK };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
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
        // HOME may be a directory of somebody else, in which we cannot even look: as good as none.
        Err(error) if !named && error.kind() == io::ErrorKind::PermissionDenied && is_hidden(path) => Ok(None),
        Err(error) if !named && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        // Not a wrong configuration but trouble of our own, in which the command runs all the same. The state cannot be
        // opened either, and that is told.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => Ok(None),
        Err(error) => {
            let shown = path.display();
            let why = match error.kind() {
                io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
                _ => message(&error),
            };
            let cure = cure(match error.kind() {
                io::ErrorKind::PermissionDenied => "check its access rights",
                io::ErrorKind::IsADirectory => "move it away",
                _ => "mend it, or move it away",
            });
            Err(anyhow!("could not read the configuration {shown}: {why}; {cure}"))
        }
    }
}

/// Whether nobody can even say if there is such a file.
#[expect(clippy::disallowed_methods, reason = "a link that is there can be seen, wherever it leads")]
fn is_hidden(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

/// The text of the file, for saying where in it something is.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, position: usize, message: impl fmt::Display) -> anyhow::Error {
        anyhow!("{}:{}: {message}", self.path.display(), line_at(self.text, position))
    }

    /// What is wrong with a text that is no TOML. The parser's own words are right, but for those who know its grammar.
    fn no_toml(&self, span: Range<usize>, words: &str) -> String {
        let line = self.text.lines().nth(line_at(self.text, span.start) - 1).unwrap_or_default().trim();
        if words == "duplicate key" {
            let what = self.text.get(span).filter(|_| !line.starts_with('[')).unwrap_or(line);
            return format!("{} is there twice; keep one of them", what.escape_debug());
        }
        let shown: String = line.chars().take(40).collect();
        let right = if line.starts_with('[') && !line.contains('=') {
            "write [defaults] or [breakers.NAME], the NAME in quotes where it has . @ : or +"
        } else {
            "write KEY = VALUE, and text in quotes, like cooldown = \"1m\""
        };
        format!("'{}' is no TOML ({}); {right}", shown.escape_debug(), words.replace('\n', ", "))
    }

    fn entries(&self, table: &DeTable<'_>) -> Result<Vec<Entry>> {
        table.iter().map(|(word, value)| self.entry(word, value)).collect()
    }

    /// Reads one setting, for itself: whether it goes with the others is judged when all are known.
    fn entry(&self, word: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Result<Entry> {
        let position = word.span().start;
        let Some(key) = Key::named(word.get_ref()) else {
            let known = Key::all().map(Key::name);
            return Err(self.error(position, unknown(word.get_ref(), "a setting", "'cb config' lists them", known)));
        };
        let Some(text) = text(value) else {
            let (key, kind) = (key.name(), value.get_ref().type_str());
            let right = "write a string, a number, true or false, or a list of them";
            return Err(self.error(position, format!("{key}: it cannot be a {kind}; {right}")));
        };
        key.read(&mut Setup::default(), &text)
            .map_err(|fault| self.error(position, format!("{}: {}", key.name(), fault.message)))?;
        Ok(Entry { key, text, position })
    }
}

fn line_at(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&byte| byte == b'\n').count()
}

/// That a word is not `what` it should be, with the one that is meant if it is near, else with what there is.
fn unknown<'a>(word: &str, what: &str, there: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(&word.replace('_', "-"), known);
    let hint = near.map_or(there.to_owned(), |near| format!("did you mean {near}?"));
    format!("'{}' is not {what}; {hint}", word.escape_debug())
}

/// The first table in a table, if there is one: no setting is one.
fn table_in<'a, 'b>(value: &'b Spanned<DeValue<'a>>) -> Option<(&'b Spanned<DeString<'a>>, &'b Spanned<DeValue<'a>>)> {
    value.get_ref().as_table()?.iter().find(|(_, value)| value.get_ref().is_table())
}

/// A value as it would be written as an option: numbers and flags as they are, lists with commas.
fn text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    Some(match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        // One that no setting could be is left as it is, for the setting to say so.
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

    /// Everything that was read, written anew, each value as a string.
    fn written(config: &Config) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("plain data").replace('\u{7f}', "\\u007f");
        let lines = |entries: &[Entry]| {
            let lines = entries.iter().map(|entry| format!("{} = {}\n", entry.key.name(), quoted(&entry.text)));
            lines.collect::<Vec<_>>().concat()
        };
        let tables = config.breakers.iter().map(|(name, entries)| {
            let name = quoted(name.as_str());
            format!("[breakers.{name}]\n{}", lines(entries))
        });
        format!("[defaults]\n{}{}", lines(&config.defaults), tables.collect::<Vec<_>>().concat())
    }

    fn meaning(config: &Config) -> Vec<(Option<&Name>, Key, &str)> {
        let own =
            config.breakers.iter().flat_map(|(name, entries)| entries.iter().map(move |entry| (Some(name), entry)));
        let all = config.defaults.iter().map(|entry| (None, entry)).chain(own);
        all.map(|(name, entry)| (name, entry.key, entry.text.as_str())).collect()
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
        let path = Path::new("config.toml");
        let mut mutator = Mutator::new(5, &SEEDS, &WORDS);
        let mut read = 0;
        for _ in 0..40_000 {
            let text = mutator.text();
            let Ok(config) = Config::parse(path, text.clone(), Tables::All) else { continue };
            read += 1;
            for name in config.names().map(Some).chain([None]) {
                // What is wrong with it together is told as well as it can be, and no more is asked here.
                drop(config.resolve(name, &[]));
            }
            let again = written(&config);
            let again_read =
                Config::parse(path, again.clone(), Tables::All).unwrap_or_else(|error| panic!("{again}: {error}"));
            assert_eq!(meaning(&again_read), meaning(&config), "{text:?}");
        }
        assert!(read >= 2_500, "only {read} texts were configurations");
    }
}
