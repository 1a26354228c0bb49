//! Sorting more rows than fit into memory: runs that do, put aside sorted, then merged.

use std::collections::VecDeque;
use std::rc::Rc;

use arrow::array::Array as _;
use arrow::compute::{SortOptions, interleave_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows as Keys, SortField};

use super::error::SealError;
use super::merge::Merge;
use super::partition::places;
use super::parts::Rows;
use super::plan::Plan;
use super::spill::{Block, Spill};
use super::workspace::Workspace;

/// Most rows of a block: what is handed on at a time.
pub(super) const BLOCK_ROWS: usize = 8192;

/// How much memory sorting may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Bytes of rows that are sorted at a time.
    pub(super) run: usize,
    /// Bytes of a block, unless one row is larger.
    pub(super) block: usize,
    /// Bytes of the blocks that are merged at a time, but at least two.
    pub(super) merge: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            run: 64 << 20,
            block: 512 << 10,
            merge: 48 << 20,
        }
    }
}

/// What rows are compared by: the partition columns, then the sort columns. Nulls last.
pub(super) struct Order {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl Order {
    /// None if the rows stay as they come.
    fn of(plan: &Plan) -> Result<Option<Self>, SealError> {
        let mut columns = places(plan, &plan.layout().partition_by, "partitioned by")?;
        columns.extend(places(plan, &plan.layout().sort_by, "sorted by")?);
        if columns.is_empty() {
            return Ok(None);
        }
        let options = SortOptions::default().asc().nulls_last();
        let field = |at: &usize| {
            let kind = plan.schema().field(*at).data_type().clone();
            SortField::new_with_options(kind, options)
        };
        let fields = columns.iter().map(field).collect();
        Ok(Some(Self {
            converter: RowConverter::new(fields)?,
            columns,
        }))
    }

    /// Bytes that compare as the rows do.
    pub(super) fn keys(&self, rows: &RecordBatch) -> Result<Keys, SealError> {
        Ok(self
            .converter
            .convert_columns(rows.project(&self.columns)?.columns())?)
    }
}

/// Sorted rows put aside.
pub(super) struct Run {
    pub(super) spill: Rc<Spill>,
    pub(super) blocks: VecDeque<Block>,
}

impl Run {
    /// What merging it takes.
    fn block_size(&self) -> usize {
        self.blocks.iter().map(Block::size).max().unwrap_or(0)
    }
}

/// Rows in the order of the plan's layout; equal ones stay in the order they come in.
pub(super) fn sorted<'a>(
    workspace: &mut Workspace,
    plan: &Plan,
    rows: Rows<'a>,
    budget: Budget,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, SealError>> + 'a>, SealError> {
    let Some(order) = Order::of(plan)?.map(Rc::new) else {
        return Ok(Box::new(rows));
    };
    let mut at_hand = AtHand::default();
    let mut aside = None;
    for batch in rows {
        at_hand.add(batch?);
        if at_hand.size > budget.run {
            let (spill, runs) = match &mut aside {
                Some(aside) => aside,
                none => none.insert((Spill::new(workspace)?, Vec::new())),
            };
            runs.push(put_aside(spill, at_hand.take(&order, budget)?)?);
        }
    }
    let rest = at_hand.take(&order, budget)?;
    let Some((mut spill, mut runs)) = aside else {
        return Ok(Box::new(rest));
    };
    runs.push(put_aside(&mut spill, rest)?);
    let mut runs = owned(runs, spill);
    while group(&runs, budget) < runs.len() {
        // Too many for one pass: neighbours become one run.
        let mut spill = Spill::new(workspace)?;
        let mut longer = Vec::new();
        while !runs.is_empty() {
            let rest = runs.split_off(group(&runs, budget));
            let merge = Merge::new(Rc::clone(&order), runs, budget)?;
            longer.push(put_aside(&mut spill, merge)?);
            runs = rest;
        }
        runs = owned(longer, spill);
    }
    Ok(Box::new(Merge::new(order, runs, budget)?))
}

/// Rows in memory.
#[derive(Default)]
struct AtHand {
    batches: Vec<RecordBatch>,
    size: usize,
}

impl AtHand {
    fn add(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.size += size_of(&batch);
            self.batches.push(batch);
        }
    }

    /// Gives them on, sorted.
    fn take(&mut self, order: &Order, budget: Budget) -> Result<Sorted, SealError> {
        let Self { batches, size } = std::mem::take(self);
        let keys: Vec<_> = batches
            .iter()
            .map(|batch| order.keys(batch))
            .collect::<Result<_, _>>()?;
        let mut rows: Vec<(u32, u32)> = Vec::new();
        for (batch, keys) in (0..).zip(&keys) {
            rows.extend((0..).zip(keys).map(|(row, _)| (batch, row)));
        }
        let key = |(batch, row): &(u32, u32)| {
            let keys = keys.get(*batch as usize)?;
            Some(keys.row(*row as usize))
        };
        rows.sort_by(|one, other| key(one).cmp(&key(other)));
        let row_size = (size / rows.len().max(1)).max(1);
        Ok(Sorted {
            batches,
            rows,
            block: (budget.block / row_size).clamp(1, BLOCK_ROWS),
            most: budget.block.saturating_mul(2),
            done: 0,
        })
    }
}

/// Rows in memory and their order.
struct Sorted {
    batches: Vec<RecordBatch>,
    /// Batch and row.
    rows: Vec<(u32, u32)>,
    /// Rows given on at a time,
    block: usize,
    /// and their bytes, unless one row is larger.
    most: usize,
    done: usize,
}

impl Sorted {
    fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let batches: Vec<_> = self.batches.iter().collect();
        let mut many = self.block;
        loop {
            let rest = self.rows.get(self.done..).unwrap_or_default().iter();
            let next: Vec<_> = rest
                .take(many)
                .map(|(batch, row)| (*batch as usize, *row as usize))
                .collect();
            if next.is_empty() {
                return Ok(None);
            }
            let batch = interleave_record_batch(&batches, &next)?;
            // Rows may be of very different sizes.
            if many > 1 && size_of(&batch) > self.most {
                many /= 2;
                continue;
            }
            self.done += next.len();
            return Ok(Some(batch));
        }
    }
}

impl Iterator for Sorted {
    type Item = Result<RecordBatch, SealError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().map_err(SealError::from).transpose()
    }
}

fn put_aside(
    spill: &mut Spill,
    rows: impl Iterator<Item = Result<RecordBatch, SealError>>,
) -> Result<VecDeque<Block>, SealError> {
    rows.map(|rows| spill.write(&rows?)).collect()
}

fn owned(runs: Vec<VecDeque<Block>>, spill: Spill) -> Vec<Run> {
    let spill = Rc::new(spill);
    let run = |blocks| Run {
        spill: Rc::clone(&spill),
        blocks,
    };
    runs.into_iter().map(run).collect()
}

/// How many of the first runs can be merged at once.
fn group(runs: &[Run], budget: Budget) -> usize {
    let mut size = 0;
    let fit = runs.iter().take_while(|run| {
        size += run.block_size();
        size <= budget.merge
    });
    fit.count().max(2).min(runs.len())
}

/// What rows take in memory, without what their batch shares with others.
fn size_of(batch: &RecordBatch) -> usize {
    let size = |column: &arrow::array::ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size()
            .unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum()
}
