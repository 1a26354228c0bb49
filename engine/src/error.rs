//! Everything that can go wrong in the engine, coded.

use std::fmt;

use duckblind_lake::sealed_file::{ErrorKind, LakeError};
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::job_code::{JobCode, JobError};

use crate::connection::DuckError;
use crate::ffi::Kind;

/// Text from DuckDB. It may quote the query or a value of a table: for the query's author only, so it
/// shows itself neither by `Debug` nor by `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Detail(String);

impl Detail {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detail(..)")
    }
}

/// Why an engine could not be opened or a query not be answered. `Display` and `Debug` are safe to
/// log; what only the query's author may see is in the [`Detail`]s. Positions are byte offsets in the
/// SQL text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The text does not parse.
    #[error("SQL syntax error")]
    Syntax {
        /// DuckDB's message.
        detail: Detail,
        /// Where.
        position: Option<u32>,
    },
    /// A name in FROM is no table of the job.
    #[error("unknown table")]
    UnknownTable {
        /// The name.
        name: Detail,
        /// Where.
        position: Option<u32>,
    },
    /// A name is no column of the tables in FROM.
    #[error("unknown column")]
    UnknownColumn {
        /// DuckDB's message, with names that come close.
        detail: Detail,
        /// Where.
        position: Option<u32>,
    },
    /// The text is not exactly one SELECT without parameters.
    #[error("not exactly one SELECT")]
    NotOneSelect {
        /// What it is instead.
        detail: Detail,
    },
    /// One SELECT, but with something in it that queries here may not have.
    #[error("the statement uses something that is not allowed")]
    Refused {
        /// What.
        detail: Detail,
        /// Where.
        position: Option<u32>,
    },
    /// Any other mistake in the query or failure of an expression: types, casts, functions.
    #[error("the query failed")]
    Query {
        /// DuckDB's message.
        detail: Detail,
        /// Where.
        position: Option<u32>,
    },
    /// The query needs more memory than it may have, and cannot spill.
    #[error("the query needs more memory than its limit")]
    OutOfMemory,
    /// Stopped by an [`crate::InterruptHandle`].
    #[error("interrupted")]
    Interrupted,
    /// A sealed file could not be read; what the reader said.
    #[error(transparent)]
    Data(LakeError),
    /// The same, of a file that has a name.
    #[error("{error}")]
    File {
        /// Table and file.
        file: Detail,
        /// What the reader said.
        error: LakeError,
    },
    /// DuckDB reported trouble with a file, and it was none of ours: spill, or a file that is not
    /// what its footer says.
    #[error("the engine could not read or write its files")]
    Files {
        /// DuckDB's message.
        detail: Detail,
    },
    /// DuckDB contradicts itself. The engine must not be used again.
    #[error("the engine is broken")]
    Broken {
        /// DuckDB's message.
        detail: Detail,
    },
    /// A setting did not take.
    #[error("the engine could not be set up: {what}")]
    Setup {
        /// Which step.
        what: &'static str,
        /// DuckDB's message.
        detail: Detail,
    },
    /// Something that must be denied was not, or not in the way it must be.
    #[error("the engine is not locked down: {probe}")]
    NotLockedDown {
        /// What was tried.
        probe: &'static str,
    },
    /// A limit outside of what makes sense.
    #[error("an engine limit is out of range: {what}")]
    Limits {
        /// Which.
        what: &'static str,
    },
    /// A table was to be added that cannot be.
    #[error("the table cannot be added: {what}")]
    Table {
        /// Why.
        what: &'static str,
    },
    /// A result that Arrow cannot carry.
    #[error("the result cannot be turned into Arrow")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl EngineError {
    /// DuckDB's error about a stranger's statement.
    pub(crate) fn of_query(error: DuckError) -> Self {
        let detail = Detail::new(error.message);
        let position = error.position;
        match error.kind {
            Kind::Syntax => Self::Syntax { detail, position },
            Kind::UnknownTable => Self::UnknownTable {
                name: Detail::new(error.name.unwrap_or_default()),
                position,
            },
            Kind::UnknownColumn => Self::UnknownColumn { detail, position },
            Kind::NotOneSelect => Self::NotOneSelect { detail },
            Kind::Refused | Kind::Permission => Self::Refused { detail, position },
            Kind::OutOfMemory => Self::OutOfMemory,
            Kind::Interrupted => Self::Interrupted,
            Kind::Io => Self::Files { detail },
            Kind::Sql => Self::Query { detail, position },
            Kind::Broken => Self::Broken { detail },
        }
    }

    /// DuckDB's error about a statement of our own.
    pub(crate) fn of_setup(what: &'static str, error: DuckError) -> Self {
        match error.kind {
            Kind::OutOfMemory => Self::OutOfMemory,
            _ => Self::Setup {
                what,
                detail: Detail::new(error.message),
            },
        }
    }

    /// The error as the requester is told of it, inside the sealed stream.
    pub fn to_job_error(&self) -> JobError {
        let code = self.job_code();
        match self {
            Self::Syntax { detail, position }
            | Self::UnknownColumn { detail, position }
            | Self::Refused { detail, position }
            | Self::Query { detail, position } => {
                JobError::new(code, detail.reveal()).at(*position)
            }
            Self::UnknownTable { name, position } => {
                JobError::new(code, format!("there is no table \"{}\"", name.reveal()))
                    .at(*position)
            }
            Self::NotOneSelect { detail } => {
                JobError::of(code).expected_got("exactly one SELECT statement", detail.reveal())
            }
            Self::Data(error) => told(code, error, error.to_string()),
            Self::File { file, error } => told(code, error, format!("{}: {error}", file.reveal())),
            Self::Files { .. }
            | Self::Broken { .. }
            | Self::Setup { .. }
            | Self::NotLockedDown { .. }
            | Self::Limits { .. }
            | Self::Table { .. }
            | Self::Arrow(_) => JobError::new(code, self.to_string()),
            Self::OutOfMemory | Self::Interrupted => JobError::of(code),
        }
    }

    /// The job's code for this error.
    pub fn job_code(&self) -> JobCode {
        match self {
            Self::Syntax { .. } => JobCode::SqlSyntax,
            Self::UnknownTable { .. } => JobCode::SqlUnknownTable,
            Self::UnknownColumn { .. } => JobCode::SqlUnknownColumn,
            Self::NotOneSelect { .. } => JobCode::NotOneSelect,
            Self::Refused { .. } | Self::Query { .. } | Self::Arrow(_) | Self::Table { .. } => {
                JobCode::SqlOther
            }
            Self::OutOfMemory => JobCode::OutOfMemory,
            Self::Interrupted => JobCode::Cancelled,
            Self::Data(error) | Self::File { error, .. } => data_code(error),
            Self::Files { .. }
            | Self::Broken { .. }
            | Self::Setup { .. }
            | Self::NotLockedDown { .. }
            | Self::Limits { .. } => JobCode::Internal,
        }
    }
}

