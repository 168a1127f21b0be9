//! The text of a state file: JSON of at most one block, padded to it.
//!
//! It begins and ends with the number of the write. Where the two differ, the write was read in the middle.
//!
//! The format is frozen: what any version wrote, every later one reads as it was meant. The states of `tests/golden`
//! stand for that.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::breaker::{Breaker, Probe};
use crate::name::Name;

/// The size of a state file, one block of the usual file systems: it is allocated once, and then a full disk cannot
/// refuse it.
pub(super) const BLOCK: usize = 4096;
/// What is longer is not read.
pub(super) const LARGEST: usize = 64 * 1024;
/// The version of the format. What a newer one wrote is left alone.
const VERSION: u64 = 1;

/// What a file holds.
pub(super) enum Content {
    /// Nothing: a breaker that nobody has used.
    Unused,
    /// A breaker, as of this write, and the numbers of those of its probes that hold a file and no byte.
    Breaker { write: u64, breaker: Box<Breaker>, files: Vec<u64> },
    /// Nothing of ours, and why.
    Unreadable(&'static str),
    /// Something that must be left alone.
    NotOurs(NotOurs),
}

/// Why a file must be left alone.
pub(super) enum NotOurs {
    /// A newer version wrote it: its version, and the breaker.
    Newer(u128, Name),
    /// It belongs to this name, which differs only in case, on a file system that cannot tell the two apart.
    OtherCase(Name),
}

impl NotOurs {
    /// What is wrong with the file at this path, and what to do about it.
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
    /// A bit for each probe in their order, the lowest for the first: whether it holds a file of its own.
    #[serde(skip_serializing_if = "is_zero")]
    probe_files: u64,
    end: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads a state file of this name.
pub(super) fn parse(bytes: &[u8], name: &Name) -> Content {
    if bytes.is_empty() {
        return Content::Unused;
    }
    if bytes.len() > LARGEST {
        return Content::Unreadable("it is larger than any state");
    }
    // A larger file ends where a block ends once it was written: a process may have died before it cut off the rest.
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

/// The text without the spaces at its end: a parser would look at each of them.
fn without_padding(bytes: &[u8]) -> &[u8] {
    const SPACES: [u8; 64] = [b' '; 64];
    let mut text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    while let Some(shorter) = text.strip_suffix(&SPACES) {
        text = shorter;
    }
    text
}

/// Whether a file carries a version of ours, this or a newer one, and this name; an unused one carries nothing.
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

/// The block to write, with the numbers of those probes that hold a file and no byte. History gives way where there is too
/// much of everything.
///
/// # Errors
/// It does not fit even so. A test shows that this cannot be.
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
        // A line end, so that `cat` is legible.
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
mod tests;
