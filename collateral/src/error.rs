//! What can go wrong between a vendor and us. No text here names a chip: addresses are given
//! without path and query.

use std::path::PathBuf;

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::UnixTime;

use crate::item::NotUsable;
use crate::window::Window;

/// Why collateral cannot be had. `what` is the thing sought, `service` the scheme, host and port
/// that was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollateralError {
    /// Not an address to fetch collateral from.
    #[error("\"{0}\" cannot be the address of a collateral service")]
    Address(String),
    /// A host that no configuration allows.
    #[error("{service} is not among the services that collateral may come from")]
    RefusedHost {
        /// The host that is not.
        service: String,
        /// Those that are.
        allowed: String,
    },
    /// Redirections are not followed.
    #[error("{0} sends elsewhere for collateral")]
    Redirected(String),
    /// The TLS client cannot be built.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The extra certificate authority is not one.
    #[error("the extra certificate authority for collateral services is not PEM of certificates")]
    Authority,
    /// No connection, or one that broke.
    #[error("cannot reach {service}: {reason}")]
    Unreachable {
        /// Who was asked.
        service: String,
        /// What the network said.
        reason: String,
    },
    /// Too slow.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// Too many requests, or overloaded, until patience ran out.
    #[error("{service} is busy")]
    Busy {
        /// Who was asked.
        service: String,
        /// HTTP status of the last answer.
        status: u16,
        /// Seconds after which it wants to be asked again, if it said.
        retry_after: Option<u64>,
    },
    /// The service is there and broken.
    #[error("{service} failed")]
    Failed {
        /// Who was asked.
        service: String,
        /// HTTP status of the last answer.
        status: u16,
    },
    /// The vendor knows no such chip, firmware or platform.
    #[error("{service} does not have {what}")]
    NotFound {
        /// Who was asked.
        service: String,
        /// What for.
        what: &'static str,
    },
    /// More bytes than such a thing can have.
    #[error("{what} from {service} is too large")]
    TooLarge {
        /// Who was asked.
        service: String,
        /// What for.
        what: &'static str,
        /// Bytes allowed.
        cap: usize,
    },
    /// Not what was asked for.
    #[error("{service} answered with something else than {what}: {why}")]
    NotUsable {
        /// Who was asked.
        service: String,
        /// What for.
        what: &'static str,
        /// What is wrong with it.
        why: NotUsable,
    },
    /// What the service has is past its end, or not yet valid.
    #[error("{what} from {service} is not valid now")]
    Stale {
        /// Who was asked.
        service: String,
        /// What for.
        what: &'static str,
        /// When it is.
        window: Window,
        /// The time to judge by.
        now: UnixTime,
    },
    /// The network is not to be used, and nothing kept or carried will do.
    #[error("{0} is neither kept nor carried, and the network is not to be used")]
    Offline(&'static str),
    /// A cloud's key.
    #[error("the evidence is signed with a VLEK and does not carry its certificate")]
    VlekNotCarried,
    /// No chip to ask for.
    #[error("the evidence hides its chip id and does not carry a VCEK certificate")]
    ChipHidden,
    /// A processor that is none of the known ones.
    #[error("the evidence does not say of which processor generation it is")]
    UnknownProcessor,
    /// The directory of the cache cannot be made or read.
    #[error("cannot use {} as a cache: {reason}", path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The directory of the cache is open to others.
    #[error("{} is open to other users", path.display())]
    CacheMode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A bundle cannot be read or written.
    #[error("cannot use the bundle {}: {reason}", path.display())]
    BundleFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file that is not a bundle.
    #[error("{} is not a bundle of collateral: {reason}", path.display())]
    BundleContents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Coded for CollateralError {
    fn code(&self) -> &'static str {
        match self {
            Self::Address(_) => "DB-COL-001",
            Self::RefusedHost { .. } => "DB-COL-002",
            Self::Redirected(_) => "DB-COL-003",
            Self::Tls(_) => "DB-COL-004",
            Self::Authority => "DB-COL-005",
            Self::Unreachable { .. } => "DB-COL-010",
            Self::Timeout(_) => "DB-COL-011",
            Self::Busy { .. } => "DB-COL-012",
            Self::Failed { .. } => "DB-COL-013",
            Self::NotFound { .. } => "DB-COL-014",
            Self::TooLarge { .. } => "DB-COL-020",
            Self::NotUsable { .. } => "DB-COL-021",
            Self::Stale { .. } => "DB-COL-022",
            Self::Offline(_) => "DB-COL-023",
            Self::VlekNotCarried => "DB-COL-030",
            Self::ChipHidden => "DB-COL-031",
            Self::UnknownProcessor => "DB-COL-032",
            Self::Cache { .. } => "DB-COL-040",
            Self::CacheMode { .. } => "DB-COL-041",
            Self::BundleFile { .. } => "DB-COL-042",
            Self::BundleContents { .. } => "DB-COL-043",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Address(_)
            | Self::Authority
            | Self::Cache { .. }
            | Self::CacheMode { .. }
            | Self::BundleFile { .. } => Exit::Usage,
            Self::Tls(_) => Exit::Internal,
            Self::RefusedHost { .. }
            | Self::Redirected(_)
            | Self::VlekNotCarried
            | Self::ChipHidden
            | Self::UnknownProcessor => Exit::Unsupported,
            Self::Unreachable { .. }
            | Self::Timeout(_)
            | Self::Failed { .. }
            | Self::Offline(_) => Exit::Unreachable,
            Self::Busy { .. } => Exit::Busy,
            Self::NotFound { .. } => Exit::Rejected,
            Self::TooLarge { .. } | Self::NotUsable { .. } | Self::BundleContents { .. } => {
                Exit::Malformed
            }
            Self::Stale { .. } => Exit::Stale,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Address(_) => Some("https://HOST[:PORT], or http on a loopback address".into()),
            Self::RefusedHost { allowed, .. } => Some(format!("one of {allowed}")),
            Self::TooLarge { cap, .. } => Some(format!("at most {cap} bytes")),
            Self::NotUsable { what, .. } => Some((*what).to_owned()),
            Self::Stale { now, .. } => Some(format!("a window around {now}")),
            Self::CacheMode { .. } => Some("mode 0700".into()),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::RefusedHost { service, .. } => Some(service.clone()),
            Self::Busy { status, .. } | Self::Failed { status, .. } => {
                Some(format!("HTTP status {status}"))
            }
            Self::NotUsable { why, .. } => Some(why.to_string()),
            Self::Stale { window, .. } => Some(window.to_string()),
            Self::CacheMode { mode, .. } => Some(format!("mode {mode:04o}")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Redirected(_) => {
                "give the address of the service itself: redirections are not followed"
            }
            Self::Authority => {
                "give the PEM file of the authority that signed the PCCS's certificate"
            }
            Self::Unreachable { .. } | Self::Timeout(_) | Self::Failed { .. } => {
                "try again later, or bring a bundle made by `duckblind attest fetch-collateral` elsewhere"
            }
            Self::Busy { retry_after, .. } => {
                return Some(match retry_after {
                    Some(seconds) => format!("it asks for {seconds} seconds of patience"),
                    None => {
                        "try again in a minute, or have the evidence carry its certificates".into()
                    }
                });
            }
            Self::NotFound { .. } => {
                "is the report genuine? Vendors know every chip and firmware that they shipped"
            }
            Self::TooLarge { .. } | Self::NotUsable { .. } => {
                "is something between here and the vendor answering in its place?"
            }
            Self::Stale { .. } => {
                "check this machine's clock; if it is right, the service is behind: try again later"
            }
            Self::Offline(_) => {
                "run `duckblind attest fetch-collateral` where there is a network, and bring the bundle"
            }
            Self::VlekNotCarried => {
                "only the cloud can fetch it: the host has to put it into the certificate table of its guests"
            }
            Self::ChipHidden => {
                "the host has to put the VCEK into the certificate table of its guests"
            }
            Self::UnknownProcessor => {
                "reports before version 3 need their VCEK certificate with them"
            }
            Self::Cache { .. } => "name a directory that this user can write",
            Self::CacheMode { path, .. } => return Some(format!("chmod 700 {}", path.display())),
            Self::BundleFile { .. } => "check the path and its permissions",
            Self::BundleContents { .. } => {
                "make a new one with `duckblind attest fetch-collateral`"
            }
            Self::Address(_) | Self::RefusedHost { .. } | Self::Tls(_) => return None,
        };
        Some(text.to_owned())
    }
}
