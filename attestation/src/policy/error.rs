//! What can be wrong with a policy file.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::key_statement::Tee;

use super::{MAX_POLICY, VERSION};

/// Why a policy file cannot be used. `path` is the key, dotted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML.
    #[error("the policy is not valid TOML: {0}")]
    Syntax(String),
    /// More bytes than a policy may have.
    #[error("the policy is too long")]
    TooLong {
        /// Bytes that there are.
        len: usize,
    },
    /// A key that does not exist.
    #[error("unknown key {path} in the policy")]
    UnknownKey {
        /// The key.
        path: String,
        /// The nearest key that exists.
        nearest: Option<&'static str>,
    },
    /// A key that is missing; none has a default.
    #[error("key {path} is missing in the policy")]
    Missing {
        /// The key.
        path: String,
    },
    /// A value of the wrong type or out of range.
    #[error("wrong value of {path} in the policy")]
    Value {
        /// The key.
        path: String,
        /// What would be right.
        expected: String,
        /// What there is.
        got: String,
        /// The nearest value that exists, where there is a list of them.
        nearest: Option<&'static str>,
    },
    /// An empty list where it would mean "accept nothing" or, worse, "accept anything".
    #[error("{path} is empty in the policy")]
    Empty {
        /// The key.
        path: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A section for a kind of platform that `tees` does not list.
    #[error("{path} is there, but tees does not list {tee}")]
    NotListed {
        /// The section.
        path: String,
        /// The kind of platform.
        tee: Tee,
    },
    /// A root certificate that is not AMD's.
    #[error("{digest} in {path} is not the digest of a root certificate of AMD")]
    UnknownRoot {
        /// The key.
        path: String,
        /// The digest.
        digest: String,
    },
    /// Simulated platforms in a policy that is not for development.
    #[error("only a policy with development = true may list simulator_roots")]
    SimulatorInProduction,
    /// A version of the format that this program does not know.
    #[error("the policy has format version {0}")]
    Version(i64),
    /// A template without a line that is to be filled in.
    #[error("the template has no line \"{0}\"")]
    Template(&'static str),
}

impl Coded for PolicyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "DB-ATT-040",
            Self::TooLong { .. } => "DB-ATT-041",
            Self::UnknownKey { .. } => "DB-ATT-042",
            Self::Missing { .. } => "DB-ATT-043",
            Self::Value { .. } => "DB-ATT-044",
            Self::Empty { .. } => "DB-ATT-045",
            Self::UnknownRoot { .. } => "DB-ATT-046",
            Self::SimulatorInProduction => "DB-ATT-047",
            Self::Version(_) => "DB-ATT-048",
            Self::Template(_) => "DB-ATT-049",
            Self::NotListed { .. } => "DB-ATT-050",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Version(_) => Exit::Unsupported,
            Self::Syntax(_) | Self::TooLong { .. } => Exit::Malformed,
            _ => Exit::Usage,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::TooLong { .. } => Some(format!("at most {MAX_POLICY} bytes")),
            Self::Value { expected, .. } => Some(expected.clone()),
            Self::Version(_) => Some(format!("version = {VERSION}")),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::TooLong { len } => Some(format!("{len} bytes")),
            Self::Value { got, .. } => Some(got.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } | Self::Value { nearest, .. } => Some(match nearest {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => "the comments in policies/ say what each key takes".into(),
            }),
            Self::Missing { .. } => {
                Some("policies have no defaults; policies/development.toml shows every key".into())
            }
            Self::NotListed { tee, .. } => {
                Some(format!("remove the section, or add \"{tee}\" to tees"))
            }
            Self::Version(1) => Some("version 1 is of an older build: start from policies/".into()),
            Self::Empty { hint, .. } => Some((*hint).to_owned()),
            Self::UnknownRoot { .. } => {
                Some("the root of a simulated platform goes into simulator_roots".into())
            }
            Self::Template(_) => Some("start from policies/development.toml".into()),
            _ => None,
        }
    }
}
