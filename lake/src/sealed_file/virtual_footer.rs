//! The footer of the virtual file: the stored one without anything about encryption, with the
//! places of the virtual file.
//!
//! Bloom filters come along where they are encrypted; those of columns in the clear do not, for
//! nothing authenticates them and a changed one would drop rows. The page index stays away: DuckDB
//! 2.0 reads none, it skips pages by the bounds in their headers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::aad::{Aad, Module};
use super::bloom::Bloom;
use super::chunks::{self, Chunk, Protection, Untagged};
use super::cipher::Cipher;
use super::column_metadata::{self, ColumnMetadata, field};
use super::error::LakeError;
use super::file_metadata::{self, Column, ColumnCrypto, FileMetadata, Leaf, Raw, RowGroup};
use super::footer::{OpenFooter, PLAIN};
use super::inspect::{self, ColumnProtection};
use super::layout::{Content, Layout, Slot, offset};
use super::modules::OVERHEAD;
use super::spec::ColumnRules;
use super::thrift::kind;
use super::thrift_out::Out;
use crate::keys::FileKeys;
use crate::manifest::Algorithm;
use crate::names::KeyId;

/// A footer made usable.
pub(super) struct VirtualFooter {
    /// Bytes from the footer's start to the end of the virtual file.
    pub(super) bytes: Vec<u8>,
    /// Where they begin.
    pub(super) start: u64,
    /// What lies before them.
    pub(super) slots: Vec<Slot>,
    /// The leaves' paths.
    pub(super) paths: Vec<String>,
    /// Names of the top-level columns, in order.
    pub(super) names: Vec<String>,
    /// How each of them is protected.
    pub(super) columns: BTreeMap<String, ColumnProtection>,
    /// Rows of the file.
    pub(super) rows: u64,
}

/// Makes the virtual footer from the stored one.
pub(super) fn build(
    opened: OpenFooter,
    keys: &FileKeys,
    rules: &ColumnRules,
) -> Result<VirtualFooter, LakeError> {
    let OpenFooter {
        plaintext,
        start,
        algorithm,
        file_aad,
        key,
        ..
    } = opened;
    let metadata = file_metadata::parse(&plaintext).map_err(LakeError::bad_footer)?;
    if metadata.length != plaintext.len() {
        return Err(LakeError::FooterForm("something behind its end".into()));
    }
    let rows = rows(&metadata)?;
    let footer_key = key.map(Arc::new);
    let column_keys = metadata
        .leaves
        .iter()
        .map(|leaf| {
            let own = keys.columns.get(&leaf.path);
            let own = own
                .map(|key| Cipher::new(key, algorithm == Algorithm::GcmCtr).map(Arc::new))
                .transpose()?;
            // Where some columns have keys of their own, the format makes every encrypted column
            // name one, also those that are under the footer's.
            // One that has a data key in this file never is.
            let under_footers = !rules.own_keys.contains(&leaf.path)
                && table_key(rules.key_ids.get(&leaf.path)) == Some(true);
            Ok(own.or_else(|| footer_key.clone().filter(|_| under_footers)))
        })
        .collect::<Result<Vec<_>, LakeError>>()?;
    let mut builder = Builder {
        metadata: &metadata,
        footer_key,
        column_keys,
        file_aad: &file_aad,
        algorithm,
        rules,
        start,
        ours: metadata
            .created_by
            .starts_with(crate::seal::CREATED_BY.as_bytes()),
        layout: Layout::default(),
        out: Out::default(),
    };
    builder.file()?;
    let Builder { layout, out, .. } = builder;
    let virtual_start = layout.end()?;
    let slots = layout.into_slots();
    let stored = slots.iter().filter_map(|slot| match &slot.content {
        Content::Chunk(chunk) => Some(chunk),
        _ => None,
    });
    chunks::check(stored, start)?;
    let mut bytes = out.into_bytes();
    let length = u32::try_from(bytes.len())
        .map_err(|_| LakeError::FooterForm("larger than any footer".into()))?;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(PLAIN);
    Ok(VirtualFooter {
        bytes,
        start: virtual_start,
        slots,
        names: names(&metadata),
        columns: inspect::columns(&metadata),
        paths: metadata.leaves.into_iter().map(|leaf| leaf.path).collect(),
        rows,
    })
}

