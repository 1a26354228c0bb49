//! Appraisals, whole ones with an accepting verdict, against what the vendors' libraries do with the same bytes:
//! `sev` checks chain and report, `dcap-qvl` quote and collateral. Neither looks at binding, policy or revocation of
//! SNP keys. The platforms are simulated ones: their documents have the shape and the algorithms of real ones.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteCollateralV3, QuotePolicy};
use duckblind_attestation::appraise::{Expected, Floors, Inputs, SignatureCache, appraise_with};
use duckblind_attestation::attester::Attester;
use duckblind_attestation::evidence::{Endorsements, Evidence};
use duckblind_attestation::policy::{Policy, fill_development};
use duckblind_attestation::sample;
use duckblind_attestation::simulator::{self, SimulatedSnp, SimulatedTdx};
use duckblind_attestation::tdx::crypto::QvlConfig;
use duckblind_protocol::ids::{Digest, Nonce, UnixTime};
use duckblind_protocol::key_statement::Challenge;
use sev::certs::snp::{Certificate, Chain, Verifiable, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;

use super::Effort;
use super::report::{Measured, Report, median};
use crate::stack;

const TEMPLATE: &str = include_str!("../../../policies/development.toml");
/// Signatures that a cache holds in a verifier.
const CACHED: usize = 256;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let dir = stack::platform()?;
    let roots = simulator::create(&dir)?;
    let (snp, tdx) = (SimulatedSnp::open(&dir)?, SimulatedTdx::open(&dir)?);
    let measurements = [snp.measurement()];
    let releases = [sample::release().digest()];
    let policy = fill_development(TEMPLATE, &[roots], &measurements, &releases)?;
    let policy = Policy::parse(&policy)?;
    let rounds = if effort.quick { 200 } else { 1000 };

    let on_snp = Scene::of(&snp)?;
    let chain = sev_chain(&on_snp.evidence.endorsements)?;
    let raw = on_snp.evidence.report.clone();
    let sev = || {
        let report = AttestationReport::from_bytes(&raw).map_err(|e| anyhow!("{e}"))?;
        (&chain, &report).verify().map_err(|e| anyhow!("{e}"))
    };
    let nothing = SignatureCache::none();
    let (cold, theirs) = alternate(rounds, || on_snp.accepted(&policy, &nothing), sev)?;
    let cold = Measured::value("attestation", "snp-cold-ms", cold, "ms");
    report.add(cold.target(0.8).against(theirs));
    let cache = SignatureCache::new(CACHED);
    let (cached, theirs) = alternate(rounds, || on_snp.accepted(&policy, &cache), sev)?;
    let cached = Measured::value("attestation", "snp-cached-ms", cached, "ms");
    report.add(cached.target(0.35).against(theirs));

    let on_tdx = Scene::of(&tdx)?;
    let collateral = on_tdx.evidence.endorsements.tdx.as_ref();
    let collateral = QuoteCollateralV3::from(collateral.ok_or_else(|| anyhow!("no collateral"))?);
    let now = u64::try_from(on_tdx.now.0)?;
    let verifier = QuoteVerifier::<QvlConfig>::new_with_config(tdx.root_der().to_vec());
    let qvl = || {
        let policy = QuotePolicy::claims_only(now);
        let quote = &on_tdx.evidence.report;
        verifier.verify_with_policy(quote, &collateral, now, &policy)
    };
    let (ours, theirs) = alternate(rounds, || on_tdx.accepted(&policy, &nothing), qvl)?;
    let ours = Measured::value("attestation", "tdx-ms", ours, "ms");
    report.add(ours.target(2.5).against(theirs));
    Ok(())
}

/// Medians in milliseconds of two things that are done in turn.
fn alternate<A, B>(
    rounds: usize,
    ours: impl Fn() -> Result<A>,
    theirs: impl Fn() -> Result<B>,
) -> Result<(f64, f64)> {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        one.push(timed(&ours)?);
        two.push(timed(&theirs)?);
    }
    Ok((median(&one), median(&two)))
}

fn timed<T>(act: impl Fn() -> Result<T>) -> Result<f64> {
    let begin = Instant::now();
    black_box(act()?);
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// An enclave's answer, and what it is judged by.
struct Scene {
    evidence: Evidence,
    bytes: Vec<u8>,
    expected: Expected,
    now: UnixTime,
}

impl Scene {
    fn of(platform: &impl Attester) -> Result<Self> {
        let (config, release) = (sample::config(), sample::release());
        let challenge = Challenge::new(Nonce::from_bytes([3; 32]), Digest::of(b"audience"));
        let statement = sample::statement(platform.tee(), &config, &release);
        let evidence = sample::evidence(platform, &statement, &challenge, &config, &release)?;
        let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
        Ok(Self {
            bytes: evidence.encode(),
            evidence,
            expected: Expected {
                nonce: challenge.nonce,
                audience: challenge.audience,
                earlier_report_id: None,
                earlier_epoch: None,
            },
            now: UnixTime(i64::try_from(now)?),
        })
    }

    fn accepted(&self, policy: &Policy, cache: &SignatureCache) -> Result<()> {
        let inputs = Inputs {
            evidence: &self.bytes,
            endorsements: &Endorsements::default(),
            policy,
            expected: self.expected,
            floors: &Floors::default(),
            now: self.now,
        };
        let appraisal = appraise_with(&inputs, cache);
        ensure!(appraisal.result.is_ok(), "{:?}", appraisal.result);
        Ok(())
    }
}

fn sev_chain(endorsements: &Endorsements) -> Result<Chain> {
    let read = |der: &Option<Vec<u8>>| {
        let der = der.as_deref().unwrap_or_default();
        Certificate::from_der(der).map_err(|e| anyhow!("{e}"))
    };
    Ok(Chain {
        ca: ca::Chain {
            ark: read(&endorsements.ark)?,
            ask: read(&endorsements.ask)?,
        },
        vek: read(&endorsements.vek)?,
    })
}
