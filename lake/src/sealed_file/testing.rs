//! Encrypted files for tests, made by the `parquet` crate and by re-encrypting what it made.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::encryption::encrypt::{EncryptionPropertiesBuilder, FileEncryptionProperties};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::file::reader::{ChunkReader, Length};

use super::layout::Content;
use super::page_header::Header;
use super::{AadPrefix, FileSpec, LakeError, SealedFile};
use crate::keys::DataKey;
use crate::seal::CREATED_BY;

pub(super) use encrypt::Encrypt;

mod encrypt;

pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const PREFIX: &[u8] = b"duckblind/v1/orders/00";

/// Rows with dictionaries, nulls, lists and values that do not compress.
pub(super) fn rows(count: usize) -> RecordBatch {
    let ids = Int64Array::from_iter_values(
        (0..count).map(|at| (at as i64).wrapping_mul(0x1E37_79B9_7F4A_7C15)),
    );
    let floats: Float64Array = (0..count)
        .map(|at| (at % 3 != 0).then_some(at as f64 / 7.0))
        .collect();
    let words: StringArray = (0..count)
        .map(|at| Some(["red", "green", "", "blau"][at % 4]))
        .collect();
    let flags: BooleanArray = (0..count).map(|at| Some(at % 2 == 0)).collect();
    let lists =
        ListArray::from_iter_primitive::<Int32Type, _, _>((0..count).map(|at| {
            (at % 5 != 0).then(|| (0..at % 4).map(|n| Some(n as i32)).collect::<Vec<_>>())
        }));
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("f", DataType::Float64, true),
        Field::new("word", DataType::Utf8, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new_list("list", Field::new_list_field(DataType::Int32, true), true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(ids),
            Arc::new(floats),
            Arc::new(words),
            Arc::new(flags),
            Arc::new(lists),
        ],
    )
    .unwrap()
}

/// A plaintext file with pages of version 2 and without dictionaries: strings are under
/// DELTA_BYTE_ARRAY.
pub(super) fn version_2() -> Vec<u8> {
    let make = Make {
        version: WriterVersion::PARQUET_2_0,
        dictionary: false,
        page: 400,
        ..Make::default()
    };
    make.plain(&rows(1000))
}

/// The same under AES_GCM_CTR_V1, [`KEY`] and [`PREFIX`].
pub(crate) fn version_2_under_ctr() -> Vec<u8> {
    Encrypt::ctr().file(&version_2())
}

/// How a file is written.
pub(super) struct Make {
    pub(super) key: Vec<u8>,
    pub(super) prefix: Option<&'static [u8]>,
    pub(super) store: bool,
    pub(super) version: WriterVersion,
    pub(super) codec: Compression,
    pub(super) dictionary: bool,
    /// Whether the file claims to be of this crate.
    pub(super) ours: bool,
    pub(super) group: usize,
    pub(super) page: usize,
    /// Whether a plaintext file has bloom filters.
    pub(super) bloom: bool,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            key: KEY.to_vec(),
            prefix: Some(PREFIX),
            store: false,
            version: WriterVersion::PARQUET_1_0,
            codec: Compression::SNAPPY,
            dictionary: true,
            ours: true,
            group: 400,
            page: 100,
            bloom: false,
        }
    }
}

impl Make {
    pub(super) fn properties(&self) -> WriterPropertiesBuilder {
        let builder = WriterProperties::builder();
        // Our own files have no page index, those of others do.
        let builder = if self.ours {
            builder
                .set_statistics_enabled(EnabledStatistics::Chunk)
                .set_offset_index_disabled(true)
        } else {
            builder
        };
        builder
            .set_writer_version(self.version)
            .set_compression(self.codec)
            .set_dictionary_enabled(self.dictionary)
            .set_created_by(
                if self.ours {
                    CREATED_BY
                } else {
                    "somebody else"
                }
                .into(),
            )
            .set_max_row_group_row_count(Some(self.group))
            .set_data_page_row_count_limit(self.page)
            .set_write_batch_size(self.page)
    }

    pub(super) fn encryption(&self) -> EncryptionPropertiesBuilder {
        let mut encryption = FileEncryptionProperties::builder(self.key.clone());
        if let Some(prefix) = self.prefix {
            encryption = encryption
                .with_aad_prefix(prefix.to_vec())
                .with_aad_prefix_storage(self.store);
        }
        encryption
    }

    pub(super) fn file(&self, rows: &RecordBatch) -> Vec<u8> {
        let encryption = self.encryption().build().unwrap();
        write(
            rows,
            self.properties()
                .with_file_encryption_properties(encryption)
                .build(),
        )
    }

    /// The file in the clear.
    pub(super) fn plain(&self, rows: &RecordBatch) -> Vec<u8> {
        write(
            rows,
            self.properties()
                .set_bloom_filter_enabled(self.bloom)
                .build(),
        )
    }

