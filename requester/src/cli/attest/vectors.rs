//! `duckblind attest verify --vectors DIR`: every case of a folder of test vectors, listed outcome
//! against ours.

mod expected;
mod snp;
mod tdx;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckblind_attestation::evidence::MAX_EVIDENCE;
use duckblind_attestation::reason::Reason;
use duckblind_protocol::coded::{Coded, Exit};
use duckblind_protocol::ids::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ui::Ui;
use super::documents::read;
use super::file::unhexed;

/// Bytes that a list of cases may have.
const MAX_LIST: usize = 16 * 1024 * 1024;
/// Cases that a list may have.
const MAX_CASES: usize = 100_000;

/// What came of one question about one case.
#[derive(Debug, Serialize)]
struct Outcome {
    case: String,
    /// `crypto` or `strict`.
    kind: &'static str,
    listed: String,
    ours: String,
    reasons: Vec<Reason>,
    agrees: bool,
}

/// Why a folder cannot be judged, or what came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum VectorsError {
    /// No list of cases there.
    #[error("{} holds no test vectors", .0.display())]
    NoLists(PathBuf),
    /// A list that is none.
    #[error("{} is not a list of cases: {why}", path.display())]
    List { path: PathBuf, why: String },
    /// A case that cannot be understood.
    #[error("case {case:?} cannot be judged: {why}")]
    Case {
        case: String,
        why: String,
        expected: &'static str,
    },
    /// A file of a case that is not there.
    #[error("case {case:?} names a file that is not there")]
    File { case: String, name: String },
    /// Lists without a case.
    #[error("the lists have no case")]
    Empty,
    /// Some are not as listed.
    #[error("{differ} of {all} outcomes are not as listed")]
    Differ {
        differ: usize,
        all: usize,
        first: String,
    },
}

impl Coded for VectorsError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoLists(_) => "DB-REQ-120",
            Self::List { .. } => "DB-REQ-121",
            Self::Case { .. } => "DB-REQ-122",
            Self::File { .. } => "DB-REQ-123",
            Self::Empty => "DB-REQ-124",
            Self::Differ { .. } => "DB-REQ-125",
        }
    }
    fn exit(&self) -> Exit {
        match self {
            Self::NoLists(_) => Exit::Usage,
            Self::Differ { .. } => Exit::Rejected,
            _ => Exit::Malformed,
        }
    }
    fn expected(&self) -> Option<String> {
        match self {
            Self::NoLists(_) => {
                Some("snp/normalized/manifest.json, tdx/normalized/cases.json, or both".into())
            }
            Self::List { .. } => Some("a JSON array of cases".into()),
            Self::Case { expected, .. } => Some((*expected).to_owned()),
            _ => None,
        }
    }
    fn got(&self) -> Option<String> {
        match self {
            Self::File { name, .. } => Some(name.clone()),
            Self::Differ { first, .. } => Some(first.clone()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoLists(_) => "name the folder that snp/ and tdx/ are in".into(),
            Self::Differ { .. } => "the table says which; DIFF marks them".into(),
            _ => "correct the list, or the folder".into(),
        })
    }
}

/// Judges every case. Cases say when they are to be judged; `now` is for what must be said of them
/// at any time.
pub(super) fn verify(ui: &Ui, dir: &Path, now: UnixTime) -> Result<(), Failure> {
    let snp_list = dir.join("snp").join("normalized").join("manifest.json");
    let tdx_list = dir.join("tdx").join("normalized").join("cases.json");
    let (has_snp, has_tdx) = (snp_list.is_file(), tdx_list.is_file());
    if !has_snp && !has_tdx {
        return Err(VectorsError::NoLists(dir.to_owned()).into());
    }
    let mut outcomes = Vec::new();
    if has_snp {
        let folder = Folder::new(dir, &["snp/normalized", "snp", "."]);
        for case in list::<snp::Case>(&snp_list)? {
            outcomes.extend(case.judge(&folder, now)?);
        }
    }
    if has_tdx {
        let folder = Folder::new(dir, &["tdx", "tdx/normalized", "."]);
        for case in list::<tdx::Case>(&tdx_list)? {
            outcomes.extend(case.judge(&folder)?);
        }
    }
    let first = outcomes.iter().find(|outcome| !outcome.agrees);
    let result = match first {
        _ if outcomes.is_empty() => Err(VectorsError::Empty),
        None => Ok(()),
        Some(first) => Err(VectorsError::Differ {
            differ: outcomes.iter().filter(|outcome| !outcome.agrees).count(),
            all: outcomes.len(),
            first: format!(
                "{} ({}): {}, listed {}",
                first.case, first.kind, first.ours, first.listed
            ),
        }),
    };
    let value = json!({
        "schema": "duckblind/vectors/v1",
        "agree": result.is_ok(),
        "outcomes": outcomes,
    });
    ui.show(&value, || text(&outcomes));
    Ok(result?)
}

