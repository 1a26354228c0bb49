//! One simulated platform for all tests of a process: RSA keys take seconds.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::OnceLock;

use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::{Challenge, KeyStatement, Tee, report_data};

use crate::appraise::{Appraisal, Expected, Floors, Inputs, appraise};
use crate::attester::{Attester, RawEvidence};
use crate::config::EnclaveConfig;
use crate::evidence::{Endorsements, Evidence};
use crate::policy::{Policy, fill_development};
use crate::release::ReleaseManifest;
use crate::simulator::{self, Authority, Chip, CloudAuthority, SimulatedSnp};
use crate::snp::Report;

/// The policy that everyone starts from.
pub(crate) const TEMPLATE: &str = include_str!("../../policies/development.toml");

pub(crate) fn platform_dir() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        simulator::create(dir.path()).unwrap();
        dir
    })
    .path()
}

pub(crate) fn platform() -> &'static SimulatedSnp {
    static PLATFORM: OnceLock<SimulatedSnp> = OnceLock::new();
    PLATFORM.get_or_init(|| SimulatedSnp::open(platform_dir()).unwrap())
}

/// A vendor that no policy knows.
pub(crate) fn stranger() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::generate().unwrap())
}

/// Where the stranger signs keys for clouds.
pub(crate) fn cloud() -> &'static CloudAuthority {
    static CLOUD: OnceLock<CloudAuthority> = OnceLock::new();
    CLOUD.get_or_init(|| stranger().cloud().unwrap())
}

/// A platform of the stranger's, honest but for what `change` does to its certificate.
pub(crate) fn strange_platform(
    change: impl FnOnce(&mut Chip) -> Vec<x509_cert::ext::Extension>,
) -> SimulatedSnp {
    let chip = Chip::random(simulator::TCB).unwrap();
    let extensions = change(&mut chip.clone());
    SimulatedSnp::made_by(stranger(), chip, extensions, platform().measurement()).unwrap()
}

/// Now, by the machine's clock: the certificates were made just before.
pub(crate) fn now() -> UnixTime {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap())
}

/// Everything that goes into an appraisal, in parts that a test can change.
pub(crate) struct Case {
    pub(crate) statement: KeyStatement,
    pub(crate) challenge: Challenge,
    pub(crate) config: EnclaveConfig,
    pub(crate) release: ReleaseManifest,
    pub(crate) policy: String,
    pub(crate) expected: Expected,
    pub(crate) endorsements: Endorsements,
    pub(crate) floors: Floors,
    pub(crate) now: UnixTime,
}

impl Case {
    /// One that is accepted.
    pub(crate) fn good() -> Self {
        let config = crate::sample::config();
        let release = crate::sample::release();
        let challenge = Challenge::new(Nonce::from_bytes([3; 32]), Digest::of(b"audience"));
        let policy = fill_development(
            TEMPLATE,
            &[simulator::roots(platform_dir()).unwrap()],
            &[platform().measurement()],
            &[release.digest()],
        );
        Self {
            statement: crate::sample::statement(Tee::SevSnp, &config, &release),
            expected: Expected {
                nonce: challenge.nonce,
                audience: challenge.audience,
                earlier_report_id: None,
                earlier_epoch: None,
            },
            challenge,
            config,
            release,
            policy: policy.unwrap(),
            endorsements: Endorsements::default(),
            floors: Floors::default(),
            now: now(),
        }
    }

    /// One whose policy trusts the root of `platform` instead.
    pub(crate) fn trusting(platform: &SimulatedSnp) -> Self {
        let mut case = Self::good();
        let known = self::platform().root().to_string();
        case.edit_policy(&known, &platform.root().to_string());
        case
    }

    /// Replaces a line's beginning in the policy; it must be there.
    pub(crate) fn edit_policy(&mut self, from: &str, to: &str) {
        assert!(self.policy.contains(from), "{from}");
        self.policy = self.policy.replacen(from, to, 1);
    }

    /// Restates config and release after they were changed.
    pub(crate) fn restate(&mut self) {
        self.statement.config = self.config.digest();
        self.statement.release = self.release.digest();
    }

    pub(crate) fn report_data(&self) -> [u8; 64] {
        report_data(&self.statement.encode(), &self.challenge.encode())
    }

    /// The envelope around a given report.
    pub(crate) fn envelope(&self, raw: RawEvidence) -> Evidence {
        Evidence {
            v: 1,
            tee: Tee::SevSnp,
            report: raw.report,
            key_statement: self.statement.encode(),
            challenge: self.challenge.encode(),
            config: self.config.encode(),
            release: self.release.encode(),
            endorsements: raw.endorsements,
            event_log: raw.event_log,
        }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.envelope(platform().attest(&self.report_data()).unwrap())
    }

    /// Judges `bytes`.
    pub(crate) fn judge_bytes(&self, bytes: &[u8]) -> Appraisal {
        let policy = Policy::parse(&self.policy).unwrap();
        appraise(&Inputs {
            evidence: bytes,
            endorsements: &self.endorsements,
            policy: &policy,
            expected: self.expected,
            floors: &self.floors,
            now: self.now,
        })
    }

    pub(crate) fn judge_envelope(&self, evidence: &Evidence) -> Appraisal {
        self.judge_bytes(&evidence.encode())
    }

    /// Judges what an honest platform says of this case.
    pub(crate) fn judge(&self) -> Appraisal {
        self.judge_envelope(&self.evidence())
    }

    /// Judges a report that the platform signs although it was changed.
    pub(crate) fn judge_report(&self, change: impl FnOnce(&mut Report)) -> Appraisal {
        let mut report = platform().report(&self.report_data());
        change(&mut report);
        let raw = platform().sign(report.encode()).unwrap();
        self.judge_envelope(&self.envelope(raw))
    }
}
