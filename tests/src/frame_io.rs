//! Frames on a blocking byte stream: `u8 kind ‖ u32 BE length ‖ payload`, read without judging them.

use std::io::{self, Read, Write};

/// Longest payload that the malicious relay itself will hold.
const MOST: usize = 4 << 20;

/// One frame as it passed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// First byte.
    pub kind: u8,
    /// What follows the length.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The next frame, or `None` at a clean end of the stream.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        // `read_exact` goes on after an interruption, which `read` with a timeout does not.
        match from.read_exact(&mut kind) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MOST {
            return Err(io::Error::other("frame is too long"));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        Ok(Some(Self {
            kind: kind[0],
            payload,
        }))
    }

    /// Writes it with its true length.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.bytes())
    }

    /// Header and payload.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("frames are short");
        let mut bytes = vec![self.kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}
