//! The log of what was measured into the runtime registers: CCEL, a TCG crypto-agile event log
//! (TCG PC Client Platform Firmware Profile, chapter 10; UEFI, "Confidential Computing").
//!
//! The log itself is not signed. Replaying it yields register values, and only if they equal those
//! of the quote are its *digests* and their order genuine. Kinds and data of events never are,
//! unless the digest happens to be that of the data.

use aws_lc_rs::digest;

use crate::evidence::MAX_EVENT_LOG;
use crate::measurement::Measurement;

/// Events that a log may have. Real ones have tens.
pub const MAX_EVENTS: usize = 10_000;

/// Register 1 of the log is RTMR 0; register 0 is MRTD, which no event extends.
const FIRST_RTMR: u32 = 1;
/// `EV_NO_ACTION`: measured into nothing.
const NO_ACTION: u32 = 3;
const SHA384: u16 = 0x0c;
const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
/// Fills what the firmware reserved for the log.
const FILLERS: [u8; 2] = [0xff, 0];

/// Why bytes are no event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventLogError {
    /// More bytes than a log may have.
    #[error("{0} bytes")]
    TooLong(usize),
    /// More events than a log may have.
    #[error("more than {MAX_EVENTS} events")]
    TooMany,
    /// The first event does not say what this is.
    #[error("not a crypto-agile event log of SHA-384 digests")]
    Header,
    /// The bytes end within an event.
    #[error("event {0} is cut off")]
    Truncated(usize),
    /// An event for a register that there is not.
    #[error("event {0} is for register {1}")]
    Register(usize, u32),
    /// An event without a SHA-384 digest, or with others.
    #[error("event {0} has other digests than one of SHA-384")]
    Digests(usize),
}

/// Something that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which RTMR, 0 to 3.
    pub register: usize,
    /// What the log calls it; not authentic.
    pub kind: u32,
    /// What was measured.
    pub digest: Measurement,
    /// What the log says of it; not authentic.
    pub data: &'a [u8],
}

/// A log that can be read in one way only, and what it replays to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog<'a> {
    events: Vec<Event<'a>>,
    registers: [Measurement; 4],
}

impl<'a> EventLog<'a> {
    /// Reads all of `raw` and replays it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, EventLogError> {
        if raw.len() > MAX_EVENT_LOG {
            return Err(EventLogError::TooLong(raw.len()));
        }
        let r = &mut Reader(raw);
        spec_id(r).ok_or(EventLogError::Header)?;
        let mut log = Self {
            events: Vec::new(),
            registers: [Measurement::from_bytes([0; 48]); 4],
        };
        // Counts what is measured into nothing, too.
        let mut number = 0;
        while !r.at_end() {
            number += 1;
            if number > MAX_EVENTS {
                return Err(EventLogError::TooMany);
            }
            if let Some(event) = event(r, number)? {
                let register = log.registers.get_mut(event.register);
                let register = register.ok_or(EventLogError::Register(number, u32::MAX))?;
                *register = extended(register, &event.digest);
                log.events.push(event);
            }
        }
        Ok(log)
    }

    /// What was measured, in order. Believe no digest before the registers have been compared, and
    /// nothing else ever.
    pub fn events(&self) -> &[Event<'a>] {
        &self.events
    }

    /// The values that the log replays to.
    pub const fn registers(&self) -> &[Measurement; 4] {
        &self.registers
    }
}

fn extended(register: &Measurement, with: &Measurement) -> Measurement {
    let mut running = digest::Context::new(&digest::SHA384);
    running.update(register.as_bytes());
    running.update(with.as_bytes());
    let mut bytes = [0; Measurement::LEN];
    bytes.copy_from_slice(running.finish().as_ref());
    Measurement::from_bytes(bytes)
}

/// The first event, in the old form that has one SHA-1 digest: which digests the others have.
fn spec_id(r: &mut Reader<'_>) -> Option<()> {
    let _register = r.u32()?;
    let kind = r.u32()?;
    r.take(20)?;
    let len = r.u32()?;
    let data = &mut Reader(r.take(len.try_into().ok()?)?);
    let signature: [u8; 16] = data.array()?;
    let _platform_class = data.u32()?;
    let [_minor, major, _errata, _size_of_uintn] = data.array()?;
    let algorithms = data.u32()?;
    let (algorithm, size) = (data.u16()?, data.u16()?);
    let [vendor] = data.array()?;
    data.take(usize::from(vendor))?;
    let known = kind == NO_ACTION
        && signature == *SIGNATURE
        && major == 2
        && algorithms == 1
        && algorithm == SHA384
        && usize::from(size) == Measurement::LEN
        && data.0.is_empty();
    known.then_some(())
}

/// The next event, or none if it was not measured.
fn event<'a>(r: &mut Reader<'a>, number: usize) -> Result<Option<Event<'a>>, EventLogError> {
    let cut = EventLogError::Truncated(number);
    let index = r.u32().ok_or(cut)?;
    let kind = r.u32().ok_or(cut)?;
    let digests = r.u32().ok_or(cut)?;
    if digests != 1 || r.u16().ok_or(cut)? != SHA384 {
        return Err(EventLogError::Digests(number));
    }
    let digest = Measurement::from_bytes(r.array().ok_or(cut)?);
    let len = r.u32().ok_or(cut)?;
    let data = len.try_into().ok().and_then(|len| r.take(len)).ok_or(cut)?;
    if kind == NO_ACTION {
        return Ok(None);
    }
    let register = index
        .checked_sub(FIRST_RTMR)
        .filter(|register| *register < 4)
        .and_then(|register| usize::try_from(register).ok())
        .ok_or(EventLogError::Register(number, index))?;
    Ok(Some(Event {
        register,
        kind,
        digest,
        data,
    }))
}

/// Bytes still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Whether nothing follows but filling. No event begins with as many equal bytes.
    fn at_end(&self) -> bool {
        let start = self.0.get(..8).unwrap_or(self.0);
        let fills = |filler| move |byte: &u8| *byte == filler;
        FILLERS
            .into_iter()
            .any(|filler| start.iter().all(fills(filler)) && self.0.iter().all(fills(filler)))
    }
}

#[cfg(test)]
mod tests;
