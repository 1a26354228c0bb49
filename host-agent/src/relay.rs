//! One stream of one peer: a fresh connection to the enclave, frames both ways, the host's own
//! word only where a whole frame fits.
//!
//! Bytes are not kept, not logged and not looked at beyond the five of a frame's header. What the
//! agent could read of a job would be ciphertext anyway.

mod activity;
mod downlink;
mod uplink;

use std::sync::Arc;
use std::time::Duration;

use duckblind_protocol::frames::HostCode;
use duckblind_protocol::ids::NodeId;
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::config::Timeouts;
use crate::enclave_link::{EnclaveLink, Writer};
use crate::metrics::Metrics;
use crate::says;
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
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where usage records go, if they are kept.
    pub usage: Option<Arc<UsageLog>>,
}

/// Why a session ended.
enum End {
    Down(DownEnd),
    Refuse(HostCode),
    Gone,
}

impl Relay {
    /// Serves one stream to its end.
    pub async fn serve(&self, peer: NodeId, mut send: SendStream, mut recv: RecvStream) {
        self.metrics.streams_total.add(1);
        let _open = self.metrics.streams.hold();
        let activity = Activity::new();
        let mut up = Uplink::new(&mut recv, &activity, &self.timeouts, &self.metrics);
        // The enclave is not bothered before a frame that may reach it has begun.
        let first = match up.first().await {
            Ok(first) => first,
            Err(UpEnd::Refuse(code)) => return self.refuse(&mut send, &mut recv, code, true).await,
            Err(UpEnd::Finished | UpEnd::Gone) => return,
        };
        let (reader, writer) = match self.link.open().await {
            Ok(halves) => halves,
            Err(error) => {
                tracing::warn!(%error, "stream refused");
                let code = HostCode::EnclaveDown;
                return self.refuse(&mut send, &mut recv, code, true).await;
            }
        };
        let mut down = Downlink::new(self, peer, &activity, reader);
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
                let code = HostCode::EnclaveDown;
                self.refuse(&mut send, &mut recv, code, boundary).await;
            }
            End::Down(DownEnd::Broken(error)) => {
                tracing::error!(%error, "the enclave sent a frame that does not belong here");
                let code = HostCode::EnclaveDown;
                self.refuse(&mut send, &mut recv, code, boundary).await;
            }
            End::Down(DownEnd::Stalled) => {
                self.refuse(&mut send, &mut recv, HostCode::Idle, false)
                    .await;
                down.collect(AFTERWARDS).await;
            }
            End::Refuse(code) => {
                self.refuse(&mut send, &mut recv, code, boundary).await;
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
                    UpEnd::Refuse(code) => return End::Refuse(code),
                    UpEnd::Gone => return End::Gone,
                },
                _ = &mut gone => return End::Gone,
                () = &mut idle => return End::Refuse(HostCode::Idle),
            }
        }
    }

    async fn refuse(
        &self,
        send: &mut SendStream,
        recv: &mut RecvStream,
        code: HostCode,
        at_boundary: bool,
    ) {
        self.metrics.refused(code);
        tracing::debug!(code = code.name(), "stream ended by the host");
        says::refuse(send, recv, code, at_boundary).await;
    }
}
