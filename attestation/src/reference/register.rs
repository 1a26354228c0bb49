//! A runtime measurement register of TDX: SHA-384 over its old value and the new digest (Intel TDX
//! Module ABI, `TDG.MR.RTMR.EXTEND`).

use aws_lc_rs::digest;

use super::ReferenceError;
use crate::measurement::Measurement;

/// The most lines of a runtime log.
pub const MAX_EVENTS: usize = 100_000;

/// The value of a register that started at zero and was extended by these digests.
pub fn replay(events: impl IntoIterator<Item = Measurement>) -> Measurement {
    events
        .into_iter()
        .fold(Measurement::from_bytes([0; 48]), |register, event| {
            sha384([register.as_bytes(), event.as_bytes()])
        })
}

/// RTMR3 after a runtime log: one digest of 96 hex digits per line; empty lines and lines that
/// start with `#` do not count.
pub fn rtmr3(log: &str) -> Result<Measurement, ReferenceError> {
    let events = log
        .lines()
        .enumerate()
        .map(|(at, line)| (at, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| match line.parse() {
            Ok(event) if at < MAX_EVENTS => Ok(event),
            _ => Err(ReferenceError::RuntimeLog(at + 1)),
        })
        .collect::<Result<Vec<Measurement>, _>>()?;
    if events.is_empty() {
        return Err(ReferenceError::NothingMeasured("rtmr3"));
    }
    Ok(replay(events))
}

/// SHA-384 over the parts, one after the other.
pub(super) fn sha384<'a, const N: usize>(parts: [impl AsRef<[u8]> + Copy + 'a; N]) -> Measurement {
    let mut running = digest::Context::new(&digest::SHA384);
    for part in parts {
        running.update(part.as_ref());
    }
    finish(running)
}

/// What a SHA-384 comes to.
pub(super) fn finish(running: digest::Context) -> Measurement {
    let mut bytes = [0; 48];
    bytes.copy_from_slice(running.finish().as_ref());
    Measurement::from_bytes(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_replayed_in_order() {
        let (a, b) = (sha384(["a"]), sha384(["b"]));
        let log = format!("# first\n{a}\n\n  {b}\n");
        assert_eq!(rtmr3(&log).unwrap(), replay([a, b]));
        assert_ne!(replay([a, b]), replay([b, a]));
        assert!(matches!(
            rtmr3(&format!("{a}\nabc")),
            Err(ReferenceError::RuntimeLog(2))
        ));
        assert!(matches!(
            rtmr3("# nothing\n"),
            Err(ReferenceError::NothingMeasured("rtmr3"))
        ));
        let long = format!("{}{a}\n", "\n".repeat(MAX_EVENTS));
        assert!(matches!(
            rtmr3(&long),
            Err(ReferenceError::RuntimeLog(100_001))
        ));
    }
}
