//! `duckblind attest collect`: a report of the machine that this runs on.

use std::path::{Path, PathBuf};

use duckblind_attestation::attester::tsm::{DEFAULT_EVENT_LOG, DEFAULT_ROOT};
use duckblind_attestation::attester::{Attester, ConfigfsTsm};
use duckblind_protocol::ids::{Digest, random_bytes};
use serde_json::json;

use super::super::failure::Failure;
use super::super::ui::Ui;
use crate::error::RequesterError;
use crate::files;

/// Bytes that a report carries.
const REPORT_DATA: usize = 64;

/// Ask this machine's platform for a report
///
/// Works inside an SEV-SNP or TDX guest. The report goes to show, verify, tcb-status and
/// fetch-collateral.
#[derive(Debug, clap::Args)]
pub(in super::super) struct CollectArgs {
    /// Where the report goes, as the hardware gave it
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Where the certificates go that came with it, as a bundle
    #[arg(long, value_name = "BUNDLE")]
    endorsements: Option<PathBuf>,
    /// Where the event log goes that came with it
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
    /// What the report is to carry, 128 hex digits [default: random]
    #[arg(long, value_name = "HEX", value_parser = report_data)]
    report_data: Option<ReportData>,
    /// The kernel's report interface
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ROOT, hide = true)]
    configfs_root: PathBuf,
    /// The kernel's event log
    #[arg(long, value_name = "FILE", default_value = DEFAULT_EVENT_LOG, hide = true)]
    event_log_source: PathBuf,
    /// A simulated platform, as `trust init --simulator` makes it; for development only
    #[arg(long, value_name = "DIR")]
    simulator: Option<PathBuf>,
    /// What the simulated platform plays
    #[arg(long, value_enum, default_value = "sev-snp", requires = "simulator")]
    tee: TeeArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TeeArg {
    SevSnp,
    Tdx,
}

#[derive(Clone, Copy, Debug)]
struct ReportData([u8; REPORT_DATA]);

fn report_data(text: &str) -> Result<ReportData, String> {
    let mut bytes = [0; REPORT_DATA];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "expected 128 hex digits".to_owned())?;
    Ok(ReportData(bytes))
}

pub(super) fn collect(ui: &Ui, args: CollectArgs) -> Result<(), Failure> {
    let data = match args.report_data {
        Some(ReportData(data)) => data,
        None => random()?,
    };
    let platform = match &args.simulator {
        Some(dir) => simulated(dir, args.tee)?,
        None => Box::new(ConfigfsTsm::at(
            &args.configfs_root,
            &args.event_log_source,
        )?),
    };
    let raw = platform.attest(&data)?;
    write(&args.out, &raw.report)?;
    if let Some(path) = &args.endorsements {
        duckblind_collateral::write_bundle(path, &raw.endorsements)?;
    }
    if let (Some(path), Some(log)) = (&args.event_log, &raw.event_log) {
        write(path, log)?;
    }
    let value = json!({
        "schema": "duckblind/collected/v1",
        "tee": platform.tee(),
        "sim": args.simulator.is_some(),
        "report": args.out,
        "report_bytes": raw.report.len(),
        "report_sha256": Digest::of(&raw.report),
        "report_data": hex::encode(data),
        "endorsements": args.endorsements,
        "event_log_bytes": raw.event_log.as_ref().map(Vec::len),
    });
    ui.show(&value, || {
        format!(
            "{} report of {} bytes in {}\nreport data {}",
            platform.tee(),
            raw.report.len(),
            args.out.display(),
            hex::encode(data)
        )
    });
    if args.event_log.is_some() && raw.event_log.is_none() {
        ui.warning("this platform gave no event log");
    }
    if args.simulator.is_some() {
        ui.warning("SIMULATED PLATFORM: this report says nothing about real hardware");
    }
    Ok(())
}

fn random() -> Result<[u8; REPORT_DATA], Failure> {
    let mut bytes = [0; REPORT_DATA];
    random_bytes(&mut bytes).map_err(|error| Failure::internal(&error))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Ok(files::replace(path, 0o600, bytes).map_err(RequesterError::from)?)
}

#[cfg(feature = "simulator")]
fn simulated(dir: &Path, tee: TeeArg) -> Result<Box<dyn Attester>, Failure> {
    use duckblind_attestation::simulator::{SimulatedSnp, SimulatedTdx};
    Ok(match tee {
        TeeArg::SevSnp => Box::new(SimulatedSnp::open(dir)?),
        TeeArg::Tdx => Box::new(SimulatedTdx::open(dir)?),
    })
}

#[cfg(not(feature = "simulator"))]
fn simulated(_: &Path, _: TeeArg) -> Result<Box<dyn Attester>, Failure> {
    Err(crate::trust::TrustError::NoSimulator.into())
}
