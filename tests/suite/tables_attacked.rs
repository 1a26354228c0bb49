//! What who stores a table can do to it as a whole, seen through the `duckblind` program: files swapped, dropped, put
//! back, replaced by plaintext; manifests edited and put back; and keys that are wrong or missing. Always an error
//! that names table, file, column and key id, and never a key.

use std::fs;
use std::path::{Path, PathBuf};

use duckblind_lake::seal::write_unencrypted;
use duckblind_tests::command::{self, Ran};
use duckblind_tests::owner::Owner;
use duckblind_tests::running;

const ALL: &str = "select n, word from t order by n";

/// Rejected, with a hint, naming each of these, and with no byte of a row or of a key.
#[track_caller]
fn rejected(owner: &Owner, ran: Ran, names: &[&str]) {
    assert_eq!(ran.code, 10, "exit code of:\n{}", ran.stderr);
    let ran = ran.hinted();
    for name in names {
        assert!(ran.stderr.contains(name), "no {name} in:\n{}", ran.stderr);
    }
    assert!(
        !ran.text().contains("w1"),
        "rows before the error:\n{}",
        ran.text()
    );
    for key in keys(owner).values() {
        assert!(
            !ran.stderr.contains(key.as_str().unwrap()),
            "a key in:\n{}",
            ran.stderr
        );
    }
}

const KEY_FILE: &str = "home/config/duckblind/keys.json";

fn keys(owner: &Owner) -> serde_json::Map<String, serde_json::Value> {
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(owner.file(KEY_FILE)).unwrap()).unwrap();
    file["keys"].as_object().unwrap().clone()
}

