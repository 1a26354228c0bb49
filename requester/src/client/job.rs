//! One accepted job: its stream is read by a task of its own, which hands out rows as they come
//! and says at the end whether they may be used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use duckblind_protocol::body::SecretText;
use duckblind_protocol::control::{ControlMessage, ControlSealer};
use duckblind_protocol::frames::{Accepted, Kind};
use duckblind_protocol::hazmat::RequesterSession;
use duckblind_protocol::ids::{Digest, JobId};
use duckblind_protocol::job_code::JobError;
use duckblind_protocol::receipt::{JobReceipt, Outcome, SignedReceipt};
use duckblind_protocol::result_stream::{Final, FinalStatus, Opened, ResultOpener};
use duckblind_protocol::status::{StatusMessage, StatusOpener};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::attested::Attested;
use super::decode::{BatchDecoder, Event};
use super::error::ClientError;
use super::failure::JobFailure;
use super::link::{Frame, FrameReceiver, FrameSender};

/// Batches that wait for their reader; behind them the host waits.
const EVENTS_AHEAD: usize = 4;
/// How long a cancelled job may take to confirm it.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// The enclave answers every keep-alive; a stream silent for longer than its configured limit, and
/// than this, is given up.
const LEAST_SILENCE: Duration = Duration::from_secs(3);

/// A job that the enclave has accepted.
pub struct RunningJob {
    job: JobId,
    events: mpsc::Receiver<Event>,
    cancel: Canceller,
    task: JoinHandle<Ended>,
}

/// Stops a job from elsewhere.
#[derive(Clone)]
pub struct Canceller(Arc<Notify>);

impl Canceller {
    /// Sends the enclave a cancel; the job ends with `cancelled` soon after.
    pub fn cancel(&self) {
        self.0.notify_one();
    }
}

/// A job whose result is whole.
#[derive(Debug)]
pub struct Finished {
    /// Which job.
    pub job: JobId,
    /// Rows of the result.
    pub rows: u64,
    /// Bytes of its Arrow stream.
    pub bytes: u64,
    /// Verified.
    pub receipt: JobReceipt,
    /// As signed.
    pub signed_receipt: SignedReceipt,
    /// From `accepted` to the verified receipt.
    pub elapsed: Duration,
}

/// How a job ended, with whatever receipt came.
pub(super) struct Ended {
    result: Result<Finished, JobFailure>,
    receipt: Option<SignedReceipt>,
}

/// A job without a result, with the receipt that says so if there is one.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub failure: JobFailure,
    /// Signed by the attested key, and about this job.
    pub receipt: Option<SignedReceipt>,
}

/// What the receipt is compared with.
pub(super) struct Expected {
    pub(super) attested: Arc<Attested>,
    pub(super) session: RequesterSession,
    pub(super) manifests: Vec<Digest>,
    pub(super) sql: SecretText,
}

impl RunningJob {
    /// Starts the task that reads an accepted job's stream.
    pub(super) fn start(
        expected: Expected,
        accepted: &Accepted,
        control: ControlSealer,
        sender: FrameSender,
        receiver: FrameReceiver,
    ) -> Result<Self, JobFailure> {
        let cipher = |e: &dyn std::fmt::Display| JobFailure::Result(e.to_string());
        let opener = expected
            .session
            .result(&accepted.response_nonce)
            .map_err(|e| cipher(&e))?;
        let status = expected
            .session
            .status(&accepted.response_nonce)
            .map_err(|e| cipher(&e))?;
        let job = *expected.session.job();
        let keep_alive =
            Duration::from_millis(expected.attested.key.config().timeouts.keepalive_ms.into());
        let (events_in, events) = mpsc::channel(EVENTS_AHEAD);
        let cancel = Arc::new(Notify::new());
        let reader = Reader {
            expected,
            opener,
            status,
            receiver,
            events: events_in,
            silence: keep_alive.max(LEAST_SILENCE),
            started: Instant::now(),
            progress: Progress::default(),
        };
        let task = tokio::spawn(drive(
            reader,
            Controls {
                sender,
                control,
                every: keep_alive / 3,
            },
            Arc::clone(&cancel),
        ));
        Ok(Self {
            job,
            events,
            cancel: Canceller(cancel),
            task,
        })
    }

    /// Which job.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// For stopping the job while something else reads it.
    pub fn canceller(&self) -> Canceller {
        self.cancel.clone()
    }

