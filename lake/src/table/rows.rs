//! The rows of a table's files, decoded.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowGroups,
};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::error::TableError;
use super::open::Table;
use super::virtual_file::{Chunk, VirtualFile};
use crate::keys::Kms;
use crate::manifest::ManifestFile;
use crate::seal::{SealError, fit};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// One file of a table, opened for its rows.
pub(super) struct FileRows {
    file: VirtualFile,
    metadata: Arc<ParquetMetaData>,
    levels: FieldLevels,
    schema: SchemaRef,
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
}

impl FileRows {
    pub(super) fn open(
        table: &Table,
        file: &ManifestFile,
        kms: &dyn Kms,
    ) -> Result<Self, TableError> {
        let virtual_file = VirtualFile::new(table.open_file(file, kms)?);
        Self::of(virtual_file.clone()).map_err(|error| failed(table, file, &virtual_file, &error))
    }

    pub(super) fn of(file: VirtualFile) -> Result<Self, ParquetError> {
        let metadata = Arc::new(ParquetMetaDataReader::new().parse_and_finish(&file)?);
        let options = ArrowReaderOptions::new();
        let arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)?;
        let schema = SchemaRef::clone(arrow.schema());
        let levels = parquet_to_arrow_field_levels(
            metadata.file_metadata().schema_descr(),
            ProjectionMask::all(),
            Some(schema.fields()),
        )?;
        Ok(Self {
            file,
            metadata,
            levels,
            schema,
            group: 0,
            reader: None,
        })
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The paths of the leaf columns, in order.
    pub(super) fn leaves(&self) -> Vec<String> {
        let leaves = self.metadata.file_metadata().schema_descr().columns();
        leaves.iter().map(|leaf| leaf.path().string()).collect()
    }

    /// The next rows.
    pub(super) fn batch(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            if let Some(batch) = self.reader.as_mut().and_then(Iterator::next) {
                return batch.map(Some).map_err(|error| error.to_string());
            }
            if self.group >= self.metadata.num_row_groups() {
                return Ok(None);
            }
            let group = Group {
                file: &self.file,
                metadata: &self.metadata,
                number: self.group,
            };
            self.group += 1;
            let reader = ParquetRecordBatchReader::try_new_with_row_groups(
                &self.levels,
                &group,
                BATCH_ROWS,
                None,
            );
            self.reader = Some(reader.map_err(|error| error.to_string())?);
        }
    }
}

fn failed(
    table: &Table,
    file: &ManifestFile,
    read: &VirtualFile,
    why: &dyn std::fmt::Display,
) -> TableError {
    match read.failure() {
        Some(why) => table.file_error(file, why),
        None => TableError::Rows {
            table: table.manifest().table.clone(),
            path: file.path.clone(),
            why: why.to_string(),
        },
    }
}

/// One row group.
struct Group<'a> {
    file: &'a VirtualFile,
    metadata: &'a ParquetMetaData,
    number: usize,
}

