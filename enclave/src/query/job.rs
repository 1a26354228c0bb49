//! The one job of a query process: open its section, check its inputs, run its query, seal the
//! answer. Every error in full, inside the sealed stream only.

use std::os::fd::OwnedFd;

use arrow::ipc::writer::StreamWriter;
use duckblind_engine::{Engine, EngineError, Rows};
use duckblind_protocol::body::{QuerySection, Section};
use duckblind_protocol::ids::JobId;
use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::open::{ResultKey, SectionKey, open_section};
use duckblind_protocol::result_stream::{FinalStatus, ResultSealer};
use zeroize::Zeroizing;

use crate::handover::socket::{ChannelError, ProcessEnd};
use crate::handover::{Done, HandedJob, JobHeader, KEYS_LEN, Keys};
use crate::query::inputs;
use crate::query::output::SealedOutput;
use crate::walls;

/// Runs the job and says how it ended. An error here means that nobody listens any more.
pub(super) fn run(
    mut engine: Engine,
    job: HandedJob,
    supervisor: &mut ProcessEnd,
    pipe: OwnedFd,
) -> Result<(), ChannelError> {
    let HandedJob {
        header,
        keys,
        files,
        section,
    } = job;
    walls::limit_memory(header.limits.memory_bytes, header.limits.threads);
    let (section_key, sealer) = open_keys(&keys, &header.job)?;
    drop(keys);
    let mut output = SealedOutput::new(sealer, pipe, header.limits.result_bytes);

    let result = start(&mut engine, &header, &section_key, section, files)
        .and_then(|rows| stream(rows, &mut output));
    let status = match result {
        Ok(rows) => FinalStatus::Ok { rows },
        Err(error) => FinalStatus::Failed(error),
    };
    let failure = match &status {
        FinalStatus::Ok { .. } => None,
        FinalStatus::Failed(error) => Some(error.code),
    };
    // Said first: when the pipe ends, the supervisor finds it waiting.
    supervisor.done(Done { failure })?;
    let _ = output.finish(status);
    // To be killed is faster than to clean up, and leaves the processors to the result.
    supervisor.wait_for_the_end();
    Ok(())
}

fn open_keys(keys: &Keys, job: &JobId) -> Result<(SectionKey, ResultSealer), ChannelError> {
    let mut section = Box::new(Zeroizing::new([0; KEYS_LEN / 2]));
    let mut result = Box::new(Zeroizing::new([0; KEYS_LEN / 2]));
    let (first, second) = keys.split_at(KEYS_LEN / 2);
    section.copy_from_slice(first);
    result.copy_from_slice(second);
    let sealer = ResultSealer::new(&ResultKey::from_bytes(result), job)
        .map_err(|_| ChannelError::Unexpected)?;
    Ok((SectionKey::from_bytes(section), sealer))
}

fn start(
    engine: &mut Engine,
    header: &JobHeader,
    key: &SectionKey,
    section: Vec<u8>,
    files: Vec<OwnedFd>,
) -> Result<Rows, JobError> {
    let bytes = open_section(key, Section::Query, &header.job, &header.enc, section)
        .map_err(|_| JobError::new(JobCode::Malformed, "the query section does not open"))?;
    let section = QuerySection::decode(&bytes)
        .map_err(|error| JobError::new(JobCode::Malformed, error.to_string()))?;
    drop(bytes);
    let tables = inputs::open(&header.inputs, &section.inputs, files)?;
    let told = |error: EngineError| error.to_job_error();
    for table in tables {
        engine
            .add_sealed_table(&table.name, &table.manifest, table.files)
            .map_err(told)?;
    }
    engine
        .set_limits(header.limits.threads, header.limits.memory_bytes)
        .map_err(told)?;
    engine.query(section.sql.expose()).map_err(told)
}

/// The rows as an Arrow IPC stream; gives their number.
fn stream(mut rows: Rows, output: &mut SealedOutput) -> Result<u64, JobError> {
    let mut count: u64 = 0;
    let written = (|| -> Result<(), Failure> {
        let mut writer = StreamWriter::try_new(&mut *output, &rows.schema())?;
        while let Some(batch) = rows.next_batch()? {
            count = count.saturating_add(batch.num_rows() as u64);
            writer.write(&batch)?;
        }
        writer.finish()?;
        Ok(())
    })();
    match written {
        Ok(()) => Ok(count),
        Err(Failure::Engine(error)) => Err(error.to_job_error()),
        Err(Failure::Output) if output.is_beyond_limit() => Err(output.limit_error()),
        Err(Failure::Output) => Err(JobError::new(
            JobCode::Internal,
            "the result cannot be written",
        )),
    }
}

enum Failure {
    Engine(EngineError),
    /// The channel is gone, or its limit reached: what exactly, nobody could be told.
    Output,
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(_: arrow::error::ArrowError) -> Self {
        Self::Output
    }
}
