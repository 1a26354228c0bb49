//! The whole, against a server on this machine that plays the vendors' endpoints with bytes that
//! they once served. Where those are is in `DUCKBLIND_VECTORS`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod amd;
mod intel;
mod misbehaving;
mod on_disk;
mod server;
mod vectors;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Patience;
use crate::config::{Config, IntelService, Source};
use crate::{CacheLimits, Collateral, Freshness, Gathered};

use server::Server;

/// A place for a cache.
pub(crate) fn directory() -> TempDir {
    let closed = Permissions::from_mode(0o700);
    tempfile::Builder::new()
        .permissions(closed)
        .tempdir()
        .unwrap()
}

/// Everything at `server`; patience of a test.
fn config(server: &Server) -> Config {
    let origin = server.origin();
    Config {
        source: Source::Online,
        amd: origin.clone(),
        intel: IntelService::Pcs {
            api: origin.clone(),
            certificates: origin,
        },
        extra_authorities: None,
        patience: Patience {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            total: Duration::from_secs(20),
            attempts: 3,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_secs(1),
        },
        cache: CacheLimits::default(),
    }
}

fn online(server: &Server, directory: &Path) -> Collateral {
    Collateral::new(config(server), directory).unwrap()
}

fn offline(server: &Server, directory: &Path) -> Collateral {
    let config = Config {
        source: Source::Offline,
        ..config(server)
    };
    Collateral::new(config, directory).unwrap()
}

fn freshness(gathered: &Gathered) -> Vec<Freshness> {
    gathered
        .parts
        .iter()
        .map(|part| part.freshness.clone())
        .collect()
}
