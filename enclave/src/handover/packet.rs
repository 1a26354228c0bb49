//! Messages cut into packets and put together again. No input or output here.
//!
//! First packet: kind, length of the whole message (u32 BE), bytes. Every further packet:
//! kind | 0x80, bytes. Descriptors travel in packets of their own: [`FILES`], count (u16 BE).

use crate::handover::cap;

/// Bytes of one packet, at most.
pub const MAX_PACKET: usize = 64 << 10;
/// Descriptors of one packet, at most (the kernel's own limit is 253).
pub const MAX_FDS: usize = 200;
/// First byte of a packet that carries descriptors.
pub const FILES: u8 = 0x40;

const CONTINUED: u8 = 0x80;
const FIRST_HEADER: usize = 5;
const NEXT_HEADER: usize = 1;

/// The messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::handover::Setup`]
    Setup = 1,
    /// [`crate::handover::Ready`]
    Ready = 2,
    /// [`crate::handover::JobHeader`]
    Job = 3,
    /// Section key ‖ result key.
    Keys = 4,
    /// The sealed section.
    Section = 5,
    /// [`crate::handover::Done`]
    Done = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Setup,
            Self::Ready,
            Self::Job,
            Self::Keys,
            Self::Section,
            Self::Done,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Packets that do not make up a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// No such message.
    #[error("unknown kind of packet")]
    Kind,
    /// Longer than its kind allows, or than it said.
    #[error("a message is too long")]
    TooLong,
    /// A further packet without a first, an empty one, or one of another message.
    #[error("a packet is out of place")]
    OutOfPlace,
}

/// One packet: a header and a part of the message, so that secrets are not copied together.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    header: [u8; FIRST_HEADER],
    header_len: usize,
    /// The part.
    pub part: &'a [u8],
}

impl Packet<'_> {
    /// What goes before the part.
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }
}

/// Cuts a message. One that is beyond its cap yields what the other end refuses.
pub fn packets(kind: Kind, message: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = len.to_be_bytes();
    let (first, rest) = message.split_at(message.len().min(MAX_PACKET - FIRST_HEADER));
    let head = Packet {
        header: [kind as u8, a, b, c, d],
        header_len: FIRST_HEADER,
        part: first,
    };
    let tail = rest
        .chunks(MAX_PACKET - NEXT_HEADER)
        .map(move |part| Packet {
            header: [kind as u8 | CONTINUED, 0, 0, 0, 0],
            header_len: NEXT_HEADER,
            part,
        });
    std::iter::once(head).chain(tail)
}

/// The packet that accompanies `count` descriptors.
pub fn files_packet(count: usize) -> Option<[u8; 3]> {
    let count = u16::try_from(count)
        .ok()
        .filter(|n| usize::from(*n) <= MAX_FDS)?;
    let [high, low] = count.to_be_bytes();
    Some([FILES, high, low])
}

/// How many descriptors a packet says that it carries; `None` if it is no such packet.
pub fn files_in(packet: &[u8]) -> Option<usize> {
    match packet {
        [FILES, high, low] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// Puts one message after the other together.
#[derive(Default)]
pub struct Assembler(Option<Partial>);

struct Partial {
    kind: Kind,
    total: usize,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Takes the next packet; gives the message that it completes.
    pub fn push(&mut self, packet: &[u8]) -> Result<Option<(Kind, Vec<u8>)>, PacketError> {
        let (&byte, rest) = packet.split_first().ok_or(PacketError::OutOfPlace)?;
        let kind = Kind::of(byte & !CONTINUED).ok_or(PacketError::Kind)?;
        let mut partial = match (self.0.take(), byte & CONTINUED != 0) {
            (None, false) => {
                let (len, part) = rest
                    .split_first_chunk::<4>()
                    .ok_or(PacketError::OutOfPlace)?;
                let total =
                    usize::try_from(u32::from_be_bytes(*len)).map_err(|_| PacketError::TooLong)?;
                if total > cap(kind) {
                    return Err(PacketError::TooLong);
                }
                // All of it at once: growing would leave copies of what may be secret.
                let mut bytes = Vec::with_capacity(total);
                bytes.extend_from_slice(part);
                Partial { kind, total, bytes }
            }
            (Some(mut partial), true) if partial.kind == kind && !rest.is_empty() => {
                if rest.len() > partial.total.saturating_sub(partial.bytes.len()) {
                    return Err(PacketError::TooLong);
                }
                partial.bytes.extend_from_slice(rest);
                partial
            }
            _ => return Err(PacketError::OutOfPlace),
        };
        match partial.bytes.len().cmp(&partial.total) {
            std::cmp::Ordering::Less => {
                self.0 = Some(partial);
                Ok(None)
            }
            std::cmp::Ordering::Equal => {
                Ok(Some((partial.kind, std::mem::take(&mut partial.bytes))))
            }
            std::cmp::Ordering::Greater => Err(PacketError::TooLong),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(packet: &Packet<'_>) -> Vec<u8> {
        [packet.header(), packet.part].concat()
    }

    proptest! {
        #[test]
        fn any_message_survives_the_cut(len in 0usize..300_000, seed: u8) {
            let message: Vec<u8> = (0..len).map(|i| seed.wrapping_add(i.to_le_bytes()[0])).collect();
            let mut assembler = Assembler::default();
            let all: Vec<_> = packets(Kind::Section, &message).map(|p| flat(&p)).collect();
            prop_assert!(all.iter().all(|p| p.len() <= MAX_PACKET));
            let (last, before) = all.split_last().unwrap();
            for packet in before {
                prop_assert_eq!(assembler.push(packet).unwrap(), None);
            }
            prop_assert_eq!(assembler.push(last).unwrap(), Some((Kind::Section, message)));
        }

        #[test]
        fn any_bytes_are_refused_or_taken_in_bounds(all in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut assembler = Assembler::default();
            for packet in &all {
                if let Ok(Some((kind, bytes))) = assembler.push(packet) {
                    prop_assert!(bytes.len() <= cap(kind));
                }
            }
        }
    }

    #[test]
    fn out_of_place() {
        let mut assembler = Assembler::default();
        let mut next = vec![Kind::Section as u8 | CONTINUED];
        assert_eq!(assembler.push(&next), Err(PacketError::OutOfPlace));
        assert_eq!(assembler.push(&[]), Err(PacketError::OutOfPlace));
        assert_eq!(assembler.push(&[99, 0, 0, 0, 0]), Err(PacketError::Kind));
        // Another message between the packets of one.
        let first = [Kind::Section as u8, 0, 0, 0, 9, 1];
        assert_eq!(assembler.push(&first), Ok(None));
        assert_eq!(
            assembler.push(&[Kind::Done as u8 | CONTINUED, 1]),
            Err(PacketError::OutOfPlace)
        );
        // More than it said.
        assert_eq!(assembler.push(&first), Ok(None));
        next.extend([0; 9]);
        assert_eq!(assembler.push(&next), Err(PacketError::TooLong));
        // More than its kind allows.
        assert_eq!(
            assembler.push(&[Kind::Keys as u8, 0, 0, 0, 65]),
            Err(PacketError::TooLong)
        );
    }

    #[test]
    fn descriptors_are_counted() {
        assert_eq!(files_in(&files_packet(200).unwrap()), Some(200));
        assert_eq!(files_packet(201), None);
        assert_eq!(files_in(&[FILES, 0]), None);
    }
}
