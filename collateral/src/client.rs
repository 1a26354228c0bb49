//! One HTTP GET: allowed hosts only, no redirections, caps before buffering, bounded patience.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::config::Config;
use crate::error::CollateralError;
use crate::item::Answer;
use crate::origin::Origin;

/// Requests under way at once. Vendors throttle by address: more would not be faster.
const AT_ONCE: usize = 4;
/// Bytes that the header with the signer's certificates may have.
const MAX_HEADER: usize = 16 * 1024;

/// How long to wait for a service, and how often to ask it.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For one answer, to its last byte.
    pub answer: Duration,
    /// For everything, with all attempts and the waits between them.
    pub total: Duration,
    /// Requests for one thing that is needed. While an older one is still valid, it is one.
    pub attempts: u32,
    /// Bound of the wait after the first failure; doubles from there.
    pub first_wait: Duration,
    /// Bound of all waits; a service that asks for more is not waited for.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(15),
            total: Duration::from_secs(45),
            attempts: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(15),
        }
    }
}

/// What to ask for.
pub(crate) struct Wanted {
    pub(crate) url: Url,
    pub(crate) what: &'static str,
    pub(crate) cap: usize,
    pub(crate) chain_headers: &'static [&'static str],
    /// Requests, at most.
    pub(crate) attempts: u32,
}

/// A client of the configured services.
pub(crate) struct Client {
    http: reqwest::Client,
    allowed: Vec<Origin>,
    patience: Patience,
    slots: Semaphore,
}

/// A request that failed, and whether another may do better.
struct Failure {
    error: CollateralError,
    again: bool,
}

impl From<CollateralError> for Failure {
    fn from(error: CollateralError) -> Self {
        Self {
            error,
            again: false,
        }
    }
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(config: &Config) -> Result<Self, CollateralError> {
        let tls = |e: reqwest::Error| CollateralError::Tls(innermost(&e));
        let allowed = config.origins();
        // The HTTP library looks here; whoever installed one before us installed the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            // Intel promises 1.2 and no more. What is fetched is public, and signed by itself.
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(config.patience.connect)
            .timeout(config.patience.answer)
            .user_agent(concat!("duckblind/", env!("CARGO_PKG_VERSION")));
        if allowed.iter().all(Origin::is_loopback) {
            builder = builder.no_proxy();
        }
        if let Some(pem) = &config.extra_authorities {
            let bundle = reqwest::Certificate::from_pem_bundle(pem);
            let authorities = bundle.map_err(|_| CollateralError::Authority)?;
            if authorities.is_empty() {
                return Err(CollateralError::Authority);
            }
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(Self {
            http: builder.build().map_err(tls)?,
            allowed,
            patience: config.patience.clone(),
            slots: Semaphore::new(AT_ONCE),
        })
    }

    /// Asks until there is an answer, or patience ends.
    pub(crate) async fn get(&self, wanted: &Wanted) -> Result<Answer, CollateralError> {
        let service = self.service(&wanted.url)?.to_string();
        let deadline = Instant::now() + self.patience.total;
        let mut backoff = Backoff::new(&self.patience, wanted.attempts);
        let mut said = None;
        loop {
            let tried = timeout_at(deadline, self.once(wanted, &service)).await;
            let Failure { error, again } = match tried {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                // What it said before tells more than that time ran out on one more attempt.
                Err(_) => return Err(said.unwrap_or(CollateralError::Timeout(service))),
            };
            let retry_after = match &error {
                CollateralError::Busy { retry_after, .. } => *retry_after,
                _ => None,
            };
            let wait = backoff.failed(retry_after).filter(|_| again);
            match wait {
                Some(wait) if Instant::now() + wait < deadline => sleep(wait).await,
                _ => return Err(error),
            }
            said = Some(error);
        }
    }

    /// The service that `url` is on, if it is one to ask.
    fn service(&self, url: &Url) -> Result<&Origin, CollateralError> {
        let found = self.allowed.iter().find(|origin| origin.covers(url));
        found.ok_or_else(|| CollateralError::RefusedHost {
            service: url.origin().ascii_serialization(),
            allowed: self
                .allowed
                .iter()
                .map(Origin::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    async fn once(&self, wanted: &Wanted, service: &str) -> Result<Answer, Failure> {
        let broken = |e: reqwest::Error| {
            if e.is_timeout() {
                return CollateralError::Timeout(service.to_owned());
            }
            CollateralError::Unreachable {
                service: service.to_owned(),
                reason: innermost(&e),
            }
        };
        // The semaphore is never closed: an error here cannot be, and would be one of patience.
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|_| CollateralError::Timeout(service.to_owned()))?;
        let request = self.http.get(wanted.url.clone());
        let mut response = request.send().await.map_err(broken)?;
        usable_status(&response, wanted, service)?;
        let too_large = || CollateralError::TooLarge {
            service: service.to_owned(),
            what: wanted.what,
            cap: wanted.cap,
        };
        let issuer_chain = header(response.headers(), wanted.chain_headers);
        if response.content_length() > Some(wanted.cap as u64)
            || issuer_chain
                .as_ref()
                .is_some_and(|chain| chain.len() > MAX_HEADER)
        {
            return Err(too_large().into());
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(broken)? {
            if body.len() + part.len() > wanted.cap {
                return Err(too_large().into());
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { body, issuer_chain })
    }
}

fn usable_status(response: &Response, wanted: &Wanted, service: &str) -> Result<(), Failure> {
    let service = service.to_owned();
    let status = response.status();
    let error = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::NOT_FOUND => CollateralError::NotFound {
            service,
            what: wanted.what,
        },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => CollateralError::Busy {
            service,
            status: status.as_u16(),
            retry_after: header(response.headers(), &[RETRY_AFTER.as_str()])
                .and_then(|seconds| seconds.parse().ok()),
        },
        _ if status.is_redirection() => CollateralError::Redirected(service),
        _ => CollateralError::Failed {
            service,
            status: status.as_u16(),
        },
    };
    Err(Failure {
        again: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        error,
    })
}

/// The first of `names` that is there and text.
fn header(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    let value = names.iter().find_map(|name| headers.get(*name))?;
    value.to_str().ok().map(str::to_owned)
}

/// What the network said, without the address: that would name a chip.
fn innermost(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    if source.is::<reqwest::Error>() {
        return "the request failed".into();
    }
    let text = source.to_string();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}
