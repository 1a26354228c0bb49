//! Values that others computed or recorded, against ours. Files are read from `DUCKBLIND_VECTORS`;
//! without them the tests say so and check nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use super::ReferenceError;
use super::direct_boot::{BootRegisters, Separator, rtmr1_of};
use super::golden_quote::GoldenQuote;
use super::register::{replay, rtmr3};
use super::snp::{CpuType, SnpKernel, SnpLaunch};
use crate::measurement::Measurement;
use crate::vectors;

/// SHA-384 of `firmware`: stands for a whole image that is not at hand.
const SOME_HASH: &str = "bbf7209c1a756b2747bba45f37c0244e5d5e9d03231528d52223b7303d0d157a\
                         209a54370f245c3fedc3f3bd96795e95";

/// vCPUs, CPU type, digest.
type Answer = (u32, &'static str, &'static str);

// Output of sev-snp-measure 0.0.13, after
//   printf 'a kernel' >kernel; printf 'an initial RAM disk' >initrd
// of
//   sev-snp-measure --mode snp --vcpus N --vcpu-type TYPE --ovmf ovmf_….bin
// with the options that stand with each group.

/// `--ovmf ovmf_AmdSev_suffix.bin --kernel kernel --initrd initrd --append 'console=ttyS0 quiet'`
const FULL: &[Answer] = &[
    (
        1,
        "EPYC-v4",
        "7accb7465f818e668443b03be56bf8dc36dd3306e6a5072617c297b2809754c0986ae34bbbd6cc97e22454a5a53dd223",
    ),
    (
        1,
        "EPYC-Milan",
        "7c26a7d6b28c47dcfd06945fe298469f08c9d87ee3031c7cb1054445255e1bc25572e98067c2e732d22184aea84080fa",
    ),
    (
        1,
        "EPYC-Genoa",
        "fe2e710d79914183375dba11e55a68af1fb04c644e9cd373b2426419e55d0dde0f2d26820deb4f8db65fba204cd30b89",
    ),
    (
        2,
        "EPYC-v4",
        "66d17bf50c93c4094e3dbd0a9f88fe61627b7e7bc133c52b76da99aa6a14c2f9ad049d69ab2dc23bdba816c63cf18bb7",
    ),
    (
        2,
        "EPYC-Milan",
        "4aa2f954b7c098713d8c3d719e58e95c4d550edbeddc21baa7de1ce3551ceacfa0e194933a08e255f1d43d95bc9e66b1",
    ),
    (
        2,
        "EPYC-Genoa",
        "7f09ddef238b9440ac536e4371af2608a988d1b63146b3145b9cab41b6dc2869cb480da0e62071514f580ebca886f0f6",
    ),
    (
        4,
        "EPYC-v4",
        "f2d9589ae2e827fd304a0538105c7fe527a8a252a049aad77b6a6f43ec22232601094c632b51e37309cab7793a734d4b",
    ),
    (
        4,
        "EPYC-Milan",
        "eab4ee208ce6a599492a20c133549442068ed64b48054be36ae2e7ccc0e3d713098955fa60eacd016bfbb7c6493adb33",
    ),
    (
        4,
        "EPYC-Genoa",
        "68a7731ebb11ed38d8ec679c91ac987d85450102f033ec5d5ed9b29e4846914ffa19c9e14392af593bbac95952ee80ba",
    ),
];
/// As `FULL`, and `--snp-ovmf-hash bbf7…5e95`
const WITH_OVMF_HASH: &[Answer] = &[(
    2,
    "EPYC-v4",
    "cfeb5c4954c672f0893146ec742818db2370173ced972746e0a17a510013bc1dcc48cc69ab6edd3b23d959358b83a7d2",
)];
/// `--ovmf ovmf_AmdSev_suffix.bin --kernel kernel`
const BARE_KERNEL: &[Answer] = &[(
    2,
    "EPYC-v4",
    "45095a6b0f4079caa358322ea12a5b9f49df378509ffb6b42d5a8d497e4570cbd8c201f98621fb71e0a8da1248e0e7e9",
)];
/// `--ovmf ovmf_AmdSev_suffix.bin`
const FIRMWARE_ONLY: &[Answer] = &[(
    2,
    "EPYC-v4",
    "ae7e31b6e2220dcb2832b050464cf9fb5da4feed92be5cdd966435c2ee722f341410bb2438923ee696bd23460ff9c904",
)];
/// `--ovmf ovmf_AmdSev_suffix.bin --guest-features 0x21`
const DEBUG_SWAP: &[Answer] = &[(
    2,
    "EPYC-v4",
    "7b4f6aa81aa1de12b78aeca2c639419006459bbadfdb707caf8710ebbf8c414ad846acecf523c331c914e89ed06d9a6d",
)];
/// `--ovmf ovmf_OvmfX64_suffix.bin`
const X64: &[Answer] = &[
    (
        2,
        "EPYC-v4",
        "da0b008078565bd9f0c21a9c6b4e71f514ca0d7b81a7b00ecbe2a73f52c1b051b9db4914cdf84dffcdc63258f9ce46b2",
    ),
    (
        4,
        "EPYC-Turin",
        "33f9c170bc20c4435ea10af77495d5c61aedbd340e2cb28e0b0caa9b18b7907427b9b7bcb6d1f1f2d9875020abce8fd4",
    ),
];
/// `sev-snp-measure --mode snp:ovmf-hash --ovmf ovmf_AmdSev_suffix.bin`
const OVMF_HASH: &str = "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74";

