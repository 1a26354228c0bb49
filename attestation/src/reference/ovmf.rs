//! What a firmware image must hold to be launched under SEV-SNP: the table of GUIDs at its end and
//! the list of pages that it points to (OVMF, `ResetVector.nasmb` and `OvmfSevMetadata.asm`).
//!
//! The crate that computes the digest reads the same places and indexes without looking, so
//! everything that it will touch is checked here first.

use super::{ReferenceError, field};

/// Bytes of an image; QEMU takes at most 8 MiB by itself.
pub(super) const MAX_IMAGE: u64 = 16 << 20;
/// Bytes of memory that the listed pages may cover. Real images: about 128 KiB.
const MAX_PAGES: u64 = 256 << 20;
const PAGE: u64 = 4096;
/// The reset vector stands behind the table.
const AFTER_TABLE: usize = 32;
/// Length and GUID.
const ENTRY_HEADER: usize = 2 + 16;
const METADATA_HEADER: usize = 16;
const METADATA_ITEM: usize = 12;
/// Bytes of the table of hashes that QEMU writes into its page.
const HASH_TABLE: u32 = 176;

/// 96b582de-1fb2-45f7-baea-a366c55a082d.
const TABLE_FOOTER: [u8; 16] = [
    0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d,
];
/// 7255371f-3a3b-4b04-927b-1da6efa8d454.
const HASH_TABLE_AREA: [u8; 16] = [
    0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54,
];
/// 00f771de-1a7e-4fcb-890e-68c77e2fb44e.
const RESET_BLOCK: [u8; 16] = [
    0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e,
];
/// dc886566-984a-4798-a75e-5585a7bf67cc.
const SEV_METADATA: [u8; 16] = [
    0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc,
];

/// Kinds of listed pages.
const SECURE_MEMORY: u32 = 1;
const SECRETS: u32 = 2;
const CPUID: u32 = 3;
const SVSM_CALLING_AREA: u32 = 4;
const KERNEL_HASHES: u32 = 0x10;

/// An image that can be launched.
#[derive(Debug)]
pub(super) struct Ovmf {
    /// Whether the hashes of kernel, initial RAM disk and command line have a page.
    pub(super) kernel_hashes: bool,
}

impl Ovmf {
    pub(super) fn parse(image: &[u8]) -> Result<Self, ReferenceError> {
        let bad = ReferenceError::Firmware;
        if image.is_empty() || !(image.len() as u64).is_multiple_of(PAGE) {
            return Err(bad("a length that is no multiple of 4096"));
        }
        let table = Table::parse(image).ok_or(bad("no table of GUIDs, or a damaged one"))?;
        if table.reset_address.is_none() {
            return Err(bad("no reset address for further vCPUs"));
        }
        let metadata = table.metadata.ok_or(bad("no SEV metadata"))?;
        let kernel_hashes = pages(image, metadata).ok_or(bad("damaged SEV metadata"))?;
        // QEMU writes the table at its place in the page; what sticks out would be cut.
        let fits = table
            .hash_table
            .is_some_and(|address| address != 0 && address % 4096 <= 4096 - HASH_TABLE);
        Ok(Self {
            kernel_hashes: kernel_hashes && fits,
        })
    }
}

/// The entries that matter, each with its first number.
#[derive(Default)]
struct Table {
    reset_address: Option<u32>,
    hash_table: Option<u32>,
    /// Counted from the end of the image.
    metadata: Option<u32>,
}

impl Table {
    /// Reads backwards: each entry ends with its own length and GUID.
    fn parse(image: &[u8]) -> Option<Self> {
        let footer = image.len().checked_sub(AFTER_TABLE + ENTRY_HEADER)?;
        let (len, guid) = entry_header(image, footer)?;
        if guid != TABLE_FOOTER {
            return None;
        }
        let start = footer.checked_sub(len.checked_sub(ENTRY_HEADER)?)?;
        let mut rest = image.get(start..footer)?;
        let mut table = Self::default();
        while let Some(header) = rest.len().checked_sub(ENTRY_HEADER) {
            let (len, guid) = entry_header(rest, header)?;
            let start = rest.len().checked_sub(len)?;
            let data = rest.get(start..header)?;
            rest = rest.get(..start)?;
            let known = match guid {
                RESET_BLOCK => &mut table.reset_address,
                HASH_TABLE_AREA => &mut table.hash_table,
                SEV_METADATA => &mut table.metadata,
                _ => continue,
            };
            // Twice the same: which one the machine monitor takes is anyone's guess.
            if known.is_some() {
                return None;
            }
            *known = Some(u32::from_le_bytes(field(data, 0)?));
        }
        rest.is_empty().then_some(table)
    }
}

fn entry_header(bytes: &[u8], at: usize) -> Option<(usize, [u8; 16])> {
    let len = u16::from_le_bytes(field(bytes, at)?).into();
    (len >= ENTRY_HEADER).then_some((len, field(bytes, at + 2)?))
}

/// Checks the list of pages; whether one of them is for hashes.
fn pages(image: &[u8], from_end: u32) -> Option<bool> {
    let start = image.len().checked_sub(usize::try_from(from_end).ok()?)?;
    let list = image.get(start..)?;
    let number = |at| field(list, at).map(u32::from_le_bytes);
    let len = usize::try_from(number(4)?).ok()?;
    let items = list.get(METADATA_HEADER..len)?;
    if list.get(..4)? != b"ASEV" || number(8)? != 1 {
        return None;
    }
    let count = usize::try_from(number(12)?).ok()?;
    let items = items.get(..count.checked_mul(METADATA_ITEM)?)?;
    let (mut covered, mut hashes) = (0u64, false);
    for item in items.chunks_exact(METADATA_ITEM) {
        let len = u64::from(u32::from_le_bytes(field(item, 4)?));
        let right = match u32::from_le_bytes(field(item, 8)?) {
            SECURE_MEMORY | SVSM_CALLING_AREA => len.is_multiple_of(PAGE),
            SECRETS | CPUID => len == PAGE,
            KERNEL_HASHES => {
                hashes = true;
                len == PAGE
            }
            _ => false,
        };
        covered = covered.checked_add(len)?;
        if !right || covered > MAX_PAGES {
            return None;
        }
    }
    Some(hashes)
}
