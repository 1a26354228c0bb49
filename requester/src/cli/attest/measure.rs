//! `duckblind attest measure`: what a guest of a release measures, for the policies that take it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use duckblind_attestation::measurement::Measurement;
use duckblind_attestation::reference::direct_boot::{
    BootRegisters, DirectBoot, InitrdOption, KernelHeader, MAX_INITRD, MAX_KERNEL, Separator,
};
use duckblind_attestation::reference::golden_quote::{GoldenQuote, MAX_QUOTE};
use duckblind_attestation::reference::register;
use duckblind_attestation::reference::snp::{CpuType, SnpKernel, SnpLaunch, SnpTable};
use duckblind_attestation::release::ReleaseManifest;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::run_args::bytes;
use super::super::ui::Ui;
use crate::error::RequesterError;
use crate::files;

/// Bytes of the smallest firmware that a guest boots with.
const LEAST_FIRMWARE: u64 = 256 * 1024;
/// What only a golden quote says; no policy parses with it.
const MISSING: &str = "from a golden quote";
/// Said wherever a value of TDX was computed and no quote confirms it.
const BY_RULE: &str = "computed by the public rules of QEMU, edk2 and Linux; no quote confirms it";

/// Compute what a guest of a release measures
///
/// Whoever publishes a release runs this; docs/reference-values.md says with which inputs.
#[derive(Debug, clap::Subcommand)]
pub(in super::super) enum MeasureCommand {
    /// Launch digests of SEV-SNP guests: one per vCPU count and CPU type
    Snp(SnpArgs),
    /// Registers of TDX guests: from a golden quote, or computed from what is booted
    Tdx(TdxArgs),
    /// Digest of a release manifest
    Release(ReleaseArgs),
}

/// Which build of the enclave.
#[derive(Debug, clap::Args)]
pub(in super::super) struct ReleaseArgs {
    /// Release manifest (JSON), as `scripts/release-manifest` writes it
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
    /// Print a policy's `releases` instead
    #[arg(long)]
    fragment: bool,
}

/// What QEMU launches an SEV-SNP guest from.
#[derive(Debug, clap::Args)]
pub(in super::super) struct SnpArgs {
    /// Firmware image
    #[arg(long, value_name = "FILE")]
    ovmf: PathBuf,
    /// Digest of the whole firmware, if --ovmf is only the end of it
    #[arg(long, value_name = "HEX")]
    snp_ovmf_hash: Option<Measurement>,
    /// Kernel that QEMU gets, with firmware that measures it (AmdSev)
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    append: Option<String>,
    /// Numbers of vCPUs, such as 1,2,4
    #[arg(long, value_name = "N,…", value_delimiter = ',', required = true)]
    vcpus: Vec<u32>,
    /// CPU types as QEMU names them, such as EPYC-v4,EPYC-Genoa
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', required = true)]
    vcpu_type: Vec<CpuType>,
    /// Guest features of the initial register state, as the host's KVM sets them
    #[arg(long, value_name = "HEX", default_value = "0x1", value_parser = features)]
    guest_features: u64,
    /// Print only the lines for a policy
    #[arg(long)]
    fragment: bool,
}

