//! Who else could change what the agent reads.
//!
//! That the secrets themselves are closed is judged where they are read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::config::Config;

const CHECK: &str = "file modes";
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In such a directory nobody can replace another's file.
const STICKY: u32 = 0o1000;

pub(super) fn examine(path: &Path, config: &Config) -> Finding {
    let user = rustix::process::geteuid().as_raw();
    let mut open: Vec<Open> = places(path, config)
        .iter()
        .filter_map(|place| Open::find(place, user))
        .collect();
    open.sort_by_key(|open| !open.to_anyone);
    let Some(worst) = open.first() else {
        return Finding::pass(CHECK, "nobody else can change configuration or keys");
    };
    let detail: Vec<_> = open.iter().map(|open| open.told.as_str()).collect();
    let remedy: Vec<_> = open.iter().map(|open| open.remedy.as_str()).collect();
    let (detail, remedy) = (detail.join("; "), remedy.join("; "));
    if worst.to_anyone {
        Finding::fail(CHECK, detail, remedy)
    } else {
        Finding::warn(CHECK, detail, remedy)
    }
}

/// The configuration, and the directories of all that it names.
fn places(path: &Path, config: &Config) -> Vec<PathBuf> {
    let files = [
        Some(path),
        Some(config.node_key.as_path()),
        config.enrol_token_file.as_deref(),
        config.verifier_ca.as_deref(),
        config.usage_log.as_deref(),
    ];
    let mut places = vec![path.to_owned()];
    for file in files.into_iter().flatten() {
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new(".")).to_owned();
        if !places.contains(&dir) {
            places.push(dir);
        }
    }
    places
}

/// A place that somebody else can change.
struct Open {
    /// Not only to a group, which may be meant so.
    to_anyone: bool,
    told: String,
    remedy: String,
}

impl Open {
    /// What is not there is missed elsewhere.
    fn find(place: &Path, user: u32) -> Option<Self> {
        let about = fs::metadata(place).ok()?;
        Self::judge(place, about.uid(), about.mode(), user)
    }

    fn judge(place: &Path, owner: u32, mode: u32, user: u32) -> Option<Self> {
        let shown = place.display();
        if owner != user && owner != 0 {
            return Some(Self {
                to_anyone: true,
                told: format!("{shown} belongs to user {owner}"),
                remedy: format!("chown {user} {shown}"),
            });
        }
        let writers = match mode & (GROUP_WRITES | OTHERS_WRITE) {
            _ if mode & STICKY != 0 => return None,
            0 => return None,
            GROUP_WRITES => "its group",
            _ => "anyone",
        };
        Some(Self {
            to_anyone: mode & OTHERS_WRITE != 0,
            told: format!(
                "{shown} can be changed by {writers} (mode {:04o})",
                mode & 0o7777
            ),
            remedy: format!("chmod go-w {shown}"),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::finding::Outcome;
    use super::*;
    use crate::tests::rig;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn open_files_and_directories_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, path) = (dir.path().join("secrets"), dir.path().join("host.toml"));
        fs::create_dir(&secrets).unwrap();
        fs::write(&path, "").unwrap();
        let mut config = rig::config(dir.path());
        config.enrol_token_file = Some(secrets.join("token"));
        for (place, mode, outcome) in [
            (&path, 0o644, Outcome::Pass),
            (&path, 0o664, Outcome::Warn),
            (&path, 0o666, Outcome::Fail),
            (&path, 0o600, Outcome::Pass),
            (&secrets, 0o755, Outcome::Pass),
            (&secrets, 0o770, Outcome::Warn),
            (&secrets, 0o777, Outcome::Fail),
            (&secrets, 0o1777, Outcome::Pass),
        ] {
            set(place, mode);
            let finding = examine(&path, &config);
            assert_eq!(finding.outcome, outcome, "{mode:o}: {}", finding.detail);
            if outcome != Outcome::Pass {
                let place = place.display().to_string();
                assert!(finding.detail.contains(&place));
                assert_eq!(finding.hint.unwrap(), format!("chmod go-w {place}"));
            }
        }
        set(&path, 0o664);
        set(&secrets, 0o777);
        let finding = examine(&path, &config);
        // The worse one decides and comes first.
        assert_eq!(finding.outcome, Outcome::Fail);
        assert!(finding.detail.starts_with(&secrets.display().to_string()));
        assert!(finding.detail.contains("host.toml"));
    }

    #[test]
    fn what_belongs_to_another_user_is_theirs_to_change() {
        let place = Path::new("host.toml");
        assert!(Open::judge(place, 5, 0o600, 5).is_none());
        assert!(Open::judge(place, 0, 0o644, 5).is_none());
        let open = Open::judge(place, 6, 0o600, 5).unwrap();
        assert!(open.to_anyone && open.remedy == "chown 5 host.toml");
    }
}
