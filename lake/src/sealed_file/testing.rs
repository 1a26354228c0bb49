//! Encrypted files for tests, made by the `parquet` crate and by re-encrypting what it made.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss
)]

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use aws_lc_rs::aead::{Aad as AeadAad, LessSafeKey, Nonce};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::encryption::encrypt::{EncryptionPropertiesBuilder, FileEncryptionProperties};
use parquet::file::metadata::{
    ParquetMetaDataOptions, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};

use super::aad::Aad;
use super::chunks::Chunk;
use super::footer::{self, OpenFooter};
use super::modules::OVERHEAD;
use super::pages::Walk;
use super::window::Window;
use super::{AadPrefix, FileSpec, LakeError, SealedFile};
use crate::keys::DataKey;
use crate::seal::CREATED_BY;

pub(super) const KEY: [u8; 32] = [7; 32];
pub(super) const PREFIX: &[u8] = b"duckblind/v1/orders/00";

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

/// All of the virtual file in one read.
pub(super) fn all(sealed: &SealedFile) -> Result<Vec<u8>, LakeError> {
    let mut bytes = vec![0xee; usize::try_from(sealed.virtual_len()).unwrap()];
    let read = sealed.read_at(&mut bytes, 0)?;
    assert_eq!(read, bytes.len());
    Ok(bytes)
}

/// Reads plaintext Parquet with the `parquet` crate.
pub(super) fn decode(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

/// The virtual file with each chunk's size set to its plaintext, as the `parquet` crate demands:
/// unlike DuckDB it does not stop at the last value.
pub(super) fn with_exact_sizes(sealed: &SealedFile, lengths: &[(u64, u64)]) -> Vec<u8> {
    let mut file = all(sealed).unwrap();
    let length =
        u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
    let start = file.len() - 8 - length;
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    let metadata = ParquetMetaDataReader::decode_metadata_with_options(
        &file[start..start + length],
        Some(&options),
    )
    .unwrap();
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let mut group = group.into_builder();
        for column in group.take_columns() {
            let exact = lengths
                .iter()
                .find(|(start, _)| *start == column.byte_range().0)
                .map(|(_, length)| i64::try_from(*length).unwrap())
                .unwrap();
            group = group.add_column_metadata(
                column
                    .into_builder()
                    .set_total_compressed_size(exact)
                    .build()
                    .unwrap(),
            );
        }
        group.build().unwrap()
    });
    let metadata = builder.set_row_groups(groups.collect()).build();
    file.truncate(start);
    ParquetMetaDataWriter::new(&mut file, &metadata)
        .finish()
        .unwrap();
    file
}

/// Encrypts every module of `file` again, under `new_key`; all sizes and places stay.
pub(super) fn encrypt_again(
    file: &[u8],
    old_key: &[u8],
    new_key: &[u8],
    chunks: &[Chunk],
) -> Vec<u8> {
    let prefix = AadPrefix::Supplied(PREFIX.to_vec());
    let old = DataKey::from_slice(old_key).unwrap();
    let new = DataKey::from_slice(new_key).unwrap().aead().unwrap();
    let source = file.to_vec();
    let OpenFooter {
        plaintext,
        start,
        file_aad,
        key,
        ..
    } = footer::open(&source, &old, &prefix, None).unwrap();
    let mut out = source.clone();
    for chunk in chunks {
        let mut aad = Aad::new(&file_aad, chunk.row_group, chunk.column).unwrap();
        let mut window = Window::new(&source, chunk, 1 << 20);
        let mut walk = Walk::new(chunk);
        while !walk.ended(chunk) {
            let at = usize::try_from(chunk.start + walk.stored).unwrap();
            let length = walk.header_length(chunk, &mut window).unwrap();
            let mut patched = vec![0; length];
            let page = walk
                .step(&key, chunk, &mut aad, &mut window, &mut patched)
                .unwrap();
            // The walk puts another size into the header, so its own bytes are opened once more.
            let mut header = vec![0; length];
            super::modules::open(
                &key,
                &source[at..at + length + OVERHEAD],
                aad.header(page.id),
                &mut header,
            )
            .unwrap();
            put(&new, aad.header(page.id), &header, &mut out[at..]);
            let mut body = vec![0; page.body];
            page.open(&key, chunk, &mut aad, &mut window, &mut body)
                .unwrap();
            put(
                &new,
                aad.body(page.id),
                &body,
                &mut out[at + length + OVERHEAD..],
            );
        }
    }
    let module = plaintext.len() + OVERHEAD;
    let at = file.len() - 8 - module;
    assert!(at as u64 > start);
    put(
        &new,
        Aad::footer(&file_aad).unwrap().as_slice(),
        &plaintext,
        &mut out[at..],
    );
    out
}

fn put(key: &LessSafeKey, aad: &[u8], plaintext: &[u8], out: &mut [u8]) {
    let mut data = plaintext.to_vec();
    let nonce = [9; 12];
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            AeadAad::from(aad),
            &mut data,
        )
        .unwrap();
    let length = u32::try_from(data.len() + 28).unwrap().to_le_bytes();
    let module = [&length[..], &nonce, &data, tag.as_ref()].concat();
    out[..module.len()].copy_from_slice(&module);
}
