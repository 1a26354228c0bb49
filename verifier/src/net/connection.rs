//! Connections: how many in all, how many of one peer, and how long one may be silent.

use std::collections::HashMap;
use std::future::{Future as _, Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready as poll_ready};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::peer::Peer;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// Of one peer.
    pub per_peer: usize,
    /// How long one may carry no byte.
    pub idle: Duration,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    peers: HashMap<Peer, usize>,
}

/// Lets connections in while there is room; beyond that they are closed at once.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: ConnectionLimits,
    open: Arc<Mutex<Open>>,
}

impl Gate {
    /// Nobody in yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            open: Arc::default(),
        }
    }

    fn enter(&self, peer: Peer) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = open.peers.get(&peer).copied().unwrap_or(0);
        if open.total >= self.limits.total || of_peer >= self.limits.per_peer {
            return None;
        }
        open.total += 1;
        open.peers.insert(peer, of_peer + 1);
        Some(Place {
            peer,
            open: Arc::clone(&self.open),
        })
    }
}

/// A connection's place; freed when dropped.
#[derive(Debug)]
struct Place {
    peer: Peer,
    open: Arc<Mutex<Open>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(of_peer) = open.peers.get_mut(&self.peer) {
            *of_peer = of_peer.saturating_sub(1);
            if *of_peer == 0 {
                open.peers.remove(&self.peer);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.let_in(stream).map(|connection| (connection, service)))
    }
}

impl Gate {
    fn let_in(&self, stream: TcpStream) -> io::Result<Connection> {
        let peer = Peer::of(stream.peer_addr()?.ip());
        let place = self
            .enter(peer)
            .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        stream.set_nodelay(true)?;
        let now = Instant::now();
        Ok(Connection {
            stream,
            idle: self.limits.idle,
            active: now,
            alarm: Box::pin(sleep_until(now + self.limits.idle)),
            _place: place,
        })
    }
}

/// A connection that ends when it is silent for too long.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    idle: Duration,
    active: Instant,
    alarm: Pin<Box<Sleep>>,
    _place: Place,
}

impl Connection {
    /// Fails once nothing has moved for the idle time. Moving bytes only notes the time; the
    /// alarm is set anew when it rings.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            poll_ready!(self.alarm.as_mut().poll(cx));
            let end = self.active + self.idle;
            if Instant::now() >= end {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(end);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_silence(cx).map(Err),
            done @ Poll::Ready(_) => {
                self.active = Instant::now();
                done
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.poll_silence(cx).map(Err),
            done @ Poll::Ready(_) => {
                self.active = Instant::now();
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn gate(total: usize, per_peer: usize) -> Gate {
        Gate::new(ConnectionLimits {
            total,
            per_peer,
            idle: Duration::from_millis(80),
        })
    }

    #[test]
    fn places_are_counted_in_all_and_per_peer_and_given_back() {
        let gate = gate(3, 2);
        let peer = |n: u8| Peer::of([192, 0, 2, n].into());
        let first = gate.enter(peer(1)).unwrap();
        let _second = gate.enter(peer(1)).unwrap();
        assert!(gate.enter(peer(1)).is_none());
        let _third = gate.enter(peer(2)).unwrap();
        assert!(gate.enter(peer(3)).is_none());
        drop(first);
        assert!(gate.enter(peer(1)).is_some());
    }

    #[tokio::test]
    async fn a_silent_connection_ends_and_a_busy_one_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = gate(1, 1).let_in(stream).unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap(), b'x');
        }
        let silent = connection.read_u8().await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }
}
