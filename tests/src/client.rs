//! The requester's library, for tests and bench that need more than its command line.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use duckblind::Session;
use duckblind::client::identity::{read_signing_key, signing_key_at};
use duckblind::client::{
    ConnectOptions, Event, Identity, JobRequest, LimitsWanted, TableInput, Target,
};
use duckblind::table::SealedTable;
use duckblind::trust::Trust;
use duckblind_lake::keys::{KeyFile, KeyProvider, OwnerKey};

use crate::rows::Answer;
use crate::stack::Stack;

/// A tokio runtime as programs have it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a tokio runtime")
}

/// How to connect to a stack with keys of this test alone.
pub fn options(stack: &Stack, fresh: bool) -> Result<ConnectOptions> {
    let keys = stack.dir().join("library-keys");
    Ok(ConnectOptions {
        identity: Arc::new(Identity::at(&keys.join("identity.key"))?),
        order_key: signing_key_at(&keys.join("order.key"))?.0,
        target: Target::Any,
        fresh,
    })
}

/// Connects to a stack.
pub async fn connect(stack: &Stack, fresh: bool) -> Result<Session> {
    let trust = Trust::load(&stack.trust())?;
    Ok(Session::connect(&trust, options(stack, fresh)?).await?)
}

/// A job over tables of the stack's lake that its command line has sealed.
pub fn request(stack: &Stack, sql: &str, tables: &[&str]) -> Result<JobRequest> {
    let keys = KeyProvider::new(Some(KeyFile::load_or_empty(&stack.key_file())?));
    let inputs = tables
        .iter()
        .map(|name| {
            let owner = OwnerKey::load(&stack.owner_key())?.public();
            let table = SealedTable::open(name, &stack.lake().join(name), &owner, None)?;
            Ok(TableInput::of_directory(table)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let limits = LimitsWanted::default();
    Ok(JobRequest::new(sql.to_owned(), &inputs, &keys, limits)?)
}

/// Runs a job and reads its whole answer.
pub async fn run(session: &Session, request: &JobRequest) -> Result<Answer> {
    let mut job = session.run(request).await?;
    let mut batches = Vec::new();
    while let Some(event) = job.next().await {
        if let Event::Batch(batch) = event {
            batches.push(batch);
        }
    }
    job.finish().await.map_err(Box::new)?;
    Answer::from_batches(&batches)
}

/// The signing key in a file.
pub fn signing_key(file: &Path) -> Result<ed25519_dalek::SigningKey> {
    Ok(read_signing_key(file)?)
}
