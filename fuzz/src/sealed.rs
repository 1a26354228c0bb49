//! A small sealed file, whole and in its parts. Whoever fuzzes holds its key: so does a table's
//! owner, who may be hostile, and then what is behind the encryption is outside bytes.

use std::error::Error;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use duckblind_lake::keys::DataKey;
use duckblind_lake::seal::{Protection, write_file};
use duckblind_lake::sealed_file::{AadPrefix, FileSpec, SealedFile};

const KEY: [u8; 32] = [7; 32];
const PREFIX: &[u8] = b"duckblind/v1/t/00";
const MAGIC: &[u8; 4] = b"PARE";
/// Footer length and the last magic.
const TAIL: usize = 8;
/// What precedes a module's ciphertext, length and nonce, and what follows it.
const HEAD: usize = 16;
const TAG: usize = 16;

/// The bytes of a sealed file of two columns, each a dictionary page and a data page.
pub fn stored() -> Result<Vec<u8>, Box<dyn Error>> {
    let numbers = Int64Array::from_iter_values(0..64);
    let words = StringArray::from_iter_values((0..64).map(|n| format!("word {}", n % 5)));
    let batch =
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("w", Arc::new(words) as _)])?;
    let key = DataKey::from_slice(&KEY)?;
    let mut file = tempfile::tempfile()?;
    let protection = Protection::Sealed {
        key: &key,
        aad_prefix: PREFIX,
    };
    let schema = batch.schema();
    write_file(
        file.try_clone()?,
        &schema,
        &mut std::iter::once(Ok(batch)),
        protection,
    )?;
    let mut stored = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut stored)?;
    Ok(stored)
}

/// The virtual file of `stored`, all but the zeros between things. Reading it in pieces must not
/// give anything else.
pub fn read(stored: Vec<u8>) -> Option<Vec<u8>> {
    let spec = FileSpec::uniform(
        DataKey::from_slice(&KEY).expect("a key"),
        AadPrefix::Supplied(PREFIX.to_vec()),
    );
    read_as(stored, spec)
}

/// The same for a file of any kind.
pub fn read_as(stored: Vec<u8>, spec: FileSpec) -> Option<Vec<u8>> {
    let file = SealedFile::open(Arc::new(stored), spec).ok()?;
    let whole = read_by(&file, usize::MAX);
    for piece in [7, 100] {
        if let (Some(whole), Some(pieces)) = (&whole, read_by(&file, piece)) {
            assert!(*whole == pieces, "by {piece} bytes");
        }
    }
    whole
}

fn read_by(file: &SealedFile, piece: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for place in file.places() {
        let mut at = place.start;
        while at < place.end {
            // A hostile footer may promise chunks as large as any file.
            let room = usize::try_from(place.end - at).ok()?.min(piece).min(1 << 20);
            let from = out.len();
            out.resize(from + room, 0xa5);
            assert_eq!(file.read_at(&mut out[from..], at).ok()?, room);
            at += room as u64;
        }
    }
    Some(out)
}

/// A sealed file taken apart.
#[derive(Clone)]
pub struct Parts {
    /// Magic and column chunks.
    pub data: Vec<u8>,
    crypto: Vec<u8>,
    file_aad: Vec<u8>,
    /// The footer, opened.
    pub footer: Vec<u8>,
}

/// Which of the first column's two pages.
#[derive(Clone, Copy, Debug)]
pub enum Page {
    Dictionary,
    Data,
}

impl Parts {
    /// Of the file that [`stored`] makes.
    pub fn new() -> Option<Self> {
        let stored = stored().ok()?;
        let (rest, tail) = stored.split_at(stored.len() - TAIL);
        let length = u32::from_le_bytes(*tail.first_chunk()?);
        let (data, footer) = rest.split_at(rest.len() - usize::try_from(length).ok()?);
        // The module is the one that fills its place; in front of it are the clear words: two
        // structures, then the file-unique part of the AAD with its length before it.
        let at = (0..footer.len()).find(|at| size(&footer[*at..]) == Some(footer.len() - at))?;
        let (crypto, module) = footer.split_at(at);
        let unique = crypto.get(4..4 + usize::from(*crypto.get(3)?))?;
        let file_aad = [PREFIX, unique].concat();
        let parts = Self {
            data: data.to_vec(),
            crypto: crypto.to_vec(),
            footer: open(module, &[&file_aad, &[0][..]].concat())?,
            file_aad,
        };
        read(parts.file(&parts.footer))?;
        Some(parts)
    }

    /// The file, with `footer` sealed in the footer's place.
    pub fn file(&self, footer: &[u8]) -> Vec<u8> {
        let module = seal(footer, &[&self.file_aad, &[0][..]].concat());
        let length = u32::try_from(self.crypto.len() + module.len()).expect("a small footer");
        let length = length.to_le_bytes();
        [&self.data, &self.crypto, &module, &length[..], MAGIC].concat()
    }

    /// Changes the plaintext header of a page of the first column, not its length.
    pub fn edit_header(&mut self, page: Page, edit: impl FnOnce(&mut [u8])) -> Option<()> {
        let mut at = MAGIC.len();
        let mut aad = [&self.file_aad, &[5, 0, 0, 0, 0][..]].concat();
        if let Page::Data = page {
            at += size(&self.data[at..])?;
            at += size(&self.data[at..])?;
            aad = [&self.file_aad, &[4, 0, 0, 0, 0, 0, 0][..]].concat();
        }
        let end = at + size(&self.data[at..])?;
        let mut header = open(&self.data[at..end], &aad)?;
        edit(&mut header);
        self.data[at..end].copy_from_slice(&seal(&header, &aad));
        Some(())
    }
}

fn size(module: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*module.first_chunk()?);
    usize::try_from(length).ok()?.checked_add(4)
}

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("a key"))
}

fn seal(plaintext: &[u8], aad: &[u8]) -> Vec<u8> {
    let mut module = vec![0; HEAD];
    let length = u32::try_from(plaintext.len() + HEAD - 4 + TAG).expect("a small module");
    module[..4].copy_from_slice(&length.to_le_bytes());
    let mut body = plaintext.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    key()
        .seal_in_place_append_tag(nonce, Aad::from(aad), &mut body)
        .expect("sealing");
    module.extend(body);
    module
}

fn open(module: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (head, sealed) = module.split_at_checked(HEAD)?;
    let nonce = Nonce::assume_unique_for_key(*head.last_chunk()?);
    let mut body = sealed.to_vec();
    let length = key()
        .open_in_place(nonce, Aad::from(aad), &mut body)
        .ok()?
        .len();
    body.truncate(length);
    Some(body)
}
