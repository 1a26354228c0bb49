//! Arguments of every command that runs a query: its text, and where its result goes.

use std::path::PathBuf;

use super::failure::Failure;
use crate::files;
use crate::output::{DEFAULT_ROWS, Format, Output, OutputError};

/// The query's text.
#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    /// The query; `-` reads it from stdin
    // A query may begin with a comment: `-- …`.
    #[arg(
        value_name = "SQL",
        required_unless_present = "file",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    sql: Option<String>,
    /// Read the query from a file
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl QueryArgs {
    pub(super) fn text(&self) -> Result<String, Failure> {
        match (&self.file, self.sql.as_deref()) {
            (Some(path), _) if path.as_os_str() == "-" => stdin(),
            (Some(path), _) => Ok(files::read_text(path)?),
            (None, Some("-")) => stdin(),
            (None, Some(sql)) => Ok(sql.to_owned()),
            (None, None) => Err(Failure::usage("no query", None)),
        }
    }
}

fn stdin() -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    std::io::stdin()
        .take(files::MAX_TEXT)
        .read_to_string(&mut text)
        .map_err(|e| Failure::usage(format!("stdin cannot be read: {e}"), None))?;
    Ok(text)
}

/// Where a result goes, and how.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// How the result is written [default: by the name of -o, else table, or jsonl with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the result to a file
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub(super) path: Option<PathBuf>,
    /// Rows that a table shows
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ROWS)]
    max_rows: usize,
}

impl OutputArgs {
    /// As asked, or as the output's name says.
    /// Without either: rows for a program with `--json`, else for people.
    pub(super) fn format(&self, json: bool) -> Result<Format, Failure> {
        match (self.format, &self.path) {
            (Some(format), _) => Ok(format),
            (None, None) if json => Ok(Format::Jsonl),
            (None, None) => Ok(Format::Table),
            (None, Some(path)) => Format::of_path(path).ok_or_else(|| {
                Failure::usage(
                    format!("the name {} does not tell a format", path.display()),
                    Some("add --format csv, jsonl, arrow, parquet or table"),
                )
            }),
        }
    }

    /// Takes the result's place.
    pub(super) fn create(&self, format: Format) -> Result<Output, OutputError> {
        Output::create(format, self.path.as_deref(), self.max_rows)
    }
}
