//! PURE. The names of breakers. Only a name becomes a file name.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A breaker's name, `[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}`, which cannot be a path, an option or a hidden file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Name(String);

/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 128;

impl Name {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file that holds the breaker's state.
    pub fn file_name(&self) -> String {
        format!("{}.json", self.0)
    }

    /// The breaker whose state a file of this name holds; `None` for any other file.
    pub fn from_file_name(file_name: &str) -> Option<Self> {
        file_name.strip_suffix(".json")?.parse().ok()
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "use letters, digits and . _ @ : + - after a letter or digit";
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:+-".contains(&byte);
        let Some(first) = word.bytes().next() else {
            return Err(format!("a breaker needs a name, {RULE}"));
        };
        if !first.is_ascii_alphanumeric() || !word.bytes().all(allowed) {
            return Err(format!("'{word}' is not a name for a breaker, {RULE}"));
        }
        if word.len() > LONGEST_NAME {
            return Err(format!("a breaker's name has at most {LONGEST_NAME} characters, this one has {}", word.len()));
        }
        Ok(Self(word.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A pattern for names: `*` is anything, also dots and nothing, and `?` is one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether a word is meant as a pattern.
    pub fn is_meant(word: &str) -> bool {
        word.contains(['*', '?'])
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many of its characters stand for themselves. More of them make a narrower pattern.
    pub fn literals(&self) -> usize {
        self.0.bytes().filter(|byte| !b"*?".contains(byte)).count()
    }

    /// Whether it matches this name.
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        // A pattern must match some name: with letters for its wildcards it is a name.
        match word.replace(['*', '?'], "x").parse::<Name>() {
            Ok(_) => Ok(Self(word.to_owned())),
            Err(_) => Err(format!(
                "'{word}' is not a pattern for names, use letters, digits and . _ @ : + - after a letter or digit, * \
                 and ?"
            )),
        }
    }
}

/// Whether a name matches a word as a pattern, even if the word is no valid [`Pattern`].
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut here, mut at) = (0, 0);
    // The last star and the end of what it matches. Only the last star ever needs to match more.
    let mut star = None;
    while at < name.len() {
        match (pattern.get(here), star) {
            (Some(b'*'), _) => {
                star = Some((here, at));
                here += 1;
            }
            (Some(byte), _) if *byte == b'?' || name.get(at) == Some(byte) => {
                here += 1;
                at += 1;
            }
            (_, Some((of_star, end))) => {
                here = of_star + 1;
                at = end + 1;
                star = Some((of_star, at));
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(here).all(|byte| *byte == b'*')
}

/// The candidate nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    near(word, candidates).into_iter().next()
}

/// The candidates near enough to `word` to be meant, the nearest first. One letter may differ, and one more for each
/// four letters of the word, but not all.
pub fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = candidates.map(|candidate| (distance(word, candidate), candidate)).collect();
    near.retain(|(steps, candidate)| *steps <= 1 + word.len() / 4 && *steps < word.len().max(candidate.len()));
    near.sort_unstable();
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How many letters must be changed, where case does not matter.
fn distance(left: &str, right: &str) -> usize {
    strsim::levenshtein(&left.to_ascii_lowercase(), &right.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_file_name() {
        for good in ["a", "openai", "db:5432", "user@host", "A-b_c.d+e", "0", &"x".repeat(128)] {
            let name: Name = good.parse().expect(good);
            assert_eq!(Name::from_file_name(&name.file_name()), Some(name));
        }
        for bad in ["", "../x", "/x", ".x", "-x", "a/b", "a b", "a\n", "é", "_x", &"x".repeat(129)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_is_of_the_names_that_it_describes() {
        for (pattern, good, bad) in [
            ("*", &["a", "a.b:5432"][..], &[][..]),
            (
                "*.example.com",
                &["api.example.com", "a.b.example.com", ".example.com"],
                &["example.com", "x.example.comx"],
            ),
            ("db-?", &["db-1", "db-x"], &["db-", "db-12", "DB-1"]),
            ("a*b*c", &["abc", "a.b.b.c", "abbcc"], &["ab", "acb", "abcd"]),
            ("*a?", &["aab", "xaxab"], &["a", "ba"]),
            ("api**", &["api", "api2"], &["ap"]),
        ] {
            let pattern: Pattern = pattern.parse().expect(pattern);
            for name in good {
                assert!(pattern.matches(name), "{pattern:?} {name}");
            }
            for name in bad {
                assert!(!pattern.matches(name), "{pattern:?} {name}");
            }
        }
        assert_eq!("*.a?".parse::<Pattern>().expect("a pattern").literals(), 2);
        for bad in ["a/*", ".*", "-?", "* ", &"*".repeat(129)] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_if_it_is_near() {
        let names = ["openai", "github", "db"];
        assert_eq!(nearest("opnai", names.into_iter()), Some("openai"));
        assert_eq!(nearest("GitHub", names.into_iter()), Some("github"));
        assert_eq!(nearest("weather", names.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
        assert_eq!(nearest("x", ["y"].into_iter()), None);
        assert_eq!(nearest("x", ["xy"].into_iter()), Some("xy"));
        assert_eq!(nearest("abcdefgh", ["abcdeXYZ"].into_iter()), Some("abcdeXYZ"));
        assert_eq!(nearest("abcdefgh", ["abcdWXYZ"].into_iter()), None);
    }

    #[test]
    fn a_distance_is_how_many_letters_must_be_changed() {
        for (left, right, steps) in [
            ("", "", 0),
            ("ab", "", 2),
            ("", "ab", 2),
            ("a", "ab", 1),
            ("xab", "ab", 1),
            ("kitten", "sitting", 3),
            ("KITTEN", "kitten", 0),
        ] {
            assert_eq!(distance(left, right), steps, "{left} {right}");
        }
    }
}
