//! The main job from end to end: seal, run, read, and the receipt afterwards.

use std::fs;

use duckblind_tests::options::Options;
use duckblind_tests::plain::Plain;
use duckblind_tests::rows::Value;
use duckblind_tests::running;
use duckblind_tests::stack::{Stack, arrow_answer, path};
use duckblind_tests::tpch::{self, QUERIES, TABLES};

/// Scale of the test data.
const SCALE: f64 = 0.1;

const PEOPLE: &str =
    "id,name,born,height\n1,Ada,1815-12-10,1.65\n2,Grace,1906-12-09,1.70\n3,Alan,1912-06-23,\n";

#[test]
fn all_tpch_answers_equal_plaintext_duckdb() {
    let _test = running::test("tpch");
    let stack = Stack::start(Options::default().limit("memory_bytes", 2 << 30));
    let plain = Plain::open(2, 2 << 30).unwrap();
    for table in tpch::tables(SCALE).unwrap() {
        stack.new_key(table.name);
        stack.seal(table.name, &[&table.file]);
        plain.add_table(table.name, &[table.file]).unwrap();
    }
    for query in &QUERIES {
        let sealed = stack
            .answer(query.sql, &TABLES)
            .unwrap_or_else(|error| panic!("query {}: {error:?}", query.number));
        let expected = plain.answer(query.sql).unwrap();
        assert!(
            !expected.rows.is_empty(),
            "query {} has no rows to compare",
            query.number
        );
        sealed
            .must_equal(&expected, query.order_by)
            .unwrap_or_else(|error| panic!("query {}: {error:?}", query.number));
    }
}

#[test]
fn a_query_without_tables_is_answered() {
    let _test = running::test("select 1");
    let mut stack = Stack::start(Options::default());
    stack.must_work();
    let value = stack.answer("select 'a' || 'b' as x", &[]).unwrap();
    assert_eq!(value.single().unwrap(), &Value::Text("ab".into()));
}

#[test]
fn every_output_format_says_the_same() {
    let _test = running::test("formats");
    let stack = Stack::start(Options::default());
    stack.seal_csv("people", PEOPLE);
    let sql = "select id, name, height from people order by id";
    let run = |format: &str| stack.query(sql, &["people"], &["--format", format]).ok();

    assert_eq!(
        run("csv").text(),
        "id,name,height\n1,Ada,1.65\n2,Grace,1.7\n3,Alan,\n"
    );
    let lines: Vec<serde_json::Value> = run("jsonl")
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["name"], "Grace");
    assert!(lines[2]["height"].is_null());
    let table = run("table").text();
    for word in ["id", "name", "height", "Ada", "Grace", "Alan"] {
        assert!(table.contains(word), "no {word} in:\n{table}");
    }
    let arrow = arrow_answer(&run("arrow").stdout).unwrap();
    assert_eq!(arrow.rows.len(), 3);

    let file = stack.dir().join("out.parquet");
    stack
        .query(
            sql,
            &["people"],
            &["--format", "parquet", "-o", path(&file)],
        )
        .ok();
    let plain = Plain::open(1, 1 << 28).unwrap();
    plain.add_table("people", &[file]).unwrap();
    plain
        .answer("select * from people order by id")
        .unwrap()
        .must_equal(&arrow, &[0])
        .unwrap();
}

#[test]
fn sql_comes_from_a_file_or_from_stdin() {
    let _test = running::test("stdin");
    let stack = Stack::start(Options::default());
    let trust = stack.trust();
    let file = stack.dir().join("query.sql");
    fs::write(&file, "select 7 as seven;\n").unwrap();
    let csv = ["--trust", path(&trust), "--format", "csv"];
    let from_file = [&["run", "--file", path(&file)][..], &csv].concat();
    assert_eq!(stack.cli(&from_file).ok().text(), "seven\n7\n");
    let from_stdin = [&["run", "-"][..], &csv].concat();
    let ran = duckblind_tests::command::run(stack.duckblind(&from_stdin), b"select 8 as eight");
    assert_eq!(ran.ok().text(), "eight\n8\n");
}

