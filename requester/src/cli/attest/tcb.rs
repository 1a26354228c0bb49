//! `duckblind attest tcb-status`: what of a platform's firmware falls short, and what mends it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckblind_attestation::appraise::crypto::{self, CryptoVerdict};
use duckblind_attestation::explain::shortfall::{
    NoStatus, Shortfall, SnpStatus, TdxStatus, snp, tdx,
};
use duckblind_attestation::policy::Policy;
use duckblind_attestation::reason::Reason;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::UnixTime;
use duckblind_protocol::key_statement::Tee;
use serde_json::json;

use super::super::failure::Failure;
use super::super::ui::Ui;
use super::documents::DocumentArgs;
use super::gather::GatherArgs;
use super::instant::instant;
use super::source::SourceArgs;
use super::subject::Subject;
use crate::clock;
use crate::error::RequesterError;
use crate::files;

/// Say which part of a platform's firmware falls short, and what update mends it
///
/// SEV-SNP: against the floors of a policy. TDX: against the newest level that Intel calls up to
/// date. Whether report and documents are genuine is looked at as far as certificates are at hand; a
/// policy's other rules are `duckblind attest verify`'s.
#[derive(Debug, clap::Args)]
pub(in super::super) struct TcbArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Whose floors count [default: policies/production-snp.toml of this build]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    documents: DocumentArgs,
    #[command(flatten)]
    gather: GatherArgs,
    /// The time to judge documents at: Unix seconds or a date in UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<UnixTime>,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(super) enum TcbError {
    /// A report that does not say, and no certificate that does.
    #[error("the report does not say of which processor generation it is")]
    Generation,
    /// No levels to compare with.
    #[error("Intel's levels of this platform are not at hand")]
    NoLevels,
    /// Levels or certificate are of no use.
    #[error("there is no status: {0}")]
    NoStatus(NoStatus),
    /// Something falls short.
    #[error("the platform's firmware falls short")]
    Short {
        component: String,
        have: u64,
        needs: u64,
        mend: String,
    },
    /// Report or documents that prove nothing.
    #[error("report and documents are not genuine, or not of this time")]
    NotGenuine(Vec<Reason>),
    /// Intel's word, without a component to blame.
    #[error("Intel does not call this platform up to date")]
    Status(String),
}

impl Coded for TcbError {
    fn code(&self) -> &'static str {
        match self {
            Self::Generation => "DB-REQ-106",
            Self::NoLevels => "DB-REQ-107",
            Self::NoStatus(_) => "DB-REQ-108",
            Self::Short { .. } => "DB-REQ-109",
            Self::Status(_) => "DB-REQ-110",
            Self::NotGenuine(_) => "DB-REQ-111",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Generation | Self::NoLevels => Exit::Usage,
            Self::NoStatus(_) => Exit::Malformed,
            Self::Short { .. } | Self::Status(_) | Self::NotGenuine(_) => Exit::Rejected,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Short {
                component, needs, ..
            } => Some(format!("{component}: at least {needs}")),
            Self::Status(_) => Some("UpToDate".into()),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::Short { have, .. } => Some(have.to_string()),
            Self::Status(status) => Some(status.clone()),
            Self::NotGenuine(reasons) => {
                let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
                Some(names.join(", "))
            }
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Generation => {
                "reports of version 2 need the certificate of their key: --cert FILE".into()
            }
            Self::NoLevels => {
                "give them with --collateral FILE or --endorsements BUNDLE, or run it where there \
                 is a network"
                    .into()
            }
            Self::NoStatus(_) => "fetch the levels of exactly this platform model".into(),
            Self::Short { mend, .. } => mend.clone(),
            Self::Status(_) => "update the platform's firmware".into(),
            Self::NotGenuine(reasons) => {
                let hint = reasons.first().map_or("", |reason| reason.hint());
                format!("{hint}; `duckblind attest verify` shows every check")
            }
        })
    }
}

pub(super) async fn tcb_status(
    ui: &Ui,
    trust: Option<&Path>,
    args: TcbArgs,
) -> Result<(), Failure> {
    let mut subject = Subject::named(&args.source, &args.documents, trust).await?;
    let now = args.now.unwrap_or_else(clock::now);
    match subject.tee {
        Tee::SevSnp => of_snp(ui, &subject, args.policy.as_deref(), now),
        Tee::Tdx => {
            subject.tdx()?;
            args.gather.complete(ui, &mut subject, now).await;
            of_tdx(ui, &subject, now)
        }
    }
}

