//! As much HTTP/1.1 as tests need: one request per connection, on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The body that `GET url` answers with, if the status is 200.
pub fn get(url: &str) -> Result<Vec<u8>> {
    let (host, target) = split(url)?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let (head, body) = exchange(host, request.as_bytes())?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{url}: {head}");
    Ok(body)
}

/// Host and target of a plain URL.
pub fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").context("plain HTTP only")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let target = if at == rest.len() { "/" } else { &rest[at..] };
    Ok((&rest[..at], target))
}

/// Sends a whole request and reads the whole answer: its head and its body.
pub fn exchange(host: &str, request: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = head_end(&answer).context("the answer has no head")?;
    let head = String::from_utf8(answer[..end].to_vec())?;
    ensure!(
        !head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
        "chunked answers are not read here"
    );
    Ok((head, answer[end..].to_vec()))
}

/// Where the head of a message ends, blank line included.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4)
}
