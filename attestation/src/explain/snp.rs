//! SEV-SNP attestation reports.

use super::{Part, either};
use crate::snp::report::{GuestPolicy, ParsedReport, SigningKey};
use crate::snp::{Generation, Report, Tcb};

/// The parts of a report. Before version 3 a report does not say of which generation it is: then
/// `certified` does, which comes from the signing key's certificate.
pub fn report(parsed: &ParsedReport<'_>, certified: Option<Generation>) -> Vec<Part> {
    let report = &parsed.report;
    let generation = report.generation().or(certified);
    vec![
        whole(parsed, generation),
        guest(report),
        policy(report.policy),
        firmware(report, generation),
        platform(report),
    ]
}

fn whole(parsed: &ParsedReport<'_>, generation: Option<Generation>) -> Part {
    let report = &parsed.report;
    let mut part = Part::new("SEV-SNP attestation report");
    part.field("version", report.version, "layout of the report");
    let key = report.signing_key();
    let means = match key {
        SigningKey::Vcek => "the chip's own key",
        SigningKey::Vlek => "a key that AMD gave to a cloud",
        SigningKey::Other(_) => "no key that can be checked",
    };
    part.field("signed by", key, means);
    let algorithm = match report.sig_algo {
        1 => "ECDSA P-384 with SHA-384",
        _ => "unknown",
    };
    part.field("algorithm", report.sig_algo, algorithm);
    let [family, model, stepping] = report.cpuid;
    let processor = format!("family {family:#x}, model {model:#x}, stepping {stepping}");
    match (generation, report.version) {
        (Some(known), 3..) => part.field("processor", known, processor),
        (Some(known), _) => part.field("processor", known, "from the certificate of its key"),
        (None, 3..) => part.field("processor", "unknown", processor),
        (None, _) => part.field("processor", "unknown", "reports of version 2 do not say"),
    }
    part.bytes(
        "chip",
        &report.chip_id,
        "which processor; zero if the platform hides it",
    );
    if report.chip_key_masked() {
        part.field("chip key", "hidden", "the platform does not sign with it");
    }
    if !parsed.reserved_clean {
        part.field("reserved bytes", "not zero", "not as this version has them");
    }
    if !parsed.padding_clean {
        part.field("signature padding", "not zero", "not as it must be");
    }
    part.field("body", parsed.body_digest, "SHA-256 of what is signed");
    part
}

fn guest(report: &Report) -> Part {
    let mut part = Part::new("guest");
    part.field("launch digest", report.measurement, "what was launched");
    part.bytes("report data", &report.report_data, "chosen by who asked");
    part.bytes("host data", &report.host_data, "chosen by the host");
    let level = match report.vmpl {
        0 => "the guest's most privileged level",
        1..=3 => "a less privileged level of the guest",
        _ => "not the guest: the host asked",
    };
    part.field("VMPL", report.vmpl, level);
    part.field("guest SVN", report.guest_svn, "chosen by the owner");
    part.bytes("family id", &report.family_id, "chosen by the owner");
    part.bytes("image id", &report.image_id, "chosen by the owner");
    part.bytes("id key", &report.id_key_digest, "signed the launch");
    part.bytes("author key", &report.author_key_digest, "signed the id key");
    part.bytes("report id", &report.report_id, "one life of one guest");
    if report.report_id_ma == [0xff; 32] {
        part.field("migration agent", "none", "");
    } else {
        part.bytes("migration agent", &report.report_id_ma, "zero for none");
    }
    part
}

fn policy(policy: GuestPolicy) -> Part {
    let mut part = Part::new(format!("guest policy {:#x}", policy.0));
    let (major, minor) = policy.min_abi();
    part.field("firmware API", format!("{major}.{minor}"), "at least");
    for (name, bit, on, off) in [
        ("SMT", 16, "allowed", "forbidden"),
        ("migration", 18, "ALLOWED", "forbidden"),
        (
            "debugging",
            19,
            "ALLOWED: the host can read the guest",
            "forbidden",
        ),
        ("single socket", 20, "required", "not required"),
        ("CXL", 21, "allowed", "forbidden"),
        ("AES-256-XTS", 22, "required", "not required"),
        ("power readings", 23, "must be off", "may be on"),
        ("ciphertext hiding", 24, "required", "not required"),
        ("page swap", 25, "must be off", "may be on"),
    ] {
        part.field(name, format!("bit {bit}"), either(policy.bit(bit), on, off));
    }
    if !policy.bit(17) {
        part.field("reserved", "bit 17", "not set, though it must be");
    }
    let unknown = policy.0 >> (GuestPolicy::LAST_BIT + 1) << (GuestPolicy::LAST_BIT + 1);
    if unknown != 0 {
        part.field(
            "unknown",
            format!("{unknown:#x}"),
            "bits without a known meaning",
        );
    }
    part
}

