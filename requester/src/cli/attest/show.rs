//! `duckblind attest show`: what evidence says, without judging it.

use std::fmt::Write as _;
use std::path::Path;

use duckblind_attestation::explain::event_log::{LoggedEvent, events, registers};
use duckblind_attestation::explain::{Part, certificate, snp, tdx};
use duckblind_attestation::tdx::EventLog;
use duckblind_protocol::key_statement::Tee;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ui::Ui;
use super::documents::DocumentArgs;
use super::envelope::Inspected;
use super::file::EvidenceFile;
use super::source::SourceArgs;
use super::subject::Subject;

/// Events that are shown unless all are asked for.
const EVENTS: usize = 40;
/// Characters of a value that leave room for its meaning beside it.
const BESIDE: usize = 48;
/// A field that is shortened unless all is asked for. Others are there to be compared.
const SHORTENED: &str = "chip";

/// Print what evidence says, field by field, without judging it
#[derive(Debug, clap::Args)]
pub(in super::super) struct ShowArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    documents: DocumentArgs,
    /// Nothing shortened: whole ids, every event of the log
    #[arg(long)]
    full: bool,
}

pub(super) async fn show(ui: &Ui, trust: Option<&Path>, args: ShowArgs) -> Result<(), Failure> {
    let found = args.source.evidence(trust).await?;
    let inspected = match &found {
        EvidenceFile::Bundle(bundle) => {
            let parts = certificate::endorsements(bundle);
            let text = parts_text(&parts, args.full);
            shown(ui, &args, json!({ "documents": parts }), &text);
            return Ok(());
        }
        EvidenceFile::Envelope(bytes, _) => Some(Inspected::decode(bytes)?),
        EvidenceFile::Receipt(saved) => Some(Inspected::decode(&saved.presented()?.evidence)?),
        EvidenceFile::Inputs(recorded) => Some(Inspected::decode(recorded.inputs().evidence)?),
        EvidenceFile::SnpReport(_) | EvidenceFile::Quote(_) => None,
    };
    let mut subject = Subject::of_file(found)?;
    subject.add(&args.documents)?;
    let report = report_parts(&subject)?;
    let documents = certificate::endorsements(&subject.endorsements);
    let log = Log::of(&subject);
    let mut value = json!({
        "tee": subject.tee,
        "report": report,
        "documents": documents,
        "event_log": log.value(),
    });
    let mut text = String::new();
    if let Some(inspected) = &inspected {
        text.push_str(&inspected.text());
        if let (Value::Object(all), Value::Object(more)) = (&mut value, inspected.value()) {
            all.extend(more);
        }
    }
    text.push_str(&parts_text(&report, args.full));
    text.push_str(&parts_text(&documents, args.full));
    text.push_str(&log.text(args.full));
    shown(ui, &args, value, &text);
    Ok(())
}

fn shown(ui: &Ui, args: &ShowArgs, evidence: Value, text: &str) {
    let value = json!({
        "schema": "duckblind/evidence/v1",
        "verified": false,
        "evidence": evidence,
    });
    ui.show(&value, || text.trim().to_owned());
    if text.contains('…') && !args.full {
        ui.note("shortened: --full shows everything");
    }
    ui.note("nothing of this is verified; `duckblind attest verify` does that");
}

fn report_parts(subject: &Subject) -> Result<Vec<Part>, Failure> {
    Ok(match subject.tee {
        Tee::SevSnp => snp::report(&subject.snp()?, subject.certified()),
        Tee::Tdx => tdx::quote(&subject.tdx()?),
    })
}

/// The event log, if there is one.
enum Log {
    None,
    Broken(String),
    Read {
        events: Vec<LoggedEvent>,
        registers: Part,
    },
}

impl Log {
    fn of(subject: &Subject) -> Self {
        let Some(raw) = &subject.event_log else {
            return Self::None;
        };
        let log = match EventLog::parse(raw) {
            Ok(log) => log,
            Err(error) => return Self::Broken(error.to_string()),
        };
        let quote = subject.tdx().ok();
        let quoted = quote.as_ref().map(|quote| &quote.body.rtmrs);
        Self::Read {
            events: events(&log),
            registers: registers(&log, quoted),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Broken(error) => json!({ "error": error }),
            Self::Read { events, registers } => {
                json!({ "events": events, "registers": registers })
            }
        }
    }

    fn text(&self, full: bool) -> String {
        let (events, registers) = match self {
            Self::None => return String::new(),
            Self::Broken(error) => return format!("\nevent log\n  cannot be read: {error}\n"),
            Self::Read { events, registers } => (events, registers),
        };
        let shown = if full { events.len() } else { EVENTS };
        let mut text = format!("\nevent log, {} events\n", events.len());
        for event in events.iter().take(shown) {
            let digest = event.digest.to_string();
            let digest = if full {
                digest
            } else {
                digest.chars().take(16).chain(['…']).collect()
            };
            let _ = writeln!(
                text,
                "  RTMR{} {:34} {digest} {}",
                event.register, event.name, event.text
            );
        }
        if let Some(more @ 1..) = events.len().checked_sub(shown) {
            let _ = writeln!(text, "  … and {more} more");
        }
        text.push_str(&parts_text(std::slice::from_ref(registers), full));
        text
    }
}

fn parts_text(parts: &[Part], full: bool) -> String {
    let mut text = String::new();
    for part in parts {
        let values = part.fields.iter().map(|field| {
            if full || field.name != SHORTENED {
                field.value.clone()
            } else {
                short(&field.value)
            }
        });
        let values: Vec<String> = values.collect();
        let lengths = values.iter().map(|value| value.chars().count());
        let width = lengths.filter(|length| *length <= BESIDE).max();
        let width = width.unwrap_or_default();
        let _ = writeln!(text, "\n{}", part.title);
        for (field, value) in part.fields.iter().zip(&values) {
            let means = &field.means;
            let line = if means.is_empty() {
                format!("  {:20} {value}", field.name)
            } else if value.chars().count() > BESIDE {
                format!("  {:20} {value}\n  {:20} {means}", field.name, "")
            } else {
                format!("  {:20} {value:width$}  {means}", field.name)
            };
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// The beginning of a long value of hex digits.
fn short(value: &str) -> String {
    const SHOWN: usize = 32;
    if value.len() <= SHOWN {
        return value.to_owned();
    }
    let start: String = value.chars().take(SHOWN).collect();
    format!("{start}… ({} bytes)", value.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shortened_to_their_beginning() {
        assert_eq!(short("zero"), "zero");
        assert_eq!(
            short(&"ab".repeat(64)),
            format!("{}… (64 bytes)", "ab".repeat(16))
        );
    }
}
