//! `duckblind run`: from a query to a whole answer.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckblind_lake::keys::KeyProvider;
use duckblind_protocol::coded::{Coded as _, Exit};
use duckblind_protocol::receipt::SignedReceipt;
use serde_json::{Value, json};

use super::failure::Failure;
use super::paths;
use super::run_args::RunArgs;
use super::stop::Stop;
use super::table_args;
use super::ui::{self, Ui};
use crate::client::{
    Attested, ConnectOptions, Event, Finished, Identity, JobRequest, RunningJob, Session,
    TableInput, Target,
};
use crate::error::RequesterError;
use crate::files::Pending;
use crate::output::{Output, Written};
use crate::receipt::SavedReceipt;
use crate::table::SealedTable;
use crate::trust::Trust;

/// Longest pause between two tries while an enclave is busy.
const MAX_PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn run(ui: &Ui, trust: Option<&Path>, args: RunArgs) -> Result<(), Failure> {
    // Everything that can be wrong here is said before anything is dialled.
    let trust = paths::trust(trust)?;
    let format = args.output.format(ui.is_json())?;
    let keys = args.tables.keys.provider()?;
    let owner = args.tables.keys.order_signer(ui)?;
    let tables = args.tables.open(ui, || Ok(owner.public()))?;
    let read = Read {
        unauthenticated: table_args::unauthenticated(ui, &tables),
        tables: table_args::described(&tables),
    };
    let request = request(&args, tables, &keys)?;
    table_args::missing(ui, request.missing_keys().iter());
    // Before there is a file that must not stay.
    let mut stop = Stop::listen()?;
    let output = args.output.create(format).map_err(RequesterError::from)?;
    let receipt_place = receipt_place(&args)?;
    let options = ConnectOptions {
        identity: Arc::new(Identity::at(&args.identity.path()?)?),
        order_key: owner.signing_key().clone(),
        target: target(&args)?,
        fresh: args.fresh,
    };

    let begun = Instant::now();
    let spinner = ui.spinner("connecting");
    let session = stop
        .or(async { Ok(Session::connect(&trust, options).await?) })
        .await?;
    let attested = session.attested().await;
    spinner.suspend(|| ui.banner(attested.key.sim()));
    spinner.set_prefix("waiting for the enclave");
    let deadline = args.wait.map(|s| Instant::now() + Duration::from_secs(s));
    let job = stop.or(submit(ui, &session, &request, deadline)).await?;
    spinner.set_prefix("running");

    let connected = begun.elapsed();
    let done = receive(job, output, stop, &spinner).await;
    spinner.finish_and_clear();
    let attested = session.attested().await;
    let keeper = Keeper {
        trust: &trust,
        session: &session,
        attested: &attested,
        place: receipt_place,
    };
    match done {
        Ok((finished, written)) => {
            keeper.keep(&finished.signed_receipt)?;
            let done = Done {
                session: &session,
                attested: &attested,
                finished,
                written,
                connected,
            };
            report(ui, &args, &read, &done);
            Ok(())
        }
        Err(end) => {
            if let (Some(path), Some(receipt)) = (&args.receipt, &end.receipt) {
                match keeper.keep(receipt) {
                    Ok(()) => ui.note(&format!(
                        "the signed receipt of this failure is kept in {}",
                        path.display()
                    )),
                    // What the job failed of is still what ends the command.
                    Err(failure) => ui.warning(&format!("no receipt: {}", failure.coded())),
                }
            }
            if end.rows_out && !end.failure.is_quiet() {
                ui.warning("output incomplete: the rows on stdout are not an answer");
            }
            Err(end.failure)
        }
    }
}

fn request(
    args: &RunArgs,
    tables: Vec<SealedTable>,
    keys: &KeyProvider,
) -> Result<JobRequest, Failure> {
    let mut inputs = Vec::with_capacity(tables.len());
    for (table, arg) in tables.into_iter().zip(&args.tables.tables) {
        inputs.push(match &arg.remote {
            Some(remote) => TableInput::new(table, remote)?,
            None => TableInput::of_directory(table)?,
        });
    }
    Ok(JobRequest::new(
        args.query.text()?,
        &inputs,
        keys,
        args.limits(),
    )?)
}

/// Taken like the output's: an older receipt is replaced, and only when the new one is whole.
fn receipt_place(args: &RunArgs) -> Result<Option<(Pending, File)>, Failure> {
    let Some(path) = &args.receipt else {
        return Ok(None);
    };
    if args.output.path.as_ref() == Some(path) {
        return Err(Failure::usage(
            format!("result and receipt both go to {}", path.display()),
            Some("give --receipt another name than -o"),
        ));
    }
    Ok(Some(Pending::at(path).map_err(RequesterError::from)?))
}

fn target(args: &RunArgs) -> Result<Target, Failure> {
    Ok(match (&args.node, &args.host) {
        (Some(node), _) => Target::Node(*node),
        (None, Some(address)) => Target::Address {
            address: address.clone(),
            known_hosts: paths::config_dir()?.join("known_hosts.json"),
        },
        (None, None) => Target::Any,
    })
}

