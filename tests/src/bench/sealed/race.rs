//! Several ways to answer the 22 queries, run in turn; each has to answer as plaintext DuckDB does.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use duckblind_engine::Engine;

use super::super::report::{geometric_mean, median};
use crate::plain::Plain;
use crate::rows::Answer;
use crate::tpch::{QUERIES, Query};

/// One way to answer a query.
pub(super) trait Contender {
    /// Runs a query and fetches its whole result; milliseconds.
    fn run(&mut self, sql: &str) -> Result<f64>;

    /// What it answers.
    fn answer(&mut self, sql: &str) -> Result<Answer>;

    /// Whether its SQL has types of its own, so that only values can be compared.
    fn has_own_types(&self) -> bool {
        false
    }
}

/// What plaintext DuckDB says, once for all races.
pub(super) struct Judge(BTreeMap<u8, Answer>);

impl Judge {
    pub(super) fn ask(plain: &mut Plain) -> Result<Self> {
        let answer = |query: &Query| Ok((query.number, plain.answer(query.sql)?));
        Ok(Self(QUERIES.iter().map(answer).collect::<Result<_>>()?))
    }

    fn check(&self, query: &Query, contender: &mut dyn Contender) -> Result<()> {
        let expected = self.0.get(&query.number).context("no such query")?;
        let answer = contender.answer(query.sql)?;
        if contender.has_own_types() {
            answer.must_resemble(expected, query.order_by)
        } else {
            answer.must_equal(expected, query.order_by)
        }
    }
}

/// Median milliseconds of every contender, in their order, for every query.
pub(super) fn race(
    contenders: &mut [&mut dyn Contender],
    judge: &Judge,
    alternations: usize,
) -> Result<Vec<Vec<f64>>> {
    let mut medians = vec![Vec::new(); contenders.len()];
    for query in &QUERIES {
        for (number, contender) in contenders.iter_mut().enumerate() {
            judge
                .check(query, *contender)
                .with_context(|| format!("query {}, contender {number}", query.number))?;
        }
        let mut times = vec![Vec::new(); contenders.len()];
        for turn in 0..alternations {
            for place in 0..contenders.len() {
                // Nobody is always the one who comes after the slowest.
                let next = (place + turn) % contenders.len();
                times[next].push(contenders[next].run(query.sql)?);
            }
        }
        for (medians, times) in medians.iter_mut().zip(&times) {
            medians.push(median(times));
        }
    }
    Ok(medians)
}

/// How many times `a` takes what `b` takes, query by query.
pub(super) fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

/// The geometric mean of [`ratios`].
pub(super) fn mean_ratio(a: &[f64], b: &[f64]) -> f64 {
    geometric_mean(&ratios(a, b))
}

impl Contender for Plain {
    fn run(&mut self, sql: &str) -> Result<f64> {
        timed(|| self.stream(sql))
    }

    fn answer(&mut self, sql: &str) -> Result<Answer> {
        Plain::answer(self, sql)
    }
}

impl Contender for Engine {
    fn run(&mut self, sql: &str) -> Result<f64> {
        timed(|| rows(self, sql))
    }

    fn answer(&mut self, sql: &str) -> Result<Answer> {
        crate::sealed::answer(self, sql)
    }
}

/// A contender made anew for every run, before the clock starts: what a job is, which has read nothing yet.
pub(super) struct Fresh<F>(pub(super) F);

impl<C: Contender, F: FnMut() -> Result<C>> Contender for Fresh<F> {
    fn run(&mut self, sql: &str) -> Result<f64> {
        (self.0)()?.run(sql)
    }

    fn answer(&mut self, sql: &str) -> Result<Answer> {
        (self.0)()?.answer(sql)
    }
}

fn timed(run: impl FnOnce() -> Result<Vec<RecordBatch>>) -> Result<f64> {
    let begin = Instant::now();
    let batches = run()?;
    let took = begin.elapsed().as_secs_f64() * 1e3;
    drop(batches);
    Ok(took)
}

/// Runs a query and fetches all of it.
pub(in super::super) fn rows(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>> {
    let mut rows = engine.query(sql)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}
