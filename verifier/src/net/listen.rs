//! Where the verifier may listen: HTTPS anywhere, plain HTTP on loopback addresses only.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::error::VerifierError;

/// An address with what makes it safe to listen there.
#[derive(Clone, Debug)]
pub struct Listen {
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl Listen {
    /// HTTPS.
    pub fn https(address: SocketAddr, tls: Arc<ServerConfig>) -> Self {
        Self {
            address,
            tls: Some(tls),
        }
    }

    /// Plain HTTP; refused for an address that is not loopback.
    pub fn plain(address: SocketAddr) -> Result<Self, VerifierError> {
        if !address.ip().is_loopback() {
            return Err(VerifierError::PlainHttp(address));
        }
        Ok(Self { address, tls: None })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// How TLS is spoken, if it is.
    pub fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }

    /// The scheme of its URLs.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::coded::Coded as _;

    #[test]
    fn plain_http_stays_on_loopback() {
        for address in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:0"] {
            assert!(Listen::plain(address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in [
            "0.0.0.0:0",
            "[::]:0",
            "192.0.2.1:80",
            "[::ffff:127.0.0.1]:80",
            "10.0.0.1:1",
        ] {
            let refused = Listen::plain(address.parse().unwrap()).unwrap_err();
            assert_eq!(refused.code(), "DB-VER-009", "{address}");
        }
    }
}
