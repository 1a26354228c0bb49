//! `duckblind attest`: evidence, from asking for it to judging it.

mod appraisal;
mod collect;
mod documents;
mod envelope;
mod fetch;
mod file;
mod gather;
mod instant;
mod measure;
mod policy;
mod show;
mod source;
mod subject;
mod tcb;
mod vectors;
mod verify;

use std::path::Path;

use super::failure::Failure;
use super::ui::Ui;

/// Judge an enclave, or look at its evidence.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AttestCommand {
    /// Judge evidence here: of a host, out of a file, or a folder of test vectors
    Verify(Box<verify::VerifyArgs>),
    /// Print what evidence says, field by field, without judging it
    Show(Box<show::ShowArgs>),
    /// Ask this machine's platform for a report
    Collect(Box<collect::CollectArgs>),
    /// Fetch what AMD or Intel say of a platform, and write it as one file
    FetchCollateral(Box<fetch::FetchArgs>),
    /// Say which part of a platform's firmware falls short, and what update mends it
    TcbStatus(Box<tcb::TcbArgs>),
    /// Compute what a guest of a release measures
    #[command(subcommand)]
    Measure(measure::MeasureCommand),
    /// Check, explain and compare appraisal policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

pub(super) async fn attest(
    ui: &Ui,
    trust: Option<&Path>,
    command: AttestCommand,
) -> Result<(), Failure> {
    match command {
        AttestCommand::Verify(args) => verify::verify(ui, trust, *args).await,
        AttestCommand::Show(args) => show::show(ui, trust, *args).await,
        AttestCommand::Collect(args) => collect::collect(ui, *args),
        AttestCommand::FetchCollateral(args) => fetch::fetch(ui, trust, *args).await,
        AttestCommand::TcbStatus(args) => tcb::tcb_status(ui, trust, *args).await,
        AttestCommand::Measure(command) => measure::measure(ui, command),
        AttestCommand::Policy(command) => policy::policy(ui, command),
    }
}
