//! Quotes that are none, and another parser's view of those that are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use dcap_qvl::quote::{Quote as Theirs, Report};
use proptest::prelude::*;

use super::*;
use crate::vectors;

/// All quotes of real platforms but the SGX one.
fn quotes() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = vectors::folder("tdx") else {
        return vec![];
    };
    let files = fs::read_dir(folder.join("normalized")).unwrap();
    let quotes: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.ends_with(".quote.bin") && !name.contains("sgx"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    assert!(quotes.len() >= 14);
    quotes
}

#[test]
fn another_parser_reads_the_same() {
    let mut versions = Vec::new();
    for (name, raw) in quotes() {
        let ours = Quote::parse(&raw).unwrap_or_else(|e| panic!("{name}: {e}"));
        let theirs = Theirs::parse(&raw).unwrap();
        assert_eq!(ours.version, theirs.header.version);
        assert_eq!(ours.user_data, theirs.header.user_data);
        assert_eq!(ours.pck_chain, theirs.raw_cert_chain().unwrap());
        assert_eq!(&ours.qe_report, theirs.qe_report());
        let signed = raw.get(..theirs.signed_length()).unwrap();
        assert_eq!(ours.body_digest, Digest::of(signed));
        let (body, td) = (&ours.body, theirs.report.as_td10().unwrap());
        let measurements = [
            (body.mr_seam, td.mr_seam),
            (body.mr_signer_seam, td.mr_signer_seam),
            (body.mrtd, td.mr_td),
            (body.mr_config_id, td.mr_config_id),
            (body.mr_owner, td.mr_owner),
            (body.mr_owner_config, td.mr_owner_config),
            (body.rtmrs[0], td.rt_mr0),
            (body.rtmrs[1], td.rt_mr1),
            (body.rtmrs[2], td.rt_mr2),
            (body.rtmrs[3], td.rt_mr3),
        ];
        for (ours, theirs) in measurements {
            assert_eq!(ours.as_bytes(), &theirs);
        }
        assert_eq!(body.tee_tcb_svn, td.tee_tcb_svn);
        assert_eq!(body.seam_attributes, td.seam_attributes);
        assert_eq!(body.attributes.0.to_le_bytes(), td.td_attributes);
        assert_eq!(body.xfam.0.to_le_bytes(), td.xfam);
        assert_eq!(body.report_data, td.report_data);
        let td15 = body.td15.as_ref();
        let own = td15.map(|td15| (td15.tee_tcb_svn2, *td15.mr_service_td.as_bytes()));
        let other = theirs.report.as_td15();
        assert_eq!(
            own,
            other.map(|td15| (td15.tee_tcb_svn2, td15.mr_service_td))
        );
        let own = td15.and_then(|td15| td15.ex.as_ref());
        if let Report::TD15Ex(other) = &theirs.report {
            let own = own.unwrap();
            assert_eq!((own.vmid, own.td_id), (other.vmid, other.td_id));
            assert_eq!(own.dev_info.as_bytes(), &other.dev_info);
            let service = [own.init_service_td, own.cur_service_td].map(|td| *td.as_bytes());
            assert_eq!(
                service,
                [other.init_service_td_hash, other.cur_service_td_hash]
            );
        } else {
            assert_eq!(own, None);
        }
        versions.push((ours.version, std::mem::discriminant(&theirs.report)));
    }
    versions.sort_by_key(|(version, _)| *version);
    versions.dedup();
    assert!(versions.is_empty() || versions.len() >= 3);
}

/// A quote of version 4 with made-up bytes where any will do.
fn made_up() -> Vec<u8> {
    let mut raw = vec![4, 0, 2, 0, 0x81, 0, 0, 0, 0, 0, 0, 0];
    raw.extend(INTEL_QE);
    raw.extend([1; 20]);
    raw.extend([2; 584]);
    let chain = b"chain";
    let certified = 384 + 64 + 2 + 32 + 6 + chain.len();
    raw.extend(
        u32::try_from(64 + 64 + 6 + certified)
            .unwrap()
            .to_le_bytes(),
    );
    raw.extend([3; 128]);
    raw.extend(QE_REPORT.to_le_bytes());
    raw.extend(u32::try_from(certified).unwrap().to_le_bytes());
    raw.extend([4; 384 + 64]);
    raw.extend([32, 0]);
    raw.extend([5; 32]);
    raw.extend(PCK_CHAIN.to_le_bytes());
    raw.extend(u32::try_from(chain.len()).unwrap().to_le_bytes());
    raw.extend(chain);
    raw
}

