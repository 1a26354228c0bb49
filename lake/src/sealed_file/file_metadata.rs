//! `FileMetaData` taken apart: schema, row groups and columns, everything else as the bytes it is.

use super::thrift::{BadThrift, Compact, Field, kind};

type Result<T> = std::result::Result<T, BadThrift>;

/// A field with its value's bytes.
pub(super) type Raw<'a> = (Field, &'a [u8]);

/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 128;
/// Longest name in a schema, and longest part of a path, in bytes.
const MAX_NAME: usize = 64 << 10;
/// Longest path of a leaf, in bytes.
const MAX_PATH: usize = 4096;
/// All paths together, in bytes: names high up in the tree stand in every path below them.
const MAX_PATHS: usize = 64 << 20;
/// Most leaves: the format's ordinals end there.
const MAX_LEAVES: usize = 32_767;
/// Most column chunks of a file: what is kept of one takes far more memory than its entry may have
/// bytes.
const MAX_CHUNKS: usize = 4 << 20;
/// Longest key metadata and longest encrypted column metadata, in bytes.
const MAX_BINARY: usize = 16 << 20;

/// A footer's structure.
pub(super) struct FileMetadata<'a> {
    /// Schema, rows, names and whatever is not told apart here.
    pub(super) fields: Vec<Raw<'a>>,
    /// The schema's leaves, in order.
    pub(super) leaves: Vec<Leaf>,
    /// Rows of the file.
    pub(super) rows: i64,
    /// In order.
    pub(super) groups: Vec<RowGroup<'a>>,
    /// The program that wrote the file.
    pub(super) created_by: &'a [u8],
    /// `EncryptionAlgorithm`, of a signed footer in the clear.
    pub(super) algorithm: Option<&'a [u8]>,
    /// What the writer says of the key that signs a footer in the clear.
    pub(super) key_metadata: Option<&'a [u8]>,
    /// How many bytes the structure took.
    pub(super) length: usize,
}

/// A column of the schema that holds values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Names from the root's child down, joined by `.`.
    pub(super) path: String,
    /// The names.
    pub(super) names: Vec<String>,
    /// Parquet's physical type.
    pub(super) physical: i32,
}

/// A row group.
pub(super) struct RowGroup<'a> {
    /// Everything but the columns and places in the file.
    pub(super) fields: Vec<Raw<'a>>,
    /// One per leaf.
    pub(super) columns: Vec<Column<'a>>,
    /// Its rows.
    pub(super) rows: i64,
    /// Its number, if it says so.
    pub(super) ordinal: Option<i16>,
}

/// A column chunk.
#[derive(Default)]
pub(super) struct Column<'a> {
    /// Whether it lies in another file.
    pub(super) elsewhere: bool,
    /// `ColumnMetaData` in the clear (of the footer, which may itself be encrypted).
    pub(super) metadata: Option<&'a [u8]>,
    /// How it is encrypted, if it is.
    pub(super) crypto: Option<ColumnCrypto<'a>>,
    /// `ColumnMetaData` as an encrypted module.
    pub(super) encrypted_metadata: Option<&'a [u8]>,
}

/// The key that a column is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnCrypto<'a> {
    /// The footer's.
    Footer,
    /// Its own, with what the writer says of that key.
    Own(Option<&'a [u8]>),
}

/// Reads the structure from the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Result<FileMetadata<'_>> {
    let mut read = Compact::new(bytes);
    let mut found = FileMetadata {
        fields: Vec::new(),
        leaves: Vec::new(),
        rows: -1,
        groups: Vec::new(),
        created_by: &[],
        algorithm: None,
        key_metadata: None,
        length: 0,
    };
    let mut last = 0;
    while let Some(field) = read.next(&mut last)? {
        if (field.id, field.kind) == (4, kind::LIST) {
            for _ in 0..read.structs()? {
                found.groups.push(row_group(&mut read, &found.leaves)?);
                if found.groups.len().saturating_mul(found.leaves.len()) > MAX_CHUNKS {
                    return Err(BadThrift);
                }
            }
            continue;
        }
        let value = read.raw(field.kind)?;
        let mut inner = Compact::new(value);
        match (field.id, field.kind) {
            (2, kind::LIST) => found.leaves = schema(&mut inner)?,
            (3, kind::I64) => found.rows = inner.i64()?,
            (6, kind::BINARY) => found.created_by = inner.binary(MAX_BINARY)?,
            (8, kind::STRUCT) => found.algorithm = Some(value),
            (9, kind::BINARY) => found.key_metadata = Some(inner.binary(MAX_BINARY)?),
            (2..=4 | 6 | 8 | 9, _) => return Err(BadThrift),
            _ => {}
        }
        if !matches!(field.id, 8 | 9) {
            found.fields.push((field, value));
        }
    }
    found.length = read.at();
    if found.leaves.is_empty() || found.rows < 0 {
        return Err(BadThrift);
    }
    Ok(found)
}