fn firmware(report: &Report, generation: Option<Generation>) -> Part {
    let mut part = Part::new("firmware");
    let tcb = |raw: [u8; 8]| match generation.map(|known| Tcb::decode(raw, known)) {
        Some(Some(tcb)) => tcb.to_string(),
        Some(None) => format!("{} with reserved bytes that are not zero", hex::encode(raw)),
        None => hex::encode(raw),
    };
    part.field(
        "reported",
        tcb(report.reported_tcb),
        "the key is derived from it",
    );
    part.field(
        "launch",
        tcb(report.launch_tcb),
        "when the guest was launched",
    );
    part.field(
        "committed",
        tcb(report.committed_tcb),
        "the host cannot go back behind it",
    );
    part.field("current", tcb(report.current_tcb), "what runs");
    part.field("committed build", report.committed, "");
    part.field("current build", report.current, "");
    if report.version >= 5 {
        let bits = |bits: u64| format!("{bits:#x}");
        part.field("launch mitigations", bits(report.launch_mitigations), "");
        part.field("current mitigations", bits(report.current_mitigations), "");
    }
    part
}

fn platform(report: &Report) -> Part {
    let info = report.platform_info;
    let mut part = Part::new(format!("platform {info:#x}"));
    let bit = |number: u32| info >> number & 1 == 1;
    for (name, number, on, off) in [
        ("SMT", 0, "on", "off"),
        ("TSME", 1, "all memory encrypted", "off"),
        ("ECC", 2, "memory with error correction", "off"),
        ("power readings", 3, "off", "on"),
        ("ciphertext hiding", 4, "on", "off"),
        (
            "alias check",
            5,
            "memory checked for aliases (BadRAM)",
            "not done",
        ),
        ("TIO", 7, "devices inside the trust boundary", "off"),
    ] {
        part.field(name, format!("bit {number}"), either(bit(number), on, off));
    }
    let unknown = info & !0b1011_1111;
    if unknown != 0 {
        part.field("others", format!("{unknown:#x}"), "without a known meaning");
    }
    part
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::snp::report::REPORT_LEN;

    /// What a field of the report says.
    fn says(raw: &[u8; REPORT_LEN], part: usize, name: &str) -> (String, String) {
        let parsed = ParsedReport::parse(raw).unwrap();
        let parts = report(&parsed, None);
        let mut fields = parts[part].fields.iter();
        let field = fields.find(|field| field.name == name).unwrap();
        (field.value.clone(), field.means.clone())
    }

    #[test]
    fn bits_in_words() {
        let mut raw = [0; REPORT_LEN];
        raw[0] = 3;
        assert_eq!(says(&raw, 2, "debugging").1, "forbidden");
        assert_eq!(says(&raw, 2, "reserved").1, "not set, though it must be");
        raw[0x0a] = 0b1011;
        assert!(says(&raw, 2, "debugging").1.starts_with("ALLOWED"));
        assert_eq!(says(&raw, 2, "SMT").1, "allowed");
        raw[0x0c] = 1;
        assert_eq!(says(&raw, 2, "unknown").0, "0x100000000");
        raw[0x40] = 0b10_0001;
        assert_eq!(says(&raw, 4, "SMT").1, "on");
        assert_eq!(says(&raw, 4, "TSME").1, "off");
        assert!(says(&raw, 4, "alias check").1.contains("BadRAM"));
    }

    #[test]
    fn firmware_is_read_by_generation() {
        let mut raw = [0; REPORT_LEN];
        raw[0] = 3;
        raw[0x180..0x188].copy_from_slice(&[1, 2, 3, 4, 0, 0, 0, 5]);
        assert_eq!(says(&raw, 3, "reported").0, "0102030400000005");
        assert_eq!(says(&raw, 0, "processor").0, "unknown");
        (raw[0x188], raw[0x189]) = (0x1a, 2);
        assert_eq!(says(&raw, 0, "processor").0, "turin");
        assert_eq!(
            says(&raw, 3, "reported").0,
            "fmc=1 bootloader=2 tee=3 snp=4 microcode=5"
        );
        (raw[0x188], raw[0x189]) = (0x19, 0x11);
        assert!(says(&raw, 3, "reported").0.ends_with("not zero"));
    }
}
