//! `duckblind trust`: the trust file's life.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_file::format_public;
use serde_json::{Value, json};

use super::failure::Failure;
use super::paths;
use super::ui::Ui;
use crate::error::RequesterError;
use crate::files;
use crate::trust::setup::{self, Change, NewTrust};
use crate::trust::{HostPinning, Trust};

const INIT_EXAMPLES: &str = "\
Examples:
  duckblind trust init --simulator platform --enclave-binary target/release/duckblind-enclave \\
      --release release.json --ear-signer ear.pub --verifier http://127.0.0.1:7400
  duckblind trust init --policy policy.toml --ear-signer ear.pub --verifier https://verifier.example";

/// Make, show, check and change the trust file.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TrustCommand {
    /// Make a trust file
    Init(Box<InitArgs>),
    /// Explain the trust file
    Show,
    /// Check the trust file and everything it names
    Lint,
    /// Change the trust file: keys, policies, the verifier's address
    Update(UpdateArgs),
}

/// Make a trust file
///
/// With --simulator: makes a simulated platform (root, intermediate and chip key) in DIR and a
/// development policy that accepts exactly the given enclave binary and release on it.
#[derive(Debug, clap::Args)]
#[command(after_help = INIT_EXAMPLES)]
pub(super) struct InitArgs {
    /// Make a simulated platform here; for development only
    #[arg(
        long,
        value_name = "DIR",
        requires = "enclave_binary",
        requires = "release"
    )]
    simulator: Option<PathBuf>,
    /// The enclave binary that the policy accepts
    #[arg(long, value_name = "BIN", requires = "simulator")]
    enclave_binary: Option<PathBuf>,
    /// The release manifest that the policy accepts
    #[arg(long, value_name = "FILE", requires = "simulator")]
    release: Option<PathBuf>,
    /// An appraisal policy to accept; its text is copied
    #[arg(
        long = "policy",
        value_name = "FILE",
        required_unless_present = "simulator"
    )]
    policies: Vec<PathBuf>,
    /// Public key file of a verifier whose results are believed
    #[arg(long = "ear-signer", value_name = "FILE", required = true)]
    ear_signers: Vec<PathBuf>,
    /// The verifier's address
    #[arg(long, value_name = "URL")]
    verifier: String,
    /// The one authority of the verifier's certificate
    #[arg(long, value_name = "PEM")]
    verifier_ca: Option<PathBuf>,
    /// Host keys: those of the registry, or the first one seen (development only)
    #[arg(long, value_name = "HOW", default_value = "registry", value_parser = ["registry", "tofu"])]
    hosts: String,
    /// Allow unlogged keys: for test data only
    #[arg(long)]
    development: bool,
    /// Directory for the new files [default: where the trust file is looked for]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Change the trust file: keys, policies, the verifier's address
#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// Believe results signed by this key
    #[arg(long = "ear-signer", value_name = "FILE")]
    ear_signers: Vec<PathBuf>,
    /// No longer believe results signed by this key
    #[arg(long, value_name = "ed25519:HEX")]
    remove_ear_signer: Vec<String>,
    /// Accept this policy as it is now
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// No longer accept the policy of this digest
    #[arg(long, value_name = "SHA256")]
    remove_policy: Vec<Digest>,
    /// The verifier's new address
    #[arg(long, value_name = "URL")]
    verifier: Option<String>,
    /// The one authority of the verifier's certificate
    #[arg(long, value_name = "PEM")]
    verifier_ca: Option<PathBuf>,
}

pub(super) fn trust(ui: &Ui, path: Option<&Path>, command: TrustCommand) -> Result<(), Failure> {
    match command {
        TrustCommand::Init(args) => init(ui, path, *args),
        TrustCommand::Show => {
            let trust = paths::trust(path)?;
            ui.show(&value(&trust), || text(&trust));
            Ok(())
        }
        TrustCommand::Lint => lint(ui, path),
        TrustCommand::Update(args) => update(ui, path, args),
    }
}

fn init(ui: &Ui, path: Option<&Path>, args: InitArgs) -> Result<(), Failure> {
    let dir = match &args.out {
        Some(dir) => dir.clone(),
        None => paths::trust_path(path)?
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default(),
    };
    let mut policies = Vec::new();
    for policy in &args.policies {
        let name = policy
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| {
                Failure::usage(format!("{} has no file name", policy.display()), None)
            })?;
        let text = files::read_text(policy).map_err(RequesterError::from)?;
        policies.push((name.to_owned(), text));
    }
    if let Some(platform) = &args.simulator {
        let text = simulated(platform, &args)?;
        policies.push(("policy.toml".into(), text));
    }
    let new = NewTrust {
        development: args.development || args.simulator.is_some(),
        simulator: args.simulator.is_some(),
        hosts: if args.hosts == "tofu" {
            HostPinning::Tofu
        } else {
            HostPinning::Registry
        },
        verifier: args.verifier,
        verifier_ca: args.verifier_ca,
        ear_signers: args.ear_signers,
        policies,
    };
    let trust = setup::create(&dir, &new)?;
    ui.show(&value(&trust), || text(&trust));
    ui.note(next_steps(&trust).trim_end());
    Ok(())
}

