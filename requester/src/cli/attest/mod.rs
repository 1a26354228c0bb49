//! `duckblind attest`: appraise an enclave here, or look at what it presents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_protocol::ids::NodeId;
use duckblind_protocol::order::Class;
use serde_json::json;

use super::failure::Failure;
use super::inspect::{Inspected, checks_text};
use super::measure::{MeasureCommand, measure};
use super::paths::{self, IdentityArgs};
use super::ui::Ui;
use crate::client::transport::Transport;
use crate::client::{ClientError, Identity, Presented, VerifierClient, attested};
use crate::clock;
use crate::error::RequesterError;
use crate::receipt::SavedReceipt;
use crate::trust::{Judged, Trust};

/// Appraise an enclave, or look at its evidence.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AttestCommand {
    /// Appraise an enclave here and compare with the verifier's result
    Verify(SourceArgs),
    /// Print what the evidence says, without judging it
    Show(SourceArgs),
    /// Compute what a guest of a release measures
    #[command(subcommand)]
    Measure(MeasureCommand),
}

/// Where evidence comes from.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// A saved receipt, judged at the time of its attestation result
    #[arg(value_name = "FILE", conflicts_with_all = ["node", "fresh"])]
    file: Option<PathBuf>,
    /// A host of the registry [default: the only one, or the first with a current attestation]
    #[arg(long, value_name = "ID")]
    node: Option<NodeId>,
    /// Ask the enclave itself, with a nonce of your own
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

pub(super) async fn attest(
    ui: &Ui,
    trust: Option<&Path>,
    command: AttestCommand,
) -> Result<(), Failure> {
    match command {
        AttestCommand::Measure(command) => measure(ui, command),
        AttestCommand::Show(args) => {
            let presented = match &args.file {
                // Looking needs no trust.
                Some(file) => SavedReceipt::load(file)?.presented()?,
                None => present(&paths::trust(trust)?, &args).await?.1,
            };
            let inspected = Inspected::decode(&presented.evidence)?;
            let value = json!({
                "schema": "duckblind/evidence/v1",
                "verified": false,
                "evidence": inspected.value(),
            });
            ui.show(&value, || inspected.text());
            ui.note("nothing of this is verified; `duckblind attest verify` does that");
            Ok(())
        }
        AttestCommand::Verify(args) => {
            let trust = paths::trust(trust)?;
            if let Some(file) = &args.file {
                let verified = SavedReceipt::load(file)?.verify(&trust)?;
                report(ui, None, &verified.judged);
                ui.note("time not proven: no log");
                return Ok(());
            }
            let (node, presented) = present(&trust, &args).await?;
            match presented.judge(&trust) {
                Ok(judged) => {
                    report(ui, Some(&node), &judged);
                    Ok(())
                }
                Err(error) => {
                    if let RequesterError::Admit(refused) = &error
                        && !ui.is_json()
                    {
                        ui.line(checks_text(refused.checks()).trim_end());
                    }
                    Err(error.into())
                }
            }
        }
    }
}

async fn present(trust: &Trust, args: &SourceArgs) -> Result<(NodeId, Presented), Failure> {
    let verifier = VerifierClient::new(trust.verifier())?;
    let node = match args.node {
        Some(node) => node,
        None => pick(&verifier).await?,
    };
    let (info, presented) = attested::stored(&verifier, &node).await?;
    if !args.fresh {
        return Ok((node, presented));
    }
    let address = info
        .address
        .parse()
        .map_err(|_| ClientError::Address(info.address.clone()))?;
    let identity = args.identity.path()?;
    let transport = Transport::new(Arc::new(Identity::at(&identity)?), address)?;
    let (connection, _) = transport.connect(address, Some(node)).await?;
    Ok((node, attested::fresh(&verifier, trust, &connection).await?))
}

async fn pick(verifier: &VerifierClient) -> Result<NodeId, Failure> {
    let nodes = verifier.nodes(Class::L2).await?;
    let now = clock::now().0;
    nodes
        .iter()
        .find(|node| node.attested_until.is_some_and(|until| until > now))
        .or(nodes.first())
        .map(|node| node.id)
        .ok_or_else(|| ClientError::NoHost.into())
}

fn report(ui: &Ui, node: Option<&NodeId>, judged: &Judged) {
    let appraised = judged.appraised();
    let claims = judged.ear().claims();
    let value = json!({
        "schema": "duckblind/appraisal/v1",
        "verdict": "accepted",
        "node": node,
        "sim": appraised.sim(),
        "logged": false,
        "at": appraised.at(),
        "policy": appraised.policy_id(),
        "measurement": appraised.measurement().to_string(),
        "release": appraised.key_statement().release,
        "instance": appraised.key_statement().instance,
        "epoch": appraised.key_statement().epoch,
        "key_statement": appraised.key_statement_digest(),
        "ear": {
            "signer": judged.ear().signer(),
            "status": claims.status,
            "iat": claims.iat,
            "exp": claims.exp,
            "fresh": claims.requester_nonce.is_some(),
        },
        "checks": judged.checks(),
    });
    ui.show(&value, || {
        format!(
            "{}\naccepted{} at {}\nthe verifier agrees ({}) until {}",
            checks_text(judged.checks()).trim_end(),
            if appraised.sim() {
                ", SIMULATED PLATFORM: protects nothing,"
            } else {
                ""
            },
            clock::utc(appraised.at()),
            claims.status,
            clock::utc(claims.exp),
        )
    });
}
