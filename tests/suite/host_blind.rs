//! The host is blind: nothing that it received, wrote or logged holds data, SQL, keys or credentials.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use duckblind_lake::keys::{KeyFile, OwnerKey};
use duckblind_protocol::frames::Kind;
use duckblind_tests::memory::Needles;
use duckblind_tests::options::Options;
use duckblind_tests::running;
use duckblind_tests::sealed::LocalTable;
use duckblind_tests::stack::Stack;

/// All bytes of all files below a folder.
fn everything(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            bytes.extend(everything(&path));
        } else if path.is_file() {
            bytes.extend(fs::read(&path).unwrap_or_default());
        }
    }
    bytes
}

#[test]
fn to_data_queries_and_keys() {
    let _test = running::test("blind");
    let mut stack = Stack::start(Options::default().relayed());
    let rows: String = (0..500)
        .map(|n| format!("{n},hidden-word-of-row-{n}\n"))
        .collect();
    let dir = stack.seal_csv("people", &format!("id,secret\n{rows}"));
    for sql in [
        "select count(*) as marker_of_this_query from people",
        "select secret from people where secret = 'hidden-word-of-row-77' -- marker_of_this_query",
        "select marker_of_this_query from people",
        "select cast(secret as integer) as marker_of_this_query from people",
    ] {
        stack.query(sql, &["people"], &["--format", "csv"]);
    }
    stack.must_work();

    let owner = OwnerKey::load(&stack.owner_key()).unwrap();
    let keys = KeyFile::load(&stack.key_file()).unwrap();
    let table_key = keys.get("people-v1").unwrap();
    let table = LocalTable::open("people", &dir, &owner.public(), table_key).unwrap();
    let mut needles = Needles::default();
    needles.add("table value", b"hidden-word-of-row-");
    needles.add("SQL text", b"marker_of_this_query");
    needles.add("table key", table_key.expose());
    needles.add("owner key", owner.signing_key().as_bytes());
    for part in &table.parts {
        needles.add("Parquet key", &part.key);
    }

    // What it received, from both of its neighbours: TLS ends at the host, so these are the very bytes.
    let seen = stack.relay.as_ref().unwrap().take_seen();
    let kinds: BTreeSet<u8> = seen.iter().map(|seen| seen.frame.kind).collect();
    for kind in [
        Kind::Hello,
        Kind::Job,
        Kind::Ticket,
        Kind::Accepted,
        Kind::Chunk,
        Kind::Status,
    ] {
        assert!(
            kinds.contains(&(kind as u8)),
            "no {kind:?} frame was recorded"
        );
    }
    let received: Vec<u8> = seen
        .into_iter()
        .flat_map(|seen| seen.frame.bytes())
        .collect();
    let mut public = Needles::default();
    let ear = fs::read_to_string(stack.dir().join("host/ready.json")).unwrap();
    public.add("its own ready file", ear.trim().as_bytes());
    let found = needles.found_in(&received);
    assert!(found.is_empty(), "received: {found:?}");

    // What it wrote and logged, and the enclave's log, which the machine's owner reads, too.
    let written = everything(&stack.dir().join("host"));
    assert!(
        !public.found_in(&written).is_empty(),
        "the search finds nothing"
    );
    let logs = format!("{}{}", stack.host.logged(), stack.enclave.logged());
    assert!(!logs.is_empty(), "nothing was logged");
    for (what, bytes) in [("written", written.as_slice()), ("logged", logs.as_bytes())] {
        let found = needles.found_in(bytes);
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    let verifier = everything(&stack.dir().join("verifier"));
    let found = needles.found_in(&verifier);
    assert!(found.is_empty(), "at the verifier: {found:?}");
    // The sealed table is on the host's disk: it, too, says nothing.
    let found = needles.found_in(&everything(&stack.lake()));
    assert!(found.is_empty(), "in the lake: {found:?}");
    // And the host's metrics.
    let ready: serde_json::Value = serde_json::from_str(&ear).unwrap();
    let metrics = ready["metrics"].as_str().unwrap();
    let page = duckblind_tests::http::get(&format!("http://{metrics}/metrics")).unwrap();
    assert!(!page.is_empty());
    assert!(needles.found_in(&page).is_empty(), "in the metrics");
    // The search itself is able to find: in what the requester got.
    let ran = stack
        .query(
            "select secret from people limit 1",
            &["people"],
            &["--format", "csv"],
        )
        .ok();
    assert!(!needles.found_in(&ran.stdout).is_empty());
}