/// Whether a key id is the table's, not a column's.
fn table_key(id: Option<&String>) -> Option<bool> {
    KeyId::parse(id?).map(|id| id.column().is_none())
}

fn names(metadata: &FileMetadata<'_>) -> Vec<String> {
    let leaves = metadata.leaves.iter();
    let mut names: Vec<String> = leaves
        .filter_map(|leaf| leaf.names.first().cloned())
        .collect();
    // The leaves of one column follow each other.
    names.dedup();
    names
}

fn rows(metadata: &FileMetadata<'_>) -> Result<u64, LakeError> {
    let mut sum = 0_i64;
    for group in &metadata.groups {
        sum = sum.saturating_add(group.rows);
    }
    u64::try_from(sum)
        .ok()
        .filter(|_| sum == metadata.rows)
        .ok_or_else(|| LakeError::FooterForm("the row groups' rows do not add up".into()))
}

struct Builder<'a> {
    metadata: &'a FileMetadata<'a>,
    footer_key: Option<Arc<Cipher>>,
    /// By leaf.
    column_keys: Vec<Option<Arc<Cipher>>>,
    file_aad: &'a [u8],
    algorithm: Algorithm,
    rules: &'a ColumnRules,
    /// Where the stored footer begins.
    start: u64,
    /// Whether this program wrote the file.
    ours: bool,
    layout: Layout,
    out: Out,
}

/// One column chunk and what is known of it before its metadata is read.
struct Subject<'a> {
    row_group: i16,
    column: i16,
    rows: i64,
    leaf: &'a Leaf,
}

