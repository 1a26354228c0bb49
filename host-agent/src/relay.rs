//! One stream of one peer: a fresh connection to the enclave, frames both ways, the host's own
//! word only where a whole frame fits.
//!
//! Bytes are not kept, not logged and not looked at beyond the five of a frame's header, but for
//! challenges, which are counted and must be a requester's own. What the agent could read of a job
//! would be ciphertext anyway.

mod activity;
mod downlink;
mod uplink;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::frames::HostCode;
use duckblind_protocol::ids::NodeId;
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::challenge_rate::ChallengeRate;
use crate::config::Timeouts;
use crate::enclave_link::{EnclaveLink, Writer};
use crate::metrics::Metrics;
use crate::says::{self, Refusal};
use crate::usage_log::UsageLog;
use activity::Activity;
use downlink::{DownEnd, Downlink};
use uplink::{UpEnd, Uplink};

/// How long the enclave is listened to for its usage record after the peer has gone.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// What all sessions share.
#[derive(Debug)]
pub struct Relay {
    /// The way to the enclave.
    pub link: EnclaveLink,
    /// When to give up.
    pub timeouts: Timeouts,
    /// How many challenges of peers reach the enclave.
    pub challenges: ChallengeRate,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where usage records go, if they are kept.
    pub usage: Option<Arc<UsageLog>>,
}

/// Whose stream it is.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its key.
    pub node: NodeId,
    /// Where it comes from.
    pub address: IpAddr,
}

/// Why a session ended.
enum End {
    Down(DownEnd),
    Refuse(Refusal),
    Gone,
}

impl Relay {
    /// Serves one stream to its end.
    pub async fn serve(&self, peer: Peer, mut send: SendStream, mut recv: RecvStream) {
        self.metrics.streams_total.add(1);
        let _open = self.metrics.streams.hold();
        let activity = Activity::new();
        let mut up = Uplink::new(self, peer, &mut recv, &activity);
        // The enclave is not bothered before a frame that may reach it has begun.
        let first = match up.first().await {
            Ok(first) => first,
            Err(UpEnd::Refuse(why)) => return self.refuse(&mut send, &mut recv, why, true).await,
            Err(UpEnd::Finished | UpEnd::Gone) => return,
        };
        let (reader, writer) = match self.link.open().await {
            Ok(halves) => halves,
            Err(error) => {
                tracing::warn!(%error, "stream refused");
                let why = HostCode::EnclaveDown.into();
                return self.refuse(&mut send, &mut recv, why, true).await;
            }
        };
        let mut down = Downlink::new(self, peer.node, &activity, reader);
        let end = self
            .pump(&mut up, first, writer, &mut down, &mut send)
            .await;
        let boundary = down.at_boundary();
        match end {
            End::Down(DownEnd::Ended) => {
                // Until the last byte is acknowledged, the stream counts as open: a drain waits.
                let _ = send.finish();
                let _ = timeout(self.timeouts.stall, send.stopped()).await;
            }
            End::Down(DownEnd::Nothing | DownEnd::Cut) => {
                let why = HostCode::EnclaveDown.into();
                self.refuse(&mut send, &mut recv, why, boundary).await;
            }
            End::Down(DownEnd::Broken(error)) => {
                tracing::error!(%error, "the enclave sent a frame that does not belong here");
                let why = HostCode::EnclaveDown.into();
                self.refuse(&mut send, &mut recv, why, boundary).await;
            }
            End::Down(DownEnd::Stalled) => {
                let why = HostCode::Idle.into();
                self.refuse(&mut send, &mut recv, why, false).await;
                down.collect(AFTERWARDS).await;
            }
            End::Refuse(why) => {
                self.refuse(&mut send, &mut recv, why, boundary).await;
                down.collect(AFTERWARDS).await;
            }
            End::Down(DownEnd::Gone) | End::Gone => down.collect(AFTERWARDS).await,
        }
    }

    /// Moves frames until one side has an end. The enclave's write half is gone afterwards, which
    /// tells it that nobody waits any more.
    async fn pump(
        &self,
        up: &mut Uplink<'_>,
        first: usize,
        writer: Writer,
        down: &mut Downlink<'_>,
        send: &mut SendStream,
    ) -> End {
        let gone = send.stopped();
        let idle = up.activity().idle_for(self.timeouts.idle);
        let upwards = up.run(writer, first);
        let downwards = down.run(send);
        tokio::pin!(gone, idle, upwards, downwards);
        let mut open = true;
        loop {
            tokio::select! {
                end = &mut downwards => return End::Down(end),
                end = &mut upwards, if open => match end {
                    UpEnd::Finished => open = false,
                    UpEnd::Refuse(why) => return End::Refuse(why),
                    UpEnd::Gone => return End::Gone,
                },
                _ = &mut gone => return End::Gone,
                () = &mut idle => return End::Refuse(HostCode::Idle.into()),
            }
        }
    }

    async fn refuse(
        &self,
        send: &mut SendStream,
        recv: &mut RecvStream,
        why: Refusal,
        at_boundary: bool,
    ) {
        self.metrics.refused(why.code);
        tracing::debug!(code = why.code.name(), "stream ended by the host");
        says::refuse(send, recv, why, at_boundary).await;
    }
}
