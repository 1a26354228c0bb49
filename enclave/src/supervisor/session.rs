//! One connection: what may come when, and who answers it.
//!
//! `Hello` → ticket, then `Job`; or `Job` at once; or `Challenge` → evidence; or `Watch` → epoch
//! notes for as long as the connection lives.

use std::time::Duration;

use duckblind_protocol::frames::{ChallengeRequest, EpochNote, Hello, Kind, Refused, TicketReply};
use duckblind_protocol::ids::Ticket;
use duckblind_protocol::job_code::JobCode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::clock::BootTime;
use crate::supervisor::admit::{Refusal, admit};
use crate::supervisor::epoch::NoEpoch;
use crate::supervisor::link::{FrameReader, LinkError, write_frame};
use crate::supervisor::shared::Shared;
use crate::supervisor::tickets::NoTicket;
use crate::supervisor::{evidence, job};

/// A frame is there in full after this long, or never.
const FRAME_WITHIN: Duration = Duration::from_secs(10);

/// When evidence may be had again, milliseconds.
const ATTEST_RETRY_MS: u32 = 200;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    HasTicket,
}

impl State {
    /// The kinds that may come now.
    fn wants(self) -> fn(Kind) -> bool {
        match self {
            Self::Fresh => |kind| {
                matches!(
                    kind,
                    Kind::Hello | Kind::Challenge | Kind::Job | Kind::Watch
                )
            },
            Self::HasTicket => |kind| kind == Kind::Job,
        }
    }
}

/// The ticket that a connection was given. It goes back when the connection ends without a job:
/// nobody fills the table by coming and going.
struct Held<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    keep: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.epochs.with_tickets(|tickets| {
            if self.keep {
                tickets.keep(&self.ticket);
            } else {
                tickets.give_back(&self.ticket);
            }
        });
    }
}

/// Serves a connection to its end.
pub async fn serve<R, W>(shared: &Shared, read: R, mut write: W) -> Result<(), LinkError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut frames = FrameReader::new(read);
    let mut state = State::Fresh;
    let mut held = None;
    loop {
        let patience = match state {
            State::Fresh => FRAME_WITHIN,
            // As long as the ticket lives, and a little to say that it does no more.
            State::HasTicket => {
                FRAME_WITHIN + Duration::from_millis(shared.timeouts.ticket_ms.into())
            }
        };
        let Ok(frame) = tokio::time::timeout(patience, frames.next(state.wants())).await else {
            return Ok(());
        };
        let (kind, payload) = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(LinkError::Frame(error)) => {
                let code = match error {
                    duckblind_protocol::frames::FrameError::TooLong { .. } => JobCode::Oversized,
                    _ => JobCode::Malformed,
                };
                refuse(&mut write, shared.refused(None, code, None)).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error),
        };
        match kind {
            Kind::Hello => {
                if Hello::decode(&payload).is_err() {
                    return Ok(refuse(&mut write, malformed(shared)).await?);
                }
                match ticket(shared) {
                    Ok(reply) => {
                        held = Some(Held {
                            shared,
                            ticket: reply.ticket,
                            keep: false,
                        });
                        write_frame(&mut write, Kind::Ticket, &reply.encode()).await?;
                        state = State::HasTicket;
                    }
                    Err(refused) => return Ok(refuse(&mut write, refused).await?),
                }
            }
            Kind::Challenge => return Ok(challenge(shared, &payload, &mut write).await?),
            Kind::Watch => return Ok(watch(shared, &mut frames, &mut write).await?),
            _ => {
                let admitted = admit(shared, &payload, BootTime::now());
                drop(payload);
                if let (Some(held), Err(refusal)) = (&mut held, &admitted) {
                    // The same job may come again when there is room, on another connection.
                    held.keep = refusal.code == JobCode::Busy;
                }
                // Taken, if this job had it.
                drop(held);
                return match admitted {
                    Ok(admitted) => Ok(job::run(shared, admitted, &mut frames, write).await?),
                    Err(refusal) => {
                        let Refusal {
                            enc,
                            code,
                            retry_after_ms,
                        } = refusal;
                        let refused = shared.refused(enc, code, retry_after_ms);
                        Ok(refuse(&mut write, refused).await?)
                    }
                };
            }
        }
    }
}

