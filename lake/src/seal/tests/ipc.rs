//! Arrow IPC as an input.

use arrow::array::{Array as _, DictionaryArray, Int64Array, NullArray, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;

fn rows(from: i64, count: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(from..from + count);
    let words: DictionaryArray<Int32Type> = (from..from + count)
        .map(|at| (at % 3 != 0).then_some(if at % 2 == 0 { "even" } else { "odd" }))
        .collect();
    let nulls = NullArray::new(usize::try_from(count).unwrap());
    RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(numbers) as _, false),
        ("w", Arc::new(words) as _, true),
        ("nothing", Arc::new(nulls) as _, true),
    ])
    .unwrap()
}

fn stream(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn file(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn with(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap()
}

#[test]
fn files_and_streams() {
    let batches = [rows(0, 10_000), rows(0, 0), rows(10_000, 5)];
    let expected: Vec<_> = (0..10_005)
        .map(|at| {
            let word = match (at % 3, at % 2) {
                (0, _) => "",
                (_, 0) => "even",
                _ => "odd",
            };
            format!("{at},{word},")
        })
        .collect();
    let kinds = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    for compression in kinds {
        for (name, bytes) in [
            ("t.arrow", file(&batches[..1], with(compression))),
            ("t.feather", file(&batches[..1], with(compression))),
            ("t.arrows", stream(&batches, with(compression))),
            ("t.ipc", stream(&batches, with(compression))),
        ] {
            let bench = Bench::new();
            let sealed = bench.round_trip(&[bench.input(name, bytes)]).remove(0);
            let count = if name == "t.arrow" || name == "t.feather" {
                10_000
            } else {
                10_005
            };
            assert_eq!(sealed.num_rows(), count);
            assert_eq!(&as_text(&sealed)[1..], &expected[..count]);
            let nothing = sealed.column_by_name("nothing").unwrap();
            assert_eq!(nothing.data_type(), &DataType::Utf8);
        }
    }
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_a_table() {
    let small = rows(0, 4);
    for (name, bytes) in [
        ("t.arrow", file(std::slice::from_ref(&small), with(None))),
        ("t.arrows", stream(std::slice::from_ref(&small), with(None))),
    ] {
        for length in 0..bytes.len() {
            let bench = Bench::new();
            let error = bench.refused(&[bench.input(name, &bytes[..length])]);
            assert_eq!(error.code(), "DB-LAK-042", "{length} bytes of {name}");
            assert!(duckblind_protocol::coded::render(&error).contains(name));
        }
        let bench = Bench::new();
        for at in 0..bytes.len() {
            for bit in [0, 7] {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let input = bench.input(name, flipped);
                let mut silent = |_| {};
                let source = Source::open(vec![input], &CsvOptions::default(), None, &mut silent);
                // Nothing authenticates an input: what can be read is a table.
                if let Ok(source) = source {
                    source.for_each(drop);
                }
            }
        }
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let compressed = stream(
        &[RecordBatch::try_from_iter([(
            "w",
            Arc::new(StringArray::from(vec!["x".repeat(5000)])) as _,
        )])
        .unwrap()],
        with(Some(CompressionType::ZSTD)),
    );
    // Where a compressed buffer says how long it is.
    let at = compressed
        .windows(8)
        .rposition(|window| window == 5000_i64.to_le_bytes())
        .unwrap();
    let mut lying = compressed.clone();
    lying[at..at + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    let bench = Bench::new();
    let error = bench.refused(&[bench.input("t.arrows", lying)]);
    assert!(error.to_string().contains("a record batch of"), "{error}");
    // A message of 2 GiB in a file of some bytes.
    let mut lying = compressed;
    lying[4..8].copy_from_slice(&i32::MAX.to_le_bytes());
    let error = bench.refused(&[bench.input("t.arrows", lying)]);
    assert_eq!(error.code(), "DB-LAK-042");
}
