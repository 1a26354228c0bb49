//! Hostile firmware images, kernels and quotes: errors, never a panic, and nothing that the crate
//! `sev` would panic on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::panic::catch_unwind;

use proptest::prelude::*;

use super::ReferenceError;
use super::direct_boot::{DirectBoot, InitrdOption, KernelHeader, Separator};
use super::golden_quote::GoldenQuote;
use super::known_answers::folder;
use super::ovmf::Ovmf;
use super::pe_image::tests::image;
use super::snp::{CpuType, SnpKernel, SnpLaunch};
use crate::measurement::Measurement;

/// Where the numbers of the image lie that a reader acts on: the list of pages, and the table.
const METADATA: usize = 4096 - 0x554;
const TABLE: usize = 4096 - 32 - 136;

fn ovmf() -> Option<Vec<u8>> {
    let path = folder()?.join("snp/ovmf/ovmf_AmdSev_suffix.bin");
    Some(fs::read(path).unwrap())
}

/// Measures `image` with a kernel.
fn launch(image: &[u8]) -> Result<Measurement, ReferenceError> {
    let dir = tempfile::tempdir().unwrap();
    let (ovmf, kernel) = (dir.path().join("ovmf"), dir.path().join("kernel"));
    fs::write(&ovmf, image).unwrap();
    fs::write(&kernel, "kernel").unwrap();
    let launch = SnpLaunch {
        ovmf: &ovmf,
        ovmf_hash: None,
        kernel: Some(SnpKernel {
            image: &kernel,
            initrd: None,
            append: "",
        }),
        guest_features: 1,
    };
    let cpu: CpuType = "EPYC-v4".parse().unwrap();
    launch
        .table(&[1], &[cpu])
        .map(|table| table.rows[0].measurement)
}

fn boot(kernel: &[u8], header: KernelHeader) -> Result<(), ReferenceError> {
    let boot = DirectBoot {
        kernel,
        initrd: Some(b"disk"),
        append: "quiet",
        header,
        initrd_option: InitrdOption::First,
        separator: Separator::Rtmr1,
    };
    boot.registers().map(drop)
}

#[test]
fn every_byte_of_the_tables_may_be_anything() {
    let Some(good) = ovmf() else { return };
    let digest = launch(&good).unwrap();
    let tables = (METADATA..METADATA + 100).chain(TABLE..4096);
    for at in tables {
        for value in [0x00, 0x01, 0x11, 0x7f, 0x80, 0xff] {
            let mut image = good.clone();
            if image[at] == value {
                continue;
            }
            image[at] = value;
            if let Ok(other) = launch(&image) {
                assert_ne!(other, digest, "{at:#x}");
            }
        }
    }
}

/// Each of these makes the crate index out of bounds or run for long, without the checks here.
#[test]
fn what_the_crate_would_panic_on_is_refused() {
    let Some(good) = ovmf() else { return };
    let with = |at: usize, number: u32| {
        let mut image = good.clone();
        image[at..at + 4].copy_from_slice(&number.to_le_bytes());
        image
    };
    // The table, from its end: footer, reset block, a secret's place, table of hashes, metadata.
    let hash_table = 4096 - 32 - 18 - 22 - 26 - 26;
    let from_end = hash_table - 22;
    for bad in [
        vec![],
        vec![0; 4096],
        good[..good.len() - 1].to_vec(),
        with(from_end, 0xffff_ffff),
        with(from_end, 0),
        with(from_end, 8),
        with(METADATA + 4, 15),
        with(METADATA + 4, 0xffff_ffff),
        with(METADATA + 12, 0xffff_ffff),
        with(METADATA + 12, 8),
        with(METADATA + 16 + 4, 0xffff_f000),
        with(METADATA + 16 + 4, 0x9001),
        with(METADATA + 16 + 8, 5),
        with(METADATA + 16 + 8, 0x101),
        with(METADATA + 16 + 5 * 12 + 4, 0x2000),
    ] {
        assert!(Ovmf::parse(&bad).is_err());
    }
    // QEMU's table of hashes would stick out of its page.
    for address in [0, 0x81_0ff0, 0x81_0f51] {
        let error = launch(&with(hash_table, address));
        assert!(matches!(error, Err(ReferenceError::NoKernelHashes)));
    }
    launch(&with(hash_table, 0x81_0f50)).unwrap();
}

/// What the checks are for: if this fails, the crate has learned to refuse by itself.
#[test]
fn the_crate_panics_without_the_checks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ovmf");
    fs::write(&path, "short").unwrap();
    assert!(catch_unwind(|| sev::measurement::ovmf::OVMF::new(path)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn firmware_of_any_bytes(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut image = vec![0; 4096 - tail.len()];
        image.extend(tail);
        prop_assert!(Ovmf::parse(&image).is_err());
    }

    #[test]
    fn firmware_with_any_numbers(changes in prop::collection::vec((0usize..236, any::<u8>()), 1..6)) {
        if let Some(mut image) = ovmf() {
            for (at, value) in changes {
                let at = if at < 100 { METADATA + at } else { TABLE + at - 100 };
                image[at] = value;
            }
            // Small ones only: the rest is time.
            if Ovmf::parse(&image).is_ok() {
                let _ = launch(&image);
            }
        }
    }

    #[test]
    fn kernels_of_any_headers(changes in prop::collection::vec((0usize..0x240, any::<u8>()), 1..8), memory: u64) {
        let mut kernel = image();
        for (at, value) in changes {
            kernel[at] = value;
        }
        let _ = boot(&kernel, KernelHeader::AsBuilt);
        let _ = boot(&kernel, KernelHeader::FilledIn { memory });
    }

    #[test]
    fn quotes_of_any_bytes(at in 0usize..5006, value: u8, len in 0usize..5006) {
        if let Some(folder) = folder() {
            let path = folder.join("tdx/normalized/google_go-tdx-guest__quote_v5_sample.quote.bin");
            let mut quote = fs::read(path).unwrap();
            quote[at] = value;
            let _ = GoldenQuote::parse(&quote);
            let _ = GoldenQuote::parse(&quote[..len]);
        }
    }
}
