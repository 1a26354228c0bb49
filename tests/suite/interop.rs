//! The files are standard ones: pyarrow reads what we seal, and we read what pyarrow encrypts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use duckblind_lake::keys::DataKey;
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LocalFile, SealedFile};
use duckblind_tests::running;
use duckblind_tests::sealed::{LocalTable, answer, engine};
use duckblind_tests::stack::path;

const KEY: [u8; 32] = [0x42; 32];
const PREFIX: &[u8] = b"some/table/file-1";

/// A Python that has pyarrow and sev-snp-measure; `scripts/test` makes it.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("DUCKBLIND_PYTHON").map(PathBuf::from).unwrap_or_else(|| {
        panic!("DUCKBLIND_PYTHON does not name a Python with pyarrow; run scripts/test, which makes one")
    })
}

pub(crate) fn run(script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("suite")
        .join(script);
    let output = Command::new(python())
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output()
        .expect("cannot start Python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(duckblind_tests::binaries::run_root()).unwrap()
}

#[test]
fn pyarrow_reads_what_we_seal() {
    let _test = running::test("pyarrow reads");
    let dir = folder();
    let csv = dir.path().join("people.csv");
    fs::write(
        &csv,
        "id,name,born,height\n1,Ada,1815-12-10,1.65\n2,Grace,1906-12-09,\n",
    )
    .unwrap();
    let table = LocalTable::seal("people", vec![csv], &dir.path().join("people")).unwrap();
    let part = &table.parts[0];
    let (key, prefix) = (hex::encode(&part.key), hex::encode(&part.aad_prefix));
    let rows: Vec<serde_json::Value> = run("pyarrow_read.py", &[path(&part.path), &key, &prefix])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["name"], "Ada");
    assert_eq!(rows[0]["born"], "1815-12-10");
    assert_eq!(rows[1]["id"], 2);
    assert!(rows[1]["height"].is_null());
}

/// Through the engine: right answers, or the error of a wrong specification.
fn count(file: &Path, aad_prefix: AadPrefix, key: &[u8]) -> anyhow::Result<Vec<String>> {
    let spec = FileSpec::uniform(DataKey::from_slice(key)?, aad_prefix);
    let sealed = SealedFile::open(Arc::new(LocalFile::new(fs::File::open(file)?)?), spec)?;
    let mut engine = engine(2, 256 << 20)?;
    engine.add_table("t", vec![sealed])?;
    let sql = "select count(*) as c, sum(id) as s, count(word) as w, sum(price) as p, \
               count(*) filter (where abs(ratio - id / 7.0) < 1e-9) as r \
               from t where id >= 1500";
    let answer = answer(&engine, sql)?;
    Ok(answer.rows[0].iter().map(ToString::to_string).collect())
}

#[test]
fn we_read_what_pyarrow_encrypts() {
    let _test = running::test("pyarrow writes");
    let dir = folder();
    // Rows 1500 to 4999: their number, ids and prices; a third of the words is missing.
    let expected = ["3500", "11373250", "2334", "113732.50", "3500"];
    let supplied = || AadPrefix::Supplied(PREFIX.to_vec());
    for (name, prefix, stored, length, read_as) in [
        ("none", &b""[..], "no", 32, AadPrefix::None),
        ("stored", PREFIX, "yes", 32, AadPrefix::Stored),
        ("stored-and-known", PREFIX, "yes", 16, supplied()),
        ("supplied", PREFIX, "no", 32, supplied()),
        ("aes-128", b"", "no", 16, AadPrefix::None),
        ("aes-192", PREFIX, "no", 24, supplied()),
    ] {
        let file = dir.path().join(name);
        let key = &KEY[..length];
        run(
            "pyarrow_write.py",
            &[path(&file), &hex::encode(key), &hex::encode(prefix), stored],
        );
        let got = count(&file, read_as, key).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(got, expected, "{name}");

        let wrong = AadPrefix::Supplied(b"another/table".to_vec());
        assert!(
            count(&file, wrong, key).is_err(),
            "{name}: a wrong prefix was taken"
        );
        let mut other = key.to_vec();
        other[0] ^= 1;
        assert!(
            count(&file, supplied(), &other).is_err(),
            "{name}: a wrong key was taken"
        );
    }
}
