//! The running service: listen, say so, serve until told to stop, finish what has begun.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::VerifierError;
use crate::files::ReadyFile;
use crate::net::connection::Gate;
use crate::net::listen::Listen;
use crate::state::State;

/// How long running requests may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: Config, ready_file: Option<&Path>) -> Result<(), VerifierError> {
    let failed = |error: std::io::Error| VerifierError::Runtime(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;

    let service = Service::bind(config, Clock::System)?;
    let url = service.url();
    let _ready = ready_file
        .map(|path| {
            let line = format!("{}\n", serde_json::json!({ "http": url }));
            ReadyFile::write(path, line.as_bytes())
        })
        .transpose()?;
    tracing::info!(%url, "serving");

    let handle = service.handle();
    let stop = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        handle.graceful_shutdown(Some(DRAIN));
    });
    let served = service.serve().await;
    stop.abort();
    served
}

/// A service that holds its address and is ready to serve.
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    listen: Listen,
    gate: Gate,
    state: Arc<State>,
    handle: Handle<SocketAddr>,
}

impl Service {
    /// Opens the state and takes the address.
    pub fn bind(config: Config, clock: Clock) -> Result<Self, VerifierError> {
        let listen = config.listen.clone();
        let gate = Gate::new(config.connections);
        let state = Arc::new(State::open(config, clock)?);
        let address = listen.address();
        let unable = |source| VerifierError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(unable)?;
        listener.set_nonblocking(true).map_err(unable)?;
        let address = listener.local_addr().map_err(unable)?;
        Ok(Self {
            listener,
            address,
            listen,
            gate,
            state,
            handle: Handle::new(),
        })
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("{}://{}", self.listen.scheme(), self.address)
    }

    /// What stops it.
    pub fn handle(&self) -> Handle<SocketAddr> {
        self.handle.clone()
    }

    /// Serves until its handle stops it.
    pub async fn serve(self) -> Result<(), VerifierError> {
        let failed = |error: std::io::Error| VerifierError::Runtime(error.to_string());
        let app = api::router(self.state).into_make_service_with_connect_info::<SocketAddr>();
        let server = axum_server::from_tcp(self.listener)
            .map_err(failed)?
            .handle(self.handle);
        match self.listen.tls() {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(Arc::clone(tls)));
                let server = server.acceptor(acceptor.acceptor(self.gate)).http1_only();
                server.serve(app).await
            }
            None => server.acceptor(self.gate).http1_only().serve(app).await,
        }
        .map_err(failed)
    }
}
