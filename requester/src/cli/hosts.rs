//! `duckblind hosts`: what the verifier's registry says, and what is true of it.

use std::fmt::Write as _;
use std::path::Path;

use duckblind_protocol::coded::Coded as _;
use duckblind_protocol::http::NodeInfo;
use duckblind_protocol::ids::UnixTime;
use duckblind_protocol::order::Class;
use serde_json::json;

use super::failure::Failure;
use super::paths;
use super::ui::Ui;
use crate::client::verifier::printable;
use crate::client::{VerifierClient, attested};
use crate::clock;
use crate::trust::Trust;

/// List the hosts that the verifier knows
///
/// The list is the verifier's word. With --appraise every host's evidence is judged here too.
#[derive(Debug, clap::Args)]
pub(super) struct HostsArgs {
    /// Judge every host's evidence here
    #[arg(long)]
    appraise: bool,
    /// Which hosts: l2 are attested enclaves, l0 are laptops
    #[arg(long, value_name = "CLASS", default_value = "l2", value_parser = ["l0", "l2"])]
    class: String,
}

pub(super) async fn hosts(ui: &Ui, trust: Option<&Path>, args: HostsArgs) -> Result<(), Failure> {
    let trust = paths::trust(trust)?;
    let verifier = VerifierClient::new(trust.verifier())?;
    let class = if args.class == "l0" {
        Class::L0
    } else {
        Class::L2
    };
    let nodes = verifier.nodes(class).await?;
    let mut judged = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let verdict = if args.appraise {
            Some(appraise(&trust, &verifier, node).await)
        } else {
            None
        };
        judged.push(verdict);
    }
    let value = json!({
        "schema": "duckblind/hosts/v1",
        "hosts": nodes
            .iter()
            .zip(&judged)
            .map(|(node, own)| json!({ "registry": node, "own_verdict": own }))
            .collect::<Vec<_>>(),
    });
    ui.show(&value, || table(&nodes, &judged));
    if !args.appraise {
        ui.note(
            "this is the verifier's word; `duckblind hosts --appraise` judges the evidence here",
        );
    }
    Ok(())
}

/// `good`, or the code of what is wrong.
async fn appraise(trust: &Trust, verifier: &VerifierClient, node: &NodeInfo) -> String {
    let judged = match attested::stored(verifier, &node.id).await {
        Ok((_, presented)) => presented.judge(trust),
        Err(error) => Err(error),
    };
    match judged {
        Ok(judged) if judged.appraised().sim() => "good (simulated)".into(),
        Ok(_) => "good".into(),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

fn table(nodes: &[NodeInfo], judged: &[Option<String>]) -> String {
    if nodes.is_empty() {
        return "no hosts".into();
    }
    let mut text = String::new();
    for (node, own) in nodes.iter().zip(judged) {
        let _ = writeln!(text, "{}", node.id);
        let _ = writeln!(
            text,
            "  address   {} ({})",
            printable(&node.address),
            node.class
        );
        let until = match node.attested_until {
            Some(until) => format!("until {}", clock::utc(UnixTime(until))),
            None => "no current attestation".into(),
        };
        let verdict = node.verdict.as_deref().unwrap_or("none");
        let _ = writeln!(
            text,
            "  attested  {until}, verdict {}{}",
            printable(verdict),
            if node.sim { ", simulated" } else { "" }
        );
        let _ = writeln!(text, "  last seen {} s ago", node.last_seen_s);
        if !node.flags.is_empty() {
            let _ = writeln!(text, "  flags     {}", printable(&node.flags.join(", ")));
        }
        if let Some(own) = own {
            let _ = writeln!(text, "  appraised here: {own}");
        }
    }
    text
}
