//! The platform on disk and the bytes that it writes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use duckblind_protocol::coded::Coded;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use der::{Decode, Encode};
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::serial_number::SerialNumber;

use super::*;
use crate::snp::certificate::Certificate;
use crate::snp::report::{ParsedReport, REPORT_LEN, SigningKey};
use crate::snp::{SignatureCache, vek};
use crate::testing::{cloud, platform, platform_dir, stranger};

fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(platform_dir()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

#[test]
fn the_measurement_is_of_the_running_program() {
    let platform = SimulatedSnp::open(platform_dir()).unwrap();
    // Computed from the file here, from the running image there.
    let exe = fs::File::open(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(platform.measurement(), Measurement::of_binary(exe).unwrap());
}

#[test]
fn each_boot_has_an_id_of_its_own() {
    let boots = [0, 1].map(|_| SimulatedSnp::open(platform_dir()).unwrap());
    let [a, b] = boots.map(|boot| boot.report(&[0; 64]));
    assert_ne!(a.report_id, b.report_id);
    assert_eq!(a.chip_id, b.chip_id);
}

#[test]
fn reports_have_the_hardware_layout() {
    let platform = SimulatedSnp::open(platform_dir()).unwrap();
    let evidence = platform.attest(&[7; 64]).unwrap();
    assert_eq!(evidence.report.len(), REPORT_LEN);
    let parsed = ParsedReport::parse(&evidence.report).unwrap();
    assert!(parsed.reserved_clean && parsed.padding_clean);
    assert_eq!(parsed.report, platform.report(&[7; 64]));
    // Little-endian: the number's top byte comes last, then 24 zeros.
    assert_eq!(evidence.report[0x2a0 + 47], parsed.signature[0]);
    assert_eq!(evidence.report[0x2a0 + 48..0x2e8], [0; 24]);
}

#[test]
fn reports_of_version_5() {
    let platform = SimulatedSnp::open(platform_dir())
        .unwrap()
        .with(ReportVersion::V5);
    let evidence = platform.attest(&[7; 64]).unwrap();
    let parsed = ParsedReport::parse(&evidence.report).unwrap();
    assert_eq!(parsed.report, platform.report(&[7; 64]));
    assert!(parsed.reserved_clean);
    assert_eq!(parsed.report.version, 5);
    // Two numbers of eight bytes after the firmware at launch.
    assert_eq!(
        evidence.report[0x1f8..0x208],
        [[3, 0, 0, 0, 0, 0, 0, 0]; 2].concat()
    );
}

#[test]
fn a_clouds_key_names_the_cloud_and_no_chip() {
    let measurement = platform().measurement();
    let platform =
        SimulatedSnp::made_by_cloud(stranger(), cloud(), "CN=cloud.example", measurement).unwrap();
    let evidence = platform.attest(&[7; 64]).unwrap();
    let parsed = ParsedReport::parse(&evidence.report).unwrap();
    assert_eq!(parsed.report.signing_key(), SigningKey::Vlek);
    assert_eq!(parsed.report.chip_id, [0; 64]);
    let of = |der: Option<Vec<u8>>| Certificate::from_der(&der.unwrap()).unwrap();
    let vlek = of(evidence.endorsements.vek);
    let asvk = of(evidence.endorsements.ask);
    let ark = of(evidence.endorsements.ark);
    let cache = SignatureCache::none();
    vlek.signed_by(&asvk, &cache).unwrap();
    asvk.signed_by(&ark, &cache).unwrap();
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, vlek.p384().unwrap())
        .verify(parsed.signed, &parsed.signature)
        .unwrap();
    assert!(vlek.extension(vek::HW_ID).is_none());
    let csp_id = vlek.extension(vek::CSP_ID).unwrap();
    assert_eq!(csp_id, [&[0x16, 16][..], b"CN=cloud.example"].concat());
}

#[test]
fn none_there() {
    let dir = tempfile::tempdir().unwrap();
    let error = SimulatedSnp::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "DB-ATT-061");
    assert!(error.hint().is_some());
}

#[test]
fn readable_by_others() {
    let dir = copy();
    let key = dir.path().join("vcek.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        SimulatedSnp::open(dir.path()).unwrap_err().code(),
        "DB-ATT-062"
    );
}

#[test]
fn a_link_is_not_followed() {
    let dir = copy();
    let key = dir.path().join("vcek.key");
    fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink(platform_dir().join("vcek.key"), &key).unwrap();
    assert_eq!(
        SimulatedSnp::open(dir.path()).unwrap_err().code(),
        "DB-ATT-062"
    );
}

#[test]
fn damaged_files() {
    for name in ["vcek.der", "vcek.key"] {
        for content in [b"nothing".to_vec(), vec![0; 100_000]] {
            let dir = copy();
            fs::write(dir.path().join(name), &content).unwrap();
            assert_eq!(
                SimulatedSnp::open(dir.path()).unwrap_err().code(),
                "DB-ATT-063"
            );
        }
    }
}

/// Reads a list with another parser and checks the root's signature over its own bytes.
fn verified(crl: &[u8], ark: &[u8]) -> CertificateList {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(crl).unwrap();
    let ark = x509_cert::Certificate::from_der(ark).unwrap();
    let key = ark.tbs_certificate().subject_public_key_info();
    UnparsedPublicKey::new(
        &RSA_PSS_2048_8192_SHA384,
        key.subject_public_key.raw_bytes(),
    )
    .verify(
        &list.tbs_cert_list.to_der().unwrap(),
        list.signature.raw_bytes(),
    )
    .unwrap();
    assert_eq!(
        &list.tbs_cert_list.signature,
        ark.tbs_certificate().signature()
    );
    list
}

#[test]
fn the_platform_has_an_empty_revocation_list() {
    let endorsements = platform().attest(&[0; 64]).unwrap().endorsements;
    let ark = endorsements.ark.unwrap();
    let list = verified(&endorsements.crl.unwrap(), &ark).tbs_cert_list;
    let ark = x509_cert::Certificate::from_der(&ark).unwrap();
    assert_eq!(&list.issuer, ark.tbs_certificate().subject());
    assert!(list.revoked_certificates.is_none());
    assert_eq!(number(&list), Some(1));
    let until = list.next_update.unwrap().to_unix_duration();
    assert!(
        until
            > ark
                .tbs_certificate()
                .validity()
                .not_before
                .to_unix_duration()
    );
}

fn number(list: &x509_cert::crl::TbsCertList) -> Option<u8> {
    let extensions = list.crl_extensions.as_ref()?;
    let number = CrlNumber::from_der(extensions.first()?.extn_value.as_bytes()).unwrap();
    number.0.as_bytes().first().copied()
}

#[test]
fn revocation_lists_say_what_they_are_told() {
    let mut list = Authority::first_list().unwrap();
    let serial = SerialNumber::new(&[0x17; 16]).unwrap();
    list.revoked = vec![serial.clone()];
    list.number = Some(7);
    let read = verified(&stranger().crl(&list).unwrap(), &stranger().ark_der).tbs_cert_list;
    assert_eq!(number(&read), Some(7));
    let revoked = read.revoked_certificates.unwrap();
    assert_eq!(revoked[0].serial_number, serial);

    list.number = None;
    list.next_update = None;
    let read = verified(&stranger().crl(&list).unwrap(), &stranger().ark_der).tbs_cert_list;
    assert!(read.crl_extensions.is_none() && read.next_update.is_none());
}
