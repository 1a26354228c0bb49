//! A server that answers with what it is told to, byte for byte, and counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::origin::Origin;

/// One answer.
#[derive(Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Before anything is sent.
    delay: Duration,
    /// Whether the length is announced; without, the end of the connection is the end.
    length: Option<usize>,
}

impl Reply {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status: 200,
            headers: vec![],
            delay: Duration::ZERO,
            length: Some(body.len()),
            body,
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("")
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub(super) fn length(self, length: Option<usize>) -> Self {
        Self { length, ..self }
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        if let Some(length) = self.length {
            head = format!("{head}Content-Length: {length}\r\n");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

#[derive(Default)]
struct Script {
    /// By path and query: replies in turn, the last one for ever.
    replies: HashMap<String, Vec<Reply>>,
    asked: HashMap<String, usize>,
}

/// Ends with the test's runtime.
pub(super) struct Server {
    address: std::net::SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::default(),
        };
        let script = server.script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, script.clone()));
            }
        });
        server
    }

    pub(super) fn origin(&self) -> Origin {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// What `path` answers from now on: `replies` in turn, the last one for ever.
    pub(super) fn play(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        let mut script = self.script.lock().unwrap();
        script.replies.insert(path.to_owned(), replies);
        script.asked.remove(path);
    }

    /// Requests for `path` since it was given its replies.
    pub(super) fn asked(&self, path: &str) -> usize {
        let script = self.script.lock().unwrap();
        script.asked.get(path).copied().unwrap_or(0)
    }

    /// All requests.
    pub(super) fn asked_at_all(&self) -> usize {
        self.script.lock().unwrap().asked.values().sum()
    }
}

async fn answer(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let line = String::from_utf8(request).unwrap();
    let path = line.split(' ').nth(1).unwrap().to_owned();
    let reply = {
        let mut script = script.lock().unwrap();
        let at = script.asked.entry(path.clone()).or_insert(0);
        let turn = *at;
        *at += 1;
        let replies = script.replies.get(&path);
        replies.map_or(Reply::status(404), |all| {
            all[turn.min(all.len() - 1)].clone()
        })
    };
    tokio::time::sleep(reply.delay).await;
    // Clients that gave up are no concern of ours.
    let _ = stream.write_all(&reply.encode()).await;
    let _ = stream.shutdown().await;
}
