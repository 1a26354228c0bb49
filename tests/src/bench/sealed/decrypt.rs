//! Reading column chunks out of a sealed file in memory, against nothing but the cipher on pages of the same sizes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use duckblind_lake::sealed_file::SealedFile;
use parquet::file::metadata::ParquetMetaDataReader;

use super::super::Effort;
use super::super::report::{Measured, Report, in_turn};
use super::tables::Opened;

/// How much of the cipher's speed has to be left.
const TARGET: f64 = 0.75;
/// What a module has around its content: length, nonce, tag.
const LENGTH: usize = 4;
const NONCE: usize = 12;
const TAG: usize = 16;

/// One column chunk: where its virtual bytes are, and how long the pages in it are.
struct Chunk {
    start: u64,
    length: usize,
    pages: Vec<usize>,
}

pub(super) fn measure(sealed: &[Opened], effort: Effort, report: &mut Report) -> Result<()> {
    let table = sealed
        .iter()
        .find(|table| table.name() == "lineitem")
        .context("lineitem")?;
    let path = table.paths().next().context("no file")?;
    let stored = std::fs::read(path)?;
    let file = table.in_memory(stored.clone())?;
    let chunks = chunks(&file, &stored)?;
    let bytes: usize = chunks.iter().flat_map(|chunk| &chunk.pages).sum();
    let raw = Raw::new(&chunks)?;
    let longest = chunks.iter().map(|chunk| chunk.length).max().unwrap_or(0);
    let (mut out, mut raw_out) = (vec![0; longest], vec![0; longest]);
    let (theirs, ours) = in_turn(
        effort.alternations(),
        || {
            let begin = Instant::now();
            raw.open_all(&mut raw_out)?;
            Ok(rate(bytes, begin))
        },
        || {
            let begin = Instant::now();
            for chunk in &chunks {
                let out = &mut out[..chunk.length];
                ensure!(file.read_at(out, chunk.start)? == out.len(), "cut");
                black_box(&out);
            }
            Ok(rate(bytes, begin))
        },
    )?;
    report.add(
        Measured::value("sealed", "decrypt-gb-per-second", ours, "GB/s")
            .higher()
            .against(theirs),
    );
    report.add(
        Measured::ratio("sealed", "decrypt-share", ours / theirs)
            .higher()
            .target(TARGET),
    );
    Ok(())
}

fn rate(bytes: usize, begin: Instant) -> f64 {
    bytes as f64 / 1e9 / begin.elapsed().as_secs_f64()
}

/// The chunks as DuckDB sees them, with the sizes of the pages that stand for them in the stored file.
fn chunks(file: &SealedFile, stored: &[u8]) -> Result<Vec<Chunk>> {
    let mut tail = vec![0; 8];
    let end = file.virtual_len();
    file.read_at(&mut tail, end - 8)?;
    let length = u32::from_le_bytes(*tail.first_chunk().context("tail")?);
    tail.resize(length as usize, 0);
    file.read_at(&mut tail, end - 8 - u64::from(length))?;
    let metadata = ParquetMetaDataReader::decode_metadata(&tail)?;
    let mut places = BTreeMap::new();
    for (row_group, columns) in metadata.row_groups().iter().enumerate() {
        for column in columns.columns() {
            let path = column.column_path().string();
            places.insert((row_group, path), column.byte_range());
        }
    }
    file.stored_chunks()
        .map(|chunk| {
            let place = places.get(&(chunk.row_group, chunk.path.to_owned()));
            let (start, length) = *place.context("a chunk that is not in the footer")?;
            let length = usize::try_from(length)?;
            let stored = stored
                .get(usize::try_from(chunk.range.start)?..usize::try_from(chunk.range.end)?)
                .context("a chunk beyond the file")?;
            let pages = page_sizes(stored)?;
            ensure!(pages.iter().sum::<usize>() <= length, "pages too large");
            Ok(Chunk {
                start,
                length,
                pages,
            })
        })
        .collect()
}

/// Headers and pages take turns.
fn page_sizes(mut modules: &[u8]) -> Result<Vec<usize>> {
    let mut sizes = Vec::new();
    while let Some(length) = modules.first_chunk() {
        let size = u32::from_le_bytes(*length) as usize;
        modules = modules.get(LENGTH + size..).context("a cut module")?;
        sizes.push(size.checked_sub(NONCE + TAG).context("a short module")?);
    }
    Ok(sizes.into_iter().skip(1).step_by(2).collect())
}

/// Random pages of the same sizes, under the bare cipher.
struct Raw {
    key: LessSafeKey,
    /// By chunk and page, ciphertext and tag.
    chunks: Vec<Vec<Vec<u8>>>,
}

impl Raw {
    fn new(chunks: &[Chunk]) -> Result<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32])?);
        let seal = |size: &usize| {
            let mut page = vec![0x5a; *size];
            key.seal_in_place_append_tag(nonce(), aad(), &mut page)?;
            Ok(page)
        };
        let chunks = chunks
            .iter()
            .map(|chunk| chunk.pages.iter().map(seal).collect::<Result<_>>())
            .collect::<Result<_>>()?;
        Ok(Self { key, chunks })
    }

    /// Opens every page into where it would stand in its chunk.
    fn open_all(&self, out: &mut [u8]) -> Result<()> {
        for pages in &self.chunks {
            let mut at = 0;
            for page in pages {
                let (text, tag) = page.split_at(page.len() - TAG);
                let room = &mut out[at..at + text.len()];
                self.key
                    .open_separate_gather(nonce(), aad(), text, tag, room)?;
                at += text.len();
            }
            black_box(&out);
        }
        Ok(())
    }
}

/// One for all: these pages are nobody's.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE])
}

/// As long as that of a page of a sealed table.
fn aad() -> Aad<[u8; 60]> {
    Aad::from([0; 60])
}
