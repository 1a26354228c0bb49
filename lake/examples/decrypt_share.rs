//! How much of raw AES-GCM's throughput is left when a sealed file is read: the same pages, opened
//! one by one by `aws-lc-rs`, and read as whole column chunks through the virtual file. One thread.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Decimal128Array, Int64Array, RecordBatch, StringArray};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use duckblind_lake::keys::DataKey;
use duckblind_lake::seal::{Protection, write_file};
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, LocalFile, ReadAt, SealedFile};

const KEY: [u8; 32] = [7; 32];
const PREFIX: &[u8] = b"duckblind/v1/t/00";
/// As long as a page's AAD.
const AAD: [u8; 60] = [1; 60];
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    let key = DataKey::from_slice(&KEY)?;
    let protection = Protection::Sealed {
        key: &key,
        aad_prefix: PREFIX,
    };
    let rows = rows()?;
    let mut batches = (0..4).map(|_| Ok(rows.clone()));
    write_file(file.try_clone()?, &rows.schema(), &mut batches, protection)?;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;

    let lent: Arc<dyn ReadAt> = Arc::new(bytes.clone());
    let local: Arc<dyn ReadAt> = Arc::new(LocalFile::new(file)?);
    let mut raw = Raw::new(&open(&lent)?, &bytes)?;
    let lent = open(&lent)?;
    let local = open(&local)?;
    // In turns, so that a change of the machine's pace meets all of them.
    let mut best = [Duration::MAX; 3];
    let mut plain = 0;
    for _ in 0..ROUNDS {
        let times = [
            timed(|| raw.open())?,
            timed(|| read(&lent))?,
            timed(|| read(&local))?,
        ];
        for (best, (time, bytes)) in best.iter_mut().zip(times) {
            *best = (*best).min(time);
            plain = bytes;
        }
    }
    let [raw_time, lent_time, local_time] = best.map(|time| time.as_secs_f64());
    println!("{} modules, {plain} bytes", raw.modules.len());
    println!("raw    {:.2} GB/s", plain as f64 / raw_time / 1e9);
    for (name, time) in [("lent ", lent_time), ("local", local_time)] {
        println!(
            "{name}  {:.2} GB/s, {:.2} of raw",
            plain as f64 / time / 1e9,
            raw_time / time
        );
    }
    Ok(())
}

fn rows() -> Result<RecordBatch, Box<dyn Error>> {
    let count = 122_880_i64;
    let mixed = |n: i64| n.wrapping_mul(0x1E37_79B9_7F4A_7C15);
    let prices = Decimal128Array::from_iter_values((0..count).map(|n| (mixed(n) >> 40).into()));
    let words = StringArray::from_iter_values((0..count).map(|n| format!("{:x}", mixed(n))));
    Ok(RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values((0..count).map(mixed))) as _,
        ),
        ("price", Arc::new(prices) as _),
        ("word", Arc::new(words) as _),
    ])?)
}

fn open(source: &Arc<dyn ReadAt>) -> Result<SealedFile, Box<dyn Error>> {
    let spec = FileSpec::uniform(
        DataKey::from_slice(&KEY)?,
        AadPrefix::Supplied(PREFIX.to_vec()),
    );
    Ok(SealedFile::open(Arc::clone(source), spec)?)
}

fn timed(
    work: impl FnOnce() -> Result<u64, Box<dyn Error>>,
) -> Result<(Duration, u64), Box<dyn Error>> {
    let start = Instant::now();
    let bytes = work()?;
    Ok((start.elapsed(), bytes))
}

/// Reads every column chunk, each at once into one buffer.
fn read(file: &SealedFile) -> Result<u64, Box<dyn Error>> {
    let places: Vec<_> = file.places().collect();
    let mut out = Vec::new();
    let mut sum = 0;
    for place in places.get(1..places.len() - 1).unwrap_or_default() {
        out.resize(usize::try_from(place.end - place.start)?, 0);
        sum += file.read_at(&mut out, place.start)? as u64;
    }
    Ok(sum)
}

/// Modules of the same sizes, for nothing but `aws-lc-rs`.
struct Raw {
    key: LessSafeKey,
    modules: Vec<Vec<u8>>,
    out: Vec<u8>,
}

impl Raw {
    fn new(file: &SealedFile, stored: &[u8]) -> Result<Self, Box<dyn Error>> {
        let unbound = UnboundKey::new(&AES_256_GCM, &KEY).map_err(|_| "a key")?;
        let key = LessSafeKey::new(unbound);
        let mut modules = Vec::new();
        for chunk in file.stored_chunks() {
            let mut at = usize::try_from(chunk.range.start)?;
            while (at as u64) < chunk.range.end {
                let length = stored.get(at..).and_then(|rest| rest.first_chunk());
                let length = u32::from_le_bytes(*length.ok_or("a module")?) as usize;
                let mut module = vec![0x5a; length - 28];
                key.seal_in_place_append_tag(nonce(), Aad::from(AAD), &mut module)
                    .map_err(|_| "sealing")?;
                modules.push(module);
                at += 4 + length;
            }
        }
        Ok(Self {
            key,
            modules,
            out: Vec::new(),
        })
    }

    fn open(&mut self) -> Result<u64, Box<dyn Error>> {
        let mut sum = 0;
        for module in &self.modules {
            let (sealed, tag) = module.split_at(module.len() - 16);
            self.out.resize(sealed.len().max(self.out.len()), 0);
            let out = self.out.get_mut(..sealed.len()).ok_or("room")?;
            self.key
                .open_separate_gather(nonce(), Aad::from(AAD), sealed, tag, out)
                .map_err(|_| "opening")?;
            sum += sealed.len() as u64;
        }
        Ok(sum)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([3; 12])
}
