//! One admitted job, from `accepted` to its receipt.

use std::io;
use std::time::Duration;

use duckblind_protocol::body::Section;
use duckblind_protocol::frames::{Accepted, Kind};
use duckblind_protocol::ids::{Digest, JobId, ResponseNonce};
use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::order::OrderInput;
use duckblind_protocol::receipt::{
    JobReceipt, Outcome, OutcomeClass, SignedReceipt, SignedUsage, UsageRecord, VERSION,
};
use duckblind_protocol::status::{StatusMessage, StatusSealer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::unix::pipe;

use crate::clock::BootTime;
use crate::error::EnclaveError;
use crate::handover::{Done, JobHeader, KEYS_LEN, Keys, no_keys};
use crate::supervisor::admit::Admitted;
use crate::supervisor::chunks::ChunkReader;
use crate::supervisor::inputs;
use crate::supervisor::link::{FrameReader, write_frame};
use crate::supervisor::pool::Standby;
use crate::supervisor::process::QueryProcess;
use crate::supervisor::relay::{Relay, StreamEnd};
use crate::supervisor::shared::Shared;
use crate::supervisor::watch::{Event, Watch};

/// After its stream has ended, a process says how within this time.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(2);

/// A killed process is reaped within this time, or its usage is left out.
const REAPED_WITHIN: Duration = Duration::from_secs(2);

/// What the receipt says of the job itself.
struct Facts {
    job: JobId,
    key_statement: Digest,
    order: Digest,
    manifests: Vec<Digest>,
    ticket_at: BootTime,
    accepted_at: BootTime,
}

/// What goes to the query process.
struct Parcel {
    header: JobHeader,
    keys: Keys,
    section: Vec<u8>,
}

/// Runs an admitted job to its end. It is never run again, whatever happens here.
pub async fn run<R, W>(
    shared: &Shared,
    admitted: Admitted,
    frames: &mut FrameReader<R>,
    mut out: W,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Admitted {
        mut opened,
        section,
        key_statement,
        ticket_at,
        accepted_at,
        place,
    } = admitted;
    // A shutdown waits for this.
    let _running = shared.running.acquire().await.map_err(io::Error::other)?;
    let nonce = ResponseNonce::random().map_err(io::Error::other)?;
    let limits = opened.order.limits;
    let facts = Facts {
        job: opened.order.job,
        key_statement,
        order: opened.order_digest,
        manifests: opened.order.inputs.iter().map(|i| i.manifest).collect(),
        ticket_at,
        accepted_at,
    };
    let status = opened.status(&nonce).map_err(io::Error::other)?;
    let control = opened.control().map_err(io::Error::other)?;
    let mut keys = no_keys();
    {
        let key = opened
            .take_section_key(Section::Query)
            .ok_or_else(|| io::Error::other("no section key"))?;
        let result = opened.result_key(&nonce).map_err(io::Error::other)?;
        let (first, second) = keys.split_at_mut(KEYS_LEN / 2);
        first.copy_from_slice(key.expose());
        second.copy_from_slice(result.expose());
    }
    let parcel = Parcel {
        header: JobHeader {
            job: facts.job,
            enc: opened.enc_digest,
            limits,
            inputs: std::mem::take(&mut opened.order.inputs),
        },
        keys,
        section,
    };
    let accepted = Accepted::sign(
        &shared.instance,
        facts.job,
        opened.enc_digest,
        key_statement,
        nonce,
    );
    // The HPKE exports go here; what is needed of them is in `parcel`, `status`, `control`.
    drop(opened);

    let wall = accepted_at.plus(limits.wall_ms.into());
    let mut watch = Watch::new(
        frames,
        control,
        shared.phase.clone(),
        accepted_at,
        wall,
        shared.timeouts.keepalive_ms,
    )?;
    // Everything that can fail without a word has not failed: from here on, every end has a receipt.
    write_frame(&mut out, Kind::Accepted, &accepted.encode()).await?;
    let mut ending = Ending::new(shared, facts, out, status);
    let (mut process, result) = match ending.hand_over(parcel, &mut watch).await {
        Ok(handed) => handed,
        Err(error) => {
            drop(place);
            return ending.finish(None, &[], Err(error)).await;
        }
    };
    let mut chunks = ChunkReader::new(result);
    let end = ending
        .relay
        .run(&mut watch, &mut chunks, limits.result_bytes)
        .await;
    let outcome = match end {
        StreamEnd::Closed => last_word(&mut process).await,
        StreamEnd::Over(code) => Err(JobError::of(code)),
        StreamEnd::Gone => Err(JobError::of(JobCode::Cancelled)),
    };
    drop(place);
    ending.finish(Some(process), chunks.frame(), outcome).await
}

/// How the query ended, from a process that has closed its stream.
async fn last_word(process: &mut QueryProcess) -> Result<Done, JobError> {
    let said = tokio::time::timeout(LAST_WORD_WITHIN, process.channel.done()).await;
    match said {
        Ok(Ok(done)) => Ok(done),
        _ => Err(JobError::of(JobCode::ProcessDied)),
    }
}

struct Ending<'a, W> {
    shared: &'a Shared,
    facts: Facts,
    relay: Relay<W>,
    cold: bool,
}

impl<'a, W: AsyncWrite + Unpin> Ending<'a, W> {
    fn new(shared: &'a Shared, facts: Facts, out: W, status: StatusSealer) -> Self {
        Self {
            shared,
            facts,
            relay: Relay::new(out, status, shared.timeouts.progress_ms),
            cold: false,
        }
    }

