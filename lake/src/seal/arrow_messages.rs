//! The messages of an Arrow IPC file or stream, with caps on every length before anything is
//! allocated. A file is a stream between two magics, with a footer that says what is in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};

use arrow::buffer::Buffer;
use arrow::ipc::{
    Message as Head, MessageHeader, RecordBatch as Body, root_as_footer, root_as_message,
};

use super::error::SealError;
use super::input::{Input, unreadable};
use super::progress::{Counted, Passed};

const MAGIC: &[u8; 6] = b"ARROW1";
/// Bytes before a file's first message, at most.
const MAX_START: u64 = 64;
/// In front of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Largest description of a message, in bytes: of a schema with many thousand columns.
const MAX_HEAD: u64 = 16 << 20;
/// Largest record batch, and all dictionaries together, in bytes: they are in memory as a whole.
pub(super) const MAX_BODY: u64 = 128 << 20;

/// Reads one message after the other.
pub(super) struct Messages {
    input: Input,
    reader: Counted<BufReader<File>>,
    /// Bytes that messages may still take.
    left: u64,
    /// Record batches that a footer promises and that did not come yet.
    promised: Option<usize>,
    /// Bytes of every dictionary.
    dictionaries: BTreeMap<i64, u64>,
}

impl Messages {
    pub(super) fn open(input: &Input, passed: &Passed) -> Result<Self, SealError> {
        let mut start = Vec::new();
        let mut reader = input.open(&Passed::default())?.take(MAX_START + 8);
        reader
            .read_to_end(&mut start)
            .map_err(|error| unreadable(&input.path, &error))?;
        let mut messages = Self {
            reader: input.open(passed)?,
            left: input.size,
            promised: None,
            dictionaries: BTreeMap::new(),
            input: input.clone(),
        };
        // A stream begins with its first message, a file with magic and zeros.
        if let Some(rest) = start.strip_prefix(MAGIC) {
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            let mut skipped = vec![0; MAGIC.len() + zeros];
            messages.read(&mut skipped)?;
            let (batches, end) = footer(input)?;
            messages.promised = Some(batches);
            messages.left = end.saturating_sub(skipped.len() as u64);
        }
        Ok(messages)
    }

    /// The next message with what stands in front of it; none at the mark that ends a stream.
    pub(super) fn next(&mut self) -> Result<Option<Buffer>, SealError> {
        let mut prefix = [0; 8];
        self.take(8)?;
        self.read(&mut prefix)?;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = prefix;
        if [c0, c1, c2, c3] != CONTINUATION {
            return Err(no_arrow(&self.input));
        }
        let head = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        if head == 0 {
            return match self.promised {
                None | Some(0) => Ok(None),
                Some(_) => Err(self.malformed("fewer record batches than its footer says")),
            };
        }
        if head > MAX_HEAD {
            return Err(self.malformed("the description of a message is too long"));
        }
        self.take(head)?;
        let mut message = vec![0; prefix.len() + usize::try_from(head).unwrap_or(0)];
        let (start, rest) = message.split_at_mut(prefix.len());
        start.copy_from_slice(&prefix);
        self.read(rest)?;
        let body = self.body_length(message.get(prefix.len()..).unwrap_or(&[]))?;
        self.take(body)?;
        let at = message.len();
        message.resize(at + usize::try_from(body).unwrap_or(0), 0);
        if let Some(body) = message.get_mut(at..) {
            self.read(body)?;
        }
        let (head, body) = message.split_at_checked(at).unwrap_or_default();
        self.admit(head.get(prefix.len()..).unwrap_or(&[]), body)?;
        Ok(Some(Buffer::from_vec(message)))
    }

    fn body_length(&self, head: &[u8]) -> Result<u64, SealError> {
        let length = self.parse(head)?.bodyLength();
        match u64::try_from(length) {
            Ok(length) if length <= MAX_BODY => Ok(length),
            Ok(length) => Err(self.too_large(length)),
            Err(_) => Err(self.malformed("a message of negative length")),
        }
    }