impl Builder<'_> {
    fn file(&mut self) -> Result<(), LakeError> {
        let metadata = self.metadata;
        let (before, after): (Vec<Raw<'_>>, Vec<_>) =
            metadata.fields.iter().partition(|(field, _)| field.id < 4);
        let mut last = 0;
        for field in before {
            self.out.copy(&mut last, field);
        }
        self.out.field(&mut last, 4, kind::LIST);
        self.out.list(kind::STRUCT, metadata.groups.len());
        for (at, group) in metadata.groups.iter().enumerate() {
            let number = i16::try_from(at).map_err(|_| LakeError::Layout("too many row groups"))?;
            if group.ordinal.is_some_and(|ordinal| ordinal != number) {
                return Err(LakeError::Layout("row groups out of order"));
            }
            self.row_group(number, group)?;
        }
        for field in after {
            self.out.copy(&mut last, field);
        }
        self.out.stop();
        Ok(())
    }

    fn row_group(&mut self, row_group: i16, group: &RowGroup<'_>) -> Result<(), LakeError> {
        let mut last = 0;
        self.out.field(&mut last, 1, kind::LIST);
        self.out.list(kind::STRUCT, group.columns.len());
        let leaves = &self.metadata.leaves;
        for (at, (column, leaf)) in group.columns.iter().zip(leaves).enumerate() {
            let subject = Subject {
                row_group,
                column: i16::try_from(at).map_err(|_| LakeError::Layout("too many columns"))?,
                rows: group.rows,
                leaf,
            };
            self.column(&subject, column)?;
        }
        for field in &group.fields {
            self.out.copy(&mut last, *field);
        }
        self.out.stop();
        Ok(())
    }

    fn column(&mut self, subject: &Subject<'_>, column: &Column<'_>) -> Result<(), LakeError> {
        if column.elsewhere {
            return Err(LakeError::Layout("a column chunk in another file"));
        }
        let path = &subject.leaf.path;
        let id = self.rules.key_ids.get(path);
        let cipher = match column.crypto {
            Some(ColumnCrypto::Footer) if table_key(id) == Some(false) => {
                return Err(LakeError::ColumnDowngraded {
                    column: path.clone(),
                    key_id: id.cloned().unwrap_or_default(),
                });
            }
            Some(ColumnCrypto::Footer) => self.footer_key.clone(),
            Some(ColumnCrypto::Own(_)) => {
                let at = usize::try_from(subject.column).unwrap_or(usize::MAX);
                self.column_keys.get(at).cloned().flatten()
            }
            None => None,
        };
        let bad = |why: &str| {
            let path = &subject.leaf.path;
            LakeError::FooterForm(format!("{why}: column `{path}`"))
        };
        let malformed = || bad("malformed metadata");
        let protection = match (&column.crypto, cipher) {
            (None, _) if column.encrypted_metadata.is_some() => {
                return Err(bad("encrypted metadata without a key"));
            }
            (None, _) if !self.rules.clear.contains(&subject.leaf.path) => {
                return Err(LakeError::ColumnClear(subject.leaf.path.clone()));
            }
            (None, _) => Protection::Clear,
            (Some(_), Some(cipher)) => match self.algorithm {
                Algorithm::Gcm => Protection::Gcm(cipher),
                Algorithm::GcmCtr => Protection::Ctr(cipher),
            },
            (Some(_), None) => {
                let clear = column
                    .metadata
                    .map(|bytes| column_metadata::parse(bytes, subject.leaf))
                    .transpose()
                    .map_err(|_| malformed())?;
                return self.locked(subject, clear.as_ref());
            }
        };
        let opened = match (&protection, column.encrypted_metadata) {
            (Protection::Gcm(cipher) | Protection::Ctr(cipher), Some(module)) => {
                Some(self.open_metadata(subject, cipher, module)?)
            }
            _ => None,
        };
        let bytes = opened.as_ref().map(|bytes| bytes.as_slice());
        let bytes = bytes.or(column.metadata).ok_or_else(malformed)?;
        let found = column_metadata::parse(bytes, subject.leaf).map_err(|_| malformed())?;
        self.usable(subject, &found, protection)
    }

    fn open_metadata(
        &self,
        subject: &Subject<'_>,
        cipher: &Cipher,
        module: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, LakeError> {
        let mut aad = Aad::new(self.file_aad, subject.row_group, subject.column)
            .ok_or(LakeError::CryptoForm("the AAD is too long"))?;
        let mut out = Zeroizing::new(vec![0; module.len().saturating_sub(OVERHEAD)]);
        cipher
            .open(module, aad.only(Module::ColumnMetadata), &mut out)
            .ok_or_else(|| LakeError::ColumnKeyWrong {
                column: subject.leaf.path.clone(),
                key: cipher.label().to_owned(),
            })?;
        Ok(out)
    }

    fn usable(
        &mut self,
        subject: &Subject<'_>,
        found: &ColumnMetadata<'_>,
        protection: Protection,
    ) -> Result<(), LakeError> {
        let path = &subject.leaf.path;
        let at = usize::try_from(subject.row_group).unwrap_or(usize::MAX);
        let untagged = (!protection.is_tagged()).then(|| Untagged {
            digest: self
                .rules
                .digests
                .get(path)
                .and_then(|digests| digests.get(at).copied()),
            accepted: self.rules.accept_unauthenticated.contains(path),
            verified: OnceLock::new(),
        });
        let chunk = Chunk {
            start: found.start,
            stored: found.stored,
            exact: chunks::exact(found, &protection, self.ours)?,
            row_group: subject.row_group,
            column: subject.column,
            dictionary: found.dictionary.is_some(),
            protection: protection.clone(),
            untagged,
        };
        let room = offset(chunk.room())?;
        let place = self.layout.put(Content::Chunk(chunk))?;
        let bloom = match (protection, found.bloom) {
            (Protection::Gcm(cipher) | Protection::Ctr(cipher), Some(at)) => {
                let ordinals = (subject.row_group, subject.column);
                Bloom::new(at, found.bloom_length, ordinals, self.start, cipher)
            }
            _ => None,
        };
        let bloom = bloom
            .map(|bloom| {
                let length = bloom.sized.then(|| i32::try_from(bloom.room()).ok());
                let place = self.layout.put(Content::Bloom(bloom))?;
                Ok::<_, LakeError>((place, length.flatten()))
            })
            .transpose()?;
        let data = place.saturating_add(offset(found.dictionary.unwrap_or(0))?);
        self.begin_column(place);
        let mut fields = Fields::new(&mut self.out, &found.fields);
        fields.i64(field::STORED, room);
        fields.i64(field::DATA_PAGE, data);
        if found.dictionary.is_some() {
            fields.i64(field::DICTIONARY_PAGE, place);
        }
        if let Some((place, length)) = bloom {
            fields.i64(field::BLOOM, place);
            if let Some(length) = length {
                fields.i32(field::BLOOM_LENGTH, length);
            }
        }
        fields.finish();
        self.out.stop();
        Ok(())
    }

    /// A chunk that cannot be read: whatever of its metadata is not known stands as nothing at all.
    fn locked(
        &mut self,
        subject: &Subject<'_>,
        known: Option<&ColumnMetadata<'_>>,
    ) -> Result<(), LakeError> {
        const PLAIN_ENCODING: i64 = 0;
        let place = self.layout.put(Content::Locked {
            column: subject.column,
        })?;
        self.begin_column(place);
        if let Some(known) = known {
            let mut fields = Fields::new(&mut self.out, &known.fields);
            fields.i64(field::STORED, 1);
            fields.i64(field::DATA_PAGE, place);
            fields.finish();
        } else {
            let (out, mut last) = (&mut self.out, 0);
            out.i32(&mut last, 1, subject.leaf.physical);
            out.field(&mut last, 2, kind::LIST);
            out.list(kind::I32, 1);
            out.zigzag(PLAIN_ENCODING);
            out.field(&mut last, 3, kind::LIST);
            out.list(kind::BINARY, subject.leaf.names.len());
            for name in &subject.leaf.names {
                out.binary(name.as_bytes());
            }
            // Not compressed.
            out.i32(&mut last, 4, 0);
            out.i64(&mut last, 5, subject.rows);
            out.i64(&mut last, 6, 1);
            out.i64(&mut last, field::STORED, 1);
            out.i64(&mut last, field::DATA_PAGE, place);
            out.stop();
        }
        self.out.stop();
        Ok(())
    }

    /// `ColumnChunk` as far as the start of its `ColumnMetaData`.
    fn begin_column(&mut self, place: i64) {
        let mut last = 0;
        self.out.i64(&mut last, 2, place);
        self.out.field(&mut last, 3, kind::STRUCT);
    }
}

/// Fields copied, with numbers put in where they belong in the order of the fields.
pub(super) struct Fields<'o, 'a> {
    out: &'o mut Out,
    last: i16,
    rest: &'a [Raw<'a>],
}

impl<'o, 'a> Fields<'o, 'a> {
    pub(super) fn new(out: &'o mut Out, rest: &'a [Raw<'a>]) -> Self {
        Self { out, last: 0, rest }
    }

    fn copy_before(&mut self, id: i16) {
        while let Some((first, rest)) = self.rest.split_first()
            && first.0.id < id
        {
            self.out.copy(&mut self.last, *first);
            self.rest = rest;
        }
    }

    pub(super) fn i64(&mut self, id: i16, value: i64) {
        self.copy_before(id);
        self.out.i64(&mut self.last, id, value);
    }

    pub(super) fn i32(&mut self, id: i16, value: i32) {
        self.copy_before(id);
        self.out.i32(&mut self.last, id, value);
    }

    pub(super) fn finish(mut self) {
        self.copy_before(i16::MAX);
        self.out.stop();
    }
}