fn of_snp(ui: &Ui, subject: &Subject, policy: Option<&Path>, now: UnixTime) -> Result<(), Failure> {
    let policy = match policy {
        Some(path) => {
            let text = files::read_text(path).map_err(RequesterError::from)?;
            Some(Policy::parse(&text)?)
        }
        None => None,
    };
    let report = subject.snp()?.report;
    let status = snp(&report, subject.certified(), policy.as_ref())?;
    let status = status.ok_or(TcbError::Generation)?;
    // Without certificates there is nothing to verify by.
    let verdict = subject
        .endorsements
        .vek
        .as_ref()
        .map(|_| crypto::snp(&subject.report, &subject.endorsements, now));
    let verified = verdict.as_ref().is_some_and(CryptoVerdict::is_accepted);
    let value =
        json!({ "schema": "duckblind/tcb-status/v1", "verified": verified, "sev_snp": status });
    ui.show(&value, || snp_text(&status));
    match verdict {
        None => ui.note("nothing of this is verified: there is no certificate of the report's key"),
        Some(verdict) => genuine(&verdict)?,
    }
    ended(status.shortfalls)
}

fn of_tdx(ui: &Ui, subject: &Subject, now: UnixTime) -> Result<(), Failure> {
    let collateral = subject
        .endorsements
        .tdx
        .as_ref()
        .ok_or(TcbError::NoLevels)?;
    let status = tdx(&subject.tdx()?, &collateral.tcb_info).map_err(TcbError::NoStatus)?;
    let verdict = crypto::tdx(&subject.report, collateral, now);
    let verified = verdict.is_accepted();
    let value = json!({ "schema": "duckblind/tcb-status/v1", "verified": verified, "tdx": status });
    ui.show(&value, || tdx_text(&status));
    genuine(&verdict)?;
    ended(status.shortfalls)?;
    match status.status.as_deref() {
        Some("UpToDate") => Ok(()),
        other => Err(TcbError::Status(other.unwrap_or("no level that Intel lists").into()).into()),
    }
}

/// Levels out of documents that prove nothing, or of another time, are no status. That Intel lists
/// no level for a genuine platform is one.
fn genuine(verdict: &CryptoVerdict) -> Result<(), Failure> {
    let mut reasons = verdict.reasons();
    reasons.retain(|reason| *reason != Reason::TcbStatus);
    if reasons.is_empty() {
        return Ok(());
    }
    Err(TcbError::NotGenuine(reasons).into())
}

/// Ends with the first thing that falls short: it is an error, with all of them listed before.
fn ended(shortfalls: Vec<Shortfall>) -> Result<(), Failure> {
    match shortfalls.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(TcbError::Short {
            component: first.component,
            have: first.have,
            needs: first.needs,
            mend: first.mend,
        }
        .into()),
    }
}

fn snp_text(status: &SnpStatus) -> String {
    let mut text = format!("SEV-SNP, {}\n", status.generation);
    for version in &status.versions {
        let _ = write!(text, "  {:10}", version.name);
        match &version.components {
            None => text.push_str(" cannot be read"),
            Some(components) => {
                for (name, number) in components {
                    let _ = write!(text, " {name} {number:<4}");
                }
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if status.provisional {
        text.push_str(
            "note: firmware runs that is not committed: the host can go back behind it\n",
        );
    }
    text.push_str(&shortfalls_text(&status.shortfalls));
    text
}

fn tdx_text(status: &TdxStatus) -> String {
    let mut text = format!("TDX, platform model {}\n", status.fmspc);
    let word = status
        .status
        .as_deref()
        .unwrap_or("none: below every level");
    let _ = writeln!(text, "  status     {word}");
    if let Some(date) = &status.level_date {
        let _ = writeln!(text, "  level of   {date}");
    }
    if !status.advisories.is_empty() {
        let _ = writeln!(text, "  advisories {}", status.advisories.join(", "));
    }
    let _ = writeln!(text, "  edition    {} of Intel's data", status.edition);
    text.push_str(&shortfalls_text(&status.shortfalls));
    text
}

fn shortfalls_text(shortfalls: &[Shortfall]) -> String {
    if shortfalls.is_empty() {
        return "nothing falls short\n".into();
    }
    let mut text = String::new();
    for short in shortfalls {
        let _ = writeln!(
            text,
            "SHORT {}: {}, needs {}",
            short.component, short.have, short.needs
        );
        let _ = writeln!(text, "      {}", short.mend);
    }
    text
}