fn write_keys(owner: &Owner, keys: &serde_json::Map<String, serde_json::Value>) {
    fs::write(
        owner.file(KEY_FILE),
        serde_json::json!({ "keys": keys }).to_string(),
    )
    .unwrap();
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

#[test]
fn files_swapped_dropped_and_put_back() {
    let _test = running::test("attacked files");
    let owner = Owner::of_two_files();
    let [first, second]: [PathBuf; 2] = owner.parts().try_into().unwrap();
    owner.keep();

    let aside = owner.file("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    rejected(&owner, owner.sql(ALL, &[]), &["table t", name(&first)]);

    owner.put_back();
    fs::copy(&first, &second).unwrap();
    rejected(&owner, owner.sql(ALL, &[]), &["table t", name(&second)]);

    owner.put_back();
    fs::remove_file(&second).unwrap();
    let ran = owner.sql(ALL, &[]).hinted();
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains(name(&second)), "{}", ran.stderr);

    // Another table of the same owner, same rows, file under the right name.
    owner.put_back();
    let other = Owner::new();
    other.seal(0..3, &[]);
    fs::copy(&other.parts()[0], &first).unwrap();
    rejected(&owner, owner.sql(ALL, &[]), &["table t", name(&first)]);

    owner.put_back();
    assert_eq!(owner.rows(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn plaintext_in_the_place_of_a_sealed_file() {
    let _test = running::test("downgrade");
    let owner = Owner::of_two_files();
    let part = &owner.parts()[0];
    let written = write_unencrypted(
        vec![owner.file(&owner.csv(0..3))],
        owner.file("clear"),
        &mut |_| {},
    );
    let clear = &written.unwrap().files[0];
    // Of the same size, too: so that only the bytes can tell.
    let size = fs::metadata(part).unwrap().len();
    let mut bytes = fs::read(clear).unwrap();
    let footer = bytes.split_off(4);
    bytes.resize(usize::try_from(size).unwrap() - footer.len(), 0);
    for stored in [fs::read(clear).unwrap(), [bytes, footer].concat()] {
        fs::write(part, stored).unwrap();
        rejected(&owner, owner.sql(ALL, &[]), &["table t", name(part)]);
    }
}

#[test]
fn manifests_edited_and_put_back() {
    let _test = running::test("attacked manifests");
    let owner = Owner::new();
    owner.seal(0..3, &[]);
    let old = fs::read(owner.file("t/_sealed.json")).unwrap();
    owner.append(3..6).ok();
    assert_eq!(owner.rows(), [0, 1, 2, 3, 4, 5]);
    owner.keep();

    for (from, to) in [
        ("\"snapshot\":2", "\"snapshot\":3"),
        ("\"table\":\"t\"", "\"table\":\"u\""),
        ("part-00000", "part-00009"),
    ] {
        let text = fs::read_to_string(owner.file("t/_sealed.json")).unwrap();
        let edited = text.replace(from, to);
        assert_ne!(edited, text, "{from}");
        fs::write(owner.file("t/_sealed.json"), edited).unwrap();
        let ran = owner.sql(ALL, &[]).hinted();
        assert_eq!(ran.code, 10, "{from}: {}", ran.stderr);
        owner.put_back();
    }

    // The manifest of before, with and without the kept snapshots that would give it away.
    fs::write(owner.file("t/_sealed.json"), &old).unwrap();
    rejected(&owner, owner.sql(ALL, &[]), &["table `t`"]);
    let _ = fs::remove_dir_all(owner.file("t/_snapshots"));
    rejected(&owner, owner.sql(ALL, &[]), &["table `t`", "snapshot"]);
    let ran = owner.sql(ALL, &["--allow-rollback"]).ok();
    assert_eq!(ran.text().lines().count(), 4);

    // One of somebody else, about a table of the same name.
    owner.put_back();
    let other = Owner::new();
    other.seal(0..3, &[]);
    fs::copy(other.file("t/_sealed.json"), owner.file("t/_sealed.json")).unwrap();
    rejected(&owner, owner.sql(ALL, &[]), &["owner"]);
}

#[test]
fn an_older_snapshot_is_read_by_its_number() {
    let _test = running::test("time travel");
    let owner = Owner::of_two_files();
    assert_eq!(owner.rows().len(), 6);
    let ran = owner.sql("select count(*) as n from t", &["--snapshot", "1"]);
    assert_eq!(ran.ok().text(), "n\n3\n");
    assert_ne!(owner.sql(ALL, &["--snapshot", "3"]).hinted().code, 0);
}

#[test]
fn keys_that_are_wrong_or_missing() {
    let _test = running::test("attacked keys");
    let owner = Owner::new();
    owner.cli(&["keys", "new", "t", "--column", "word"]).ok();
    owner.seal(0..3, &["--encrypt-column", "word"]);
    assert_eq!(owner.rows(), [0, 1, 2]);
    let good = keys(&owner);
    assert!(good.contains_key("t-v1:word"), "{:?}", good.keys());

    let mut without = good.clone();
    without.remove("t-v1:word");
    write_keys(&owner, &without);
    let ran = owner.sql("select sum(n) as s from t", &[]).ok();
    assert_eq!(ran.text(), "s\n3\n");
    rejected(
        &owner,
        owner.sql(ALL, &[]),
        &["table t", "word", "t-v1:word"],
    );

    for id in ["t-v1", "t-v1:word"] {
        let mut wrong = good.clone();
        wrong.insert(id.into(), hex::encode([7; 32]).into());
        write_keys(&owner, &wrong);
        rejected(&owner, owner.sql(ALL, &[]), &[id]);
        let mut short = good.clone();
        short.insert(id.into(), hex::encode([7; 15]).into());
        write_keys(&owner, &short);
        assert_ne!(owner.sql(ALL, &[]).hinted().code, 0);
    }
    let mut without = good.clone();
    without.remove("t-v1");
    write_keys(&owner, &without);
    rejected(&owner, owner.sql(ALL, &[]), &["t-v1"]);
    write_keys(&owner, &good);
    assert_eq!(owner.rows(), [0, 1, 2]);
}

#[test]
fn what_stays_readable_is_said() {
    let _test = running::test("warnings of seal");
    let owner = Owner::new();
    owner.cli(&["keys", "new", "t", "--column", "word"]).ok();
    let csv = owner.csv(0..3);
    let seal = |out: &str, more: &[&str]| {
        let arguments = [
            "seal",
            &csv,
            "--table",
            "t",
            "--out",
            out,
            "--allow-rollback",
        ];
        owner.cli(&[&arguments, more].concat()).ok().stderr
    };
    let readable = "NOT ENCRYPTED, readable for everybody: n.";
    let order = "rows lie in the order of word:";
    let all = seal("all", &["--sort-by", "word"]);
    assert!(!all.contains(readable) && !all.contains(order), "{all}");
    let one = ["--encrypt-column", "word"];
    let clear = seal("clear", &one);
    assert!(
        clear.contains(readable) && !clear.contains(order),
        "{clear}"
    );
    let sorted = seal("sorted", &[&one[..], &["--sort-by", "word"]].concat());
    assert!(
        sorted.contains(readable) && sorted.contains(order),
        "{sorted}"
    );
    let rest = [&one[..], &["--encrypt-rest", "--sort-by", "word"]].concat();
    let rest = seal("rest", &rest);
    assert!(!rest.contains(readable) && rest.contains(order), "{rest}");
}

#[test]
fn keys_from_a_pipe_are_read_once() {
    let _test = running::test("keys from a pipe");
    let owner = Owner::new();
    owner.seal(0..3, &[]);
    // The table's key comes through the pipe only; the next one goes to the key file.
    let old = keys(&owner);
    write_keys(&owner, &serde_json::Map::new());
    let rotate = ["keys", "rotate", "--table", "t=t", "--key-fd", "0"];
    let text = serde_json::json!({ "keys": old }).to_string();
    command::run(owner.command(&rotate), text.as_bytes()).ok();
    assert_eq!(keys(&owner).keys().collect::<Vec<_>>(), ["t-v2"]);
    assert_eq!(owner.rows(), [0, 1, 2]);
}
