//! Jobs that run to their end, well or not.

use std::fs;

use arrow::array::AsArray as _;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use duckblind_protocol::body::SecretBytes;
use duckblind_protocol::ids::{Digest, PublicKey};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::{Outcome, OutcomeClass};
use duckblind_protocol::result_stream::FinalStatus;

use crate::client::{Ask, Ended, attest, run};
use crate::process::{Enclave, Place};
use crate::table::{ROWS, named, numbers, with_column_key};

#[test]
fn one_row_with_receipt_and_usage() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let ended = run(&enclave, &known, &Ask::new("SELECT 1 AS one"));
    let batches = ended.batches();
    assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 1);
    assert_eq!(batches[0].schema().field(0).name(), "one");
    assert_eq!(
        ended.end.as_ref().unwrap().status,
        FinalStatus::Ok { rows: 1 }
    );
    assert_eq!(ended.receipt.outcome, Outcome::Ok);
    let usage = ended.usage.unwrap();
    assert_eq!(usage.outcome, OutcomeClass::Ended);
    assert_eq!(usage.bytes, ended.receipt.bytes);
    // Nothing of the query in the log.
    assert!(!enclave.log().contains("SELECT"));
}

#[test]
fn a_sealed_table_is_read_and_its_troubles_are_named() {
    let place = Place::new();
    let table = numbers(&place);
    let other = named(&place, "others");
    place.configure("");
    let enclave = place.start();
    let known = attest(&enclave);

    let sum = "SELECT sum(n)::BIGINT, count(*) FROM numbers WHERE text LIKE 'row%'";
    let ended = run(
        &enclave,
        &known,
        &Ask::of(sum, std::slice::from_ref(&table.input)),
    );
    let batches = ended.batches();
    let value = |column: usize| {
        batches[0]
            .column(column)
            .as_primitive::<Int64Type>()
            .value(0)
    };
    let rows = i64::try_from(ROWS).unwrap();
    assert_eq!((value(0), value(1)), (rows * (rows - 1) / 2, rows));
    assert_eq!(
        ended.receipt.manifests,
        [Digest::of(&table.input.1.manifest)]
    );

    let failure = |change: &dyn Fn(&mut Ask)| {
        let mut ask = Ask::of(sum, std::slice::from_ref(&table.input));
        change(&mut ask);
        let ended = run(&enclave, &known, &ask);
        let failure = ended.failure();
        assert_eq!(ended.receipt.outcome, Outcome::Failed(failure.code));
        failure
    };
    let code = |change: &dyn Fn(&mut Ask)| failure(change).code;
    assert_eq!(
        code(&|ask| ask.inputs[0].1.keys.clear()),
        JobCode::KeyMissing
    );
    assert!(
        failure(&|ask| ask.inputs[0].1.keys.clear())
            .message
            .contains("numbers-v1")
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].1.keys[0].key = SecretBytes::new(vec![1; 32])),
        JobCode::KeyWrong
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].1.owner = PublicKey::from_bytes([1; 32])),
        JobCode::OwnerMismatch
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].0.manifest = Digest::of(b"x")),
        JobCode::ManifestMismatch
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].0.snapshot += 1),
        JobCode::ManifestMismatch
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].0.files[0].size += 1),
        JobCode::InputSize
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].0.location = "nowhere".into()),
        JobCode::InputMissing
    );
    assert_eq!(
        code(&|ask| ask.inputs[0].0.name = "other".into()),
        JobCode::Malformed
    );
    // Another table's file in the place of this one's: of another size, or of another content.
    let theirs = fs::read(&other.file).unwrap();
    let ours = fs::read(&table.file).unwrap();
    fs::write(&table.file, &theirs).unwrap();
    let swapped = code(&|_| {});
    assert!(
        matches!(
            swapped,
            JobCode::InputSize | JobCode::DataTampered | JobCode::KeyWrong
        ),
        "{swapped:?}"
    );
    let mut flipped = ours.clone();
    flipped[ours.len() / 2] ^= 1;
    fs::write(&table.file, &flipped).unwrap();
    assert_eq!(code(&|_| {}), JobCode::DataTampered);
    fs::write(&table.file, &ours).unwrap();
    assert_eq!(
        run(
            &enclave,
            &known,
            &Ask::of(sum, std::slice::from_ref(&table.input))
        )
        .receipt
        .outcome,
        Outcome::Ok
    );
}