#[test]
fn csv_json_lines_and_parquet_are_sealed_alike() {
    let _test = running::test("inputs");
    let stack = Stack::start(Options::default());
    stack.seal_csv("from_csv", "id,name\n1,Ada\n2,Grace\n");
    let json = stack.dir().join("people.jsonl");
    fs::write(
        &json,
        "{\"id\":1,\"name\":\"Ada\"}\n{\"id\":2,\"name\":\"Grace\"}\n",
    )
    .unwrap();
    stack.new_key("from_json");
    stack.seal("from_json", &[&json]);
    let parquet = stack.dir().join("people.parquet");
    stack
        .query(
            "select * from from_csv",
            &["from_csv"],
            &["--format", "parquet", "-o", path(&parquet)],
        )
        .ok();
    stack.new_key("from_parquet");
    stack.seal("from_parquet", &[&parquet]);
    let tables = ["from_csv", "from_json", "from_parquet"];
    let answers: Vec<_> = tables
        .iter()
        .map(|table| {
            let sql = format!("select id, name from {table} order by id");
            stack.answer(&sql, &[table]).unwrap()
        })
        .collect();
    assert_eq!(answers[0].rows.len(), 2);
    answers[1].must_equal(&answers[0], &[0]).unwrap();
    answers[2].must_equal(&answers[0], &[0]).unwrap();
}

#[test]
fn a_receipt_is_kept_and_can_be_verified_offline() {
    let _test = running::test("receipt");
    let stack = Stack::start(Options::default());
    stack.seal_csv("people", PEOPLE);
    let receipt = stack.dir().join("receipt.json");
    stack
        .query(
            "select count(*) from people",
            &["people"],
            &["--receipt", path(&receipt)],
        )
        .ok();
    let trust = stack.trust();
    let verify = ["receipt", "verify", path(&receipt), "--trust", path(&trust)];
    let mut stack = stack;
    stack.verifier.kill().unwrap();
    stack.host.kill().unwrap();
    let ran = stack.cli(&verify).ok();
    let said = format!("{}{}", ran.text(), ran.stderr);
    assert!(said.contains("time not proven"), "{said}");

    // Any changed digit of a signature or digest makes it worthless.
    let text = fs::read_to_string(&receipt).unwrap();
    let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let changed = if &text[at..=at] == "1" { "2" } else { "1" };
    fs::write(
        &receipt,
        format!("{}{changed}{}", &text[..at], &text[at + 1..]),
    )
    .unwrap();
    let code = stack.cli(&verify).hinted().code;
    assert!(code == 10 || code == 30, "exit code {code}");
}

#[test]
fn a_failed_job_has_a_receipt_too() {
    let _test = running::test("failed receipt");
    let stack = Stack::start(Options::default());
    let receipt = stack.dir().join("receipt.json");
    let ran = stack.query("select 1/", &[], &["--receipt", path(&receipt)]);
    ran.refused("DB-JOB-032", 30);
    let trust = stack.trust();
    stack
        .cli(&["receipt", "verify", path(&receipt), "--trust", path(&trust)])
        .ok();
}

#[test]
fn fresh_evidence_is_asked_for_with_our_own_nonce() {
    let _test = running::test("fresh");
    let stack = Stack::start(Options::default());
    let ran = stack
        .query("select 1 as a", &[], &["--fresh", "--format", "csv"])
        .ok();
    assert_eq!(ran.text(), "a\n1\n");
}

#[test]
fn the_json_summary_is_one_object() {
    let _test = running::test("json");
    let stack = Stack::start(Options::default());
    let file = stack.dir().join("out.csv");
    let more = ["--format", "csv", "-o", path(&file), "--json"];
    let ran = stack.query("select 1 as a", &[], &more).ok();
    let said = format!("{}{}", ran.text(), ran.stderr);
    let object = said
        .lines()
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .or_else(|| serde_json::from_str(&ran.text()).ok())
        .unwrap_or_else(|| panic!("no JSON in:\n{said}"));
    assert_eq!(object["rows"], 1, "{object}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "a\n1\n");
    let failed = stack.query("select nothing", &[], &["--json"]);
    let error = failed
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|value| value["error"].is_object())
        .unwrap_or_else(|| panic!("no JSON error in:\n{}", failed.stderr));
    assert_eq!(error["error"]["exit"], 30);
    assert!(
        error["error"]["code"]
            .as_str()
            .unwrap()
            .starts_with("DB-JOB-")
    );
}

#[test]
fn simulated_platforms_are_said_to_be_so() {
    let _test = running::test("banner");
    let stack = Stack::start(Options::default());
    let ran = stack.query("select 1", &[], &[]).ok();
    assert!(
        ran.stderr.to_lowercase().contains("simulat"),
        "no banner:\n{}",
        ran.stderr
    );
    let trust = stack.trust();
    let hosts = stack.cli(&["hosts", "--trust", path(&trust)]).ok();
    assert!(hosts.text().contains(&stack.node[..8]), "{}", hosts.text());
}