impl Group<'_> {
    fn about(&self) -> Result<&RowGroupMetaData, ParquetError> {
        let mut groups = self.metadata.row_groups().iter();
        groups
            .nth(self.number)
            .ok_or_else(|| ParquetError::General("no such row group".into()))
    }
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.about()
            .ok()
            .and_then(|group| usize::try_from(group.num_rows()).ok())
            .unwrap_or(0)
    }

    fn column_chunks(&self, column: usize) -> parquet::errors::Result<Box<dyn PageIterator>> {
        let mut columns = self.about()?.columns().iter();
        let column = columns
            .nth(column)
            .ok_or_else(|| ParquetError::General("no such column".into()))?;
        let range = column.byte_range();
        let chunk = Arc::new(Chunk::new(self.file, range)?);
        let pages = Pages {
            inner: SerializedPageReader::new(chunk, column, self.num_rows(), None)?,
            left: column.num_values(),
        };
        Ok(Box::new(OneChunk(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.about().into_iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The pages of one chunk, up to its last value: what the virtual file has behind it are zeros.
struct Pages {
    inner: SerializedPageReader<Chunk>,
    left: i64,
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        if self.left <= 0 {
            return Ok(None);
        }
        let page = self.inner.get_next_page()?;
        if let Some(page) = page.as_ref().filter(|page| page.is_data_page()) {
            self.left -= i64::from(page.num_values());
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
        if self.left <= 0 {
            return Ok(None);
        }
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
        // Counted, so not skipped for good.
        self.get_next_page().map(drop)
    }
}

impl Iterator for Pages {
    type Item = parquet::errors::Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

struct OneChunk(Option<Pages>);

impl Iterator for OneChunk {
    type Item = parquet::errors::Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Ok(Box::new(self.0.take()?)))
    }
}

impl PageIterator for OneChunk {}

/// The rows of several files of a table, in order, in the columns of `schema`.
pub(super) struct TableRows<'a> {
    table: &'a Table,
    kms: &'a dyn Kms,
    schema: SchemaRef,
    files: VecDeque<&'a ManifestFile>,
    open: Option<(&'a ManifestFile, FileRows)>,
    /// Rows given so far.
    pub(super) rows: u64,
    failure: Option<TableError>,
}

impl<'a> TableRows<'a> {
    pub(super) fn new(
        table: &'a Table,
        kms: &'a dyn Kms,
        schema: SchemaRef,
        files: impl IntoIterator<Item = &'a ManifestFile>,
    ) -> Self {
        Self {
            table,
            kms,
            schema,
            files: files.into_iter().collect(),
            open: None,
            rows: 0,
            failure: None,
        }
    }

    /// What became of the writer that took the rows: why the rows ended counts for more.
    pub(super) fn result<T>(&mut self, written: Result<T, SealError>) -> Result<T, TableError> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => written.map_err(TableError::from),
        }
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        loop {
            if self.open.is_none() {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.open = Some((file, FileRows::open(self.table, file, self.kms)?));
            }
            let Some((file, rows)) = &mut self.open else {
                return Ok(None);
            };
            let batch = rows
                .batch()
                .map_err(|error| failed(self.table, file, &rows.file, &error))?;
            match batch {
                Some(batch) => {
                    self.rows += batch.num_rows() as u64;
                    return Ok(Some(fit(&batch, &self.schema)?));
                }
                None => self.open = None,
            }
        }
    }
}

impl Iterator for TableRows<'_> {
    type Item = Result<RecordBatch, SealError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failure.is_some() {
            return None;
        }
        match self.batch() {
            Ok(batch) => batch.map(Ok),
            Err(error) => {
                // The writer only needs to know that it must stop.
                let text = error.to_string();
                self.failure = Some(error);
                Some(Err(SealError::Parquet(text)))
            }
        }
    }
}

/// The columns of a table as Arrow has them, from the newest files that have them.
pub(super) fn schema(table: &Table, kms: &dyn Kms) -> Result<SchemaRef, TableError> {
    let wanted = &table.manifest().schema;
    let mut found: Vec<Option<Field>> = vec![None; wanted.len()];
    for file in table.manifest().files.iter().rev() {
        if found.iter().all(Option::is_some) {
            break;
        }
        let rows = FileRows::open(table, file, kms)?;
        for (field, wanted) in found.iter_mut().zip(wanted) {
            let Ok(theirs) = rows.schema().field_with_name(&wanted.name) else {
                continue;
            };
            if field.is_none() && theirs.data_type().to_string() == wanted.data_type {
                *field = Some(theirs.clone().with_nullable(wanted.nullable));
            }
        }
    }
    let fields = found.into_iter().zip(wanted).map(|(field, wanted)| {
        field.ok_or_else(|| TableError::Schema {
            table: table.manifest().table.clone(),
            what: format!(
                "no file has column `{}` as {}",
                wanted.name, wanted.data_type
            ),
        })
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}
