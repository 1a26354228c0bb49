//! Encrypts a plaintext Parquet file in every way that the format knows. The `parquet` crate knows
//! some of them only.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::aead::{Aad as AeadAad, Nonce};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use super::super::aad::{Aad, Module, PageId};
use super::super::column_metadata::{self, ColumnMetadata, field};
use super::super::file_metadata::{self, Leaf, Raw};
use super::super::modules::{LENGTH, NONCE, OVERHEAD};
use super::super::page_header::Header;
use super::super::thrift::{Compact, kind};
use super::super::thrift_out::Out;
use super::super::virtual_footer::Fields;
use super::super::{AadPrefix, FileSpec, LakeError, SealedFile};
use super::{KEY, PREFIX};
use crate::keys::{DataKey, FileKeys};
use crate::manifest::Algorithm;
use duckblind_protocol::ids::Digest;

const UNIQUE: &[u8] = b"unique00";

/// How a file is encrypted.
#[derive(Clone)]
pub(in super::super) struct Encrypt {
    pub(in super::super) algorithm: Algorithm,
    pub(in super::super) key: Vec<u8>,
    /// Columns with keys of their own.
    pub(in super::super) column_keys: BTreeMap<&'static str, Vec<u8>>,
    /// Columns in the clear. All others are under the footer's key.
    pub(in super::super) clear: BTreeSet<&'static str>,
    pub(in super::super) plaintext_footer: bool,
    pub(in super::super) prefix: Option<&'static [u8]>,
    pub(in super::super) store: bool,
    /// Whether footers say how long bloom filters are.
    pub(in super::super) sized_blooms: bool,
}

impl Default for Encrypt {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Gcm,
            key: KEY.to_vec(),
            column_keys: BTreeMap::new(),
            clear: BTreeSet::new(),
            plaintext_footer: false,
            prefix: Some(PREFIX),
            store: false,
            sized_blooms: true,
        }
    }
}

impl Encrypt {
    /// Under AES_GCM_CTR_V1.
    pub(in super::super) fn ctr() -> Self {
        Self {
            algorithm: Algorithm::GcmCtr,
            ..Self::default()
        }
    }
}

/// One module's place in an encrypted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Place {
    pub(in super::super) from: usize,
    pub(in super::super) length: usize,
}

struct Writer<'a> {
    how: &'a Encrypt,
    file_aad: Vec<u8>,
    out: Vec<u8>,
    modules: Vec<Place>,
    nonce: u64,
}