#[cfg(feature = "simulator")]
fn simulated(platform: &Path, args: &InitArgs) -> Result<String, Failure> {
    match (&args.enclave_binary, &args.release) {
        (Some(binary), Some(release)) => Ok(setup::simulated_policy(platform, binary, release)?),
        _ => Err(Failure::usage(
            "--simulator needs --enclave-binary and --release",
            None,
        )),
    }
}

#[cfg(not(feature = "simulator"))]
fn simulated(_: &Path, _: &InitArgs) -> Result<String, Failure> {
    Err(crate::trust::TrustError::NoSimulator.into())
}

fn next_steps(trust: &Trust) -> String {
    let mut text = String::from("next:\n");
    if let Some(policy) = trust.policies().first() {
        let _ = writeln!(
            text,
            "  give the verifier the policy: policies = [\"{}\"]",
            policy.path.display()
        );
    }
    let _ = writeln!(
        text,
        "  start verifier, enclave and host, then look: duckblind hosts"
    );
    let _ = writeln!(
        text,
        "  run a query: duckblind run 'select 42' --trust {}",
        trust.path().display()
    );
    text
}

fn lint(ui: &Ui, path: Option<&Path>) -> Result<(), Failure> {
    // Loading checks everything that can be wrong; what is left are things worth knowing.
    let trust = paths::trust(path)?;
    let remarks = remarks(&trust);
    let value = json!({
        "schema": "duckblind/trust-lint/v1",
        "path": trust.path(),
        "ok": true,
        "remarks": remarks,
    });
    ui.show(&value, || {
        let mut lines = vec![format!("{} holds", trust.path().display())];
        lines.extend(remarks.iter().map(|remark| format!("note: {remark}")));
        lines.join("\n")
    });
    Ok(())
}

fn remarks(trust: &Trust) -> Vec<String> {
    let mut remarks = Vec::new();
    if trust.development().is_some() {
        remarks.push("development = true: never use it with real data".to_owned());
    } else {
        remarks.push("no log is pinned yet: jobs need development = true for now".to_owned());
    }
    if trust.simulator() {
        remarks.push("simulator = true: a simulated platform protects nothing".to_owned());
    }
    if trust.hosts() == HostPinning::Tofu {
        remarks.push("hosts = \"tofu\": the first key seen at an address is believed".to_owned());
    }
    if trust.verifier().url.scheme() == "http" {
        remarks.push("the verifier is asked without TLS, on this machine only".to_owned());
    } else if trust.verifier().ca_pem.is_none() {
        remarks.push(
            "the verifier's certificate may come from any authority of the system".to_owned(),
        );
    }
    for policy in trust.policies() {
        if policy.policy.is_development() && trust.development().is_none() {
            remarks.push(format!("{} is a development policy", policy.path.display()));
        }
    }
    remarks
}

fn update(ui: &Ui, path: Option<&Path>, args: UpdateArgs) -> Result<(), Failure> {
    let path = paths::trust_path(path)?;
    let change = Change {
        add_signers: args.ear_signers,
        remove_signers: args.remove_ear_signer,
        policies: args.policies,
        remove_policies: args.remove_policy,
        verifier: args.verifier,
        verifier_ca: args.verifier_ca,
    };
    let trust = setup::update(&path, &change)?;
    ui.show(&value(&trust), || text(&trust));
    Ok(())
}

fn hosts_name(hosts: HostPinning) -> &'static str {
    match hosts {
        HostPinning::Registry => "registry",
        HostPinning::Tofu => "tofu",
    }
}

fn value(trust: &Trust) -> Value {
    json!({
        "schema": "duckblind/trust/v1",
        "path": trust.path(),
        "development": trust.development().is_some(),
        "simulator": trust.simulator(),
        "hosts": hosts_name(trust.hosts()),
        "verifier": trust.verifier().url.as_str(),
        "verifier_ca_pinned": trust.verifier().ca_pem.is_some(),
        "ear_signers": trust.ear_signers(),
        "policies": trust
            .policies()
            .iter()
            .map(|policy| json!({
                "path": policy.path,
                "name": policy.policy.name(),
                "sha256": policy.digest,
                "development": policy.policy.is_development(),
            }))
            .collect::<Vec<_>>(),
    })
}

fn text(trust: &Trust) -> String {
    let mut text = format!("trust file  {}\n", trust.path().display());
    let kind = match (trust.development().is_some(), trust.simulator()) {
        (true, true) => "development, accepts simulated platforms",
        (true, false) => "development",
        (false, _) => "production (needs a log; there is none yet)",
    };
    let _ = writeln!(text, "kind        {kind}");
    let _ = writeln!(text, "verifier    {}", trust.verifier().url);
    let _ = writeln!(text, "host keys   {}", hosts_name(trust.hosts()));
    for signer in trust.ear_signers() {
        let _ = writeln!(text, "EAR signer  {}", format_public(signer).trim());
    }
    for policy in trust.policies() {
        let _ = writeln!(
            text,
            "policy      {} ({}), sha256 {}",
            policy.policy.name(),
            policy.path.display(),
            policy.digest
        );
        for measurement in policy.policy.measurements() {
            let _ = writeln!(text, "  accepts measurement {measurement}");
        }
        for release in policy.policy.releases() {
            let _ = writeln!(text, "  accepts release     {release}");
        }
    }
    text
}
