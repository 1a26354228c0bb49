//! Merging sorted runs.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::rc::Rc;

use arrow::compute::interleave_record_batch;
use arrow::record_batch::RecordBatch;
use arrow::row::Rows as Keys;

use super::error::SealError;
use super::sort::{BLOCK_ROWS, Budget, Order, Run};

/// Blocks that are kept although all their rows are chosen.
const SPENT_BLOCKS: usize = 8;

/// The rows of several runs as one.
pub(super) struct Merge {
    order: Rc<Order>,
    runs: Vec<Run>,
    /// The next row of every run that has one.
    heads: BinaryHeap<Reverse<Head>>,
    /// Blocks that heads and chosen rows are in.
    blocks: Vec<RecordBatch>,
    budget: Budget,
}

/// The next row of a run. Among equal rows the earlier run's comes first.
struct Head {
    run: usize,
    keys: Rc<Keys>,
    row: usize,
    /// Its block, in [`Merge::blocks`].
    block: usize,
    /// Bytes of a row, on average.
    row_size: usize,
}

impl Merge {
    pub(super) fn new(order: Rc<Order>, runs: Vec<Run>, budget: Budget) -> Result<Self, SealError> {
        let mut merge = Self {
            order,
            heads: BinaryHeap::new(),
            blocks: Vec::new(),
            budget,
            runs,
        };
        for run in 0..merge.runs.len() {
            merge.load(run)?;
        }
        Ok(merge)
    }

    /// Reads the next block of a run, if it has one.
    fn load(&mut self, run: usize) -> Result<(), SealError> {
        let Some(from) = self.runs.get_mut(run) else {
            return Ok(());
        };
        let Some(block) = from.blocks.pop_front() else {
            return Ok(());
        };
        let rows = from.spill.read(block)?;
        self.heads.push(Reverse(Head {
            run,
            keys: Rc::new(self.order.keys(&rows)?),
            row: 0,
            block: self.blocks.len(),
            row_size: block.size() / rows.num_rows().max(1),
        }));
        self.blocks.push(rows);
        Ok(())
    }

    /// The next rows, about a block of them.
    fn batch(&mut self) -> Result<Option<RecordBatch>, SealError> {
        let mut chosen = Vec::new();
        let mut size = 0;
        while size < self.budget.block
            && chosen.len() < BLOCK_ROWS
            && self.blocks.len() < self.heads.len() + SPENT_BLOCKS
        {
            let Some(mut head) = self.heads.peek_mut() else {
                break;
            };
            let Reverse(next) = &mut *head;
            chosen.push((next.block, next.row));
            size += next.row_size;
            next.row += 1;
            if next.row == next.keys.num_rows() {
                let run = PeekMut::pop(head).0.run;
                self.load(run)?;
            }
        }
        if chosen.is_empty() {
            return Ok(None);
        }
        let blocks: Vec<_> = self.blocks.iter().collect();
        let batch = interleave_record_batch(&blocks, &chosen)?;
        self.forget();
        Ok(Some(batch))
    }

    /// Drops the blocks that no head is in.
    fn forget(&mut self) {
        if self.blocks.len() == self.heads.len() {
            return;
        }
        let mut kept = Vec::with_capacity(self.heads.len());
        let heads = std::mem::take(&mut self.heads).into_iter();
        self.heads = heads
            .filter_map(|Reverse(mut head)| {
                let block = self.blocks.get(head.block)?.clone();
                head.block = kept.len();
                kept.push(block);
                Some(Reverse(head))
            })
            .collect();
        self.blocks = kept;
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, SealError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.keys.row(self.row).cmp(&other.keys.row(other.row));
        keys.then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
