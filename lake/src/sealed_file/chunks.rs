//! The table of column chunks: where each lies, in the order of the file.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::error::LakeError;
use super::footer::HEAD;
use super::modules::OVERHEAD;

/// One column chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Offset in the stored file and in the virtual one.
    pub(super) start: u64,
    /// Stored bytes, and the room in the virtual file.
    pub(super) stored: u64,
    /// Plaintext bytes, where the footer tells how many pages there are.
    pub(super) exact: Option<u64>,
    /// Row group, for the AAD.
    pub(super) row_group: i16,
    /// Leaf column, for the AAD.
    pub(super) column: i16,
    /// Whether the first page is a dictionary.
    pub(super) dictionary: bool,
}

impl Chunk {
    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.stored
    }
}

/// What a page loses when its two modules are opened.
const PAGE_OVERHEAD: u64 = 2 * OVERHEAD as u64;

/// Chunks of `metadata`, sorted by place: inside the file, before the footer, none over another.
pub(super) fn table(metadata: &ParquetMetaData, footer: u64) -> Result<Vec<Chunk>, LakeError> {
    let counted = metadata
        .file_metadata()
        .created_by()
        .is_some_and(|writer| writer.starts_with(crate::seal::CREATED_BY));
    let mut chunks = Vec::new();
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let row_group = i16::try_from(at).map_err(|_| LakeError::Layout("too many row groups"))?;
        if group
            .ordinal()
            .is_some_and(|ordinal| ordinal != i32::from(row_group))
        {
            return Err(LakeError::Layout("row groups out of order"));
        }
        for (at, column) in group.columns().iter().enumerate() {
            let ordinal = i16::try_from(at).map_err(|_| LakeError::Layout("too many columns"))?;
            chunks.push(chunk(column, row_group, ordinal, counted)?);
        }
    }
    chunks.retain(|chunk| chunk.stored > 0);
    chunks.sort_unstable_by_key(|chunk| chunk.start);
    let mut free = HEAD;
    for chunk in &chunks {
        let end = chunk.start.checked_add(chunk.stored);
        if chunk.start < free || end.is_none_or(|end| end > footer) {
            return Err(LakeError::Layout("column chunks overlap or leave the file"));
        }
        free = chunk.end();
    }
    Ok(chunks)
}

fn chunk(
    column: &ColumnChunkMetaData,
    row_group: i16,
    ordinal: i16,
    counted: bool,
) -> Result<Chunk, LakeError> {
    if column.file_path().is_some() {
        return Err(LakeError::Layout("a column chunk in another file"));
    }
    let dictionary_page = column.dictionary_page_offset();
    let start = u64::try_from(dictionary_page.unwrap_or(column.data_page_offset()))
        .map_err(|_| LakeError::Layout("a negative offset"))?;
    let stored = u64::try_from(column.compressed_size())
        .map_err(|_| LakeError::Layout("a negative size"))?;
    Ok(Chunk {
        start,
        stored,
        exact: if counted {
            exact(column, stored)?
        } else {
            None
        },
        row_group,
        column: ordinal,
        dictionary: dictionary_page.is_some(),
    })
}

/// The plaintext's length from the number of pages. Asked of our own files only: other writers
/// were seen to leave pages out of these statistics.
fn exact(column: &ColumnChunkMetaData, stored: u64) -> Result<Option<u64>, LakeError> {
    let Some(stats) = column.page_encoding_stats() else {
        return Ok(None);
    };
    let pages = stats
        .iter()
        .map(|page| u64::try_from(page.count).ok())
        .try_fold(0_u64, |sum, count| sum.checked_add(count?));
    pages
        .and_then(|pages| stored.checked_sub(pages.checked_mul(PAGE_OVERHEAD)?))
        .map(Some)
        .ok_or(LakeError::Layout("more pages than a column chunk can hold"))
}
