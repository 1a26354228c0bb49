//! A query process: exec'd fresh, warmed up, used for one job, killed.
//!
//! It hears from its supervisor over one socket ([`crate::handover`]), reads its inputs through
//! descriptors that it is handed, and answers through one pipe ([`output`]). It has no tokio, no
//! logs, no environment; what goes wrong goes sealed to the requester ([`job`]).

mod inputs;
mod job;
mod output;

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use duckblind_engine::{Engine, Settings, Spill, engine_version};
use rustix::net::{SocketType, sockopt::socket_type};

use crate::error::EnclaveError;
use crate::handover::socket::{ChannelError, ProcessEnd};
use crate::handover::{Ready, Setup, SpillRoom};
use crate::walls;

/// Memory arenas of the allocator: more would only hold more idle pages.
const ARENAS: i32 = 4;

/// The whole life of a query process.
pub fn main() -> Result<(), EnclaveError> {
    if !matches!(
        socket_type(std::io::stdin().as_fd()),
        Ok(SocketType::SEQPACKET)
    ) {
        return Err(EnclaveError::NotByHand);
    }
    walls::raise_at_start();
    crate::sys::limit_arenas(ARENAS);
    let (socket, pipe) = crate::sys::take_channels()?;
    let given = [socket.as_raw_fd(), pipe.as_raw_fd()];
    let mut supervisor = ProcessEnd::new(socket);
    match serve(&mut supervisor, pipe, given) {
        // The supervisor needs this one no more.
        Err(ChannelError::Closed) => Ok(()),
        other => other.map_err(|error| EnclaveError::Standby(error.to_string())),
    }
}

fn serve(supervisor: &mut ProcessEnd, pipe: OwnedFd, given: [i32; 2]) -> Result<(), ChannelError> {
    let setup = supervisor.setup()?;
    let spill_bytes = setup.spill.as_ref().map_or(0, |room| room.max_bytes);
    walls::raise_limits(setup.memory_bytes, setup.threads, spill_bytes);
    let engine = Engine::open(&settings(&setup));
    let (facts, failure) = match walls::read_back(&given) {
        Ok(facts) => (Some(facts), None),
        Err(error) => (
            None,
            Some(format!("the walls cannot be read back: {error}")),
        ),
    };
    let (engine, failure) = match engine {
        Ok(engine) => (Some(engine), failure),
        Err(error) => (None, failure.or(Some(error.to_string()))),
    };
    supervisor.ready(&Ready {
        facts,
        engine: engine_version(),
        failure,
    })?;
    match engine {
        Some(engine) => {
            let job = supervisor.job()?;
            job::run(engine, job, supervisor, pipe)
        }
        None => Ok(()),
    }
}

fn settings(setup: &Setup) -> Settings {
    let spill = match &setup.spill {
        None => Spill::Off,
        Some(SpillRoom { dir, max_bytes }) => Spill::Encrypted {
            dir: crate::handover::spill_dir(dir.as_ref(), std::process::id()),
            max_bytes: *max_bytes,
        },
    };
    Settings {
        threads: setup.threads,
        memory_bytes: setup.memory_bytes,
        spill,
    }
}
