//! Where evidence comes from: a file, the verifier's registry, or the enclave itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckblind_protocol::ids::NodeId;
use duckblind_protocol::order::Class;

use super::super::failure::Failure;
use super::super::paths::{self, IdentityArgs};
use super::file::EvidenceFile;
use crate::client::transport::Transport;
use crate::client::{ClientError, Identity, Presented, VerifierClient, attested};
use crate::clock;
use crate::trust::Trust;

/// Where evidence comes from.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// A saved receipt, an evidence envelope, recorded inputs of an appraisal, a raw SEV-SNP report
    /// or a raw TDX quote
    #[arg(value_name = "FILE", conflicts_with_all = ["node", "fresh"])]
    pub(super) file: Option<PathBuf>,
    /// A host of the registry [default: the only one, or the first with a current attestation]
    #[arg(long, value_name = "ID")]
    pub(super) node: Option<NodeId>,
    /// Ask the enclave itself, with a nonce of your own
    #[arg(long)]
    pub(super) fresh: bool,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
}

impl SourceArgs {
    /// Of the file, or of a host. A file needs no trust.
    pub(super) async fn evidence(&self, trust: Option<&Path>) -> Result<EvidenceFile, Failure> {
        if let Some(path) = &self.file {
            return EvidenceFile::load(path);
        }
        let (_, presented) = self.present(&paths::trust(trust)?).await?;
        EvidenceFile::of_presented(&presented)
    }

    /// What a host presents.
    pub(super) async fn present(&self, trust: &Trust) -> Result<(NodeId, Presented), Failure> {
        let verifier = VerifierClient::new(trust.verifier())?;
        let node = match self.node {
            Some(node) => node,
            None => pick(&verifier).await?,
        };
        let (info, presented) = attested::stored(&verifier, &node).await?;
        if !self.fresh {
            return Ok((node, presented));
        }
        let address = info
            .address
            .parse()
            .map_err(|_| ClientError::Address(info.address.clone()))?;
        let identity = self.identity.path()?;
        let transport = Transport::new(Arc::new(Identity::at(&identity)?), address)?;
        let (connection, _) = transport.connect(address, Some(node)).await?;
        Ok((node, attested::fresh(&verifier, trust, &connection).await?))
    }
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
