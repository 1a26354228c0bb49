//! How every error of this house speaks: a stable code, what was expected, what came, and a hint.

use std::fmt::Write as _;

/// Process exit codes, the same for every binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// A bug or a broken machine.
    Internal = 1,
    /// The command line or a configuration is off.
    Usage = 2,
    /// Evidence, policy, proof, key or data was refused; or the output was cut.
    Rejected = 10,
    /// The log contradicts itself.
    InconsistentLog = 11,
    /// Too few agreed.
    Quorum = 12,
    /// Too old.
    Stale = 13,
    /// Not supported here.
    Unsupported = 20,
    /// The input does not parse: SQL, tables, files.
    Malformed = 30,
    /// Verifier or host cannot be reached.
    Unreachable = 40,
    /// Come back later.
    Busy = 41,
    /// A job hit one of its limits.
    Limit = 50,
    /// A job's process died.
    Died = 51,
    /// Cancelled by its owner.
    Cancelled = 130,
}

impl Exit {
    /// The number the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What can be done about any error of this class, for errors that have no better hint.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Ok => return None,
            Self::Internal => "this is a bug or a broken machine: the program's log says more",
            Self::Usage => "see --help",
            Self::Rejected => "what came is not what was sent, or is not trusted: try another host",
            Self::InconsistentLog => "keep what you were shown: it is evidence against the log",
            Self::Quorum => "wait for more answers, or ask more hosts",
            Self::Stale => "run the command again",
            Self::Unsupported => "bring both ends to versions that know it",
            Self::Malformed => "correct the input and run the command again",
            Self::Unreachable => "check the address, and that verifier and host are up",
            Self::Busy => "try again later, or use another host",
            Self::Limit => "raise the limit, or ask for less",
            Self::Died => "no job is run again by itself: run the command again",
            Self::Cancelled => "no result was kept: run the command again when you like",
        })
    }
}

/// What every coded error can say of itself. Its `Display` is one line, lower case, no full stop,
/// and safe to log: no secret, no SQL, no value of a table.
pub trait Coded: std::error::Error {
    /// Stable, such as `DB-ATT-012`.
    fn code(&self) -> &'static str;
    /// The exit code of a process that ends with this error.
    fn exit(&self) -> Exit;
    /// What would have been right.
    fn expected(&self) -> Option<String> {
        None
    }
    /// What was found instead.
    fn got(&self) -> Option<String> {
        None
    }
    /// What a person can do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The error's own hint, else that of its class.
fn hint(error: &dyn Coded) -> Option<String> {
    error
        .hint()
        .or_else(|| error.exit().hint().map(str::to_owned))
}

/// The error for a person: `error[CODE]: …`, `expected`, `got`, `hint:`; ends with a newline.
pub fn render(error: &dyn Coded) -> String {
    let mut text = format!("error[{}]: {error}\n", error.code());
    if let Some(expected) = error.expected() {
        let _ = writeln!(text, "  expected {expected}");
    }
    if let Some(got) = error.got() {
        let _ = writeln!(text, "  got      {got}");
    }
    if let Some(hint) = hint(error) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// The error for a program: one line of JSON, `{"error":{code,message,exit,expected?,got?,hint?}}`.
pub fn render_json(error: &dyn Coded) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("code".into(), error.code().into());
    fields.insert("message".into(), error.to_string().into());
    fields.insert("exit".into(), error.exit().code().into());
    for (name, value) in [
        ("expected", error.expected()),
        ("got", error.got()),
        ("hint", hint(error)),
    ] {
        if let Some(value) = value {
            fields.insert(name.into(), value.into());
        }
    }
    serde_json::json!({ "error": fields }).to_string()
}
