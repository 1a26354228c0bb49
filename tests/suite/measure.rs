//! Launch digests: ours and those of the PyPI tool `sev-snp-measure` on the same files.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use duckblind_tests::binaries::{program, run_root};
use duckblind_tests::running;
use duckblind_tests::vectors;

use crate::interop::python;

const VCPUS: [&str; 3] = ["1", "2", "4"];
const TYPES: [&str; 3] = ["EPYC-v4", "EPYC-Milan", "EPYC-Genoa"];
const APPEND: &str = "console=ttyS0 root=/dev/vda ro";

fn output(command: &mut Command) -> String {
    let output = command.output().expect("cannot start a program");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// One line of the tool.
fn theirs(mode: &str, arguments: &[&str]) -> String {
    let line = output(
        Command::new(python())
            .args(["-B", "-m", "sevsnpmeasure.cli", "--mode", mode])
            .args(arguments),
    );
    line.trim().to_owned()
}

fn ours(arguments: &[&str]) -> serde_json::Value {
    let value = output(
        Command::new(program("duckblind"))
            .args(["--json", "attest", "measure", "snp"])
            .args(["--vcpus", &VCPUS.join(","), "--vcpu-type", &TYPES.join(",")])
            .args(arguments),
    );
    serde_json::from_str(&value).unwrap()
}

/// All of a table at once here, one by one there.
fn compare(arguments: &[&str]) -> BTreeSet<String> {
    let value = ours(arguments);
    let launches = value["launches"].as_array().unwrap();
    assert_eq!(launches.len(), VCPUS.len() * TYPES.len());
    let mut digests = BTreeSet::new();
    for (launch, (vcpus, cpu)) in launches.iter().zip(
        VCPUS
            .iter()
            .flat_map(|vcpus| TYPES.iter().map(move |cpu| (*vcpus, *cpu))),
    ) {
        assert_eq!(launch["vcpus"].to_string(), vcpus);
        assert_eq!(launch["vcpu_type"], cpu);
        let mut all = vec!["--vcpus", vcpus, "--vcpu-type", cpu];
        all.extend(arguments);
        let digest = theirs("snp", &all);
        assert_eq!(digest.len(), 96, "{digest}");
        assert_eq!(launch["measurement"], *digest, "{all:?}");
        digests.insert(digest);
    }
    digests
}

#[test]
fn launch_digests_are_those_of_sev_snp_measure() {
    let _test = running::test("launch digests");
    let Some(images) = vectors::root("snp/ovmf").map(|root| root.join("snp/ovmf")) else {
        return;
    };
    let dir = tempfile::tempdir_in(run_root()).unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let kernel = file("kernel", &[0x5a; 7000]);
    let initrd = file("initrd", b"an initial RAM disk");
    let mut digests = BTreeSet::new();
    let mut runs = 0;
    for (name, other) in [("AmdSev", "3c"), ("OvmfX64", "3d")] {
        let image = images.join(format!("ovmf_{name}_suffix.bin"));
        let image = ["--ovmf", image.to_str().unwrap()];
        let hash = theirs("snp:ovmf-hash", &image);
        assert_eq!(ours(&image)["ovmf_hash"], *hash);
        // That of another image: the file's own pages do not count then, and the two files differ
        // in nothing else unless there is a kernel.
        let other = other.repeat(48);
        let with_kernel = ["--kernel", &kernel, "--initrd", &initrd, "--append", APPEND];
        let mut options: Vec<Vec<&str>> = vec![
            vec![],
            vec!["--snp-ovmf-hash", &other],
            vec!["--guest-features", "0x21"],
        ];
        if name == "AmdSev" {
            options.push(with_kernel.to_vec());
            options.push(with_kernel[..2].to_vec());
            options.push([&with_kernel[..], &["--snp-ovmf-hash", &other]].concat());
        }
        for options in options {
            digests.append(&mut compare(&[&image[..], &options[..]].concat()));
            runs += 1;
        }
        // The hash of the file itself changes nothing.
        let own = compare(&[&image[..], &["--snp-ovmf-hash", &hash]].concat());
        assert!(own.is_subset(&digests));
    }
    assert_eq!(digests.len(), runs * VCPUS.len() * TYPES.len());
}
