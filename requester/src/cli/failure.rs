//! Any coded error, on its way to the user.

use std::fmt;

use duckblind_protocol::coded::{Coded, Exit};

use crate::output::OutputError;

/// What ends a command.
pub(super) struct Failure(Box<dyn Coded + Send + Sync>);

impl Failure {
    /// A wrong use of the command line that clap cannot see.
    pub(super) fn usage(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self(Box::new(CliError::Usage {
            message: message.into(),
            expected: None,
            hint: hint.map(Into::into),
        }))
    }

    /// A wrong use of the command line that clap has seen.
    pub(super) fn misuse(message: String, expected: Option<String>, hint: String) -> Self {
        Self(Box::new(CliError::Usage {
            message,
            expected,
            hint: Some(hint),
        }))
    }

    /// A machine that does not work.
    pub(super) fn internal(error: &dyn fmt::Display) -> Self {
        Self(Box::new(CliError::Internal(error.to_string())))
    }

    /// Stopped by its user.
    pub(super) fn cancelled() -> Self {
        Self(Box::new(CliError::Cancelled))
    }

    /// Whether there is nobody to tell: stdout was closed by its reader.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.code() == OutputError::Closed.code()
    }

    pub(super) fn exit(&self) -> Exit {
        self.0.exit()
    }

    pub(super) fn coded(&self) -> &dyn Coded {
        self.0.as_ref()
    }
}

impl<E: Coded + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("{message}")]
    Usage {
        message: String,
        expected: Option<String>,
        hint: Option<String>,
    },
    #[error("{0}")]
    Internal(String),
    #[error("cancelled")]
    Cancelled,
}

impl Coded for CliError {
    fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "DB-REQ-090",
            Self::Internal(_) => "DB-REQ-091",
            Self::Cancelled => "DB-REQ-092",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Internal(_) => Exit::Internal,
            Self::Cancelled => Exit::Cancelled,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::Usage { expected, .. } => expected.clone(),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}
