//! One connection to one enclave, for many jobs: connected once, attested until the attestation
//! result ends.

use std::net::SocketAddr;
use std::sync::Arc;

use duckblind_protocol::frames::{Accepted, Hello, Kind, Refused, TicketReply};
use duckblind_protocol::ids::{JobId, NodeId};
use duckblind_protocol::job_code::JobCode;
use ed25519_dalek::SigningKey;
use quinn::Connection;
use tokio::sync::Mutex;

use super::attested::{self, Attested};
use super::error::ClientError;
use super::failure::JobFailure;
use super::find::{self, Found, Target};
use super::identity::Identity;
use super::job::{Expected, RunningJob};
use super::link::{self, FrameReceiver, FrameSender};
use super::request::JobRequest;
use super::transport::Transport;
use super::verifier::VerifierClient;
use crate::clock;
use crate::error::RequesterError;
use crate::trust::{SensitiveJob, Trust, seal_sensitive};

/// How to connect.
pub struct ConnectOptions {
    /// The transport key.
    pub identity: Arc<Identity>,
    /// Signs orders.
    pub order_key: SigningKey,
    /// Which host; none: any with a current attestation.
    pub target: Target,
    /// Asks for evidence with a nonce of our own, at every appraisal.
    pub fresh: bool,
}

/// An open connection to an attested enclave. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    trust: Trust,
    verifier: VerifierClient,
    transport: Transport,
    order_key: SigningKey,
    fresh: bool,
    node: NodeId,
    address: SocketAddr,
    connection: Mutex<Connection>,
    attested: Mutex<Arc<Attested>>,
}

/// An attempt that came to nothing.
enum Attempt {
    /// The enclave's keys are no longer those that were appraised.
    Stale(RequesterError),
    Failed(RequesterError),
}

impl<E: Into<RequesterError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Session {
    /// Finds a host, connects, and appraises its enclave.
    pub async fn connect(trust: &Trust, options: ConnectOptions) -> Result<Self, RequesterError> {
        let verifier = VerifierClient::new(trust.verifier())?;
        let found = find::host(trust, &verifier, &options).await?;
        Ok(Self::with(trust, verifier, options, found))
    }