#[test]
fn headers_and_kinds() {
    let honest = made_up();
    assert_eq!(Quote::parse(&honest).unwrap().pck_chain, b"chain");
    let altered = |at: usize, with: u8| {
        let mut raw = made_up();
        raw[at] = with;
        Quote::parse(&raw).map(|_| ()).unwrap_err()
    };
    let cases = [
        (0, 3, QuoteError::Version(3), Reason::Version),
        (0, 6, QuoteError::Version(6), Reason::Version),
        (2, 3, QuoteError::KeyType(3), Reason::Format),
        (4, 0, QuoteError::Sgx, Reason::Platform),
        (4, 0x82, QuoteError::Tee(0x82), Reason::Platform),
        (12, 0, QuoteError::Vendor, Reason::Platform),
        (764, 5, QuoteError::Certification(5), Reason::Format),
        (1218, 31, QuoteError::AuthData(31), Reason::Format),
        (1252, 6, QuoteError::Certification(6), Reason::Format),
        // The body of version 5 says what it is; these bytes do not.
        (0, 5, QuoteError::Body(0x0202, 0x0202_0202), Reason::Format),
    ];
    for (at, with, error, reason) in cases {
        assert_eq!(altered(at, with), error, "{at}");
        assert_eq!(error.reason(), reason, "{at}");
    }
}

#[test]
fn bodies_of_version_5_have_their_length() {
    let with = |kind: u16, len: u32, bytes: usize| {
        let mut raw = made_up();
        raw[0] = 5;
        let mut body = kind.to_le_bytes().to_vec();
        body.extend(len.to_le_bytes());
        body.extend(vec![2; bytes]);
        raw.splice(48..48 + 584, body);
        Quote::parse(&raw).map(|quote| quote.body.td15.is_some())
    };
    assert_eq!(with(2, 584, 584), Ok(false));
    assert_eq!(with(3, 648, 648), Ok(true));
    assert_eq!(with(4, 885, 885), Ok(true));
    for (kind, len) in [(1, 384), (2, 648), (3, 584), (3, 649), (4, 884), (5, 885)] {
        let error = with(kind, len, usize::try_from(len).unwrap());
        assert_eq!(error, Err(QuoteError::Body(kind, len)));
    }
}

#[test]
fn lengths_are_exact() {
    let honest = made_up();
    for len in 0..honest.len() {
        assert!(Quote::parse(&honest[..len]).is_err(), "{len}");
    }
    let mut raw = honest.clone();
    raw.push(0);
    let error = QuoteError::Trailing("signature data", 1);
    assert_eq!(Quote::parse(&raw), Err(error));
    // One byte more or less of the signature data, the certification data, the certificates.
    for at in [632, 766, 1254] {
        for difference in [1, 255] {
            let mut raw = honest.clone();
            raw[at] = raw[at].wrapping_add(difference);
            assert!(Quote::parse(&raw).is_err(), "{at} {difference}");
        }
    }
    // Bytes after the certificates, and after the certification data, all lengths around them
    // being right.
    let longer = |lengths: &[usize]| {
        let mut raw = honest.clone();
        for at in lengths {
            raw[*at] += 1;
        }
        raw.push(0);
        Quote::parse(&raw).unwrap_err()
    };
    let error = QuoteError::Trailing("certificates", 1);
    assert_eq!(longer(&[632, 766]), error);
    let error = QuoteError::Trailing("certification data", 1);
    assert_eq!(longer(&[632]), error);
}

#[test]
fn too_long() {
    let raw = vec![0; MAX_REPORT + 1];
    assert_eq!(Quote::parse(&raw), Err(QuoteError::TooLong(raw.len())));
    assert_eq!(QuoteError::TooLong(0).reason(), Reason::Limit);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Quote::parse(&bytes);
    }

    #[test]
    fn damaged_quotes_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut raw = made_up();
        let at = at.index(raw.len());
        raw[at] = with;
        let _ = Quote::parse(&raw);
    }
}
