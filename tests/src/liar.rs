//! A compromised verifier: it has the true signing key and changes what the honest one behind it says.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::ear::{
    EarClaims, EarSigner, EarVerifyKey, sign_cose, sign_jwt, verify_jwt,
};
use duckblind_protocol::ids::UnixTime;
use ed25519_dalek::SigningKey;
use serde_json::Value;

use crate::http;

/// Changes claims and, where they come along, the evidence itself.
pub type Lie = dyn Fn(&mut EarClaims, &mut Vec<u8>) + Send + Sync;

/// The liar, listening on loopback until dropped.
pub struct Liar {
    /// Base URL.
    pub url: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Words {
    honest: String,
    /// Verifies what the honest verifier signed.
    known: EarVerifyKey,
    signer: EarSigner,
    lie: Box<Lie>,
}

impl Liar {
    /// Stands in front of the verifier at `honest`, whose key is `known`, and signs with `key`.
    pub fn start(
        honest: &str,
        known: &SigningKey,
        key: &SigningKey,
        lie: Box<Lie>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let stop = Arc::new(AtomicBool::new(false));
        let words = Arc::new(Words {
            honest: http::split(honest)?.0.to_owned(),
            known: EarVerifyKey::new(EarSigner::new(known.clone()).public_key()),
            signer: EarSigner::new(key.clone()),
            lie,
        });
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::SeqCst) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            let words = Arc::clone(&words);
                            thread::spawn(move || {
                                if let Err(error) = words.serve(stream) {
                                    eprintln!("the lying verifier: {error:?}");
                                }
                            });
                        }
                        Err(_) => sleep(Duration::from_millis(2)),
                    }
                }
            }
        });
        Ok(Self {
            url,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Words {
    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = read_request(&mut stream)?;
        if request.is_empty() {
            return Ok(());
        }
        let (head, body) = http::exchange(&self.honest, &request)?;
        let body = self.retell(&body)?;
        let status = head.lines().next().unwrap_or_default();
        let head = format!(
            "{status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        Ok(())
    }

    /// The body, with every signed result in it replaced by a lie under a true signature.
    fn retell(&self, body: &[u8]) -> Result<Vec<u8>> {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
            return Ok(body.to_vec());
        };
        let Some(token) = value["ear_jwt"].as_str() else {
            return Ok(body.to_vec());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let now = UnixTime(i64::try_from(now)?);
        let mut claims = verify_jwt(token, &[self.known], now)?;
        let mut evidence = STANDARD.decode(value["evidence"].as_str().unwrap_or_default())?;
        (self.lie)(&mut claims, &mut evidence);
        value["ear_jwt"] = sign_jwt(&claims, &self.signer)?.into();
        value["ear_cose"] = STANDARD.encode(sign_cose(&claims, &self.signer)?).into();
        if value["evidence"].is_string() {
            value["evidence"] = STANDARD.encode(evidence).into();
        }
        Ok(serde_json::to_vec(&value)?)
    }
}

/// Goes on after an interruption, which a read with a timeout does not do by itself.
fn read_some(stream: &mut TcpStream, piece: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A whole request, rewritten so that the connection ends after its answer.
fn read_request(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    let end = loop {
        if let Some(end) = http::head_end(&bytes) {
            break end;
        }
        let got = read_some(stream, &mut piece)?;
        if got == 0 {
            return Ok(Vec::new());
        }
        bytes.extend(&piece[..got]);
    };
    let head = String::from_utf8(bytes[..end].to_vec())?;
    let field = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = field("content-length").map_or(Ok(0), |text| text.parse())?;
    while bytes.len() < end + length {
        let got = read_some(stream, &mut piece)?;
        anyhow::ensure!(got > 0, "the request was cut");
        bytes.extend(&piece[..got]);
    }
    let mut lines = head.trim_end().lines();
    let mut request = lines.next().context("no request line")?.to_owned() + "\r\n";
    for line in lines {
        if !line.to_ascii_lowercase().starts_with("connection:") {
            request.push_str(line);
            request.push_str("\r\n");
        }
    }
    request.push_str("connection: close\r\n\r\n");
    Ok([request.as_bytes(), &bytes[end..]].concat())
}