    /// The next piece of the result; none when no more will come. Only [`Self::finish`] says
    /// whether the pieces are the whole answer.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits for the receipt. Rows not read yet are dropped.
    pub async fn finish(mut self) -> Result<Finished, Unfinished> {
        while self.events.recv().await.is_some() {}
        let ended = match (&mut self.task).await {
            Ok(ended) => ended,
            Err(e) => Ended {
                result: Err(JobFailure::Result(e.to_string())),
                receipt: None,
            },
        };
        ended.result.map_err(|failure| Unfinished {
            failure,
            receipt: ended.receipt,
        })
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        // Nobody waits for the job any more. Without effect if it has ended.
        self.cancel.cancel();
    }
}

/// Reads the stream to its end, keeps the job alive meanwhile, cancels it on request.
async fn drive(mut reader: Reader, controls: Controls, cancel: Arc<Notify>) -> Ended {
    let cancelled = Notify::new();
    let asked = AtomicBool::new(false);
    let speak = controls.run(&cancel, &cancelled, &asked);
    let give_up = async {
        cancelled.notified().await;
        tokio::time::sleep(CANCEL_GRACE).await;
    };
    let result = tokio::select! {
        result = reader.read() => result,
        () = give_up => Err(JobFailure::Cancelled),
        never = speak => match never {},
    };
    // Relaxed: one task.
    let result = result.map_err(|failure| match failure {
        failure if asked.load(Ordering::Relaxed) => failure,
        failure => failure.not_asked_for(),
    });
    Ended {
        result,
        receipt: reader.progress.receipt.take(),
    }
}

/// The requester's voice during a job.
struct Controls {
    sender: FrameSender,
    control: ControlSealer,
    every: Duration,
}

impl Controls {
    async fn run(
        mut self,
        cancel: &Notify,
        cancelled: &Notify,
        asked: &AtomicBool,
    ) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval_at(
            tokio::time::Instant::now() + self.every,
            self.every.max(Duration::from_millis(1)),
        );
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                _ = ticks.tick() => ControlMessage::KeepAlive,
                () = cancel.notified() => ControlMessage::Cancel,
            };
            if message == ControlMessage::Cancel {
                asked.store(true, Ordering::Relaxed);
            }
            let sent = match self.control.seal(message) {
                Ok(sealed) => self.sender.send(Kind::Control, &sealed).await.is_ok(),
                Err(_) => false,
            };
            if message == ControlMessage::Cancel {
                cancelled.notify_one();
            }
            if !sent {
                // The reader learns by itself that the stream is gone.
                tracing::debug!("a control message could not be sent");
            }
        }
    }
}

#[derive(Default)]
struct Progress {
    /// Ciphertext bytes of all chunks.
    relayed_bytes: u64,
    rows: u64,
    end: Option<Final>,
    failed: Option<JobError>,
    receipt: Option<SignedReceipt>,
}

struct Reader {
    expected: Expected,
    opener: ResultOpener,
    status: StatusOpener,
    receiver: FrameReceiver,
    events: mpsc::Sender<Event>,
    silence: Duration,
    started: Instant,
    progress: Progress,
}

impl Reader {
    async fn read(&mut self) -> Result<Finished, JobFailure> {
        let streamed = self.stream().await;
        // A sealed failure is the truth about the job, whatever the host did after it.
        let failed = match &self.progress.end {
            Some(Final {
                status: FinalStatus::Failed(error),
                ..
            }) => Some(error.clone()),
            _ => self.progress.failed.clone(),
        };
        match (streamed, failed) {
            (_, Some(error)) => Err(JobFailure::failed(error, self.expected.sql.expose())),
            (Err(failure), None) => Err(failure),
            (Ok(receipt), None) => self.finished(receipt),
        }
    }

