//! Every byte of a table, authenticated.

use std::collections::BTreeSet;
use std::ops::Range;

use super::error::TableError;
use super::open::Table;
use crate::keys::Kms;
use crate::manifest::ManifestFile;
use crate::sealed_file::{LakeError, SealedFile};

/// Bytes read at a time.
const PIECE: u64 = 8 << 20;

/// What was found of one file.
#[derive(Debug, Default)]
pub struct FileReport {
    /// Relative to the table's directory.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its stored bytes.
    pub bytes: u64,
    /// Leaf columns that nothing authenticates: no tags, and no digests in the manifest.
    pub unauthenticated: BTreeSet<String>,
    /// Leaf columns whose keys are not at hand.
    pub unread: BTreeSet<String>,
    /// Why the file cannot be used.
    pub error: Option<TableError>,
}

impl FileReport {
    /// Whether all of it was authenticated.
    pub fn is_whole(&self) -> bool {
        self.error.is_none() && self.unauthenticated.is_empty() && self.unread.is_empty()
    }
}

/// Opens every file of a snapshot and authenticates every column chunk. Each report is shown as
/// soon as it is made; a file that fails does not end the check.
pub fn verify(table: &Table, kms: &dyn Kms, show: &mut dyn FnMut(&FileReport)) -> Vec<FileReport> {
    let files = table.manifest().files.iter().map(|file| {
        let mut report = FileReport {
            path: file.path.clone(),
            bytes: file.size,
            ..FileReport::default()
        };
        report.error = verify_file(table, file, kms, &mut report).err();
        show(&report);
        report
    });
    files.collect()
}

fn verify_file(
    table: &Table,
    file: &ManifestFile,
    kms: &dyn Kms,
    report: &mut FileReport,
) -> Result<(), TableError> {
    let sealed = table.open_file(file, kms)?;
    report.rows = sealed.rows();
    for place in sealed.places() {
        match read_place(&sealed, place) {
            Ok(()) => {}
            Err(LakeError::Unauthenticated { column, .. }) => {
                report.unauthenticated.insert(column);
            }
            Err(LakeError::ColumnKeyMissing { column, .. }) => {
                report.unread.insert(column);
            }
            Err(why) => return Err(table.file_error(file, why)),
        }
    }
    Ok(())
}

/// Reads a range of the virtual file, which authenticates what it stands for.
fn read_place(sealed: &SealedFile, place: Range<u64>) -> Result<(), LakeError> {
    let mut at = place.start;
    let mut piece = Vec::new();
    while at < place.end {
        let next = PIECE.min(place.end - at);
        piece.resize(usize::try_from(next).unwrap_or(0), 0);
        if sealed.read_at(&mut piece, at)? != piece.len() {
            return Err(LakeError::Truncated);
        }
        at += next;
    }
    Ok(())
}
