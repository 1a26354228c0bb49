//! Scheme, host and port of a service: what the allow-list is made of.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use crate::error::CollateralError;

/// `https://HOST[:PORT]` and nothing after it; plain `http` only to this machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// Whether `url` is on this service: same scheme, host and port.
    pub(crate) fn covers(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// An address on this service. `path` begins with one slash.
    pub(crate) fn at(&self, path: &str) -> Result<Url, CollateralError> {
        let url = self.0.join(path).ok().filter(|url| self.covers(url));
        url.ok_or_else(|| CollateralError::Address(self.to_string()))
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for Origin {
    type Err = CollateralError;

    fn from_str(text: &str) -> Result<Self, CollateralError> {
        let refused = || CollateralError::Address(text.chars().take(200).collect());
        let url: Url = text.parse().map_err(|_| refused())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| !host.is_empty());
        let origin = Self(url);
        match origin.0.scheme() {
            "https" if bare => Ok(origin),
            "http" if bare && origin.is_loopback() => Ok(origin),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_origin() {
        for good in [
            "https://a.example",
            "https://a.example:8081/",
            "http://127.0.0.1:1",
            "http://[::1]:2",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "https://a.example/path",
            "https://a.example/?q",
            "https://a.example/#f",
            "https://user@a.example",
            "https://:secret@a.example",
            "ftp://a.example",
            "file:///etc",
            "a.example",
            "",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn another_port_scheme_or_host_is_another_origin() {
        let origin: Origin = "https://a.example".parse().unwrap();
        assert!(origin.covers(&"https://a.example:443/x?y".parse().unwrap()));
        for other in [
            "http://a.example/x",
            "https://a.example:444/",
            "https://b.a.example/",
        ] {
            assert!(!origin.covers(&other.parse().unwrap()), "{other}");
        }
        assert!(origin.at("//b.example/x").is_err());
        assert_eq!(
            origin.at("/x?y=1").unwrap().as_str(),
            "https://a.example/x?y=1"
        );
    }
}
