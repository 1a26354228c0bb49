//! Several ways to answer the 22 queries, run in turn; each has to answer as plaintext DuckDB does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use duckblind_engine::Engine;

use super::super::Effort;
use super::super::report::{geometric_mean, median};
use crate::plain::Plain;
use crate::rows::Answer;
use crate::tpch::{QUERIES, Query};

/// A query that was raced for as long as this has turns enough, if it also has the least number; times
/// the scale, so that long queries have as many.
const ENOUGH: Duration = Duration::from_secs(6);
/// The most turns of one query.
const MOST_TURNS: usize = 25;

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

/// Milliseconds by contender, query and turn.
pub(super) struct Times(Vec<Vec<Vec<f64>>>);

impl Times {
    /// Median milliseconds of one contender, query by query.
    pub(super) fn medians(&self, contender: usize) -> Vec<f64> {
        self.0[contender]
            .iter()
            .map(|times| median(times))
            .collect()
    }

    /// How many times `a` takes what `b` takes, query by query: the median of the turns' ratios, since what slows
    /// the machine for a while slows both of a turn.
    pub(super) fn ratios(&self, a: usize, b: usize) -> Vec<f64> {
        let turns = |(a, b): (&Vec<f64>, &Vec<f64>)| {
            let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
            median(&ratios)
        };
        self.0[a].iter().zip(&self.0[b]).map(turns).collect()
    }

    /// The geometric mean of [`Self::ratios`].
    pub(super) fn mean_ratio(&self, a: usize, b: usize) -> f64 {
        geometric_mean(&self.ratios(a, b))
    }
}

/// Lets the contenders answer every query in turn, short queries more often than long ones.
pub(super) fn race(
    contenders: &mut [&mut dyn Contender],
    judge: &Judge,
    effort: Effort,
) -> Result<Times> {
    let enough = ENOUGH.mul_f64(effort.scale.max(1.0));
    let mut times = vec![Vec::new(); contenders.len()];
    for query in &QUERIES {
        for (number, contender) in contenders.iter_mut().enumerate() {
            judge
                .check(query, *contender)
                .with_context(|| format!("query {}, contender {number}", query.number))?;
            times[number].push(Vec::new());
        }
        let begin = Instant::now();
        let mut turn = 0;
        while turn < effort.alternations() || turn < MOST_TURNS && begin.elapsed() < enough {
            for place in 0..contenders.len() {
                // Nobody is always the one who comes after the slowest.
                let next = (place + turn) % contenders.len();
                let took = contenders[next].run(query.sql)?;
                times[next].last_mut().context("pushed above")?.push(took);
            }
            turn += 1;
        }
    }
    Ok(Times(times))
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
pub(super) fn rows(engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>> {
    let mut rows = engine.query(sql)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}