/// The leaves of a schema, which is a tree written from the root down.
fn schema(read: &mut Compact<'_>) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::new();
    let mut paths = 0_usize;
    // Names of the nodes above, each with the number of its children still to come.
    let mut above: Vec<(String, u64)> = Vec::new();
    for at in 0..read.structs()? {
        let node = node(read)?;
        if at == 0 {
            above.push((String::new(), node.children.ok_or(BadThrift)?));
            continue;
        }
        while above.last().is_some_and(|(_, left)| *left == 0) {
            above.pop();
        }
        let (_, left) = above.last_mut().ok_or(BadThrift)?;
        *left -= 1;
        match (node.children, node.physical) {
            (Some(children), _) if above.len() < MAX_DEPTH => above.push((node.name, children)),
            (None, Some(physical)) => {
                let length = above.iter().skip(1).map(|(name, _)| name.len() + 1);
                let length = length.sum::<usize>() + node.name.len();
                paths = paths.saturating_add(length);
                if length > MAX_PATH || paths > MAX_PATHS || leaves.len() == MAX_LEAVES {
                    return Err(BadThrift);
                }
                let mut names: Vec<_> =
                    above.iter().skip(1).map(|(name, _)| name.clone()).collect();
                names.push(node.name);
                leaves.push(Leaf {
                    path: names.join("."),
                    names,
                    physical,
                });
            }
            _ => return Err(BadThrift),
        }
    }
    if above.iter().any(|(_, left)| *left > 0) {
        return Err(BadThrift);
    }
    Ok(leaves)
}

struct Node {
    name: String,
    children: Option<u64>,
    physical: Option<i32>,
}

fn node(read: &mut Compact<'_>) -> Result<Node> {
    let mut found = Node {
        name: String::new(),
        children: None,
        physical: None,
    };
    let mut last = 0;
    while let Some(field) = read.next(&mut last)? {
        match (field.id, field.kind) {
            (1, kind::I32) => found.physical = Some(read.i32()?),
            (4, kind::BINARY) => found.name = text(read)?,
            (5, kind::I32) => {
                let children = u64::try_from(read.i32()?).map_err(|_| BadThrift)?;
                // A leaf may say that it has none; so may the root of a table without columns.
                found.children =
                    Some(children).filter(|children| *children > 0 || found.physical.is_none());
            }
            _ => read.skip(field.kind)?,
        }
    }
    Ok(found)
}

fn row_group<'a>(read: &mut Compact<'a>, leaves: &[Leaf]) -> Result<RowGroup<'a>> {
    let mut found = RowGroup {
        fields: Vec::new(),
        columns: Vec::new(),
        rows: -1,
        ordinal: None,
    };
    let mut last = 0;
    while let Some(field) = read.next(&mut last)? {
        if (field.id, field.kind) == (1, kind::LIST) {
            let count = read.structs()?;
            if count != leaves.len() as u64 {
                return Err(BadThrift);
            }
            found.columns = leaves
                .iter()
                .map(|leaf| column(read, leaf))
                .collect::<Result<_>>()?;
            continue;
        }
        let value = read.raw(field.kind)?;
        let mut inner = Compact::new(value);
        match (field.id, field.kind) {
            (3, kind::I64) => found.rows = inner.i64()?,
            (7, kind::I16) => found.ordinal = Some(inner.i16()?),
            (1 | 3 | 7, _) => return Err(BadThrift),
            _ => {}
        }
        // Field 5 is the group's place in the file.
        if field.id != 5 {
            found.fields.push((field, value));
        }
    }
    if found.columns.len() != leaves.len() || found.rows < 0 {
        return Err(BadThrift);
    }
    Ok(found)
}