/// Submits until accepted; waits while the enclave is busy, if asked to.
async fn submit(
    ui: &Ui,
    session: &Session,
    request: &JobRequest,
    deadline: Option<Instant>,
) -> Result<RunningJob, Failure> {
    let mut pause = Duration::from_millis(200);
    loop {
        let error = match session.run(request).await {
            Ok(job) => return Ok(job),
            Err(error) => error,
        };
        let left = deadline.map_or(Duration::ZERO, |end| {
            end.saturating_duration_since(Instant::now())
        });
        if error.exit() != Exit::Busy || left.is_zero() {
            return Err(error.into());
        }
        let asked = error
            .retry_after_ms()
            .map_or(pause, |ms| Duration::from_millis(ms.into()));
        ui.note(&format!("{error}; trying again"));
        tokio::time::sleep(asked.min(left).min(MAX_PAUSE)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// A job that gave no answer.
struct End {
    failure: Failure,
    receipt: Option<SignedReceipt>,
    rows_out: bool,
}

/// Writes rows as they come; commits the output only when the job has ended well.
async fn receive(
    mut job: RunningJob,
    mut output: Output,
    mut stop: Stop,
    spinner: &indicatif::ProgressBar,
) -> Result<(Finished, Written), End> {
    let canceller = job.canceller();
    let stop = tokio::spawn(async move {
        stop.wait().await;
        canceller.cancel();
    });
    let mut rows = 0;
    let mut broken = None;
    while let Some(event) = job.next().await {
        let step = match event {
            Event::Schema(schema) => output.schema(&schema),
            Event::Batch(batch) => {
                rows += batch.num_rows() as u64;
                spinner.set_message(ui::rows(rows));
                output.batch(&batch)
            }
        };
        if let Err(error) = step {
            // The disk is full, or nobody reads stdout: the rest is of no use.
            job.canceller().cancel();
            broken = Some(error);
            break;
        }
    }
    let finished = job.finish().await;
    stop.abort();
    let rows_out = output.is_out();
    let end = |failure: Failure, receipt| End {
        failure,
        receipt,
        rows_out,
    };
    match (finished, broken) {
        (Ok(finished), None) => match output.commit() {
            Ok(written) => Ok((finished, written)),
            Err(error) => Err(end(error.into(), Some(finished.signed_receipt))),
        },
        (Err(unfinished), None) => {
            let receipt = unfinished.receipt.clone();
            Err(end(unfinished.into(), receipt))
        }
        (finished, Some(error)) => {
            let receipt = match finished {
                Ok(finished) => Some(finished.signed_receipt),
                Err(unfinished) => unfinished.receipt,
            };
            Err(end(error.into(), receipt))
        }
    }
}

/// Keeps the receipt, of failures too.
struct Keeper<'a> {
    trust: &'a Trust,
    session: &'a Session,
    attested: &'a Attested,
    place: Option<(Pending, File)>,
}

impl Keeper<'_> {
    fn keep(self, receipt: &SignedReceipt) -> Result<(), Failure> {
        if let Some((place, file)) = self.place {
            SavedReceipt::new(self.trust, self.session.node(), self.attested, receipt)?
                .save_to(place, file)?;
        }
        Ok(())
    }
}

/// What the result is of.
struct Read {
    tables: Value,
    unauthenticated: Vec<String>,
}

/// A job that went well.
struct Done<'a> {
    session: &'a Session,
    attested: &'a Attested,
    finished: Finished,
    written: Written,
    connected: Duration,
}

fn report(ui: &Ui, args: &RunArgs, read: &Read, done: &Done<'_>) {
    let Done {
        session,
        attested,
        finished,
        written,
        connected,
    } = done;
    if ui.is_json() {
        let receipt = &finished.receipt;
        let value = json!({
            "schema": "duckblind/run/v1",
            "job": finished.job,
            "node": session.node(),
            "host": session.address().to_string(),
            "rows": finished.rows,
            "rows_hidden": written.rows_hidden,
            "result_bytes": finished.bytes,
            "output": args.output.path,
            "tables": read.tables,
            "unauthenticated": read.unauthenticated,
            "receipt_file": args.receipt,
            "sim": attested.key.sim(),
            "logged": false,
            "fresh": attested.presented.requester_nonce.is_some(),
            "key_statement": attested.key.key_statement(),
            "policy": attested.key.appraised().policy_id(),
            "receipt": {
                "outcome": receipt.outcome.code(),
                "order": receipt.order,
                "manifests": receipt.manifests,
                "chunks": receipt.chunks,
                "bytes": receipt.bytes,
                "transcript": receipt.transcript,
                "accepted_ms": receipt.accepted_ms,
                "ended_ms": receipt.ended_ms,
            },
            "connect_ms": milliseconds(*connected),
            "job_ms": milliseconds(finished.elapsed),
        });
        ui.result_value(&value, args.output.path.is_some());
        return;
    }
    ui.hidden_rows(written.rows_hidden);
    ui.note(&format!(
        "{}, {} in {}; job {}, receipt verified{}",
        ui::rows(finished.rows),
        ui::size(finished.bytes),
        ui::duration(finished.elapsed),
        finished.job,
        args.receipt
            .as_ref()
            .map_or_else(String::new, |path| format!(", kept in {}", path.display())),
    ));
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(all(test, feature = "simulator"))]
#[path = "run_tests.rs"]
mod tests;