    /// Counts what a message brings, and looks at how much it would take in memory.
    fn admit(&mut self, head: &[u8], body: &[u8]) -> Result<(), SealError> {
        let message = self.parse(head)?;
        match message.header_type() {
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch();
                self.size_in_memory(batch, body)?;
                if let Some(promised) = &mut self.promised {
                    *promised = promised.checked_sub(1).ok_or_else(|| {
                        let what = "more record batches than its footer says";
                        self.input.malformed(None, what)
                    })?;
                }
            }
            MessageHeader::DictionaryBatch => {
                let Some(dictionary) = message.header_as_dictionary_batch() else {
                    return Err(no_arrow(&self.input));
                };
                let size = self.size_in_memory(dictionary.data(), body)?;
                let known = self.dictionaries.entry(dictionary.id()).or_default();
                *known = if dictionary.isDelta() {
                    known.saturating_add(size)
                } else {
                    size
                };
                let all = self.dictionaries.values();
                let all = all.fold(0_u64, |all, size| all.saturating_add(*size));
                if all > MAX_BODY {
                    return Err(self.too_large(all));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compressed buffers say how long they are when they are not. The library panics at buffers
    /// outside the body.
    fn size_in_memory(&self, batch: Option<Body<'_>>, body: &[u8]) -> Result<u64, SealError> {
        let Some(batch) = batch else {
            return Err(no_arrow(&self.input));
        };
        let mut size = body.len() as u64;
        for buffer in batch.buffers().iter().flatten() {
            let bytes = usize::try_from(buffer.offset())
                .ok()
                .zip(usize::try_from(buffer.length()).ok())
                .and_then(|(at, length)| body.get(at..)?.get(..length))
                .ok_or_else(|| self.malformed("a buffer outside its message"))?;
            if batch.compression().is_some() {
                // -1 stands in front of a buffer that is not compressed after all.
                let claimed = bytes.first_chunk::<8>();
                let claimed = claimed.map_or(0, |claimed| i64::from_le_bytes(*claimed));
                size = size.saturating_add(u64::try_from(claimed).unwrap_or(0));
            }
        }
        if size > MAX_BODY.saturating_mul(2) {
            return Err(self.too_large(size));
        }
        Ok(size)
    }

    fn parse<'a>(&self, head: &'a [u8]) -> Result<Head<'a>, SealError> {
        root_as_message(head).map_err(|_| self.malformed("a message that does not parse"))
    }

    fn take(&mut self, length: u64) -> Result<(), SealError> {
        self.left = self
            .left
            .checked_sub(length)
            .ok_or_else(|| self.malformed("it ends before its end mark"))?;
        Ok(())
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<(), SealError> {
        let read = self.reader.read_exact(buf);
        read.map_err(|error| unreadable(&self.input.path, &error))
    }

    fn malformed(&self, what: &str) -> SealError {
        self.input.malformed(None, what)
    }

    fn too_large(&self, bytes: u64) -> SealError {
        let what = format!("a record batch of {bytes} bytes, which is more than {MAX_BODY}");
        self.input.malformed(None, what)
    }
}

fn no_arrow(input: &Input) -> SealError {
    input.malformed(None, "no Arrow file or stream")
}

/// How many record batches the footer of a file says there are, and where the footer begins.
fn footer(input: &Input) -> Result<(usize, u64), SealError> {
    let broken = || input.malformed(None, "it is cut off: its footer does not parse");
    let mut file = File::open(&input.path).map_err(|error| unreadable(&input.path, &error))?;
    let tail_at = input.size.checked_sub(10).ok_or_else(broken)?;
    let mut tail = [0; 10];
    let mut read = |at: u64, buf: &mut [u8]| {
        let read = file.seek(SeekFrom::Start(at));
        read.and_then(|_| file.read_exact(buf))
            .map_err(|error| unreadable(&input.path, &error))
    };
    read(tail_at, &mut tail)?;
    let [l0, l1, l2, l3, magic @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    let start = tail_at.checked_sub(length).ok_or_else(broken)?;
    if &magic != MAGIC || length > MAX_HEAD {
        return Err(broken());
    }
    let mut footer = vec![0; usize::try_from(length).unwrap_or(0)];
    read(start, &mut footer)?;
    let footer = root_as_footer(&footer).map_err(|_| broken())?;
    Ok((
        footer.recordBatches().map_or(0, |batches| batches.len()),
        start,
    ))
}
