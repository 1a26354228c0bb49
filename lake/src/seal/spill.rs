//! Rows that are put aside while a table is sorted: encrypted under a key that is never stored, in
//! a file without a name.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::error::SealError;
use super::workspace::Workspace;
use crate::keys::DataKey;

/// One file of rows put aside.
pub(super) struct Spill {
    file: File,
    key: LessSafeKey,
    end: u64,
    blocks: u64,
}

/// Where some of the rows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    number: u64,
    start: u64,
    length: usize,
}

impl Block {
    /// About as many bytes as the rows take in memory.
    pub(super) fn size(&self) -> usize {
        self.length
    }
}

impl Spill {
    pub(super) fn new(workspace: &mut Workspace) -> Result<Self, SealError> {
        Ok(Self {
            file: workspace.scratch()?,
            key: DataKey::generate()?.aead()?,
            end: 0,
            blocks: 0,
        })
    }

    /// Puts rows aside.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<Block, SealError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
        writer.write(rows)?;
        let mut bytes = writer.into_inner()?;
        let block = Block {
            number: self.blocks,
            start: self.end,
            length: bytes.len(),
        };
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(block.number), Aad::empty(), &mut bytes)
            .map_err(|_| SealError::Spill)?;
        bytes.extend_from_slice(tag.as_ref());
        self.file
            .write_all_at(&bytes, self.end)
            .map_err(|error| SealError::Output {
                path: "temporary data".into(),
                kind: error.kind(),
            })?;
        self.end += bytes.len() as u64;
        self.blocks += 1;
        Ok(block)
    }

    /// Takes them up again.
    pub(super) fn read(&self, block: Block) -> Result<RecordBatch, SealError> {
        let mut bytes = vec![0; block.length + self.key.algorithm().tag_len()];
        self.file
            .read_exact_at(&mut bytes, block.start)
            .map_err(|_| SealError::Spill)?;
        self.key
            .open_in_place(nonce(block.number), Aad::empty(), &mut bytes)
            .map_err(|_| SealError::Spill)?;
        bytes.truncate(block.length);
        let mut bytes = Buffer::from_vec(bytes);
        StreamDecoder::new()
            .decode(&mut bytes)?
            .ok_or(SealError::Spill)
    }
}

/// Every block has its own number, and every file its own key.
fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let (low, _) = nonce.split_at_mut(8);
    low.copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn rows_come_back_and_are_nowhere_in_the_clear() {
        let dir = tempfile::tempdir().unwrap();
        let mut workspace = Workspace::open(dir.path()).unwrap();
        let mut spill = Spill::new(&mut workspace).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let rows = |n: i64| {
            let words = StringArray::from_iter_values((0..n).map(|at| format!("canary {at}")));
            let numbers = Int64Array::from_iter_values(0..n);
            RecordBatch::try_from_iter([("w", Arc::new(words) as _), ("n", Arc::new(numbers) as _)])
                .unwrap()
        };
        let blocks: Vec<_> = (1..5).map(|n| spill.write(&rows(n)).unwrap()).collect();
        // Slices too, and in any order.
        for n in [4, 2, 3, 1] {
            let block = blocks[usize::try_from(n - 1).unwrap()];
            assert_eq!(spill.read(block).unwrap(), rows(n));
        }
        let slice = rows(9).slice(3, 4);
        let block = spill.write(&slice).unwrap();
        assert_eq!(spill.read(block).unwrap(), slice);
        let mut stored = vec![0; usize::try_from(spill.end).unwrap()];
        spill.file.read_exact_at(&mut stored, 0).unwrap();
        assert!(!stored.windows(6).any(|window| window == b"canary"));
        // A flipped bit is noticed.
        spill.file.write_all_at(&[stored[40] ^ 1], 40).unwrap();
        assert!(matches!(
            spill.read(*blocks.first().unwrap()),
            Err(SealError::Spill)
        ));
    }
}