/// Where the registers of a TDX guest come from.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true))]
pub(in super::super) struct TdxArgs {
    /// Raw quote of a guest that you launched yourself; with --kernel, it must agree
    #[arg(long, value_name = "FILE", group = "source")]
    from_quote: Option<PathBuf>,
    /// Kernel that QEMU gets
    #[arg(long, value_name = "FILE", group = "source")]
    kernel: Option<PathBuf>,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    append: Option<String>,
    /// The kernel's setup header: filled-in by QEMU before 10.2
    #[arg(long, value_enum, default_value = "as-built", requires = "kernel")]
    kernel_header: HeaderArg,
    /// Memory of the guest, such as 4GiB, for --kernel-header filled-in
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = bytes,
        required_if_eq("kernel_header", "filled-in")
    )]
    memory: Option<u64>,
    /// Place of initrd=initrd: last with edk2 before May 2025
    #[arg(long, value_enum, default_value = "first", requires = "kernel")]
    initrd_option: OptionArg,
    /// Register of the boot separator: rtmr0 with edk2 before stable202411
    #[arg(long, value_enum, default_value = "rtmr1", requires = "kernel")]
    separator: SeparatorArg,
    /// Digests that the guest extends RTMR3 with, one per line
    #[arg(long, value_name = "FILE", group = "source")]
    runtime_log: Option<PathBuf>,
    /// Print only the lines for a policy
    #[arg(long)]
    fragment: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum HeaderArg {
    AsBuilt,
    FilledIn,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum OptionArg {
    First,
    Last,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SeparatorArg {
    Rtmr0,
    Rtmr1,
}

fn features(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| "not a hexadecimal number".into())
}

pub(in super::super) fn measure(ui: &Ui, command: MeasureCommand) -> Result<(), Failure> {
    match command {
        MeasureCommand::Snp(args) => snp(ui, &args),
        MeasureCommand::Tdx(args) => tdx(ui, &args),
        MeasureCommand::Release(args) => release(ui, &args),
    }
}

/// What enclaves attest of their build: the digest of the manifest's canonical form.
fn release(ui: &Ui, args: &ReleaseArgs) -> Result<(), Failure> {
    let text = files::read_text(&args.manifest).map_err(RequesterError::from)?;
    let manifest = ReleaseManifest::from_json(&text).map_err(RequesterError::Release)?;
    let digest = manifest.digest();
    let value = json!({
        "schema": "duckblind/reference/v1",
        "release": digest,
        "commit": manifest.commit,
    });
    ui.show(&value, || {
        if args.fragment {
            format!("releases = [\"{digest}\"]")
        } else {
            format!("{digest}  commit {}", manifest.commit)
        }
    });
    Ok(())
}

fn snp(ui: &Ui, args: &SnpArgs) -> Result<(), Failure> {
    let launch = SnpLaunch {
        ovmf: &args.ovmf,
        ovmf_hash: args.snp_ovmf_hash,
        kernel: args.kernel.as_deref().map(|image| SnpKernel {
            image,
            initrd: args.initrd.as_deref(),
            append: args.append.as_deref().unwrap_or_default(),
        }),
        guest_features: args.guest_features,
    };
    let table = launch.table(&args.vcpus, &args.vcpu_type)?;
    if args.snp_ovmf_hash.is_none()
        && fs::metadata(&args.ovmf).is_ok_and(|file| file.len() < LEAST_FIRMWARE)
    {
        ui.note(
            "this file is but the end of a firmware: without --snp-ovmf-hash of the whole, no guest measures like this",
        );
    }
    let fragment = table.fragment();
    let value = json!({
        "schema": "duckblind/reference/v1",
        "tee": "sev-snp",
        "ovmf_hash": table.ovmf_hash,
        "guest_features": format!("{:#x}", args.guest_features),
        "launches": table
            .rows
            .iter()
            .map(|row| json!({
                "vcpus": row.vcpus,
                "vcpu_type": row.cpu.to_string(),
                "measurement": row.measurement,
            }))
            .collect::<Vec<_>>(),
        "fragment": fragment,
    });
    ui.show(&value, || {
        if args.fragment {
            fragment
        } else {
            snp_text(&table)
        }
    });
    Ok(())
}

fn snp_text(table: &SnpTable) -> String {
    let mut text = format!("firmware digest {}\n", table.ovmf_hash);
    // Into a string: cannot fail.
    let _ = writeln!(text, "{:>5}  {:<13}  measurement", "vcpus", "type");
    for row in &table.rows {
        let cpu = row.cpu.to_string();
        let _ = writeln!(text, "{:>5}  {cpu:<13}  {}", row.vcpus, row.measurement);
    }
    text
}

/// What is known of a TDX guest.
struct TdxValues {
    quote: Option<GoldenQuote>,
    boot: Option<BootRegisters>,
    rtmr3: Option<Measurement>,
}

fn tdx(ui: &Ui, args: &TdxArgs) -> Result<(), Failure> {
    let quote = match &args.from_quote {
        Some(path) => Some(GoldenQuote::parse(&read(path, MAX_QUOTE as u64)?)?),
        None => None,
    };
    let boot = match &args.kernel {
        Some(kernel) => Some(boot(args, kernel)?),
        None => None,
    };
    let rtmr3 = match &args.runtime_log {
        Some(path) => {
            let log = files::read_text(path).map_err(RequesterError::from)?;
            Some(register::rtmr3(&log)?)
        }
        None => None,
    };
    if let (Some(quote), Some(boot)) = (&quote, &boot) {
        quote.confirm(boot)?;
    }
    if let (Some(quote), Some(rtmr3)) = (&quote, rtmr3) {
        quote.confirm_rtmr3(rtmr3)?;
    }
    let values = TdxValues { quote, boot, rtmr3 };
    let fragment = values.fragment()?;
    ui.show(&values.json(&fragment), || {
        if args.fragment {
            fragment
        } else {
            values.text()
        }
    });
    if values.quote.is_some() {
        ui.warning("the quote's signature was not checked: take it only from a machine you trust");
    } else {
        ui.note(BY_RULE);
    }
    Ok(())
}

fn boot(args: &TdxArgs, kernel: &Path) -> Result<BootRegisters, Failure> {
    let kernel = read(kernel, MAX_KERNEL)?;
    let initrd = match &args.initrd {
        Some(path) => Some(read(path, MAX_INITRD)?),
        None => None,
    };
    let header = match (args.kernel_header, args.memory) {
        (HeaderArg::FilledIn, Some(memory)) => KernelHeader::FilledIn { memory },
        (HeaderArg::AsBuilt, None) => KernelHeader::AsBuilt,
        _ => {
            let message = "--memory belongs to --kernel-header filled-in";
            return Err(Failure::usage(message, None));
        }
    };
    let boot = DirectBoot {
        kernel: &kernel,
        initrd: initrd.as_deref(),
        append: args.append.as_deref().unwrap_or_default(),
        header,
        initrd_option: match args.initrd_option {
            OptionArg::First => InitrdOption::First,
            OptionArg::Last => InitrdOption::Last,
        },
        separator: match args.separator {
            SeparatorArg::Rtmr0 => Separator::Rtmr0,
            SeparatorArg::Rtmr1 => Separator::Rtmr1,
        },
    };
    Ok(boot.registers()?)
}

/// The list of a policy, with one entry.
fn images(comment: &str, entry: &str) -> String {
    format!("# in [tdx], instead of `images = []`\nimages = [\n    # {comment}\n    {entry},\n]\n")
}

fn read(path: &Path, cap: u64) -> Result<Vec<u8>, Failure> {
    Ok(files::read_bytes(path, cap).map_err(RequesterError::from)?)
}

impl TdxValues {
    /// Each value with its name, and whether it was only computed.
    fn values(&self) -> Vec<(&'static str, Measurement, bool)> {
        let mut values = Vec::new();
        if let Some(quote) = &self.quote {
            let [rtmr0, rtmr1, rtmr2, rtmr3] = quote.rtmr;
            values.extend([
                ("mrtd", quote.mrtd, false),
                ("rtmr0", rtmr0, false),
                ("rtmr1", rtmr1, false),
                ("rtmr2", rtmr2, false),
                ("rtmr3", rtmr3, false),
                ("mr_config_id", quote.mr_config_id, false),
                ("mr_owner", quote.mr_owner, false),
                ("mr_owner_config", quote.mr_owner_config, false),
                ("mr_seam", quote.mr_seam, false),
            ]);
        } else {
            if let Some(boot) = &self.boot {
                values.extend([("rtmr1", boot.rtmr1, true), ("rtmr2", boot.rtmr2, true)]);
            }
            values.extend(self.rtmr3.map(|rtmr3| ("rtmr3", rtmr3, true)));
        }
        if let Some(boot) = &self.boot {
            values.push(("event kernel", boot.kernel, true));
            values.push(("event command_line", boot.command_line, true));
            values.extend(boot.initrd.map(|initrd| ("event initrd", initrd, true)));
        }
        values
    }

    /// Empty if nothing of it stands in a policy.
    fn fragment(&self) -> Result<String, Failure> {
        if let Some(quote) = &self.quote {
            let confirmed = if self.boot.is_some() {
                "; rtmr1 and rtmr2 are those of its kernel, command line and RAM disk"
            } else {
                ""
            };
            let entry = quote.fragment()?;
            return Ok(images(&format!("from a golden quote{confirmed}"), &entry));
        }
        Ok(match &self.boot {
            Some(boot) => images(
                BY_RULE,
                &format!(
                    "{{ mrtd = \"{MISSING}\", rtmr0 = \"{MISSING}\", {}, rtmr3 = \"zero\" }}",
                    boot.fragment()
                ),
            ),
            None => String::new(),
        })
    }

    fn json(&self, fragment: &str) -> Value {
        let values: serde_json::Map<String, Value> = self
            .values()
            .into_iter()
            .map(|(name, value, computed)| {
                (
                    name.replace(' ', "_"),
                    json!({ "value": value, "computed": computed }),
                )
            })
            .collect();
        json!({
            "schema": "duckblind/reference/v1",
            "tee": "tdx",
            "confirmed_by_quote": self.quote.is_some() && (self.boot.is_some() || self.rtmr3.is_some()),
            "attributes": self.quote.map(|quote| hex::encode(quote.attributes)),
            "xfam": self.quote.map(|quote| hex::encode(quote.xfam)),
            "values": values,
            "fragment": fragment,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, value, _) in self.values() {
            // Into a string: cannot fail.
            let _ = writeln!(text, "{name:<18}  {value}");
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn parses(arguments: &str) -> bool {
        let all = format!("duckblind attest measure {arguments}");
        Cli::try_parse_from(all.split(' ')).is_ok()
    }

    #[test]
    fn guest_features_are_hexadecimal() {
        assert_eq!(features("0x21"), Ok(0x21));
        assert_eq!(features("21"), Ok(0x21));
        assert!(features("-1").is_err() && features("").is_err());
    }

    #[test]
    fn arguments_that_mean_nothing_alone_are_refused() {
        assert!(parses(
            "snp --ovmf f --vcpus 1,2 --vcpu-type EPYC-v4,epyc-genoa"
        ));
        assert!(!parses("snp --ovmf f --vcpus 1"));
        assert!(!parses("snp --ovmf f --vcpu-type EPYC"));
        assert!(!parses(
            "snp --ovmf f --vcpus 1 --vcpu-type EPYC --initrd i"
        ));
        assert!(!parses(
            "snp --ovmf f --vcpus 1 --vcpu-type EPYC --append a"
        ));
        assert!(parses("tdx --from-quote q --kernel k --runtime-log l"));
        assert!(!parses("tdx"));
        assert!(!parses("tdx --from-quote q --append a"));
        assert!(!parses("tdx --kernel k --kernel-header filled-in"));
        assert!(parses(
            "tdx --kernel k --kernel-header filled-in --memory 4GiB"
        ));
    }

    #[test]
    fn computed_values_say_so_in_a_fragment() {
        let one = Measurement::from_bytes([1; 48]);
        let values = TdxValues {
            quote: None,
            boot: Some(BootRegisters {
                rtmr1: one,
                rtmr2: one,
                kernel: one,
                command_line: one,
                initrd: None,
            }),
            rtmr3: None,
        };
        let fragment = values.fragment().ok().unwrap();
        assert!(fragment.contains(BY_RULE), "{fragment}");
        assert_eq!(values.json(&fragment)["confirmed_by_quote"], false);
    }
}
