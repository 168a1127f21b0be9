//! PURE. The name of a breaker: the only way from a word to a file name.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A breaker's name, `[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}`: no path, no option and no hidden file can be made of it.
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
            return Err(format!("'{}' is not a name for a breaker, {RULE}", word.escape_debug()));
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

/// Of `candidates`, the one nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    near(word, candidates).into_iter().next()
}

/// Of `candidates`, those near enough to `word` to be meant, the nearest first: one letter may be different, and one more
/// for each four of the word, but not all.
pub fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = candidates.map(|candidate| (distance(word, candidate), candidate)).collect();
    near.retain(|(steps, candidate)| *steps <= 1 + word.len() / 4 && *steps < word.len().max(candidate.len()));
    near.sort_unstable();
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How many letters must be changed, upper and lower case being equal.
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