#[test]
fn a_missing_column_key_fails_only_what_reads_the_column() {
    let place = Place::new();
    let table = with_column_key(&place, "mixed");
    place.configure("");
    let enclave = place.start();
    let known = attest(&enclave);
    let ask = |sql: &str, columns: bool| {
        let mut ask = Ask::of(sql, std::slice::from_ref(&table.input));
        ask.inputs[0]
            .1
            .keys
            .retain(|key| columns || key.column.is_none());
        run(&enclave, &known, &ask)
    };
    assert!(table.input.1.keys.iter().any(|key| key.column.is_some()));
    let reads = "SELECT count(*)::BIGINT FROM mixed WHERE text LIKE 'row%'";
    let ended = ask(reads, true);
    let rows = i64::try_from(ROWS).unwrap();
    let first = |ended: &Ended| {
        ended.batches()[0]
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0)
    };
    assert_eq!(first(&ended), rows);
    // Without the key of `text` all else is there, digests of the clear column included.
    let ended = ask("SELECT sum(n)::BIGINT, count(*) FROM mixed", false);
    assert_eq!(first(&ended), rows * (rows - 1) / 2);
    let failure = ask(reads, false).failure();
    assert_eq!(failure.code, JobCode::KeyMissing);
    let path = &table.input.0.files[0].path;
    for part in ["mixed", path, "`text`", "mixed-v1:text"] {
        assert!(
            failure.message.contains(part),
            "{part}: {}",
            failure.message
        );
    }
    assert!(!enclave.log().contains("mixed-v1"));
}

#[test]
fn a_clear_column_is_what_was_sealed_or_an_error() {
    let place = Place::new();
    let table = with_column_key(&place, "mixed");
    place.configure("");
    let enclave = place.start();
    let known = attest(&enclave);
    let sum = "SELECT sum(n)::BIGINT FROM mixed";
    let whole = fs::read(&table.file).unwrap();
    let ours = || Ask::of(sum, std::slice::from_ref(&table.input));
    // Every byte of the file is of a chunk or of the footer: some flip hits `n` and is found.
    let mut found = 0;
    for at in (8..whole.len()).step_by(whole.len() / 7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&table.file, &flipped).unwrap();
        let ended = run(&enclave, &known, &ours());
        if ended.receipt.outcome == Outcome::Ok {
            let value = ended.batches()[0]
                .column(0)
                .as_primitive::<Int64Type>()
                .value(0);
            let rows = i64::try_from(ROWS).unwrap();
            assert_eq!(value, rows * (rows - 1) / 2, "byte {at}");
        } else {
            assert_eq!(ended.failure().code, JobCode::DataTampered, "byte {at}");
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn what_is_wrong_with_the_sql_is_told_in_the_sealed_stream() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    for (sql, code) in [
        ("SELEC 1", JobCode::SqlSyntax),
        ("SELECT * FROM nothing", JobCode::SqlUnknownTable),
        ("SELECT x FROM (SELECT 1 AS y)", JobCode::SqlUnknownColumn),
        ("SELECT 1; SELECT 2", JobCode::NotOneSelect),
        ("CREATE TABLE t (a INT)", JobCode::NotOneSelect),
        ("SELECT 'abc'::INT", JobCode::SqlOther),
    ] {
        let ended = run(&enclave, &known, &Ask::new(sql));
        assert_eq!(
            ended.failure().code,
            code,
            "{sql}: {:?}",
            ended.failure().message
        );
        assert!(ended.failed.is_none(), "told by the query process itself");
        assert_eq!(ended.receipt.outcome, Outcome::Failed(code));
        assert_eq!(ended.usage.unwrap().outcome, OutcomeClass::Ended);
    }
}

#[test]
fn a_large_result_comes_in_many_chunks() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let ask = Ask::new("SELECT i, i * 2 AS twice FROM range(20000000) t(i)");
    let ended = run(&enclave, &known, &ask);
    let rows: usize = ended.batches().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 20_000_000);
    assert!(ended.receipt.chunks > 300);
}