impl Encrypt {
    /// One of each, by name.
    pub(in super::super) fn variants() -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for algorithm in [Algorithm::Gcm, Algorithm::GcmCtr] {
            for plaintext_footer in [false, true] {
                for columns in ["uniform", "column keys", "clear columns"] {
                    for (at, length) in [16, 24, 32].into_iter().enumerate() {
                        let mut variant = Self {
                            algorithm,
                            plaintext_footer,
                            key: vec![7; length],
                            store: at == 1,
                            prefix: (at != 2).then_some(PREFIX),
                            ..Self::default()
                        };
                        if columns != "uniform" {
                            let key = vec![9; 16 + 8 * ((at + 1) % 3)];
                            variant.column_keys.insert("id", vec![8; length]);
                            variant.column_keys.insert("list.list.item", key);
                        }
                        if columns == "clear columns" {
                            variant.clear.extend(["word", "flag"]);
                        }
                        let footer = if plaintext_footer {
                            "signed"
                        } else {
                            "encrypted"
                        };
                        let name = format!("{algorithm:?} {columns} {footer} {length}");
                        all.push((name, variant));
                    }
                }
            }
        }
        all
    }

    pub(in super::super) fn aad_prefix(&self) -> AadPrefix {
        match self.prefix {
            Some(_) if self.store => AadPrefix::Stored,
            Some(prefix) => AadPrefix::Supplied(prefix.to_vec()),
            None => AadPrefix::None,
        }
    }

    /// What opens all of the file, but for digests.
    pub(in super::super) fn spec(&self) -> FileSpec {
        let key = |bytes: &[u8]| DataKey::from_slice(bytes).unwrap();
        let keys = FileKeys {
            footer: Some(key(&self.key).labelled("orders-v1")),
            columns: self
                .column_keys
                .iter()
                .map(|(path, bytes)| {
                    (
                        (*path).to_owned(),
                        key(bytes).labelled(format!("orders-v1:{path}")),
                    )
                })
                .collect(),
        };
        let mut spec = FileSpec::uniform(key(&self.key), self.aad_prefix());
        spec.keys = keys;
        spec.columns.clear = self.clear.iter().map(|path| (*path).to_owned()).collect();
        spec.columns.key_ids = self
            .column_keys
            .keys()
            .map(|path| ((*path).to_owned(), format!("orders-v1:{path}")))
            .collect();
        spec
    }

    /// The same with the digests of `file`.
    pub(in super::super) fn spec_for(&self, file: &[u8]) -> FileSpec {
        let opened = SealedFile::open(std::sync::Arc::new(file.to_vec()), self.spec()).unwrap();
        let mut spec = self.spec();
        spec.columns.digests = opened.chunk_digests().unwrap();
        spec.footer_digest = None::<Digest>;
        spec
    }

    pub(in super::super) fn open(&self, file: Vec<u8>) -> Result<SealedFile, LakeError> {
        let spec = self.spec_for(&file);
        SealedFile::open(std::sync::Arc::new(file), spec)
    }

    /// The encrypted file.
    pub(in super::super) fn file(&self, plain: &[u8]) -> Vec<u8> {
        self.file_and_modules(plain).0
    }

    /// The encrypted file, and where its modules are.
    pub(in super::super) fn file_and_modules(&self, plain: &[u8]) -> (Vec<u8>, Vec<Place>) {
        let writer = Writer {
            how: self,
            file_aad: [self.prefix.unwrap_or(&[]), UNIQUE].concat(),
            out: self.magic().to_vec(),
            modules: Vec::new(),
            nonce: 0,
        };
        writer.run(plain)
    }

    fn magic(&self) -> &'static [u8; 4] {
        if self.plaintext_footer {
            b"PAR1"
        } else {
            b"PARE"
        }
    }

    /// `EncryptionAlgorithm`, without a field's start.
    fn algorithm(&self, out: &mut Out) {
        let chosen = if self.algorithm == Algorithm::Gcm {
            1
        } else {
            2
        };
        out.field(&mut 0, chosen, kind::STRUCT);
        let mut last = 0;
        if let Some(prefix) = self.prefix.filter(|_| self.store) {
            out.field(&mut last, 1, kind::BINARY);
            out.binary(prefix);
        }
        out.field(&mut last, 2, kind::BINARY);
        out.binary(UNIQUE);
        if self.prefix.is_some() && !self.store {
            out.field(&mut last, 3, kind::TRUE);
        }
        out.stop();
        out.stop();
    }
}