    /// Opens the inputs and hands everything to a standby, or to a process started for it.
    async fn hand_over<R: AsyncRead + Unpin>(
        &mut self,
        parcel: Parcel,
        watch: &mut Watch<'_, R>,
    ) -> Result<(QueryProcess, pipe::Receiver), JobError> {
        let pool = &self.shared.pool;
        let files = open(self.shared, &parcel.header.inputs)?;
        let warm = pool.take();
        self.cold = warm.is_none();
        let handing = async {
            let standby = match warm {
                Some(standby) => standby,
                None => pool.prepare().await.map_err(not_started)?.0,
            };
            pool.refill_later();
            let Standby {
                process, result, ..
            } = standby;
            process
                .channel
                .job(&parcel.header, &parcel.keys, &files, &parcel.section)
                .await
                .map_err(|error| {
                    tracing::error!(%error, "handing a job over");
                    JobError::of(JobCode::ProcessDied)
                })?;
            Ok((process, result))
        };
        tokio::pin!(handing);
        loop {
            tokio::select! {
                biased;
                event = watch.event(None) => match event {
                    Event::KeepAlive => self.relay.alive(),
                    Event::Over(code) => return Err(JobError::of(code)),
                },
                handed = &mut handing => return handed,
            }
        }
    }

    /// Kill, receipts, reap: in this order, so that nobody waits for the kernel to clean up.
    async fn finish(
        mut self,
        process: Option<QueryProcess>,
        chunk: &[u8],
        outcome: Result<Done, JobError>,
    ) -> io::Result<()> {
        let reaped = process.map(QueryProcess::kill);
        let ended_at = BootTime::now();
        let outcome = match outcome {
            Ok(Done { failure: None }) => Outcome::Ok,
            Ok(Done {
                failure: Some(code),
            }) => Outcome::Failed(code),
            Err(error) => {
                let code = error.code;
                self.relay.say(&StatusMessage::Failed(error));
                Outcome::Failed(code)
            }
        };
        let relayed = self.relay.relayed();
        let receipt = JobReceipt {
            v: VERSION,
            job: self.facts.job,
            key_statement: self.facts.key_statement,
            order: self.facts.order,
            manifests: std::mem::take(&mut self.facts.manifests),
            outcome,
            chunks: relayed.chunks,
            bytes: relayed.bytes,
            transcript: relayed.transcript,
            accepted_ms: self.facts.accepted_at.since(self.facts.ticket_at),
            ended_ms: ended_at.since(self.facts.ticket_at),
            sim: self.shared.sim,
        };
        let signed = SignedReceipt::sign(&self.shared.instance, &receipt);
        self.relay
            .say(&StatusMessage::Receipt(signed.encode().into()));
        let patience = Duration::from_millis(self.shared.timeouts.progress_ms.into());
        let delivered = tokio::time::timeout(patience, self.relay.flush(chunk)).await;
        let delivered = delivered.is_ok_and(|result| result.is_ok());

        let cpu = match reaped {
            Some(reaped) => match tokio::time::timeout(REAPED_WITHIN, reaped).await {
                Ok(Ok(reaped)) => reaped.cpu,
                _ => Duration::ZERO,
            },
            None => Duration::ZERO,
        };
        self.shared.pool.refill();
        tracing::info!(
            job = %self.facts.job,
            outcome = outcome.code(),
            chunks = relayed.chunks,
            bytes = relayed.bytes,
            ms = ended_at.since(self.facts.accepted_at),
            cold = self.cold,
            delivered,
            "job ended"
        );
        let usage = UsageRecord {
            v: VERSION,
            job: self.facts.job,
            bytes: relayed.bytes,
            cpu_ms: u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX),
            outcome: class(outcome),
        };
        let usage = SignedUsage::sign(&self.shared.instance, &usage);
        let mut out = self.relay.into_inner();
        if delivered {
            let last = async {
                write_frame(&mut out, Kind::Usage, &usage.encode()).await?;
                out.shutdown().await
            };
            // The operator's record: a host that does not read it does without.
            let _ = tokio::time::timeout(patience, last).await;
        }
        Ok(())
    }
}

fn open(shared: &Shared, wanted: &[OrderInput]) -> Result<Vec<std::os::fd::OwnedFd>, JobError> {
    inputs::open_all(&shared.storage, wanted)
}

fn not_started(error: EnclaveError) -> JobError {
    tracing::error!(%error, "no process for a job");
    match error {
        EnclaveError::WallMissing(wall, _) => {
            JobError::new(JobCode::WallMissing, format!("the wall {wall} is not up"))
        }
        _ => JobError::of(JobCode::Internal),
    }
}

fn class(outcome: Outcome) -> OutcomeClass {
    use duckblind_protocol::coded::Exit;
    let Outcome::Failed(code) = outcome else {
        return OutcomeClass::Ended;
    };
    match (code, code.exit()) {
        (JobCode::DrainTimeout | JobCode::Internal | JobCode::WallMissing, _) | (_, Exit::Died) => {
            OutcomeClass::Died
        }
        (_, Exit::Limit) => OutcomeClass::Limit,
        (_, Exit::Cancelled) => OutcomeClass::Cancelled,
        _ => OutcomeClass::Ended,
    }
}