/// What a reader said, with what it expected and got.
fn told(code: JobCode, error: &LakeError, message: String) -> JobError {
    let mut told = JobError::new(code, message);
    told.expected = error.expected();
    told.got = error.got();
    told
}

fn data_code(error: &LakeError) -> JobCode {
    match error.kind() {
        ErrorKind::Unreadable => JobCode::InputMissing,
        ErrorKind::Size => JobCode::InputSize,
        ErrorKind::KeyMissing => JobCode::KeyMissing,
        ErrorKind::KeyWrong => JobCode::KeyWrong,
        ErrorKind::Tampered | ErrorKind::Unsupported | ErrorKind::Malformed => {
            JobCode::DataTampered
        }
    }
}

impl Coded for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "DB-ENG-001",
            Self::UnknownTable { .. } => "DB-ENG-002",
            Self::UnknownColumn { .. } => "DB-ENG-003",
            Self::NotOneSelect { .. } => "DB-ENG-004",
            Self::Refused { .. } => "DB-ENG-005",
            Self::Query { .. } => "DB-ENG-006",
            Self::OutOfMemory => "DB-ENG-007",
            Self::Interrupted => "DB-ENG-008",
            Self::Data(error) | Self::File { error, .. } => error.code(),
            Self::Files { .. } => "DB-ENG-009",
            Self::Broken { .. } => "DB-ENG-010",
            Self::Setup { .. } => "DB-ENG-011",
            Self::NotLockedDown { .. } => "DB-ENG-012",
            Self::Limits { .. } => "DB-ENG-013",
            Self::Table { .. } => "DB-ENG-014",
            Self::Arrow(_) => "DB-ENG-015",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Data(error) | Self::File { error, .. } => error.exit(),
            Self::Limits { .. } => Exit::Usage,
            other => other.job_code().exit(),
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Data(error) | Self::File { error, .. } => error.expected(),
            _ => None,
        }
    }

    fn got(&self) -> Option<String> {
        match self {
            Self::Data(error) | Self::File { error, .. } => error.got(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) | Self::File { error, .. } => error.hint(),
            other => other.job_code().hint().map(Into::into),
        }
    }
}
