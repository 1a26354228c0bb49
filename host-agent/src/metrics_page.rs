//! Serves the metrics page and a liveness answer on a loopback address.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::unix_now;
use crate::error::HostError;
use crate::metrics::Metrics;

/// A bound page.
#[derive(Debug)]
pub struct MetricsPage {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsPage {
    /// Binds the address.
    pub async fn bind(address: SocketAddr) -> Result<Self, HostError> {
        let listen = |source| HostError::Listen {
            address: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address })
    }

    /// The address that is really listened on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `/metrics` and `/healthz` until `stop` turns true.
    pub async fn serve(self, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
        let page = move || {
            let text = metrics.render(unix_now());
            async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
        };
        let router = Router::new()
            .route("/metrics", get(page))
            .route("/healthz", get(|| async { "ok\n" }));
        let served = axum::serve(self.listener, router)
            .with_graceful_shutdown(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the metrics page ended");
        }
    }
}