fn column<'a>(read: &mut Compact<'a>, leaf: &Leaf) -> Result<Column<'a>> {
    let mut found = Column::default();
    let mut last = 0;
    while let Some(field) = read.next(&mut last)? {
        match (field.id, field.kind) {
            (1, kind::BINARY) => {
                found.elsewhere = true;
                read.skip(kind::BINARY)?;
            }
            (3, kind::STRUCT) => found.metadata = Some(read.raw(kind::STRUCT)?),
            (8, kind::STRUCT) => found.crypto = Some(crypto(read, leaf)?),
            (9, kind::BINARY) => found.encrypted_metadata = Some(read.binary(MAX_BINARY)?),
            (1 | 3 | 8 | 9, _) => return Err(BadThrift),
            // Places of the page index, which the virtual file does not have.
            _ => read.skip(field.kind)?,
        }
    }
    Ok(found)
}

fn crypto<'a>(read: &mut Compact<'a>, leaf: &Leaf) -> Result<ColumnCrypto<'a>> {
    let chosen = read.field(0)?.ok_or(BadThrift)?;
    let found = match (chosen.id, chosen.kind) {
        (1, kind::STRUCT) => {
            read.skip(kind::STRUCT)?;
            ColumnCrypto::Footer
        }
        (2, kind::STRUCT) => {
            let mut key_metadata = None;
            let mut last = 0;
            while let Some(field) = read.next(&mut last)? {
                match (field.id, field.kind) {
                    (1, kind::LIST) => same_path(read, leaf)?,
                    (2, kind::BINARY) => key_metadata = Some(read.binary(MAX_BINARY)?),
                    _ => return Err(BadThrift),
                }
            }
            ColumnCrypto::Own(key_metadata)
        }
        _ => return Err(BadThrift),
    };
    match read.field(chosen.id)? {
        None => Ok(found),
        Some(_) => Err(BadThrift),
    }
}

/// Reads a list of names, which must be the leaf's.
pub(super) fn same_path(read: &mut Compact<'_>, leaf: &Leaf) -> Result<()> {
    let (element, count) = read.list()?;
    if element != kind::BINARY || count != leaf.names.len() as u64 {
        return Err(BadThrift);
    }
    for name in &leaf.names {
        if read.binary(MAX_NAME)? != name.as_bytes() {
            return Err(BadThrift);
        }
    }
    Ok(())
}

fn text(read: &mut Compact<'_>) -> Result<String> {
    let bytes = read.binary(MAX_NAME)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| BadThrift)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::thrift_out::Out;
    use super::{Compact, kind, schema};

    /// A group called `group` with as many leaves called `leaf`.
    fn leaves(group: &str, leaf: &str, count: usize) -> Option<usize> {
        let mut out = Out::default();
        out.list(kind::STRUCT, count + 2);
        for (name, children) in [("", 1), (group, count)] {
            let mut last = 0;
            out.field(&mut last, 4, kind::BINARY);
            out.binary(name.as_bytes());
            out.i32(&mut last, 5, children.try_into().unwrap());
            out.stop();
        }
        for _ in 0..count {
            let mut last = 0;
            out.i32(&mut last, 1, 1);
            out.field(&mut last, 4, kind::BINARY);
            out.binary(leaf.as_bytes());
            out.stop();
        }
        let bytes = out.into_bytes();
        let leaves = schema(&mut Compact::new(&bytes)).ok()?;
        assert!(
            leaves
                .iter()
                .all(|found| found.path == format!("{group}.{leaf}"))
        );
        Some(leaves.len())
    }

    #[test]
    fn few_bytes_make_no_heap_of_paths() {
        assert_eq!(leaves("g", "x", 32_767), Some(32_767));
        assert_eq!(leaves("g", "x", 32_768), None);
        assert_eq!(leaves(&"g".repeat(4000), &"x".repeat(95), 2), Some(2));
        assert_eq!(leaves(&"g".repeat(4000), &"x".repeat(96), 2), None);
        assert_eq!(leaves(&"g".repeat(4000), "x", 16_000), Some(16_000));
        assert_eq!(leaves(&"g".repeat(4000), "x", 17_000), None);
    }
}
