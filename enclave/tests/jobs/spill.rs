//! Encrypted spill, when the configuration has it.

use std::fs;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use duckblind_attestation::config::{EnclaveConfig, Spill, Wall};
use duckblind_protocol::job_code::JobCode;
use duckblind_protocol::receipt::Outcome;

use crate::client::{Ask, attest, run};
use crate::process::{Enclave, Place};

fn sort() -> Ask {
    let mut ask = Ask::new(
        "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY i * 7919 % 1000003) AS r \
         FROM range(6000000) t(i))",
    );
    ask.limits.memory_bytes = 96 << 20;
    ask
}

#[test]
fn with_it_a_large_sort_ends_well_and_leaves_nothing() {
    let place = Place::new();
    let dir = place.path("spill");
    fs::create_dir(&dir).unwrap();
    place.configure(&format!(
        "spill.mode = \"encrypted\"\nspill.dir = \"{}\"\nspill.max_bytes = 2147483648",
        dir.display()
    ));
    let enclave = place.start();
    let known = attest(&enclave);
    let config = EnclaveConfig::decode(&known.evidence.config).unwrap();
    assert!(config.walls.contains(&Wall::EncryptedSpill));
    assert!(!config.walls.contains(&Wall::NoSpill));
    assert!(matches!(config.spill, Spill::Encrypted { .. }));

    let ended = run(&enclave, &known, &sort());
    assert_eq!(ended.receipt.outcome, Outcome::Ok, "{:?}", ended.end);
    let rows = ended.batches()[0]
        .column(0)
        .as_primitive::<Int64Type>()
        .value(0);
    assert_eq!(rows, 6_000_000);
    let pids = enclave.query_processes();
    enclave.wait_until("no spill of dead processes", || {
        fs::read_dir(&dir).unwrap().all(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            pids.iter().any(|pid| name.ends_with(&pid.to_string()))
        })
    });
}

#[test]
fn without_it_the_same_sort_is_out_of_memory() {
    let enclave = Enclave::start("");
    let known = attest(&enclave);
    let ended = run(&enclave, &known, &sort());
    assert_eq!(ended.failure().code, JobCode::OutOfMemory);
}