fn malformed(shared: &Shared) -> Refused {
    shared.refused(None, JobCode::Malformed, None)
}

async fn refuse<W: AsyncWrite + Unpin>(write: &mut W, refused: Refused) -> std::io::Result<()> {
    tracing::info!(code = refused.code.code(), "refused");
    write_frame(write, Kind::Refused, &refused.encode()).await?;
    write.shutdown().await
}

fn ticket(shared: &Shared) -> Result<TicketReply, Refused> {
    let now = BootTime::now();
    if !shared.is_serving() {
        return Err(shared.refused(None, JobCode::Draining, None));
    }
    let no = |error: NoEpoch| shared.refused(None, error.code(), None);
    let epoch = shared.epochs.current(now).map_err(no)?;
    let ticket = shared.epochs.with_tickets(|tickets| tickets.issue(now));
    let ticket = ticket
        .ok_or(NoEpoch::Closed)
        .map_err(no)?
        .map_err(|error| match error {
            NoTicket::Full(retry) => {
                let retry = u32::try_from(retry).unwrap_or(u32::MAX);
                shared.refused(None, JobCode::Busy, Some(retry))
            }
            NoTicket::Random(_) => shared.refused(None, JobCode::Internal, None),
        })?;
    let remaining = epoch.ends.since(now);
    Ok(TicketReply::sign(
        &shared.instance,
        ticket,
        epoch.digest,
        remaining,
    ))
}

async fn challenge<W: AsyncWrite + Unpin>(
    shared: &Shared,
    payload: &[u8],
    write: &mut W,
) -> std::io::Result<()> {
    let Ok(request) = ChallengeRequest::decode(payload) else {
        return refuse(write, malformed(shared)).await;
    };
    let Some(_turn) = shared.turns.take(&request).await else {
        let busy = shared.refused(None, JobCode::Busy, Some(ATTEST_RETRY_MS));
        return refuse(write, busy).await;
    };
    let epoch = match shared.epochs.current(BootTime::now()) {
        Ok(epoch) => epoch,
        Err(error) => return refuse(write, shared.refused(None, error.code(), None)).await,
    };
    match evidence::answer(shared, &epoch, &request).await {
        Ok(evidence) => {
            tracing::info!(epoch = epoch.number, "evidence given");
            write_frame(write, Kind::Evidence, &evidence).await?;
            write.shutdown().await
        }
        Err(error) => {
            tracing::error!(%error, "no evidence");
            refuse(write, shared.refused(None, JobCode::Internal, None)).await
        }
    }
}

/// Tells of every epoch until the host or the enclave ends.
async fn watch<R, W>(
    shared: &Shared,
    frames: &mut FrameReader<R>,
    write: &mut W,
) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut notes = shared.epochs.watch();
    loop {
        let message = {
            let note = notes.borrow_and_update();
            let remaining = note.ends.since(BootTime::now());
            EpochNote::new(note.digest, note.number, remaining)
        };
        write_frame(write, Kind::Epoch, &message.encode()).await?;
        tokio::select! {
            changed = notes.changed() => if changed.is_err() {
                return Ok(());
            },
            // Nothing may come here: a frame or the end, either ends it.
            _ = frames.next(|_| false) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_when() {
        for kind in Kind::ALL {
            let first = matches!(
                kind,
                Kind::Hello | Kind::Challenge | Kind::Job | Kind::Watch
            );
            assert_eq!(State::Fresh.wants()(kind), first, "{kind:?}");
            assert_eq!(
                State::HasTicket.wants()(kind),
                kind == Kind::Job,
                "{kind:?}"
            );
        }
    }
}
