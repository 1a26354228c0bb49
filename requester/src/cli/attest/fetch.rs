//! `duckblind attest fetch-collateral`: the vendors' documents as one file, for machines without a
//! network.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckblind_collateral::{Gathered, write_bundle};
use duckblind_protocol::ids::{Digest, UnixTime};
use serde_json::json;

use super::super::failure::Failure;
use super::super::ui::Ui;
use super::documents::DocumentArgs;
use super::gather::{GatherArgs, freshness};
use super::instant::instant;
use super::source::SourceArgs;
use super::subject::Subject;
use crate::clock;

/// Fetch what AMD or Intel say of a platform, and write it as one file
///
/// The file goes with `--endorsements` to verify, show and tcb-status.
#[derive(Debug, clap::Args)]
pub(in super::super) struct FetchArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    documents: DocumentArgs,
    #[command(flatten)]
    gather: GatherArgs,
    /// The time at which it must hold: Unix seconds or a date in UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    now: Option<UnixTime>,
    /// The bundle to write
    #[arg(long, short, value_name = "BUNDLE")]
    out: PathBuf,
}

pub(super) async fn fetch(ui: &Ui, trust: Option<&Path>, args: FetchArgs) -> Result<(), Failure> {
    let subject = Subject::named(&args.source, &args.documents, trust).await?;
    let now = args.now.unwrap_or_else(clock::now);
    let spinner = ui.spinner("fetching");
    let gathered = args.gather.gather(&subject, now).await;
    spinner.finish_and_clear();
    let gathered = gathered?;
    write_bundle(&args.out, &gathered.endorsements)?;
    let digest = Digest::of(&gathered.endorsements.encode());
    let parts = gathered.parts.iter().map(|part| {
        json!({
            "what": part.what,
            "from": freshness(&part.freshness),
            "valid_from": part.window.map(|window| window.from),
            "valid_until": part.window.map(|window| window.until),
        })
    });
    let value = json!({
        "schema": "duckblind/collateral/v1",
        "bundle": args.out,
        "sha256": digest,
        "ends": gathered.ends(),
        "parts": parts.collect::<Vec<_>>(),
    });
    ui.show(&value, || text(&gathered, &args.out));
    Ok(())
}

fn text(gathered: &Gathered, out: &Path) -> String {
    let mut text = String::new();
    for part in &gathered.parts {
        let until = part
            .window
            .map(|window| format!(", until {}", clock::utc(window.until)))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "{:34} {}{until}",
            part.what,
            freshness(&part.freshness)
        );
    }
    let _ = write!(text, "written to {}", out.display());
    if let Some(ends) = gathered.ends() {
        let _ = write!(text, ", of use until {}", clock::utc(ends));
    }
    text
}
