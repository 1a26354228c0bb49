//! What the agent itself stands on: its key and token, its address, its log.

use std::io;
use std::net::UdpSocket;
use std::path::Path;

use super::finding::Finding;
use crate::config::Config;
use crate::files;
use crate::node_key::NodeKey;

pub(super) fn node_key(config: &Config) -> (Finding, Option<NodeKey>) {
    const CHECK: &str = "node key";
    match NodeKey::load(&config.node_key) {
        Ok(key) => {
            let detail = format!("node {}", key.node());
            (Finding::pass(CHECK, detail), Some(key))
        }
        Err(error) => {
            let hint = "duckblind-host keys new --out DIR makes one";
            (Finding::failed(CHECK, &error, hint), None)
        }
    }
}

pub(super) fn enrol_token(config: &Config) -> Finding {
    const CHECK: &str = "enrol token";
    let Some(path) = &config.enrol_token_file else {
        return Finding::skip(CHECK, "not configured: the verifier must list this node");
    };
    match files::read_secret(path, "the enrolment token") {
        Ok(_) => Finding::pass(CHECK, path.display().to_string()),
        Err(error) => Finding::failed(CHECK, &error, "ask the verifier's operator for one"),
    }
}

pub(super) fn listen_address(config: &Config) -> Finding {
    const CHECK: &str = "listen address";
    match UdpSocket::bind(config.listen) {
        Ok(_) if config.listen.ip().is_unspecified() && config.advertise.is_none() => {
            Finding::fail(
                CHECK,
                format!("nobody can dial {}", config.listen),
                "set `advertise` to host:port",
            )
        }
        Ok(_) => Finding::pass(CHECK, format!("UDP {} is free", config.listen)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warn(
            CHECK,
            format!("UDP {} is in use", config.listen),
            "fine if duckblind-host is running",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("{}: {error}", config.listen),
            "set `listen` to an address of this machine and a free port",
        ),
    }
}

pub(super) fn usage_log(config: &Config) -> Finding {
    const CHECK: &str = "usage log";
    let Some(path) = &config.usage_log else {
        return Finding::skip(CHECK, "not configured: records are only counted");
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Finding::pass(CHECK, path.display().to_string()),
        Err(error) => Finding::fail(
            CHECK,
            format!("{}: {error}", dir.display()),
            "its directory must exist and be writable",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::finding::Outcome;
    use super::*;
    use crate::tests::rig;

    #[test]
    fn a_key_that_is_not_there_and_one_that_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let config = rig::config(dir.path());
        let (finding, key) = node_key(&config);
        assert!(finding.outcome == Outcome::Fail && key.is_none());
        assert!(finding.hint.unwrap().contains("keys new"));
        NodeKey::generate().unwrap().write(dir.path()).unwrap();
        let (finding, key) = node_key(&config);
        assert!(finding.outcome == Outcome::Pass && key.is_some());
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&config.node_key, open).unwrap();
        let (finding, key) = node_key(&config);
        assert!(finding.outcome == Outcome::Fail && key.is_none());
        assert!(finding.hint.unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_token_must_be_secret() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = rig::config(dir.path());
        assert_eq!(enrol_token(&config).outcome, Outcome::Skip);
        let path = dir.path().join("token");
        config.enrol_token_file = Some(path.clone());
        assert_eq!(enrol_token(&config).outcome, Outcome::Fail);
        for (mode, outcome) in [(0o644, Outcome::Fail), (0o600, Outcome::Pass)] {
            std::fs::write(&path, "t").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(enrol_token(&config).outcome, outcome);
        }
    }

    #[test]
    fn addresses() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = rig::config(dir.path());
        assert_eq!(listen_address(&config).outcome, Outcome::Pass);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        config.listen = taken.local_addr().unwrap();
        assert_eq!(listen_address(&config).outcome, Outcome::Warn);
        config.listen = "192.0.2.1:1".parse().unwrap();
        assert_eq!(listen_address(&config).outcome, Outcome::Fail);
        config.listen = "0.0.0.0:0".parse().unwrap();
        let finding = listen_address(&config);
        assert!(finding.outcome == Outcome::Fail && finding.hint.unwrap().contains("advertise"));
        config.advertise = Some("host.example:1".into());
        assert_eq!(listen_address(&config).outcome, Outcome::Pass);
    }

    #[test]
    fn a_log_needs_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = rig::config(dir.path());
        assert_eq!(usage_log(&config).outcome, Outcome::Pass);
        config.usage_log = Some(dir.path().join("none/usage.jsonl"));
        assert_eq!(usage_log(&config).outcome, Outcome::Fail);
        config.usage_log = None;
        assert_eq!(usage_log(&config).outcome, Outcome::Skip);
    }
}
