//! Event logs of real guests, beside their quotes.

use std::fs;

use crate::measurement::Measurement;
use crate::tdx::{EventLog, Quote};
use crate::vectors;

fn read(name: &str) -> Option<Vec<u8>> {
    Some(fs::read(vectors::folder("tdx")?.join(name)).unwrap())
}

fn replayed(name: &str) -> Option<(usize, [Measurement; 4])> {
    let log = read(name)?;
    let log = EventLog::parse(&log).unwrap();
    Some((log.events().len(), *log.registers()))
}

fn quoted(name: &str) -> [Measurement; 4] {
    let quote = read(name).unwrap();
    Quote::parse(&quote).unwrap().body.rtmrs
}

#[test]
fn a_cloud_s_log_replays_to_its_quote() {
    let Some((events, registers)) = replayed("google_go-tdx-guest/ccel_data.dat") else {
        return;
    };
    assert_eq!(events, 43);
    let quote = "normalized/google_go-tdx-guest__cos-113-tdx-quote.quote.bin";
    assert_eq!(registers, quoted(quote));
}

/// Two boots with different initial file systems: one has a quote, one a report.
#[test]
fn two_boots_of_a_machine_replay_to_quote_and_report() {
    let folder = "confidential-dot-ai_attestation-rs";
    let Some((events, first)) = replayed(&format!("{folder}/tdx_ccel_live.bin")) else {
        return;
    };
    let (_, second) = replayed(&format!("{folder}/tdx_ccel_live2.dat")).unwrap();
    assert_eq!(events, 20);
    let quote = "normalized/confidential-dot-ai_attestation-rs__tdx_quote_live.quote.bin";
    assert_eq!(second, quoted(quote));
    assert_eq!(first[..2], second[..2]);
    assert_ne!(first[2], second[2]);
    // A TDREPORT holds the guest's part from byte 512 on, its registers 208 bytes further.
    let report = read(&format!("{folder}/tdx_tdreport_live.bin")).unwrap();
    for (register, at) in first.iter().zip((720..).step_by(48)) {
        assert_eq!(register.as_bytes()[..], report[at..at + 48]);
    }
}

#[test]
fn a_log_of_open_firmware() {
    let Some((events, registers)) = replayed("confidential-containers_trustee/CCEL_data_ovmf")
    else {
        return;
    };
    assert_eq!(events, 20);
    assert_eq!(registers[3], Measurement::from_bytes([0; 48]));
}

/// Whatever is altered before the filling, the log does not replay to the same, or to nothing.
#[test]
fn altered_digests_replay_to_something_else() {
    let Some(log) = read("confidential-containers_trustee/CCEL_data_ovmf") else {
        return;
    };
    let honest = EventLog::parse(&log).unwrap();
    let digests: Vec<_> = honest.events().iter().map(|event| event.digest).collect();
    for digest in digests {
        let mut altered = log.clone();
        let window = altered.windows(48).position(|at| at == digest.as_bytes());
        altered[window.unwrap()] ^= 1;
        let altered = EventLog::parse(&altered).unwrap();
        assert_ne!(altered.registers(), honest.registers());
    }
}
