//! What people and machines get wrong around a job: a stable code, a hint, the documented exit code, in time,
//! and no half-written output.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckblind_tests::command::{self, Ran};
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::stack::{Stack, path};

const PEOPLE: &str = "id,name\n1,Ada\n2,Grace\n3,Alan\n";

/// No error of this module may take longer.
const SOON: Duration = Duration::from_secs(20);

fn people() -> Stack {
    let stack = Stack::start(Options::impatient());
    stack.seal_csv("people", PEOPLE);
    stack
}

/// Runs a query that must fail, into a file that must not appear.
#[track_caller]
fn fails(stack: &Stack, sql: &str, tables: &[&str]) -> Ran {
    let out = stack.dir().join("out");
    fs::create_dir_all(&out).unwrap();
    let file = out.join("answer.csv");
    let ran = stack.query(sql, tables, &["--format", "csv", "-o", path(&file)]);
    let left: Vec<PathBuf> = fs::read_dir(&out)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(ran.stdout.is_empty(), "wrote {}", ran.text());
    ran.within(SOON)
}

/// The data files of a sealed table.
fn files(table: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(table)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no data file in {}", table.display());
    files
}

#[test]
fn wrong_sql() {
    let _test = running::test("wrong sql");
    let mut stack = people();
    let run = |sql: &str| fails(&stack, sql, &["people"]);

    let syntax = run("select id from people whre id = 1").refused("DB-JOB-032", 30);
    assert!(
        syntax.stderr.contains("whre") || syntax.stderr.contains("near"),
        "{}",
        syntax.stderr
    );
    assert!(
        syntax.stderr.contains("line 1, column 28"),
        "{}",
        syntax.stderr
    );
    run("select id from peopel")
        .refused("DB-JOB-033", 30)
        .says("peopel");
    run("select idd from people")
        .refused("DB-JOB-034", 30)
        .says("idd");
    let other = run("select cast(name as integer) from people");
    assert_eq!(other.code, 30, "{}", other.stderr);
    other.hinted();
    stack.must_work();
}