pub(super) fn folder() -> Option<PathBuf> {
    vectors::root("snp/ovmf")
}

#[test]
fn launch_digests_are_those_of_sev_snp_measure() {
    let Some(folder) = folder() else { return };
    let ovmf = folder.join("snp").join("ovmf");
    let (amd_sev, x64) = (
        ovmf.join("ovmf_AmdSev_suffix.bin"),
        ovmf.join("ovmf_OvmfX64_suffix.bin"),
    );
    let dir = tempfile::tempdir().unwrap();
    let (kernel, initrd) = (dir.path().join("kernel"), dir.path().join("initrd"));
    fs::write(&kernel, "a kernel").unwrap();
    fs::write(&initrd, "an initial RAM disk").unwrap();

    let plain = SnpLaunch {
        ovmf: &amd_sev,
        ovmf_hash: None,
        kernel: None,
        guest_features: 1,
    };
    let bare = SnpKernel {
        image: &kernel,
        initrd: None,
        append: "",
    };
    let mut full = plain;
    full.kernel = Some(SnpKernel {
        initrd: Some(&initrd),
        append: "console=ttyS0 quiet",
        ..bare
    });
    let ovmf_hash = Some(SOME_HASH.parse().unwrap());
    let kernel = Some(bare);
    let guest_features = 0x21;
    for (launch, answers) in [
        (full, FULL),
        (SnpLaunch { ovmf_hash, ..full }, WITH_OVMF_HASH),
        (SnpLaunch { kernel, ..plain }, BARE_KERNEL),
        (plain, FIRMWARE_ONLY),
        (
            SnpLaunch {
                guest_features,
                ..plain
            },
            DEBUG_SWAP,
        ),
        (
            SnpLaunch {
                ovmf: &x64,
                ..plain
            },
            X64,
        ),
    ] {
        for (vcpus, cpu, digest) in answers {
            let table = launch.table(&[*vcpus], &[cpu.parse().unwrap()]).unwrap();
            assert_eq!(table.rows[0].measurement.to_string(), *digest, "{launch:?}");
        }
    }
    // One table holds what single runs give, in the order asked for.
    let cpus: Vec<CpuType> = FULL[..3]
        .iter()
        .map(|(_, cpu, _)| cpu.parse().unwrap())
        .collect();
    let table = full.table(&[1, 2, 4], &cpus).unwrap();
    let digests: Vec<String> = table
        .rows
        .iter()
        .map(|row| row.measurement.to_string())
        .collect();
    assert_eq!(
        digests,
        FULL.iter()
            .map(|(_, _, digest)| *digest)
            .collect::<Vec<_>>()
    );
    assert_eq!(table.ovmf_hash.to_string(), OVMF_HASH);

    // QEMU hashes spaces at the ends, the crate does not.
    let mut padded = full;
    padded.kernel = Some(SnpKernel {
        append: "quiet ",
        ..bare
    });
    assert!(matches!(
        padded.table(&[1], &cpus),
        Err(ReferenceError::CommandLine(_))
    ));
    let on_x64 = SnpLaunch { ovmf: &x64, ..full };
    assert!(matches!(
        on_x64.table(&[1], &cpus),
        Err(ReferenceError::NoKernelHashes)
    ));
}

fn quote(folder: &Path, name: &str) -> Vec<u8> {
    let name = format!("{name}.quote.bin");
    fs::read(folder.join("tdx").join("normalized").join(name)).unwrap()
}

fn registers(rtmr1: Measurement, rtmr2: Measurement) -> BootRegisters {
    BootRegisters {
        rtmr1,
        rtmr2,
        kernel: rtmr1,
        command_line: rtmr2,
        initrd: None,
    }
}

