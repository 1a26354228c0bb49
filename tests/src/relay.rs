//! A malicious relay: it stands between host and enclave, sees every frame of every connection, and does to the
//! frame of a chosen kind what a machine's owner could do: change, drop, repeat, reorder, withhold, swap, cut.

use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::frame_io::Frame;

/// What is done to a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attack {
    /// One bit of the payload is flipped, at this fraction of its length (in thousandths).
    Flip(u16),
    /// The payload loses its last byte.
    Shorten,
    /// The payload gains a byte.
    Lengthen,
    /// The frame never arrives.
    Drop,
    /// The frame arrives twice.
    Repeat,
    /// The frame arrives after the next one of its direction.
    Reorder,
    /// The frame and all after it, in both directions, never arrive; the connection stays open.
    Withhold,
    /// The frame, and what follows it, arrives this many milliseconds later.
    Delay(u64),
    /// The connection ends in front of the frame.
    Cut,
    /// The header promises this many bytes.
    Oversize(u32),
    /// The frame arrives with another kind byte.
    Relabel(u8),
    /// Another frame of this kind and payload comes first.
    Insert(u8, Vec<u8>),
    /// The frame is replaced by these bytes under its own kind.
    Replace(Vec<u8>),
}

/// Which frame is meant.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kind of the frame.
    pub kind: u8,
    /// How many frames of that kind pass unharmed first, counted from the plan's beginning.
    pub skip: usize,
    /// Whether later frames of the kind are hit, too.
    pub every: bool,
    /// What is done.
    pub attack: Attack,
}

/// One frame that arrived at the relay.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection, counted from 0.
    pub connection: usize,
    /// From the host towards the enclave.
    pub to_enclave: bool,
    /// The frame as it arrived, before any attack.
    pub frame: Frame,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    passed: usize,
    hits: usize,
    seen: Vec<Seen>,
    connections: Vec<(UnixStream, UnixStream)>,
}

struct Shared {
    state: Mutex<State>,
    stop: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a relay thread panicked")
    }
}

/// The relay, listening on a unix socket until dropped.
pub struct Relay {
    shared: Arc<Shared>,
    socket: PathBuf,
    accepting: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on `socket` and passes everything on to `enclave`.
    pub fn start(socket: &Path, enclave: &Path) -> Result<Self> {
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            stop: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let (shared, enclave) = (Arc::clone(&shared), enclave.to_owned());
            move || accept(&listener, &enclave, &shared)
        });
        Ok(Self {
            shared,
            socket: socket.to_owned(),
            accepting: Some(accepting),
        })
    }

    /// From now on this is done, until the next call.
    pub fn attack(&self, plan: Plan) {
        let mut state = self.shared.state();
        state.plan = Some(plan);
        state.passed = 0;
        state.hits = 0;
    }

    /// From now on nothing is done. Connections that an attack has left hanging are ended.
    pub fn behave(&self) {
        let mut state = self.shared.state();
        state.plan = None;
        for (a, b) in state.connections.drain(..) {
            let _ = a.shutdown(Shutdown::Both);
            let _ = b.shutdown(Shutdown::Both);
        }
    }

    /// How often the plan has struck.
    pub fn hits(&self) -> usize {
        self.shared.state().hits
    }

    /// Every frame since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.state().seen)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.behave();
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.socket);
    }
}

fn accept(listener: &UnixListener, enclave: &Path, shared: &Arc<Shared>) {
    let mut number = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((host, _)) = listener.accept() else {
            sleep(Duration::from_millis(1));
            continue;
        };
        let Ok(enclave) = UnixStream::connect(enclave) else {
            continue;
        };
        if pump_both(number, host, enclave, shared).is_err() {
            continue;
        }
        number += 1;
    }
}

fn pump_both(
    number: usize,
    host: UnixStream,
    enclave: UnixStream,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    host.set_nonblocking(false)?;
    shared
        .state()
        .connections
        .push((host.try_clone()?, enclave.try_clone()?));
    // Once set, neither direction of this connection passes anything on.
    let withheld = Arc::new(AtomicBool::new(false));
    for (from, to, to_enclave) in [
        (host.try_clone()?, enclave.try_clone()?, true),
        (enclave, host, false),
    ] {
        let (shared, withheld) = (Arc::clone(shared), Arc::clone(&withheld));
        thread::spawn(move || {
            let pump = Pump {
                connection: number,
                to_enclave,
                withheld,
                shared,
            };
            pump.run(from, to);
        });
    }
    Ok(())
}

struct Pump {
    connection: usize,
    to_enclave: bool,
    withheld: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Pump {
    fn run(&self, mut from: UnixStream, mut to: UnixStream) {
        let mut held: Option<Frame> = None;
        while let Ok(Some(frame)) = Frame::read(&mut from) {
            let attack = self.note(&frame);
            if self.withheld.load(Ordering::SeqCst) {
                continue;
            }
            let after = held.take();
            let done = match attack {
                None => frame.write(&mut to),
                Some(Attack::Reorder) => {
                    held = Some(frame);
                    Ok(())
                }
                Some(attack) => self.strike(&attack, frame, &mut to),
            };
            let done = done.and_then(|()| after.map_or(Ok(()), |frame| frame.write(&mut to)));
            if done.is_err() {
                break;
            }
        }
        if self.withheld.load(Ordering::SeqCst) {
            return;
        }
        if let Some(frame) = held {
            let _ = frame.write(&mut to);
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Records the frame and says what is to be done to it.
    fn note(&self, frame: &Frame) -> Option<Attack> {
        let mut state = self.shared.state();
        state.seen.push(Seen {
            connection: self.connection,
            to_enclave: self.to_enclave,
            frame: frame.clone(),
        });
        let plan = state.plan.clone().filter(|plan| plan.kind == frame.kind)?;
        state.passed += 1;
        let hit = state.passed == plan.skip + 1 || plan.every && state.passed > plan.skip;
        if hit {
            state.hits += 1;
        }
        hit.then_some(plan.attack)
    }

    fn strike(&self, attack: &Attack, mut frame: Frame, to: &mut UnixStream) -> io::Result<()> {
        match attack {
            Attack::Flip(thousandths) => {
                let at = frame.payload.len() * usize::from(*thousandths) / 1000;
                if let Some(byte) = frame.payload.get_mut(at) {
                    *byte ^= 0x10;
                }
                frame.write(to)
            }
            Attack::Shorten => {
                frame.payload.pop();
                frame.write(to)
            }
            Attack::Lengthen => {
                frame.payload.push(0);
                frame.write(to)
            }
            Attack::Drop => Ok(()),
            Attack::Repeat => {
                frame.write(to)?;
                frame.write(to)
            }
            Attack::Withhold => {
                self.withheld.store(true, Ordering::SeqCst);
                Ok(())
            }
            Attack::Delay(ms) => {
                sleep(Duration::from_millis(*ms));
                frame.write(to)
            }
            Attack::Oversize(length) => {
                let mut bytes = vec![frame.kind];
                bytes.extend(length.to_be_bytes());
                bytes.extend(&frame.payload);
                to.write_all(&bytes)
            }
            Attack::Relabel(kind) => {
                frame.kind = *kind;
                frame.write(to)
            }
            Attack::Insert(kind, payload) => {
                let inserted = Frame {
                    kind: *kind,
                    payload: payload.clone(),
                };
                inserted.write(to)?;
                frame.write(to)
            }
            Attack::Replace(payload) => {
                frame.payload.clone_from(payload);
                frame.write(to)
            }
            Attack::Reorder | Attack::Cut => Err(io::Error::other("cut")),
        }
    }
}
