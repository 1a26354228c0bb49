//! Where the enclave and the verifier are.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::error::HostError;

/// How the enclave is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnclaveAddress {
    /// A unix stream socket.
    Unix(PathBuf),
    /// A virtual machine's socket.
    Vsock {
        /// The machine's context id.
        cid: u32,
        /// The port on it.
        port: u32,
    },
}

impl EnclaveAddress {
    /// Parses `unix:/path` or `vsock:CID:PORT`.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let refuse = |reason: String| HostError::ConfigValue {
            key: "enclave",
            reason,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            // The kernel's limit for the path is 108 bytes with its end.
            if path.is_empty() || path.len() > 107 {
                return Err(refuse("a socket path has 1 to 107 bytes".to_owned()));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.strip_prefix("vsock:")
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(cid, port)| {
                Some(Self::Vsock {
                    cid: cid.parse().ok()?,
                    port: port.parse().ok()?,
                })
            })
            .ok_or_else(|| refuse(format!("{text:?} is not unix:/path or vsock:CID:PORT")))
    }
}

impl fmt::Display for EnclaveAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

/// The verifier's base URL: HTTPS, or plain HTTP on a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierUrl {
    base: String,
    tls: bool,
}

impl VerifierUrl {
    /// Parses and checks the URL.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let refuse = |reason: &str| HostError::ConfigValue {
            key: "verifier",
            reason: reason.to_owned(),
        };
        let url = reqwest::Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(refuse("no user, query or fragment belongs in it"));
        }
        let host = url.host_str().ok_or_else(|| refuse("it names no host"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" if is_loopback(host) => false,
            "http" => {
                return Err(refuse(
                    "plain HTTP is for loopback addresses only; use https",
                ));
            }
            _ => return Err(refuse("the scheme is https, or http on loopback")),
        };
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            tls,
        })
    }

    /// Whether TLS is spoken.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The URL of `path`, which begins with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl fmt::Display for VerifierUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_their_prefix() {
        let url = VerifierUrl::parse("https://v.example/duck/").unwrap();
        assert_eq!(url.at("/v1/nodes"), "https://v.example/duck/v1/nodes");
        assert!(url.is_tls());
    }

    #[test]
    fn a_name_is_not_a_loopback_address() {
        // `localhost` is whatever a resolver says.
        assert!(VerifierUrl::parse("http://localhost:1").is_err());
        assert!(VerifierUrl::parse("http://[::1]:1").is_ok());
        assert!(VerifierUrl::parse("http://127.0.0.1.example:1").is_err());
        assert!(VerifierUrl::parse("https://me:pw@v.example").is_err());
    }

    #[test]
    fn socket_paths_have_a_limit() {
        assert!(EnclaveAddress::parse("unix:").is_err());
        assert!(EnclaveAddress::parse(&format!("unix:/{}", "a".repeat(107))).is_err());
        assert_eq!(
            EnclaveAddress::parse("unix:/tmp/e").unwrap().to_string(),
            "unix:/tmp/e"
        );
    }

    #[test]
    fn vsock_has_a_machine_and_a_port() {
        let address = EnclaveAddress::parse("vsock:3:5000").unwrap();
        assert_eq!(address, EnclaveAddress::Vsock { cid: 3, port: 5000 });
        assert_eq!(address.to_string(), "vsock:3:5000");
        for wrong in ["vsock:3", "vsock::1", "vsock:3:x", "vsock:3:4294967296"] {
            assert!(EnclaveAddress::parse(wrong).is_err(), "{wrong}");
        }
    }
}
