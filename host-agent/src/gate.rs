//! The frame gate: reads headers in a stream of bytes and says what may pass, without looking at a
//! payload and without waiting for its end.

use duckblind_protocol::frames::{FrameError, HEADER_LEN, Header, Kind};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a requester.
    ToEnclave,
    /// From the enclave, to a requester.
    FromEnclave,
}

/// What the front of a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes go on to the other side.
    Pass(usize),
    /// A whole frame of so many bytes, header included, that the host reads: one of the enclave's
    /// that it keeps, or a challenge of a requester's, about which it decides.
    Keep(usize),
    /// Too few bytes to tell.
    More,
}

/// Where in a sequence of frames one direction of a stream stands.
#[derive(Debug)]
pub struct Gate {
    direction: Direction,
    /// Bytes of the current frame's payload that are yet to come.
    remaining: usize,
    /// Frames whose header has passed.
    frames: u64,
}

impl Gate {
    /// Before the first frame.
    pub const fn new(direction: Direction) -> Self {
        Self {
            direction,
            remaining: 0,
            frames: 0,
        }
    }

    /// Whether no frame is half passed.
    pub const fn at_boundary(&self) -> bool {
        self.remaining == 0
    }

    /// Frames begun so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Judges the front of `buffer`, which begins where the last [`Piece`] ended. Bytes of a
    /// refused frame never pass; those before it do first.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<Piece, FrameError> {
        let mut passed = 0;
        while let Some(rest) = buffer.get(passed..) {
            if self.remaining > 0 {
                let take = self.remaining.min(rest.len());
                passed += take;
                self.remaining -= take;
                if self.remaining > 0 {
                    break;
                }
                continue;
            }
            let Some(header) = rest.first_chunk::<HEADER_LEN>() else {
                break;
            };
            match self.judge(*header) {
                Ok((header, keep)) if !keep => {
                    passed += HEADER_LEN;
                    self.remaining = header.len;
                    self.frames += 1;
                }
                // What came before goes first; the next scan begins here.
                _ if passed > 0 => break,
                Ok((header, _)) => {
                    let whole = HEADER_LEN + header.len;
                    if rest.len() < whole {
                        return Ok(Piece::More);
                    }
                    self.frames += 1;
                    return Ok(Piece::Keep(whole));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if passed > 0 {
            Piece::Pass(passed)
        } else {
            Piece::More
        })
    }

    /// Whether the frame may be here, and whether the host keeps it.
    fn judge(&self, bytes: [u8; HEADER_LEN]) -> Result<(Header, bool), FrameError> {
        let header = Header::parse(bytes)?;
        let (belongs, keep) = match self.direction {
            Direction::ToEnclave => (header.kind.from_requester(), header.kind == Kind::Challenge),
            Direction::FromEnclave => (
                header.kind.from_enclave() && header.kind != Kind::Epoch,
                header.kind == Kind::Usage,
            ),
        };
        if belongs {
            Ok((header, keep))
        } else {
            Err(FrameError::OutOfPlace(header.kind))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use duckblind_protocol::frames::frame;

    /// Runs `bytes` through a gate in reads of `step` bytes; what passed and what was kept.
    fn run(
        direction: Direction,
        bytes: &[u8],
        step: usize,
    ) -> (Vec<u8>, Vec<Vec<u8>>, Result<(), FrameError>, Gate) {
        let mut gate = Gate::new(direction);
        let (mut passed, mut kept, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        for read in bytes.chunks(step) {
            buffer.extend_from_slice(read);
            loop {
                match gate.scan(&buffer) {
                    Ok(Piece::Pass(n)) => passed.extend(buffer.drain(..n)),
                    Ok(Piece::Keep(n)) => kept.push(buffer.drain(..n).collect()),
                    Ok(Piece::More) => break,
                    Err(error) => return (passed, kept, Err(error), gate),
                }
            }
        }
        (passed, kept, Ok(()), gate)
    }

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_result() {
        let usage = frame(Kind::Usage, &[7; 40]);
        let answer = [
            frame(Kind::Accepted, &[1; 90]),
            frame(Kind::Chunk, &[2; 1000]),
            frame(Kind::Chunk, &[]),
            frame(Kind::Status, &[3; 11]),
        ]
        .concat();
        let all = [answer.clone(), usage.clone(), frame(Kind::Status, &[4; 9])].concat();
        for step in [1, 2, 3, 4, 5, 6, 7, 64, 1000, all.len()] {
            let (passed, kept, outcome, gate) = run(Direction::FromEnclave, &all, step);
            assert_eq!(outcome, Ok(()), "step {step}");
            assert_eq!(
                passed,
                [answer.clone(), frame(Kind::Status, &[4; 9])].concat()
            );
            assert_eq!(kept, std::slice::from_ref(&usage));
            assert!(gate.at_boundary());
            assert_eq!(gate.frames(), 6);
        }
    }

    #[test]
    fn each_direction_has_its_kinds() {
        for kind in Kind::ALL {
            let bytes = frame(kind, &[]);
            let (passed, kept, outcome, _) = run(Direction::ToEnclave, &bytes, 64);
            assert_eq!(outcome.is_ok(), kind.from_requester(), "{kind:?}");
            assert_eq!(!kept.is_empty(), kind == Kind::Challenge, "{kind:?}");
            let passes = kind.from_requester() && kind != Kind::Challenge;
            assert_eq!(!passed.is_empty(), passes, "{kind:?}");
            let (_, kept, outcome, _) = run(Direction::FromEnclave, &bytes, 64);
            let fine = kind.from_enclave() && kind != Kind::Epoch;
            assert_eq!(outcome.is_ok(), fine, "{kind:?}");
            assert_eq!(!kept.is_empty(), kind == Kind::Usage, "{kind:?}");
        }
    }

    #[test]
    fn good_frames_before_a_bad_one_pass_and_nothing_of_the_bad_one() {
        let good = frame(Kind::Hello, &[1; 3]);
        let bytes = [good.clone(), frame(Kind::Watch, &[])].concat();
        let (passed, _, outcome, _) = run(Direction::ToEnclave, &bytes, bytes.len());
        assert_eq!(passed, good);
        assert_eq!(outcome, Err(FrameError::OutOfPlace(Kind::Watch)));
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_header() {
        let header = Header {
            kind: Kind::Job,
            len: Kind::Job.max_len() + 1,
        };
        let (passed, _, outcome, _) = run(Direction::ToEnclave, &header.to_bytes(), 5);
        assert!(passed.is_empty());
        assert!(matches!(
            outcome,
            Err(FrameError::TooLong {
                kind: Kind::Job,
                ..
            })
        ));
    }
}
