//! CSV: inferred types, given types, delimiters.

use arrow::datatypes::{DataType, TimeUnit};
use duckblind_protocol::coded::{Coded as _, Exit};

use super::super::{CsvOptions, SealError};
use super::{Bench, as_text};

#[test]
fn csv_types_and_values() {
    let bench = Bench::new();
    let input = bench.input(
        "o.csv",
        "id,price,day,zip,note,at,ok\n1,2.5,2024-01-31,00501,\"a, \"\"b\"\"\nc\",2024-01-31 10:00:00,true\n2,,2024-02-01,12345,,2024-01-31 11:00:00.5,false\n",
    );
    let batches = bench.round_trip(&[input]);
    let types: Vec<_> = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    assert_eq!(
        types[..5],
        [
            DataType::Int64,
            DataType::Float64,
            DataType::Date32,
            DataType::Utf8,
            DataType::Utf8
        ]
    );
    assert_eq!(
        as_text(&batches[0]),
        [
            "id,price,day,zip,note,at,ok",
            "1,2.5,2024-01-31,00501,\"a, \"\"b\"\"",
            "c\",2024-01-31T10:00:00,true",
            "2,,2024-02-01,12345,,2024-01-31T11:00:00.500,false",
        ]
    );
}

#[test]
fn several_inputs_share_their_types() {
    let bench = Bench::new();
    let one = bench.input("1.csv", "a,b\n1,x\n");
    let two = bench.input("2.tsv", "a\tb\n2.5\ty\n");
    let batches = bench.round_trip(&[one, two]);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].schema().field(0).data_type(), &DataType::Float64);
    assert_eq!(as_text(&batches[0]), ["a,b", "1.0,x", "2.5,y"]);
}

/// Options such as `a=DATE`, and a delimiter.
fn options(types: &[(&str, &str)], delimiter: Option<&str>) -> CsvOptions {
    CsvOptions {
        delimiter: delimiter.map(|text| text.parse().unwrap()),
        types: types
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), kind.parse().unwrap()))
            .collect(),
    }
}

#[test]
fn csv_with_given_types_and_delimiter() {
    let bench = Bench::new();
    let given = options(
        &[
            ("PRICE", "DECIMAL(12,2)"),
            ("n", "INTEGER"),
            ("zip", "VARCHAR"),
            ("at", "TIMESTAMP"),
        ],
        Some(";"),
    );
    let one = bench.input("1.csv", "n;Price;zip;at\n1;2.5;12345;2024-01-31\n;;;\n");
    let two = bench.input(
        "2.csv",
        "n;Price;zip;at\n007;-10.00;1;2024-01-31 10:00:00\n",
    );
    let batches = bench.round_trip_with(&[one, two], &given);
    let schema = batches[0].schema();
    let types: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.data_type())
        .collect();
    assert_eq!(
        types,
        [
            &DataType::Int32,
            &DataType::Decimal128(12, 2),
            &DataType::Utf8,
            &DataType::Timestamp(TimeUnit::Microsecond, None),
        ]
    );
    assert_eq!(
        as_text(&batches[0]),
        [
            "n,Price,zip,at",
            "1,2.50,12345,2024-01-31T00:00:00",
            ",,,",
            "7,-10.00,1,2024-01-31T10:00:00"
        ]
    );
}

#[test]
fn values_that_are_not_of_the_given_type_name_their_line() {
    let bench = Bench::new();
    let mut text = "a,b\n\n\"x\ny\",1.25\n".to_owned();
    (0..2000).for_each(|_| text.push_str("x,2.00\n"));
    text.push_str("x,canary\n");
    let input = bench.input("a.csv", text);
    let error = bench.refused_with(&[input], &options(&[("b", "DECIMAL(5,2)")], None));
    assert!(
        matches!(
            error,
            SealError::Value {
                line: Some(2005),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.code(), "DB-LAK-051");
    let shown = duckblind_protocol::coded::render(&error);
    assert!(
        !shown.contains("canary") && shown.contains("hint: "),
        "{shown}"
    );
    // Nothing is rounded, silently or not.
    let input = bench.input("b.csv", "b\n1.255\n");
    let error = bench.refused_with(&[input], &options(&[("b", "DECIMAL(5,2)")], None));
    assert!(
        matches!(error, SealError::Value { line: Some(2), .. }),
        "{error}"
    );
}

#[test]
fn options_that_do_not_fit_the_inputs() {
    let bench = Bench::new();
    let csv = bench.input("a.csv", "a,b\n1,2\n");
    let json = bench.input("a.json", "{\"a\":1}\n");
    for (input, given) in [
        (&csv, options(&[("c", "DATE")], None)),
        (&csv, options(&[("a", "BIGINT"), ("A", "DATE")], None)),
        (&json, options(&[("a", "BIGINT")], None)),
        (&json, options(&[], Some(";"))),
    ] {
        let error = bench.refused_with(std::slice::from_ref(input), &given);
        assert_eq!(error.code(), "DB-LAK-050", "{error}");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.hint().is_some());
    }
    let error = bench.refused_with(&[csv], &options(&[("c", "DATE")], None));
    assert_eq!(error.expected().unwrap(), "one of a, b");
}
