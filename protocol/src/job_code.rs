//! How a job can be refused or fail: one list of stable codes.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::coded::{Coded, Exit};

macro_rules! job_codes {
    ($( $(#[$doc:meta])* $name:ident = $n:literal, $code:literal, $exit:ident, $text:literal, $hint:expr; )*) => {
        /// Why a job was refused or how it failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum JobCode {
            $( $(#[$doc])* #[n($n)] $name, )*
        }

        impl JobCode {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable, such as `DB-JOB-001`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The exit code of the requester's command.
            pub const fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }

            /// One line, lower case.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What a person can do.
            pub const fn hint(self) -> Option<&'static str> {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

job_codes! {
    /// All places are taken.
    Busy = 1, "DB-JOB-001", Busy, "the enclave is busy", Some("try again after the time given, or with --wait");
    /// Sealed to the key of an epoch that has ended.
    StaleKey = 2, "DB-JOB-002", Stale, "the job is sealed to a key that has ended", Some("appraise the enclave again; `duckblind run` does so once by itself");
    /// No such ticket, or used already.
    TicketUnknown = 3, "DB-JOB-003", Rejected, "the ticket is unknown or was used", Some("a ticket serves one job; run the command again");
    /// Older than the ticket's lifetime.
    TicketExpired = 4, "DB-JOB-004", Stale, "the ticket has expired", Some("run the command again");
    /// Accepted later than the order allows.
    OrderExpired = 5, "DB-JOB-005", Stale, "the job expired before it was accepted", Some("run the command again");
    /// The job id was used before.
    Replayed = 6, "DB-JOB-006", Rejected, "the job was submitted before", Some("every attempt needs a fresh job; if you did not repeat it, the host did");
    /// Does not open, or its signature does not hold.
    OrderRefused = 7, "DB-JOB-007", Rejected, "the job does not open or does not authenticate", Some("it was sealed to another enclave or changed on its way");
    /// The enclave serves only listed requesters.
    RequesterNotAllowed = 8, "DB-JOB-008", Rejected, "this requester is not allowed here", Some("ask the operator to list your key, `duckblind keys show`");
    /// A limit beyond the enclave's own.
    LimitTooHigh = 9, "DB-JOB-009", Usage, "the job asks for more than this enclave allows", Some("lower the limits of the job");
    /// No such provider here.
    ProviderUnknown = 10, "DB-JOB-010", Unsupported, "the enclave does not have this storage provider", Some("use a host whose enclave serves the provider that holds your tables");
    /// Shutting down.
    Draining = 11, "DB-JOB-011", Busy, "the enclave is shutting down", Some("use another host, or try again later");
    /// More than a cap allows.
    Oversized = 12, "DB-JOB-012", Usage, "the job is too large", Some("name fewer tables or files");
    /// A message that is not what the protocol expects here.
    Malformed = 13, "DB-JOB-013", Malformed, "a message is malformed or out of place", Some("somebody on the way changed a message, or one end is of another version");
    /// The order asks for a class that this node is not.
    ClassTooLow = 14, "DB-JOB-014", Rejected, "the node is of a lower class than the job asks for", Some("use a node of class l2");

    /// The SQL does not parse.
    SqlSyntax = 32, "DB-JOB-032", Malformed, "SQL syntax error", Some("correct the query at the place given");
    /// No such table among the job's inputs.
    SqlUnknownTable = 33, "DB-JOB-033", Malformed, "unknown table", Some("name the table in the command: --table NAME[=LOCATION]");
    /// No such column.
    SqlUnknownColumn = 34, "DB-JOB-034", Malformed, "unknown column", Some("check the column names of the tables given with --table");
    /// Any other error of the query.
    SqlOther = 35, "DB-JOB-035", Malformed, "the query failed", Some("correct the query; tables are those given with --table, and functions that read files are not there");
    /// Not exactly one SELECT.
    NotOneSelect = 36, "DB-JOB-036", Malformed, "a job is exactly one SELECT statement", Some("only SELECT is possible here, and one at a time: tables are never changed");
    /// The manifest is not the one that the order pins, or is malformed.
    ManifestMismatch = 37, "DB-JOB-037", Rejected, "a table's manifest is not the one pinned by the job", Some("the stored table is not the one you sealed: restore it, or give the right directory");
    /// The manifest is signed by someone else.
    OwnerMismatch = 38, "DB-JOB-038", Rejected, "a table's manifest is not signed by the expected owner", Some("name the owner with --owner, if somebody else sealed the table");
    /// No key for a file.
    KeyMissing = 39, "DB-JOB-039", Rejected, "a data key is missing", Some("give the key with --key-file or DUCKBLIND_KEY_<ID>");
    /// The key does not open the file.
    KeyWrong = 40, "DB-JOB-040", Rejected, "a data key is wrong", Some("give the key that the table was sealed with");
    /// Stored bytes are not what was sealed.
    DataTampered = 41, "DB-JOB-041", Rejected, "stored data was changed", Some("restore the file from a good copy, or seal the table again");
    /// A file is not there.
    InputMissing = 42, "DB-JOB-042", Malformed, "an input file cannot be opened", Some("copy the sealed directory into the enclave's storage, or name its place there: --table NAME=DIR@REMOTE");
    /// A file has another size than the manifest says.
    InputSize = 43, "DB-JOB-043", Rejected, "an input file has another size than its manifest says", Some("the file was cut, extended or replaced");

    /// The engine's memory is used up.
    OutOfMemory = 64, "DB-JOB-064", Limit, "the query needs more memory than its limit", Some("raise --memory, or read fewer rows or columns");
    /// The wall clock ran out.
    TimeLimit = 65, "DB-JOB-065", Limit, "the query took longer than its limit", Some("raise --timeout");
    /// The result is too large.
    ResultLimit = 66, "DB-JOB-066", Limit, "the result is larger than its limit", Some("raise --max-result, or aggregate");
    /// The query process was killed or crashed.
    ProcessDied = 67, "DB-JOB-067", Died, "the query process died", Some("the job is never run again by itself; run the command again");
    /// The requester said stop.
    Cancelled = 68, "DB-JOB-068", Cancelled, "cancelled", Some("no result was kept; run the command again when you like");
    /// Nothing was heard from the requester.
    KeepAliveLost = 69, "DB-JOB-069", Limit, "no sign of life from the requester", Some("the connection was too slow or was held up on its way; run the command again");
    /// The result could not be delivered.
    StreamStalled = 70, "DB-JOB-070", Limit, "the result stream stalled", Some("the connection was too slow or was held up on its way; run the command again");
    /// A wall could not be raised.
    WallMissing = 71, "DB-JOB-071", Internal, "a required wall is not up", Some("the host's operator has to look into the enclave's log");
    /// Shut down before the job was done.
    DrainTimeout = 72, "DB-JOB-072", Busy, "the enclave shut down before the job was done", Some("run the command again on another host");
    /// A bug.
    Internal = 73, "DB-JOB-073", Internal, "internal error in the enclave", Some("the host's operator has to look into the enclave's log");
}

impl fmt::Display for JobCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl serde::Serialize for JobCode {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

/// A job's failure in full. Travels only inside sealed messages.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobError {
    /// The code.
    #[n(0)]
    pub code: JobCode,
    /// What happened; may quote the query and name tables, files, columns, key ids.
    #[n(1)]
    pub message: String,
    /// What would have been right.
    #[n(2)]
    pub expected: Option<String>,
    /// What was found.
    #[n(3)]
    pub got: Option<String>,
    /// Byte offset in the SQL text.
    #[n(4)]
    pub position: Option<u32>,
}

/// Bytes that the texts of one [`JobError`] may have; longer ones are cut.
pub const MAX_ERROR_TEXT: usize = 8 << 10;

impl JobError {
    /// A code with its own text.
    pub fn of(code: JobCode) -> Self {
        Self::new(code, code.text())
    }

    /// A code with a message, cut to [`MAX_ERROR_TEXT`].
    pub fn new(code: JobCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_ERROR_TEXT {
            let mut end = MAX_ERROR_TEXT;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
        }
        Self {
            code,
            message,
            expected: None,
            got: None,
            position: None,
        }
    }

    /// Adds what would have been right and what was found.
    #[must_use]
    pub fn expected_got(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.got = Some(got.into());
        self
    }

    /// Adds a position in the SQL text.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> Self {
        self.position = position;
        self
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message may quote SQL or data: it is shown to its owner, never logged.
        f.debug_tuple("JobError").field(&self.code.code()).finish()
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JobError {}

impl Coded for JobError {
    fn code(&self) -> &'static str {
        self.code.code()
    }
    fn exit(&self) -> Exit {
        self.code.exit()
    }
    fn expected(&self) -> Option<String> {
        self.expected.clone()
    }
    fn got(&self) -> Option<String> {
        self.got.clone()
    }
    fn hint(&self) -> Option<String> {
        if self.code == JobCode::SqlOther && is_conversion(&self.message) {
            return Some(CAST_HINT.into());
        }
        self.code.hint().map(Into::into)
    }
}

const CAST_HINT: &str =
    "cast explicitly; try_cast(… as TYPE) gives NULL for values that do not convert";

/// Whether the engine says that a value or a type does not convert. It has no code for that.
fn is_conversion(message: &str) -> bool {
    [
        "Could not convert",
        "Could not cast",
        "Cannot cast",
        "can't be cast",
        "Casting value",
        "Unimplemented type for cast",
        "field format",
        "explicit cast",
        "explicit type cast",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct() {
        let codes: BTreeSet<_> = JobCode::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes.len(), JobCode::ALL.len());
    }

    #[test]
    fn the_documentation_lists_every_code() {
        use std::fmt::Write as _;
        let mut text = String::from(
            "# How a job can be refused or fail\n\n\
             Made from `protocol/src/job_code.rs`. Exit codes: `duckblind help exit-codes`.\n\n\
             | code | exit | says | hint |\n|---|---|---|---|\n",
        );
        for code in JobCode::ALL {
            let hint = code.hint().unwrap_or("");
            let exit = code.exit().code();
            let _ = writeln!(text, "| {} | {exit} | {code} | {hint} |", code.code());
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/job-codes.md");
        if std::env::var_os("DUCKBLIND_BLESS").is_some() {
            let _ = std::fs::write(path, &text);
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
    }

    #[test]
    fn hints_fit_the_error() {
        let hint = |message: &str| JobError::new(JobCode::SqlOther, message).hint().unwrap();
        let convert = hint("Could not convert string 'Ada' to INT32 when casting from name");
        assert!(convert.contains("try_cast"), "{convert}");
        let wide = "Type INT64 with value 300 can't be cast because the value is out of range";
        assert!(hint(wide).contains("try_cast"));
        let none =
            "No function matches '+(VARCHAR, DATE)'. You might need to add explicit type casts.";
        assert!(hint(none).contains("cast explicitly"));
        assert!(!hint("the function getenv is not allowed here").contains("cast"));
        // The same for several statements, none, and one that is no SELECT.
        let one = JobError::of(JobCode::NotOneSelect).hint().unwrap();
        assert!(one.starts_with("only SELECT is possible"), "{one}");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let error = JobError::new(JobCode::SqlOther, "ü".repeat(MAX_ERROR_TEXT));
        assert!(error.message.len() <= MAX_ERROR_TEXT);
        assert!(error.message.ends_with('ü'));
    }
}
