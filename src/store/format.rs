//! The text of a state file: JSON, padded to one block.
//!
//! It begins and ends with the number of the write. Where the two differ, only a part of a write was read.
//!
//! The format is frozen: every version reads what an older one wrote, as it was meant. The states in `tests/golden`
//! prove that.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::breaker::{Breaker, Probe};
use crate::name::Name;

/// The size of a state file, one block of the usual file systems: once it is allocated, a full disk cannot refuse a
/// write.
pub(super) const BLOCK: usize = 4096;
/// The most bytes that are read.
pub(super) const LARGEST: usize = 64 * 1024;
/// The version of the format. A file of a newer one is left alone.
const VERSION: u64 = 1;

/// The content of a file.
pub(super) enum Content {
    /// Nothing: a breaker that nobody has used.
    Unused,
    /// A breaker, the number of its write, and the numbers of the probes whose slot is a file, not a byte.
    Breaker { write: u64, breaker: Box<Breaker>, files: Vec<u64> },
    /// Nothing of ours, and why.
    Unreadable(&'static str),
    /// Something that must be left alone.
    NotOurs(NotOurs),
}

/// Why a file must be left alone.
pub(super) enum NotOurs {
    /// A newer `cb` wrote it: the version of its format, and the breaker.
    Newer(u128, Name),
    /// It belongs to this other breaker, whose name differs only in case, on a file system that ignores case.
    OtherCase(Name),
}

impl NotOurs {
    /// What is wrong with the file at this path, and the cure.
    pub(super) fn of(&self, path: &Path) -> Trouble {
        let path = path.display();
        match self {
            Self::Newer(version, name) => Trouble::Unusable(anyhow!(
                "could not read {path}: it was written by a newer cb (its version is {version}, this cb knows {VERSION}); \
                 update cb, or forget the breaker with 'cb remove {name}'"
            )),
            Self::OtherCase(stored) => Trouble::Misuse(anyhow!(
                "could not read {path}: it belongs to the breaker '{stored}', and this file system does not tell the two \
                 names apart; use that name"
            )),
        }
    }
}

#[derive(Deserialize)]
struct Read<'a> {
    write: u64,
    version: u64,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    breaker: Breaker,
    #[serde(default)]
    probe_files: u64,
    end: u64,
}

#[derive(Serialize)]
struct Written<'a> {
    write: u64,
    version: u64,
    name: &'a Name,
    breaker: &'a Breaker,
    /// One bit per probe, the lowest for the first: whether its slot is a file of its own.
    #[serde(skip_serializing_if = "is_zero")]
    probe_files: u64,
    end: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads the state file of this breaker.
pub(super) fn parse(bytes: &[u8], name: &Name) -> Content {
    if bytes.is_empty() {
        return Content::Unused;
    }
    if bytes.len() > LARGEST {
        return Content::Unreadable("it is larger than any state");
    }
    // A process may have died after it wrote a block and before it cut off the rest of a larger file.
    let block = bytes.get(..BLOCK).unwrap_or(bytes);
    let whole = serde_json::from_slice(without_padding(bytes));
    let read = match whole.or_else(|_| serde_json::from_slice::<Read<'_>>(block)) {
        Ok(read) if read.version == VERSION => read,
        other => {
            #[derive(Deserialize)]
            struct Version {
                version: u128,
            }
            let version = other
                .map(|read| read.version.into())
                .ok()
                .or_else(|| serde_json::from_slice::<Version>(bytes).map(|head| head.version).ok());
            return match version {
                Some(version) if version > u128::from(VERSION) => {
                    Content::NotOurs(NotOurs::Newer(version, name.clone()))
                }
                Some(_) => Content::Unreadable("it is damaged"),
                None => Content::Unreadable("it is not a state of cb"),
            };
        }
    };
    if read.write != read.end {
        return Content::Unreadable("it was written only in part");
    }
    if read.name != name.as_str() {
        return match read.name.parse::<Name>() {
            Ok(stored) if read.name.eq_ignore_ascii_case(name.as_str()) => Content::NotOurs(NotOurs::OtherCase(stored)),
            _ => Content::Unreadable("it is the state of another breaker"),
        };
    }
    let probes = read.breaker.probes().iter().take(64).enumerate();
    let files = probes.filter(|(place, _)| read.probe_files >> place & 1 == 1).map(|(_, probe)| probe.serial).collect();
    Content::Breaker { write: read.write, breaker: Box::new(read.breaker), files }
}

/// The text without its padding, of which a parser would look at each space.
fn without_padding(bytes: &[u8]) -> &[u8] {
    const SPACES: [u8; 64] = [b' '; 64];
    let mut text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    while let Some(shorter) = text.strip_suffix(&SPACES) {
        text = shorter;
    }
    text
}

/// Whether a file belongs to this breaker: it has a version, of this format or a newer one, and the name; or is empty.
pub(super) fn belongs_to(bytes: &[u8], name: &Name) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "version")]
        _version: u128,
        #[serde(borrow)]
        name: std::borrow::Cow<'a, str>,
    }
    let is_ours = |text| serde_json::from_slice::<Head<'_>>(text).is_ok_and(|head| head.name == name.as_str());
    bytes.is_empty() || is_ours(bytes) || bytes.get(..BLOCK).is_some_and(is_ours)
}

/// The block to write. `files` are the numbers of the probes whose slot is a file. Where the state does not fit,
/// history gives way.
///
/// # Errors
/// It does not fit even then, which a test shows to be impossible.
pub(super) fn render(breaker: &mut Breaker, name: &Name, write: u64, files: &[u64]) -> Result<Vec<u8>> {
    let probes = breaker.probes().iter().take(64).enumerate();
    let bit = |(place, probe): (usize, &Probe)| u64::from(files.contains(&probe.serial)) << place;
    let probe_files = probes.map(bit).sum();
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        serde_json::to_writer(
            &mut block,
            &Written { write, version: VERSION, name, breaker, probe_files, end: write },
        )?;
        // The block ends with a line end, so that `cat` is legible.
        if block.len() < BLOCK {
            block.resize(BLOCK - 1, b' ');
            block.push(b'\n');
            return Ok(block);
        }
        if !breaker.shrink() {
            bail!("the state takes {} bytes, {BLOCK} fit", block.len());
        }
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod older;
#[cfg(test)]
mod tests;