    pub(super) fn aad_prefix(&self) -> AadPrefix {
        match self.prefix {
            Some(_) if self.store => AadPrefix::Stored,
            Some(prefix) => AadPrefix::Supplied(prefix.to_vec()),
            None => AadPrefix::None,
        }
    }

    pub(super) fn open(&self, file: Vec<u8>) -> Result<SealedFile, LakeError> {
        SealedFile::open(Arc::new(file), spec(&self.key, self.aad_prefix()))
    }
}

pub(super) fn spec(key: &[u8], aad_prefix: AadPrefix) -> FileSpec {
    let key = DataKey::from_slice(key).unwrap().labelled("orders-v1");
    FileSpec::uniform(key, aad_prefix)
}

pub(super) fn write(rows: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    file
}

/// All of the virtual file that is not zeros, each thing in one read.
pub(super) fn all(sealed: &SealedFile) -> Result<Vec<u8>, LakeError> {
    let mut bytes = Vec::new();
    for place in sealed.places() {
        let from = bytes.len();
        let length = usize::try_from(place.end - place.start).unwrap();
        bytes.resize(from + length, 0xee);
        let read = sealed.read_at(&mut bytes[from..], place.start)?;
        assert_eq!(read, length);
    }
    Ok(bytes)
}

/// The same in pieces of at most `step` bytes.
pub(super) fn all_by(sealed: &SealedFile, step: usize) -> Result<Vec<u8>, LakeError> {
    let mut bytes = Vec::new();
    for place in sealed.places() {
        let mut at = place.start;
        while at < place.end {
            let length = usize::try_from(place.end - at).unwrap().min(step);
            let from = bytes.len();
            bytes.resize(from + length, 0xee);
            let read = sealed.read_at(&mut bytes[from..], at);
            if read.is_err() {
                let left = &bytes[from..];
                assert!(left.iter().all(|byte| *byte == 0), "plaintext left");
            }
            assert_eq!(read?, length);
            at += length as u64;
        }
    }
    Ok(bytes)
}

/// The virtual file for the `parquet` crate.
pub(super) struct Virtual(pub(super) Arc<SealedFile>);

impl Length for Virtual {
    fn len(&self) -> u64 {
        self.0.virtual_len()
    }
}

impl ChunkReader for Virtual {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let end = self
            .0
            .places()
            .find(|place| place.contains(&start))
            .map_or(start, |place| place.end);
        let bytes = self.get_bytes(start, usize::try_from(end - start).unwrap())?;
        Ok(Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        let read = self
            .0
            .read_at(&mut bytes, start)
            .map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))?;
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

/// The metadata that the `parquet` crate finds in the virtual file.
pub(super) fn metadata(sealed: &Arc<SealedFile>) -> ParquetMetaData {
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    ParquetMetaDataReader::new()
        .with_metadata_options(Some(options))
        .parse_and_finish(&Virtual(Arc::clone(sealed)))
        .unwrap()
}

/// Reads the virtual file with the `parquet` crate. Unlike DuckDB it does not stop at the last value,
/// so it is told the chunks' plaintext lengths.
pub(crate) fn decode(sealed: SealedFile) -> RecordBatch {
    let sealed = Arc::new(sealed);
    let exact = lengths(&sealed);
    let mut builder = metadata(&sealed).into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let mut group = group.into_builder();
        for column in group.take_columns() {
            let length = exact[&column.byte_range().0];
            let column = column
                .into_builder()
                .set_total_compressed_size(i64::try_from(length).unwrap());
            group = group.add_column_metadata(column.build().unwrap());
        }
        group.build().unwrap()
    });
    let metadata = builder.set_row_groups(groups.collect()).build();
    let metadata =
        ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).unwrap();
    let schema = Arc::clone(metadata.schema());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(Virtual(sealed), metadata);
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

/// Plaintext length of every chunk by its place, found by walking through its pages.
pub(super) fn lengths(sealed: &SealedFile) -> BTreeMap<u64, u64> {
    let chunks = sealed
        .slots()
        .iter()
        .filter_map(|slot| match &slot.content {
            Content::Chunk(chunk) => Some((slot, chunk)),
            _ => None,
        });
    chunks
        .map(|(slot, chunk)| {
            let mut bytes = vec![0; usize::try_from(slot.room).unwrap()];
            sealed.read_at(&mut bytes, slot.place).unwrap();
            let mut at = 0;
            while chunk.exact.is_none() && at < bytes.len() && bytes[at] != 0 {
                let header = Header::parse(&bytes[at..]).unwrap();
                at += header.length + header.stored as usize;
            }
            (slot.place, chunk.exact.unwrap_or(at as u64))
        })
        .collect()
}