fn text(outcomes: &[Outcome]) -> String {
    let width = |of: fn(&Outcome) -> &str| {
        let all = outcomes.iter().map(|outcome| of(outcome).chars().count());
        all.max().unwrap_or_default().clamp(8, 70)
    };
    let case = width(|outcome| &outcome.case);
    let listed = width(|outcome| &outcome.listed);
    let ours = width(|outcome| &outcome.ours);
    let mut text = format!(
        "{:4} {:case$} {:6} {:listed$} {:ours$} reasons\n",
        "", "case", "kind", "listed", "ours"
    );
    for outcome in outcomes {
        let mark = if outcome.agrees { "ok" } else { "DIFF" };
        let reasons: Vec<_> = outcome.reasons.iter().map(|one| one.as_str()).collect();
        let line = format!(
            "{mark:4} {:case$} {:6} {:listed$} {:ours$} {}",
            outcome.case,
            outcome.kind,
            outcome.listed,
            outcome.ours,
            reasons.join(" ")
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let agree = outcomes.iter().filter(|outcome| outcome.agrees).count();
    let _ = writeln!(text, "{agree} of {} as listed", outcomes.len());
    text
}

/// A list of cases: an array, or an object that has one as `cases`.
fn list<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let wrong = |why: String| VectorsError::List {
        path: path.to_owned(),
        why,
    };
    let bytes = read(path, MAX_LIST)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let cases = match value {
        Value::Array(cases) => cases,
        Value::Object(mut object) => match object.remove("cases") {
            Some(Value::Array(cases)) => cases,
            _ => return Err(wrong("an object without cases".into()).into()),
        },
        _ => return Err(wrong("neither array nor object".into()).into()),
    };
    if cases.len() > MAX_CASES {
        return Err(wrong(format!("{} cases, more than {MAX_CASES}", cases.len())).into());
    }
    let parse = |(at, case)| {
        serde_json::from_value(case).map_err(|error| wrong(format!("case {at}: {error}")).into())
    };
    cases.into_iter().enumerate().map(parse).collect()
}

/// Where the files of one kind of platform lie.
struct Folder {
    places: Vec<PathBuf>,
}

impl Folder {
    fn new(dir: &Path, places: &[&str]) -> Self {
        Self {
            places: places.iter().map(|place| dir.join(place)).collect(),
        }
    }

    /// A file's bytes; none if it is in none of the places.
    fn find(&self, name: &str, cap: usize) -> Result<Option<Vec<u8>>, Failure> {
        let paths = self.places.iter().map(|place| place.join(name));
        match paths.into_iter().find(|path| path.is_file()) {
            Some(path) => Ok(Some(read(&path, cap)?)),
            None => Ok(None),
        }
    }

    /// A file that a case names.
    fn named(&self, case: &str, name: &str, cap: usize) -> Result<Vec<u8>, Failure> {
        self.find(name, cap)?.ok_or_else(|| {
            VectorsError::File {
                case: case.to_owned(),
                name: name.to_owned(),
            }
            .into()
        })
    }

    /// A report or quote that a case names, raw or in hex digits.
    fn evidence(&self, case: &str, name: &str) -> Result<Vec<u8>, Failure> {
        Ok(unhexed(self.named(case, name, MAX_EVIDENCE)?))
    }
}
