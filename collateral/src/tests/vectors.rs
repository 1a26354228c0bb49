//! Bytes of real machines and real services.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duckblind_attestation::evidence::TdxCollateral;
use duckblind_attestation::snp::Report;
use duckblind_attestation::snp::report::ParsedReport;
use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;

/// The folder of vectors, if it is there.
pub(super) fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let usual = || Some(workspace.parent()?.join("shared").join("vectors"));
    let folder = std::env::var_os("DUCKBLIND_VECTORS")
        .map(PathBuf::from)
        .or_else(usual)?;
    if folder.is_dir() {
        return Some(folder);
    }
    // Past the test harness's capture: a skipped test must not look like a passed one.
    let text = format!(
        "SKIPPED: no test vectors in {}; set DUCKBLIND_VECTORS\n",
        folder.display()
    );
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}

/// A machine with what AMD says of it.
pub(super) struct Machine {
    pub(super) report: Report,
    pub(super) vek: Vec<u8>,
    pub(super) ask: Vec<u8>,
    pub(super) ark: Vec<u8>,
    pub(super) crl: Vec<u8>,
    /// Where AMD has its chip's certificate.
    pub(super) vek_path: String,
    /// Inside the list's window.
    pub(super) now: UnixTime,
}

impl Machine {
    /// PEM, as AMD serves it.
    pub(super) fn cert_chain(&self) -> String {
        [&self.ask, &self.ark].map(|der| pem(der)).concat()
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// A machine of `product`, whose files begin with `name`. `query` is its firmware in AMD's words.
fn machine(name: &str, product: &str, query: &str, now: i64) -> Option<Machine> {
    let folder = folder()?.join("snp/normalized");
    let read = |file: String| fs::read(folder.join(file)).unwrap();
    let raw = read(format!("{name}.report.bin"));
    let report = ParsedReport::parse(&raw).unwrap().report;
    let line = product.to_lowercase();
    let hw_id = match product {
        "Turin" => &report.chip_id[..8],
        _ => &report.chip_id[..],
    };
    // There is no list of Turin's: what stands for it is of no use to it.
    let crl = if line == "turin" { "milan" } else { &line };
    Some(Machine {
        vek: read(format!("{name}.vek.der")),
        ask: read(format!("ask_{line}.der")),
        ark: read(format!("ark_{line}.der")),
        crl: read(format!("crl_{crl}.der")),
        vek_path: format!("/vcek/v1/{product}/{}?{query}", hex::encode(hw_id)),
        now: UnixTime(now),
        report,
    })
}

/// Its list holds from 2024-10-23 to 2025-11-03.
pub(super) fn genoa() -> Option<Machine> {
    let query = "blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84";
    machine(
        "confidential-containers_trustee__evidence-genoa",
        "Genoa",
        query,
        1_740_000_000,
    )
}

/// Its list holds from 2025-05-06 to 2026-05-12.
pub(super) fn milan() -> Option<Machine> {
    let query = "blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219";
    machine(
        "confidential-dot-ai_attestation-rs__live-evidence",
        "Milan",
        query,
        1_750_000_000,
    )
}

/// Without a list.
pub(super) fn turin() -> Option<Machine> {
    let query = "fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81";
    let name = "microsoft_TEE-Attestation-Verification__turin_attestation_report";
    machine(name, "Turin", query, 1_775_000_000)
}

#[derive(Deserialize)]
struct Json {
    pck_crl_issuer_chain: String,
    root_ca_crl: String,
    pck_crl: String,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    tcb_info_signature: String,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    qe_identity_signature: String,
    pck_certificate_chain: Option<String>,
}

/// Collateral from the file `name` below `tdx/`.
pub(super) fn tdx(name: &str) -> Option<TdxCollateral> {
    let json = fs::read(folder()?.join("tdx").join(name)).unwrap();
    let json: Json = serde_json::from_slice(&json).unwrap();
    let bytes = |text: &str| hex::decode(text).unwrap();
    Some(TdxCollateral {
        pck_crl_issuer_chain: json.pck_crl_issuer_chain,
        root_ca_crl: bytes(&json.root_ca_crl),
        pck_crl: bytes(&json.pck_crl),
        tcb_info_issuer_chain: json.tcb_info_issuer_chain,
        tcb_info: json.tcb_info,
        tcb_info_signature: bytes(&json.tcb_info_signature),
        qe_identity_issuer_chain: json.qe_identity_issuer_chain,
        qe_identity: json.qe_identity,
        qe_identity_signature: bytes(&json.qe_identity_signature),
        pck_certificate_chain: json.pck_certificate_chain,
    })
}