    /// Reads until the receipt; hands out rows on the way.
    async fn stream(&mut self) -> Result<JobReceipt, JobFailure> {
        let mut decoder = BatchDecoder::default();
        loop {
            let Frame { kind, payload } = self
                .receiver
                .expect(self.silence)
                .await
                .map_err(JobFailure::Cut)?;
            match kind {
                Kind::Chunk => {
                    self.progress.relayed_bytes += payload.len() as u64;
                    match self.opener.open(payload).map_err(JobFailure::Stream)? {
                        Opened::Data(bytes) => self.hand_out(decoder.feed(bytes)?).await,
                        Opened::Final(end) => {
                            if matches!(end.status, FinalStatus::Ok { .. }) {
                                decoder.finish()?;
                            }
                            self.progress.end = Some(end);
                        }
                    }
                }
                Kind::Status => match self.status.open(payload).map_err(JobFailure::Stream)? {
                    StatusMessage::Alive => {}
                    StatusMessage::Failed(error) => self.progress.failed = Some(error),
                    StatusMessage::Receipt(bytes) => return self.receipt(&bytes),
                },
                other => {
                    return Err(JobFailure::Cut(ClientError::Frame(format!(
                        "{other:?} frame"
                    ))));
                }
            }
        }
    }

    async fn hand_out(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::Batch(batch) = &event {
                self.progress.rows += batch.num_rows() as u64;
            }
            // Fails if nobody reads any more: then the job is being cancelled, and its receipt is
            // waited for.
            let _ = self.events.send(event).await;
        }
    }

    /// Checks a receipt's signature, and that it is about this job as it was seen here.
    fn receipt(&mut self, bytes: &[u8]) -> Result<JobReceipt, JobFailure> {
        let signed = SignedReceipt::decode(bytes).map_err(|e| JobFailure::Receipt(e.into()))?;
        let key = &self.expected.attested.key;
        let receipt = signed
            .verify(key.instance_key())
            .map_err(JobFailure::Receipt)?;
        let (chunks, transcript) = self.opener.relayed();
        let session = &self.expected.session;
        same("job", session.job(), &receipt.job)?;
        same(
            "key statement",
            &key.key_statement(),
            &receipt.key_statement,
        )?;
        same("order", session.order_digest(), &receipt.order)?;
        same(
            "manifests",
            &list(&self.expected.manifests),
            &list(&receipt.manifests),
        )?;
        same("sim", &key.sim(), &receipt.sim)?;
        same("chunks", &chunks, &receipt.chunks)?;
        same("bytes", &self.progress.relayed_bytes, &receipt.bytes)?;
        same("transcript", &transcript, &receipt.transcript)?;
        self.progress.receipt = Some(signed);
        Ok(receipt)
    }

    /// Final chunk, rows and receipt must all say that the result is whole.
    fn finished(&mut self, receipt: JobReceipt) -> Result<Finished, JobFailure> {
        if let Outcome::Failed(code) = receipt.outcome {
            return Err(JobFailure::failed(
                JobError::of(code),
                self.expected.sql.expose(),
            ));
        }
        let mismatch = |field, expected: &dyn ToString, got: &dyn ToString| JobFailure::Mismatch {
            field,
            expected: expected.to_string(),
            got: got.to_string(),
        };
        let Some(end) = &self.progress.end else {
            return Err(mismatch("final chunk", &"one", &"none"));
        };
        let FinalStatus::Ok { rows } = end.status else {
            return Err(mismatch("final status", &"ok", &"failed"));
        };
        if rows != self.progress.rows {
            return Err(mismatch("rows", &self.progress.rows, &rows));
        }
        let Some(signed_receipt) = self.progress.receipt.clone() else {
            return Err(mismatch("receipt", &"one", &"none"));
        };
        Ok(Finished {
            job: receipt.job,
            rows,
            bytes: end.bytes,
            receipt,
            signed_receipt,
            elapsed: self.started.elapsed(),
        })
    }
}

fn list(digests: &[Digest]) -> String {
    let texts: Vec<_> = digests.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

fn same<T: PartialEq + ToString>(
    field: &'static str,
    seen: &T,
    said: &T,
) -> Result<(), JobFailure> {
    if seen == said {
        return Ok(());
    }
    Err(JobFailure::Mismatch {
        field,
        expected: seen.to_string(),
        got: said.to_string(),
    })
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for Unfinished {}

impl duckblind_protocol::coded::Coded for Unfinished {
    fn code(&self) -> &'static str {
        self.failure.code()
    }
    fn exit(&self) -> duckblind_protocol::coded::Exit {
        self.failure.exit()
    }
    fn expected(&self) -> Option<String> {
        self.failure.expected()
    }
    fn got(&self) -> Option<String> {
        self.failure.got()
    }
    fn hint(&self) -> Option<String> {
        self.failure.hint()
    }
}
