//! What the tests share: little tables, sealed or in the clear, and engines to ask.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use duckblind_lake::keys::DataKey;
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LakeError, SealedFile};
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use crate::{Engine, EngineError, Rows, Settings, Spill, VirtualFile};

/// A text that must never be seen outside of the process's own memory.
pub(crate) const CANARY: &str = "canary-4d1f-of-the-remarks";

const KEY: [u8; 32] = [0x5a; 32];
const AAD: &[u8] = b"duckblind/v1/items/000102030405060708090a0b0c0d0e0f";

/// A file in memory, in the clear.
pub(crate) struct MemoryFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: String,
}

impl VirtualFile for MemoryFile {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        let from = usize::try_from(offset).unwrap().min(self.bytes.len());
        let rest = &self.bytes[from..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn version_tag(&self) -> &str {
        &self.tag
    }
}

/// Items of orders, much like TPC-H's: key, quantity, price, discount, flag, date, remark.
pub(crate) fn items(from: i64, rows: i64) -> RecordBatch {
    let keys = from..from + rows;
    let decimal = |values: Vec<i128>| {
        Decimal128Array::from(values)
            .with_precision_and_scale(15, 2)
            .unwrap()
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(Int64Array::from_iter_values(keys.clone()))),
        (
            "quantity",
            Arc::new(decimal(
                keys.clone().map(|k| i128::from(k % 50 + 1) * 100).collect(),
            )),
        ),
        (
            "price",
            Arc::new(decimal(
                keys.clone()
                    .map(|k| i128::from(k * 37 % 90_000 + 1_000))
                    .collect(),
            )),
        ),
        (
            "discount",
            Arc::new(decimal(keys.clone().map(|k| i128::from(k % 11)).collect())),
        ),
        (
            "flag",
            Arc::new(StringArray::from_iter_values(
                keys.clone().map(|k| ["A", "N", "R"][(k % 3) as usize]),
            )),
        ),
        (
            "day",
            Arc::new(Date32Array::from_iter_values(
                keys.clone().map(|k| 8_000 + (k % 2_500) as i32),
            )),
        ),
        (
            "remark",
            Arc::new(
                keys.map(|k| (k % 7 != 0).then(|| format!("{CANARY} {k}")))
                    .collect::<StringArray>(),
            ),
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| {
            Field::new(*name, column.data_type().clone(), column.null_count() > 0)
        })
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, column)| column).collect(),
    )
    .unwrap()
}

fn write(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let properties = properties.set_max_row_group_row_count(Some(20_000)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// The batch as a Parquet file in the clear.
pub(crate) fn plain(batch: &RecordBatch) -> MemoryFile {
    MemoryFile {
        bytes: write(batch, WriterProperties::builder()),
        tag: "plain".into(),
    }
}

/// The batch as the stored bytes of a sealed file.
pub(crate) fn sealed_bytes(batch: &RecordBatch) -> Vec<u8> {
    let encryption = FileEncryptionProperties::builder(KEY.to_vec())
        .with_aad_prefix(AAD.to_vec())
        .with_aad_prefix_storage(false)
        .build()
        .unwrap();
    write(
        batch,
        WriterProperties::builder().with_file_encryption_properties(encryption),
    )
}

/// Stored bytes as a sealed file.
pub(crate) fn open_sealed(bytes: Vec<u8>) -> Result<SealedFile, LakeError> {
    SealedFile::open(
        Arc::new(bytes),
        FileSpec::uniform(
            DataKey::from_slice(&KEY).unwrap(),
            AadPrefix::Supplied(AAD.to_vec()),
        ),
    )
}

/// The batch as a sealed file.
pub(crate) fn sealed(batch: &RecordBatch) -> SealedFile {
    open_sealed(sealed_bytes(batch)).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        threads: 2,
        memory_bytes: 256 << 20,
        spill: Spill::Off,
    }
}

pub(crate) fn engine() -> Engine {
    Engine::open(&settings()).unwrap()
}

/// An engine with `items`, 60,000 rows in two sealed files.
pub(crate) fn engine_with_items() -> Engine {
    let mut engine = engine();
    engine
        .add_table(
            "items",
            vec![sealed(&items(0, 50_000)), sealed(&items(50_000, 10_000))],
        )
        .unwrap();
    engine
}

pub(crate) fn drain(mut rows: Rows) -> Result<Vec<RecordBatch>, EngineError> {
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        assert!(batch.num_rows() > 0);
        batches.push(batch);
    }
    Ok(batches)
}

/// The whole answer as text, one line per row.
pub(crate) fn ask(engine: &Engine, sql: &str) -> Result<Vec<String>, EngineError> {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in drain(engine.query(sql)?)? {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            lines.push(cells.join("|"));
        }
    }
    Ok(lines)
}

/// The answer's only number.
pub(crate) fn ask_number(engine: &Engine, sql: &str) -> i64 {
    let batches = drain(engine.query(sql).unwrap()).unwrap();
    assert_eq!(batches[0].column(0).data_type(), &DataType::Int64, "{sql}");
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// The error that a query ends with, whether at its start or on its way.
pub(crate) fn error_of(engine: &Engine, sql: &str) -> EngineError {
    match ask(engine, sql) {
        Ok(lines) => panic!("{sql} gave {lines:?}"),
        Err(error) => error,
    }
}
