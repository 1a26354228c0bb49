//! Where things live that are slow to make and good for every run: TPC-H data and the simulated platform.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// `${XDG_CACHE_HOME:-$HOME/.cache}/duckblind`, where `scripts/lib.sh` keeps its things too.
pub fn root() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("duckblind"))
}

/// A folder below [`root`], made if missing.
pub fn folder(name: &str) -> Result<PathBuf> {
    let dir = root()?.join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}