    fn with(
        trust: &Trust,
        verifier: VerifierClient,
        options: ConnectOptions,
        found: Found,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                trust: trust.clone(),
                verifier,
                transport: found.transport,
                order_key: options.order_key,
                fresh: options.fresh,
                node: found.node,
                address: found.address,
                connection: Mutex::new(found.connection),
                attested: Mutex::new(Arc::new(found.attested)),
            }),
        }
    }

    /// The host.
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The enclave as it was appraised last.
    pub async fn attested(&self) -> Arc<Attested> {
        Arc::clone(&*self.shared.attested.lock().await)
    }

    /// Submits a job and returns when the enclave has accepted it. If the enclave's key has
    /// changed, it is appraised again, once; no job is ever submitted twice.
    pub async fn run(&self, request: &JobRequest) -> Result<RunningJob, RequesterError> {
        let attested = self.current().await?;
        match self.attempt(&attested, request).await {
            Ok(running) => return Ok(running),
            Err(Attempt::Failed(error)) => return Err(error),
            Err(Attempt::Stale(error)) => {
                tracing::info!(code = error_code(&error), "the enclave's key has changed");
            }
        }
        let attested = self.renew(true).await?;
        match self.attempt(&attested, request).await {
            Ok(running) => Ok(running),
            Err(Attempt::Failed(error) | Attempt::Stale(error)) => Err(error),
        }
    }

    /// The connection, made anew if it has ended.
    pub async fn connection(&self) -> Result<Connection, RequesterError> {
        let mut connection = self.shared.connection.lock().await;
        if connection.close_reason().is_some() {
            let (again, _) = self
                .shared
                .transport
                .connect(self.shared.address, Some(self.shared.node))
                .await?;
            *connection = again;
        }
        Ok(connection.clone())
    }

    /// The attested key, appraised again if its attestation result has ended.
    async fn current(&self) -> Result<Arc<Attested>, RequesterError> {
        let attested = self.attested().await;
        if attested.key.usable_at(clock::now()) {
            return Ok(attested);
        }
        self.renew(self.shared.fresh).await
    }

    /// Appraises the enclave again: with fresh evidence, or with what the verifier has by now.
    pub async fn renew(&self, fresh: bool) -> Result<Arc<Attested>, RequesterError> {
        let shared = &self.shared;
        let connection = self.connection().await?;
        let presented = if fresh {
            attested::fresh(&shared.verifier, &shared.trust, &connection).await?
        } else {
            attested::stored(&shared.verifier, &shared.node).await?.1
        };
        let attested = Arc::new(presented.admit(&shared.trust)?);
        *shared.attested.lock().await = Arc::clone(&attested);
        Ok(attested)
    }

    async fn attempt(
        &self,
        attested: &Arc<Attested>,
        request: &JobRequest,
    ) -> Result<RunningJob, Attempt> {
        let limits = request.limits.within(&attested.key.config().limits)?;
        let connection = self.connection().await?;
        let (mut sender, mut receiver) = link::open(&connection).await?;
        let ticket = hello(attested, &mut sender, &mut receiver).await?;
        let config = attested.key.config();
        let job = SensitiveJob {
            job: JobId::random().map_err(|e| ClientError::Tls(e.to_string()))?,
            ticket: ticket.ticket,
            limits,
            expiry_ms: config.timeouts.expiry_ms,
            inputs: &request.inputs,
            query: &request.query,
            signer: &self.shared.order_key,
        };
        let (sealed, session) = seal_sensitive(&job, &attested.key)?;
        let control = session.control()?;
        let frame = link::ask(&mut sender, &mut receiver, Kind::Job, &sealed.encode()).await?;
        let accepted = match frame.kind {
            Kind::Accepted => Accepted::decode(&frame.payload).map_err(ClientError::from)?,
            Kind::Refused => {
                let refused = Refused::decode(&frame.payload).map_err(ClientError::from)?;
                let ours = refused.enc == Some(*session.enc_digest());
                if !ours || refused.verify(attested.key.instance_key()).is_err() {
                    return Err(ClientError::NotSigned("refusal").into());
                }
                return Err(refusal(&refused));
            }
            other => return Err(ClientError::Frame(format!("{other:?} frame")).into()),
        };
        let ours = accepted.job == job.job
            && accepted.enc == *session.enc_digest()
            && accepted.key_statement == attested.key.key_statement();
        if !ours || accepted.verify(attested.key.instance_key()).is_err() {
            return Err(ClientError::NotSigned("acceptance").into());
        }
        let expected = Expected {
            attested: Arc::clone(attested),
            session,
            manifests: request.manifests(),
            sql: request.query.sql.clone(),
        };
        Ok(RunningJob::start(
            expected, &accepted, control, sender, receiver,
        )?)
    }
}

/// Asks for a ticket of the attested enclave, under the attested key.
async fn hello(
    attested: &Attested,
    sender: &mut FrameSender,
    receiver: &mut FrameReceiver,
) -> Result<TicketReply, Attempt> {
    let frame = link::ask(sender, receiver, Kind::Hello, &Hello::new().encode()).await?;
    let instance = attested.key.instance_key();
    match frame.kind {
        Kind::Ticket => {
            let ticket = TicketReply::decode(&frame.payload).map_err(ClientError::from)?;
            // Another instance key: a restarted enclave, or a host that makes things up. Fresh
            // evidence will tell.
            if ticket.verify(instance).is_err() {
                return Err(Attempt::Stale(ClientError::NotSigned("ticket").into()));
            }
            // It may name a later epoch: the enclave says itself when our key is over.
            Ok(ticket)
        }
        Kind::Refused => {
            let refused = Refused::decode(&frame.payload).map_err(ClientError::from)?;
            if refused.enc.is_some() || refused.verify(instance).is_err() {
                return Err(Attempt::Stale(ClientError::NotSigned("refusal").into()));
            }
            Err(refusal(&refused))
        }
        other => Err(ClientError::Frame(format!("{other:?} frame")).into()),
    }
}

fn stale() -> Attempt {
    Attempt::Stale(RequesterError::Job(JobFailure::Refused {
        code: JobCode::StaleKey,
        retry_after_ms: None,
    }))
}

fn refusal(refused: &Refused) -> Attempt {
    if refused.code == JobCode::StaleKey {
        return stale();
    }
    Attempt::Failed(RequesterError::Job(JobFailure::Refused {
        code: refused.code,
        retry_after_ms: refused.retry_after_ms,
    }))
}

fn error_code(error: &RequesterError) -> &'static str {
    duckblind_protocol::coded::Coded::code(error)
}

#[cfg(all(test, feature = "simulator"))]
#[path = "session_tests.rs"]
mod tests;