impl Writer<'_> {
    fn run(mut self, plain: &[u8]) -> (Vec<u8>, Vec<Place>) {
        let tail = plain.len() - 8;
        let length = u32::from_le_bytes(plain[tail..tail + 4].try_into().unwrap()) as usize;
        let metadata = file_metadata::parse(&plain[tail - length..tail]).unwrap();
        let mut groups = Out::default();
        groups.list(kind::STRUCT, metadata.groups.len());
        for (row_group, group) in metadata.groups.iter().enumerate() {
            let mut last = 0;
            groups.field(&mut last, 1, kind::LIST);
            groups.list(kind::STRUCT, group.columns.len());
            for (column, (chunk, leaf)) in group.columns.iter().zip(&metadata.leaves).enumerate() {
                let found = column_metadata::parse(chunk.metadata.unwrap(), leaf).unwrap();
                let ordinals = (row_group as i16, column as i16);
                self.column(&mut groups, plain, &found, leaf, ordinals);
            }
            for field in &group.fields {
                groups.copy(&mut last, *field);
            }
            groups.stop();
        }
        let groups = groups.into_bytes();
        let mut footer = Out::default();
        let mut last = 0;
        let (before, after): (Vec<Raw<'_>>, Vec<_>) =
            metadata.fields.iter().partition(|(field, _)| field.id < 4);
        for field in before {
            footer.copy(&mut last, field);
        }
        let list = super::super::thrift::Field {
            id: 4,
            kind: kind::LIST,
        };
        footer.copy(&mut last, (list, &groups));
        for field in after {
            footer.copy(&mut last, field);
        }
        if self.how.plaintext_footer {
            footer.field(&mut last, 8, kind::STRUCT);
            self.how.algorithm(&mut footer);
            footer.field(&mut last, 9, kind::BINARY);
            footer.binary(b"of the footer");
        }
        footer.stop();
        self.footer(&footer.into_bytes());
        (self.out, self.modules)
    }

    fn footer(&mut self, footer: &[u8]) {
        let start = self.out.len();
        let key = self.how.key.clone();
        let aad = Aad::footer(&self.file_aad).unwrap().as_slice().to_vec();
        if self.how.plaintext_footer {
            let module = self.gcm(&key, &aad, footer);
            self.out.extend_from_slice(footer);
            self.out.extend_from_slice(&module[LENGTH..LENGTH + NONCE]);
            self.out.extend_from_slice(&module[module.len() - 16..]);
        } else {
            let mut crypto = Out::default();
            crypto.field(&mut 0, 1, kind::STRUCT);
            self.how.algorithm(&mut crypto);
            crypto.field(&mut 1, 2, kind::BINARY);
            crypto.binary(b"of the footer");
            crypto.stop();
            self.out.extend_from_slice(&crypto.into_bytes());
            let module = self.gcm(&key, &aad, footer);
            self.put(&module);
        }
        let length = (self.out.len() - start) as u32;
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(self.how.magic());
    }

    fn column(
        &mut self,
        groups: &mut Out,
        plain: &[u8],
        found: &ColumnMetadata<'_>,
        leaf: &Leaf,
        ordinals: (i16, i16),
    ) {
        let path = leaf.path.as_str();
        let own = self.how.column_keys.get(path).cloned();
        let clear = own.is_none() && self.how.clear.contains(path);
        let key = own.clone().unwrap_or_else(|| self.how.key.clone());
        let start = self.out.len() as i64;
        let chunk = &plain[found.start as usize..(found.start + found.stored) as usize];
        let mut dictionary = 0;
        if clear {
            self.out.extend_from_slice(chunk);
            dictionary = found.dictionary.unwrap_or(0) as i64;
        } else {
            let mut at = 0;
            let mut page = match found.dictionary {
                Some(_) => PageId::Dictionary,
                None => PageId::Data(0),
            };
            while at < chunk.len() {
                at += self.page(&chunk[at..], page, &key, ordinals);
                page = match page {
                    PageId::Dictionary => {
                        dictionary = self.out.len() as i64 - start;
                        PageId::Data(0)
                    }
                    PageId::Data(ordinal) => PageId::Data(ordinal + 1),
                };
            }
        }
        let stored = self.out.len() as i64 - start;
        let bloom = found.bloom.map(|at| {
            let from = self.out.len();
            let bytes = &plain[at as usize..][..found.bloom_length.unwrap() as usize];
            if clear {
                self.out.extend_from_slice(bytes);
            } else {
                let mut read = Compact::new(bytes);
                read.skip(kind::STRUCT).unwrap();
                let (header, bitset) = bytes.split_at(read.at());
                let mut aad = Aad::new(&self.file_aad, ordinals.0, ordinals.1).unwrap();
                for (module, plain) in [
                    (Module::BloomFilterHeader, header),
                    (Module::BloomFilterBitset, bitset),
                ] {
                    let module = self.gcm(&key, aad.only(module), plain);
                    self.put(&module);
                }
            }
            (from as i64, (self.out.len() - from) as i32)
        });
        let sized = self.how.sized_blooms;
        let metadata = |fields: &[Raw<'_>], bloom: Option<(i64, i32)>| {
            let mut out = Out::default();
            let mut writer = Fields::new(&mut out, fields);
            writer.i64(field::STORED, stored);
            writer.i64(field::DATA_PAGE, start + dictionary);
            if dictionary > 0 {
                writer.i64(field::DICTIONARY_PAGE, start);
            }
            if let Some((at, length)) = bloom {
                writer.i64(field::BLOOM, at);
                if sized {
                    writer.i32(field::BLOOM_LENGTH, length);
                }
            }
            writer.finish();
            out.into_bytes()
        };
        let whole = metadata(&found.fields, bloom);
        let apart = !clear && (own.is_some() || self.how.plaintext_footer);
        let shown = if apart && self.how.plaintext_footer {
            let bare: Vec<_> = found
                .fields
                .iter()
                .copied()
                .filter(|(field, _)| !matches!(field.id, 12 | 16))
                .collect();
            Some(metadata(&bare, None))
        } else {
            (!apart).then(|| whole.clone())
        };
        let mut last = 0;
        groups.i64(&mut last, 2, start);
        if let Some(shown) = shown {
            let field = super::super::thrift::Field {
                id: 3,
                kind: kind::STRUCT,
            };
            groups.copy(&mut last, (field, &shown));
        }
        if !clear {
            groups.field(&mut last, 8, kind::STRUCT);
            if own.is_some() {
                groups.field(&mut 0, 2, kind::STRUCT);
                groups.field(&mut 0, 1, kind::LIST);
                groups.list(kind::BINARY, leaf.names.len());
                for name in &leaf.names {
                    groups.binary(name.as_bytes());
                }
                groups.field(&mut 1, 2, kind::BINARY);
                groups.binary(format!("of {path}").as_bytes());
            } else {
                groups.field(&mut 0, 1, kind::STRUCT);
            }
            groups.stop();
            groups.stop();
        }
        if apart {
            let mut aad = Aad::new(&self.file_aad, ordinals.0, ordinals.1).unwrap();
            let module = self.gcm(&key, aad.only(Module::ColumnMetadata), &whole);
            groups.field(&mut last, 9, kind::BINARY);
            groups.binary(&module);
        }
        groups.stop();
    }

    /// Writes the page at the start of `chunk` and says how long it is there.
    fn page(&mut self, chunk: &[u8], id: PageId, key: &[u8], ordinals: (i16, i16)) -> usize {
        let Header {
            length,
            stored,
            stored_at: place,
            ..
        } = Header::parse(chunk).unwrap();
        let (header, rest) = chunk.split_at(length);
        let body = &rest[..stored as usize];
        let ctr = self.how.algorithm == Algorithm::GcmCtr;
        let overhead = if ctr { LENGTH + NONCE } else { OVERHEAD };
        let mut number = Out::default();
        number.zigzag((body.len() + overhead) as i64);
        let header_of_stored = [
            &header[..place.start],
            &number.into_bytes(),
            &header[place.end..],
        ]
        .concat();
        let mut aad = Aad::new(&self.file_aad, ordinals.0, ordinals.1).unwrap();
        let module = self.gcm(key, aad.header(id), &header_of_stored);
        self.put(&module);
        let module = if ctr {
            self.ctr(key, body)
        } else {
            self.gcm(key, aad.body(id), body)
        };
        self.put(&module);
        header.len() + body.len()
    }

    fn put(&mut self, module: &[u8]) {
        self.modules.push(Place {
            from: self.out.len(),
            length: module.len(),
        });
        self.out.extend_from_slice(module);
    }

    fn nonce(&mut self) -> [u8; NONCE] {
        self.nonce += 1;
        let mut nonce = [0x4e; NONCE];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        nonce
    }

    fn gcm(&mut self, key: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let mut data = plain.to_vec();
        let tag = DataKey::from_slice(key)
            .unwrap()
            .aead()
            .unwrap()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                AeadAad::from(aad),
                &mut data,
            )
            .unwrap();
        let length = (data.len() + NONCE + 16) as u32;
        [&length.to_le_bytes()[..], &nonce, &data, tag.as_ref()].concat()
    }

    fn ctr(&mut self, key: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let mut counter = [0; 16];
        counter[..NONCE].copy_from_slice(&nonce);
        counter[15] = 1;
        let algorithm = match key.len() {
            16 => &AES_128,
            24 => &AES_192,
            _ => &AES_256,
        };
        let mut data = plain.to_vec();
        EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).unwrap())
            .unwrap()
            .less_safe_encrypt(
                &mut data,
                EncryptionContext::Iv128(FixedLength::from(counter)),
            )
            .unwrap();
        let length = (data.len() + NONCE) as u32;
        [&length.to_le_bytes()[..], &nonce, &data].concat()
    }
}
