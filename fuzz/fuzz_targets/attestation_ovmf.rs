//! Firmware and kernels that reference values are computed of.
#![no_main]
use std::io::Write as _;
use std::path::Path;

use duckblind_attestation::reference::golden_quote::GoldenQuote;
use duckblind_attestation::reference::snp::SnpLaunch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = GoldenQuote::parse(data);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    let launch = SnpLaunch {
        ovmf: Path::new(file.path()),
        ovmf_hash: None,
        kernel: None,
        guest_features: 1,
    };
    let _ = launch.table(&[1], &["EPYC-v4".parse().expect("a type")]);
});
