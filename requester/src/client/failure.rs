//! How a job can end without a result.

use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::receipt::ReceiptError;
use duckblind_protocol::result_stream::StreamError;

use super::error::ClientError;

/// A job without a whole result.
#[derive(Debug, thiserror::Error)]
pub enum JobFailure {
    /// The enclave refused it, signed.
    #[error("{}", code.text())]
    Refused {
        /// Why.
        code: JobCode,
        /// When to come back.
        retry_after_ms: Option<u32>,
    },
    /// It asks for more than the attested configuration allows; nothing was sealed.
    #[error("{}: {limit}", JobCode::LimitTooHigh.text())]
    TooMuch {
        /// Which limit.
        limit: &'static str,
        /// What it counts.
        unit: &'static str,
        /// The job's.
        wanted: u64,
        /// The enclave's.
        most: u64,
    },
    /// It failed inside; the error came sealed.
    #[error("{}", placed(error, *.place))]
    Failed {
        /// What happened.
        error: JobError,
        /// Line and column in the SQL, from 1.
        place: Option<(usize, usize)>,
    },
    /// The stream ended, stalled or was broken before its receipt.
    #[error("output incomplete: {0}")]
    Cut(ClientError),
    /// A sealed message was changed, dropped, repeated or moved.
    #[error("output incomplete: {0}")]
    Stream(StreamError),
    /// The job receipt does not verify.
    #[error("output incomplete: {0}")]
    Receipt(ReceiptError),
    /// The job receipt tells of something else than what came.
    #[error("output incomplete: the job receipt does not match the job: {field}")]
    Mismatch {
        /// Which of its fields.
        field: &'static str,
        /// What was seen here.
        expected: String,
        /// What the receipt says.
        got: String,
    },
    /// The result is no Arrow stream.
    #[error("the result does not parse: {0}")]
    Result(String),
    /// Cancelled here; no receipt came in time.
    #[error("cancelled")]
    Cancelled,
}

/// The message with its place at the end of its first line.
fn placed(error: &JobError, place: Option<(usize, usize)>) -> String {
    let Some((line, column)) = place else {
        return error.message.clone();
    };
    let (first, rest) = match error.message.split_once('\n') {
        Some((first, rest)) => (first, format!("\n  {}", rest.replace('\n', "\n  "))),
        None => (error.message.as_str(), String::new()),
    };
    format!("{first} (line {line}, column {column}){rest}")
}

/// Line and column, from 1, of a byte offset.
pub(super) fn place(sql: &str, offset: u32) -> Option<(usize, usize)> {
    let before = sql.get(..usize::try_from(offset).ok()?)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Some((line, column))
}

impl JobFailure {
    /// An error of the query, placed in the SQL text.
    pub fn failed(error: JobError, sql: &str) -> Self {
        let place = error.position.and_then(|offset| place(sql, offset));
        Self::Failed { error, place }
    }

    /// A cancellation that nobody here asked for: to the enclave, a requester whose line is cut
    /// looks like one that has left.
    pub(super) fn not_asked_for(self) -> Self {
        match self {
            Self::Failed { error, .. } if error.code == JobCode::Cancelled => Self::Cut(
                ClientError::Cut("the enclave no longer heard from here".into()),
            ),
            other => other,
        }
    }

    /// Whether rows that were handed out already may be part of something else than the answer.
    pub fn is_incomplete(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::TooMuch { .. })
    }
}

impl Coded for JobFailure {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code.code(),
            Self::TooMuch { .. } => JobCode::LimitTooHigh.code(),
            Self::Failed { error, .. } => error.code.code(),
            Self::Cut(_) => "DB-REQ-060",
            Self::Stream(e) => e.code(),
            Self::Receipt(e) => e.code(),
            Self::Mismatch { .. } => "DB-REQ-061",
            Self::Result(_) => "DB-REQ-062",
            Self::Cancelled => "DB-REQ-063",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Refused { code, .. } => code.exit(),
            Self::TooMuch { .. } => JobCode::LimitTooHigh.exit(),
            Self::Failed { error, .. } => error.code.exit(),
            Self::Cancelled => Exit::Cancelled,
            _ => Exit::Rejected,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::TooMuch { unit, most, .. } => Some(format!("at most {most} {unit}")),
            Self::Failed { error, .. } => error.expected.clone(),
            Self::Cut(e) => e.expected(),
            Self::Mismatch { expected, .. } => Some(expected.clone()),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::TooMuch { unit, wanted, .. } => Some(format!("{wanted} {unit}")),
            Self::Failed { error, .. } => error.got.clone(),
            Self::Cut(e) => e.got(),
            Self::Mismatch { got, .. } => Some(got.clone()),
            Self::Refused {
                retry_after_ms: Some(ms),
                ..
            } => Some(format!("retry after {ms} ms")),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { code, .. } => code.hint().map(Into::into),
            Self::TooMuch { .. } => JobCode::LimitTooHigh.hint().map(Into::into),
            Self::Failed { error, .. } => error.hint(),
            Self::Cancelled => None,
            Self::Result(_) => Some("enclave and requester run different releases".into()),
            _ => Some(
                "what came before must not be used; run the command again, or take another host with --node"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one() {
        assert_eq!(place("select x", 7), Some((1, 8)));
        assert_eq!(place("select\n  ä, y", 12), Some((2, 5)));
        assert_eq!(place("x", 5), None);
    }

    #[test]
    fn cut_streams_are_rejections() {
        let cut = JobFailure::Cut(ClientError::Cut("gone".into()));
        assert_eq!((cut.code(), cut.exit()), ("DB-REQ-060", Exit::Rejected));
        assert!(cut.to_string().starts_with("output incomplete"));
        let limit = JobFailure::failed(JobError::of(JobCode::TimeLimit), "select 1");
        assert_eq!(limit.exit(), Exit::Limit);
    }
}
