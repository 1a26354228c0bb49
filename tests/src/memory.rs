//! What a process holds in memory, and whether a secret is in it: raw, as hex, or as base64.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes read from a process at a time.
const WINDOW: usize = 4 << 20;

/// Shortest needle: shorter ones are found by chance.
const SHORTEST: usize = 8;

/// Things to look for, each in all its spellings.
#[derive(Default)]
pub struct Needles {
    spellings: Vec<(String, Vec<u8>)>,
}

impl Needles {
    /// Adds `secret` under a name that a failing test may print.
    ///
    /// # Panics
    /// If `secret` is too short to be told from chance.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= SHORTEST, "{name} is too short to look for");
        let mut push = |how: &str, bytes: Vec<u8>| {
            self.spellings.push((format!("{name} ({how})"), bytes));
        };
        push("raw", secret.to_vec());
        push("hex", hex::encode(secret).into_bytes());
        push("HEX", hex::encode_upper(secret).into_bytes());
        // Base64 of a longer text spells a part of it in one of three ways, by where the part begins; the
        // letters at both ends depend on the neighbours and are left out.
        for shift in 0..3 {
            let mut padded = vec![0; shift];
            padded.extend(secret);
            let from = [0, 2, 3][shift];
            let to = padded.len() * 8 / 6;
            for (how, text) in [
                ("base64", STANDARD_NO_PAD.encode(&padded)),
                ("base64url", URL_SAFE_NO_PAD.encode(&padded)),
            ] {
                push(how, text.as_bytes()[from..to].to_vec());
            }
        }
    }

    /// Names of the needles that occur in `bytes`.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let index = Index::new(self);
        let mut found = BTreeSet::new();
        index.search(bytes, &mut found);
        found
    }

    /// Names of the needles that occur in any readable mapping of process `pid`, and how many bytes were read.
    pub fn found_in_process(&self, pid: u32) -> Result<(BTreeSet<String>, u64)> {
        let index = Index::new(self);
        let overlap = self
            .spellings
            .iter()
            .map(|(_, s)| s.len())
            .max()
            .unwrap_or(0);
        let memory = File::open(format!("/proc/{pid}/mem"))
            .with_context(|| format!("cannot read the memory of process {pid}"))?;
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let mut found = BTreeSet::new();
        let mut total = 0;
        let mut window = vec![0; WINDOW + overlap];
        for (begin, end) in maps.lines().filter_map(readable) {
            let mut at = begin;
            while at < end {
                let want = usize::try_from(end - at)
                    .unwrap_or(usize::MAX)
                    .min(window.len());
                // A page may go away, and some (device memory) cannot be read at all.
                let Ok(got) = memory.read_at(&mut window[..want], at) else {
                    at += 4096;
                    continue;
                };
                if got == 0 {
                    break;
                }
                index.search(&window[..got], &mut found);
                total += got as u64;
                if at + got as u64 >= end {
                    break;
                }
                at += got.saturating_sub(overlap).max(1) as u64;
            }
        }
        Ok((found, total))
    }
}

/// Begin and end of a readable mapping.
fn readable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    if !words.next()?.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
        return None;
    }
    Some((
        u64::from_str_radix(begin, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
    ))
}

/// Needles by their first two bytes.
struct Index<'a> {
    by_start: Vec<Vec<&'a (String, Vec<u8>)>>,
}

impl<'a> Index<'a> {
    fn new(needles: &'a Needles) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        for spelling in &needles.spellings {
            by_start[start(&spelling.1)].push(spelling);
        }
        Self { by_start }
    }

    fn search(&self, bytes: &[u8], found: &mut BTreeSet<String>) {
        for at in 0..bytes.len().saturating_sub(1) {
            let rest = &bytes[at..];
            for (name, needle) in &self.by_start[start(rest)] {
                if rest.starts_with(needle) {
                    found.insert(name.clone());
                }
            }
        }
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Proportional set size of process `pid`, in bytes.
pub fn pss(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("cannot read the memory use of process {pid}"))?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("no Pss line")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// The most memory that process `pid` ever had, in KiB; `None` once it has ended.
pub fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_at_every_place_is_found() {
        let secret = b"a canary of some length";
        let mut needles = Needles::default();
        needles.add("canary", secret);
        for shift in 0..6 {
            let mut text = vec![b'x'; shift];
            text.extend(secret);
            text.extend(b"and more");
            for spelled in [
                text.clone(),
                hex::encode(&text).into_bytes(),
                hex::encode_upper(&text).into_bytes(),
                STANDARD_NO_PAD.encode(&text).into_bytes(),
                URL_SAFE_NO_PAD.encode(&text).into_bytes(),
            ] {
                assert!(!needles.found_in(&spelled).is_empty(), "shift {shift}");
            }
        }
        assert!(needles.found_in(b"nothing of the kind in here").is_empty());
    }

    #[test]
    fn a_secret_of_this_process_is_found_in_its_memory() {
        let secret = hex::encode(std::process::id().to_le_bytes()).repeat(4);
        let mut needles = Needles::default();
        needles.add("own", secret.as_bytes());
        let (found, read) = needles.found_in_process(std::process::id()).unwrap();
        assert!(!found.is_empty());
        assert!(read > 0);
    }
}