#[test]
fn anything_but_one_select() {
    let _test = running::test("one select");
    let mut stack = people();
    let canary = stack.dir().join("written");
    let copy = format!("copy (select 1) to '{}'", path(&canary));
    let both = format!("{copy}; select 1");
    for sql in [
        "insert into people values (4, 'Eve')",
        "create table t as select 1",
        "drop view people",
        "set threads = 1",
        "pragma database_list",
        "attach ':memory:' as m",
        "select 1; select 2",
        "explain analyze insert into people values (4, 'Eve')",
        copy.as_str(),
        both.as_str(),
        "install httpfs",
        "load httpfs",
        "call pragma_version()",
    ] {
        let ran = fails(&stack, sql, &["people"]);
        let coded = ran.stderr.contains("error[DB-JOB-036]");
        assert!(
            coded && ran.code == 30,
            "{sql}: {} {}",
            ran.code,
            ran.stderr
        );
        ran.hinted();
    }
    assert!(!canary.exists(), "the enclave has written a file");
    // Nothing but comments is no SELECT either; an empty text is refused before it is sent.
    let nothing = fails(&stack, "-- nothing", &["people"]);
    assert!(matches!(nothing.code, 2 | 30), "{}", nothing.stderr);
    nothing.hinted();
    let ran = fails(&stack, "  ", &["people"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    stack.must_work();
}

#[test]
fn sql_cannot_reach_files_or_other_peoples_tables() {
    let _test = running::test("reach");
    let stack = people();
    stack.seal_csv("secrets", "id,secret\n1,hidden\n");
    let sealed = files(&stack.lake().join("secrets"));
    let direct = format!("select * from read_parquet('{}')", path(&sealed[0]));
    for sql in [
        "select * from read_text('/proc/self/environ')",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "select getenv('HOME')",
        "select * from read_parquet('sealed://0/0.parquet')",
        "select * from query('select 1')",
        direct.as_str(),
        "select * from secrets",
    ] {
        let ran = fails(&stack, sql, &["people"]);
        assert_eq!(ran.code, 30, "{sql}: {}", ran.stderr);
        ran.hinted();
    }
}

#[test]
fn wrong_and_missing_keys() {
    let _test = running::test("keys");
    let mut stack = people();
    let keys = stack.key_file();
    let good = fs::read_to_string(&keys).unwrap();

    let mut file: serde_json::Value = serde_json::from_str(&good).unwrap();
    let key = file["keys"]["people-v1"]
        .as_str()
        .expect("key people-v1")
        .to_owned();
    let other = if key.starts_with('0') { "1" } else { "0" };
    file["keys"]["people-v1"] = format!("{other}{}", &key[1..]).into();
    fs::write(&keys, file.to_string()).unwrap();
    let wrong = fails(&stack, "select * from people", &["people"]).hinted();
    assert_eq!(wrong.code, 10, "{}", wrong.stderr);

    file["keys"] = serde_json::json!({});
    fs::write(&keys, file.to_string()).unwrap();
    let missing = fails(&stack, "select * from people", &["people"]).hinted();
    assert_eq!(missing.code, 10, "{}", missing.stderr);
    assert!(missing.stderr.contains("people-v1"), "{}", missing.stderr);

    fs::write(&keys, &good).unwrap();
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let open = fails(&stack, "select * from people", &["people"]).hinted();
    assert_ne!(open.code, 0);
    assert!(open.stderr.contains("600"), "{}", open.stderr);
    mode(0o600);
    // A key may also come by the environment.
    let hidden = stack.dir().join("hidden.json");
    fs::rename(&keys, &hidden).unwrap();
    let arguments = stack.run_arguments("select count(*) as n from people", &["people"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut by_environment = stack.duckblind(&arguments);
    by_environment.env("DUCKBLIND_KEY_PEOPLE_V1", &key);
    let ran = command::run(by_environment, b"");
    fs::rename(&hidden, &keys).unwrap();
    ran.ok();
    stack.must_work();
}

#[test]
fn changed_cut_and_swapped_files() {
    let _test = running::test("files");
    let mut stack = people();
    stack.seal_csv("others", "id,name\n7,Eve\n8,Mallory\n9,Trudy\n");
    let file = files(&stack.lake().join("people")).remove(0);
    let good = fs::read(&file).unwrap();
    let run = || fails(&stack, "select * from people", &["people"]);

    for at in [4, good.len() / 3, good.len() - 20] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        run().refused("DB-JOB-041", 10);
    }
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    run().refused("DB-JOB-043", 10);
    fs::write(&file, [&good[..], b"x"].concat()).unwrap();
    run().refused("DB-JOB-043", 10);
    fs::remove_file(&file).unwrap();
    run().refused("DB-JOB-042", 30);

    let foreign = files(&stack.lake().join("others")).remove(0);
    fs::copy(&foreign, &file).unwrap();
    let swapped = run().hinted();
    assert_eq!(swapped.code, 10, "{}", swapped.stderr);

    // A link out of the storage is not followed, even to the right bytes.
    fs::remove_file(&file).unwrap();
    let outside = stack.dir().join("outside.parquet");
    fs::write(&outside, &good).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    let link = run().hinted();
    assert!(matches!(link.code, 10 | 30), "{}", link.stderr);
    fs::remove_file(&file).unwrap();

    fs::write(&file, &good).unwrap();
    stack.query("select * from people", &["people"], &[]).ok();
    stack.must_work();
}

#[test]
fn changed_manifests() {
    let _test = running::test("manifest");
    let mut stack = people();
    let manifest = stack.lake().join("people/_sealed.json");
    let good = fs::read_to_string(&manifest).unwrap();
    let run = || fails(&stack, "select * from people", &["people"]).hinted();
    let spoiled = [
        good.replace("\"table\":\"people\"", "\"table\":\"peeple\""),
        good.replacen("\"size\":", "\"size\": ", 1),
        good.replacen('{', "{\"unknown\":1,", 1),
        good[..good.len() / 2].to_owned(),
        String::new(),
    ];
    for text in spoiled {
        assert_ne!(text, good);
        fs::write(&manifest, text).unwrap();
        let code = run().code;
        assert!(matches!(code, 10 | 20 | 30), "exit code {code}");
    }
    fs::remove_file(&manifest).unwrap();
    run();
    fs::write(&manifest, &good).unwrap();
    stack.must_work();
}

#[test]
fn malformed_input_to_seal() {
    let _test = running::test("seal input");
    let stack = people();
    stack.new_key("bad");
    let out = stack.lake().join("bad");
    let seal = |name: &str, bytes: &[u8]| {
        let file = stack.dir().join(name);
        fs::write(&file, bytes).unwrap();
        let ran = stack.cli(&["seal", path(&file), "--table", "bad", "--out", path(&out)]);
        let files = fs::read_dir(&out).map_or(0, Iterator::count);
        assert_eq!(files, 0, "{name}: something was left in the output folder");
        ran.within(SOON)
    };
    let csv = seal("short.csv", b"id,name\n1,Ada\n2\n3,Alan\n")
        .hinted()
        .says("short.csv");
    assert_eq!(csv.code, 30, "{}", csv.stderr);
    assert!(
        csv.stderr.contains("line 3") || csv.stderr.contains(":3"),
        "{}",
        csv.stderr
    );
    for (name, bytes) in [
        ("empty.csv", &b""[..]),
        ("quote.csv", b"id,name\n1,\"Ada\n"),
        ("latin.csv", b"id,name\n1,\xff\xfe\n"),
        ("broken.jsonl", b"{\"id\":1}\n{\"id\":\n"),
        ("broken.parquet", b"PAR1 this is no Parquet PAR1"),
        ("unknown.xyz", b"?"),
    ] {
        let ran = seal(name, bytes).hinted();
        assert!(
            matches!(ran.code, 2 | 20 | 30),
            "{name}: {} {}",
            ran.code,
            ran.stderr
        );
    }
    let ran = stack
        .cli(&[
            "seal",
            "/nowhere.csv",
            "--table",
            "bad",
            "--out",
            path(&out),
        ])
        .hinted();
    assert_ne!(ran.code, 0);
}

#[test]
fn nobody_there() {
    let _test = running::test("down");
    let mut stack = people();
    stack.host.kill().unwrap();
    let host = fails(&stack, "select 1", &[]).hinted();
    assert_eq!(host.code, 40, "host down: {}", host.stderr);
    stack.verifier.kill().unwrap();
    let verifier = fails(&stack, "select 1", &[]).hinted();
    assert_eq!(verifier.code, 40, "verifier down: {}", verifier.stderr);
    let hosts = stack
        .cli(&["hosts", "--trust", path(&stack.trust())])
        .hinted();
    assert_eq!(hosts.code, 40, "{}", hosts.stderr);
}

#[test]
fn an_enclave_that_is_gone() {
    let _test = running::test("no enclave");
    let mut stack = people();
    stack.enclave.kill().unwrap();
    let ran = fails(&stack, "select 1", &[]).hinted();
    assert!(matches!(ran.code, 40 | 41), "{} {}", ran.code, ran.stderr);
    assert!(stack.host.is_running(), "the host ended with its enclave");
}

#[test]
fn no_trust_file() {
    let _test = running::test("no trust");
    let stack = people();
    let ran = stack
        .cli(&["run", "select 1", "--trust", "/nowhere/trust.toml"])
        .hinted();
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("trust init"), "{}", ran.stderr);
    let none = stack.cli(&["run", "select 1"]).hinted();
    assert!(none.stderr.contains("trust init"), "{}", none.stderr);
    // A trust file that is not for development has no log to rely on yet: nothing is sealed.
    let text = fs::read_to_string(stack.trust()).unwrap();
    let strict = stack.dir().join("trust/strict.toml");
    fs::write(
        &strict,
        text.replace("development = true", "development = false"),
    )
    .unwrap();
    let ran = stack
        .cli(&["run", "select 1", "--trust", path(&strict)])
        .hinted();
    assert!(
        matches!(ran.code, 2 | 10 | 30),
        "{} {}",
        ran.code,
        ran.stderr
    );
    let typo = stack.dir().join("trust/typo.toml");
    fs::write(&typo, text.replace("development", "developement")).unwrap();
    let ran = stack
        .cli(&["run", "select 1", "--trust", path(&typo)])
        .hinted();
    assert!(matches!(ran.code, 2 | 30), "{} {}", ran.code, ran.stderr);
}

#[test]
fn too_much_of_anything() {
    let _test = running::test("oversized");
    let mut stack = people();
    let long = stack.dir().join("long.sql");
    fs::write(&long, format!("select '{}'", "x".repeat(3 << 20))).unwrap();
    let trust = stack.trust();
    let ran = stack
        .cli(&["run", "--file", path(&long), "--trust", path(&trust)])
        .hinted();
    assert!(matches!(ran.code, 2 | 30), "{}", ran.stderr);
    // More than a body of the verifier's interface may have.
    let (host, _) = duckblind_tests::http::split(&stack.verifier_url).unwrap();
    let head = format!(
        "POST /v1/challenges HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        64 << 20
    );
    let body = vec![b' '; 1 << 20];
    let answer = duckblind_tests::http::exchange(host, &[head.as_bytes(), &body].concat());
    if let Ok((head, _)) = answer {
        assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    }
    stack.must_work();
}