/// Two machines: the kernel's event and those of RTMR2 as recorded in the event log, the
/// firmware's own events from here, the result as the hardware signed it.
#[test]
fn boots_of_real_machines_replay_to_what_the_hardware_signed() {
    let Some(folder) = folder() else { return };
    // tdx_ccel_live2.dat
    let of = |text: &str| text.parse::<Measurement>().unwrap();
    let kernel = of(
        "ffbcfc53f1c1cf14c639723822616e626319449681572e15abc701d5006722b1bf405943d87ec63b315b4abedbb4e95e",
    );
    let rtmr2 = replay([
        of(
            "9ef512aa411d4daf001123b04e9e8de66213c207d78b824e777fa4432a00c58aaa9b3a79ea0932088264651203a5ae38",
        ),
        of(
            "b88ab0900ba0606a42d668978b452c1cbaacdb178f3633c81bd12b666a7f10b0f6eb63d75fe1bc06773aec032564264f",
        ),
    ]);
    let golden = quote(
        &folder,
        "confidential-dot-ai_attestation-rs__tdx_quote_live",
    );
    let golden = GoldenQuote::parse(&golden).unwrap();
    let right = registers(rtmr1_of(kernel, Separator::Rtmr1), rtmr2);
    golden.confirm(&right).unwrap();
    let wrong = registers(rtmr1_of(kernel, Separator::Rtmr0), rtmr2);
    let error = golden.confirm(&wrong);
    assert!(matches!(
        error,
        Err(ReferenceError::Differs {
            register: "rtmr1",
            ..
        })
    ));
    let wrong = registers(right.rtmr1, kernel);
    let error = golden.confirm(&wrong);
    assert!(matches!(
        error,
        Err(ReferenceError::Differs {
            register: "rtmr2",
            ..
        })
    ));

    // quote-report.json: RTMR3 is extended at runtime.
    let path = folder.join("tdx/Dstack-TEE_dstack/quote-report.json");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let log: Vec<serde_json::Value> =
        serde_json::from_str(report["event_log"].as_str().unwrap()).unwrap();
    let events = |register: u64| {
        log.iter()
            .filter(move |event| event["imr"] == register)
            .map(|event| event["digest"].as_str().unwrap())
    };
    let golden = GoldenQuote::parse(&quote(&folder, "Dstack-TEE_dstack__quote-report")).unwrap();
    let kernel = of(events(1).next().unwrap());
    let rtmr1 = rtmr1_of(kernel, Separator::Rtmr1);
    golden
        .confirm(&registers(rtmr1, replay(events(2).map(of))))
        .unwrap();
    let log: Vec<&str> = events(3).collect();
    assert_eq!(log.len(), 8);
    golden
        .confirm_rtmr3(rtmr3(&log.join("\n")).unwrap())
        .unwrap();
    let short = rtmr3(&log[1..].join("\n")).unwrap();
    assert!(golden.confirm_rtmr3(short).is_err());
}

/// CCEL_data_ovmf: firmware of before edk2-stable202411. Its guest's quote was not kept.
#[test]
fn an_old_firmware_measures_its_separator_elsewhere() {
    let kernel = "a2ccae1e7d6c668ca325bb09c882d8ce44d26d714ba6f58d2e8083fe291a704646afe24a2368bca3341728d78ec80a80";
    assert_eq!(
        rtmr1_of(kernel.parse().unwrap(), Separator::Rtmr0).to_string(),
        "775b9f6bfe99f8a31396f0d0218e67ffa796d3b96ccf961cbb0deba48c79c00f082cda1a5567c1c16305f1fc210c13c6"
    );
}

#[test]
fn quotes_of_guests_that_tell_nothing_give_no_reference() {
    let Some(folder) = folder() else { return };
    let image = |name| GoldenQuote::parse(&quote(&folder, name)).and_then(|quote| quote.fragment());
    let good = image("Dstack-TEE_dstack__quote-report").unwrap();
    assert!(good.contains("rtmr1 = \"a1b79d760219"), "{good}");
    // It goes into a policy as it is.
    let policy = include_str!("../../../policies/production-tdx.toml")
        .replacen("\nimages = []", &format!("\nimages = [{good}]"), 1)
        .replacen(
            "\nreleases = []",
            &format!("\nreleases = [\"{}\"]", "ef".repeat(32)),
            1,
        );
    let mrtd = GoldenQuote::parse(&quote(&folder, "Dstack-TEE_dstack__quote-report"));
    let policy = crate::policy::Policy::parse(&policy).unwrap();
    assert_eq!(policy.measurements(), [mrtd.unwrap().mrtd]);

    // A paravisor's guest, one of a firmware that measures nothing, one that can be debugged, SGX.
    for name in [
        "confidential-containers_trustee__td-quote",
        "Phala-Network_dcap-qvl__tdx_quote_outdated",
    ] {
        assert!(matches!(
            image(name),
            Err(ReferenceError::NothingMeasured("rtmr0"))
        ));
    }
    for name in [
        "confidential-containers_trustee__tdx_quote_4",
        "Phala-Network_dcap-qvl__sgx_quote",
    ] {
        assert!(matches!(image(name), Err(ReferenceError::Quote(_))));
    }
    let mut long = quote(&folder, "Dstack-TEE_dstack__quote-report");
    long.resize(super::golden_quote::MAX_QUOTE, 0);
    GoldenQuote::parse(&long).unwrap();
    long.push(0);
    assert!(matches!(
        GoldenQuote::parse(&long),
        Err(ReferenceError::Quote(_))
    ));
    let mut trailing = quote(&folder, "Phala-Network_dcap-qvl__tdx_quote_td15ex");
    GoldenQuote::parse(&trailing).unwrap();
    trailing.push(1);
    assert!(matches!(
        GoldenQuote::parse(&trailing),
        Err(ReferenceError::Quote(_))
    ));
}
