//! The digest by which UEFI measures a program that it loads: SHA-384 over a PE image without its
//! checksum and signatures (PE/COFF specification 8.0, appendix A; edk2, `MeasureBootPeCoff.c`).

use aws_lc_rs::digest;

use super::register::finish;
use super::{ReferenceError, field};
use crate::measurement::Measurement;

/// Windows refuses more, and so does this.
const MAX_SECTIONS: usize = 96;
/// Place of the directory entry of signatures.
const SIGNATURES: u32 = 4;
const PE32_PLUS: u16 = 0x20b;

/// The digest of a 64-bit image.
pub(super) fn sha384(image: &[u8]) -> Result<Measurement, ReferenceError> {
    let bad = ReferenceError::Kernel;
    let headers = Headers::parse(image).ok_or(bad("no headers of a 64-bit PE image"))?;
    let mut running = digest::Context::new(&digest::SHA384);
    for range in &headers.ranges {
        running.update(image.get(range.clone()).ok_or(bad("damaged headers"))?);
    }
    let mut hashed = headers.len;
    for (at, len) in &headers.sections {
        let end = at.checked_add(*len);
        let section = end
            .and_then(|end| image.get(*at..end))
            .ok_or(bad("a section lies outside of the file"))?;
        running.update(section);
        hashed = hashed
            .checked_add(*len)
            .filter(|hashed| *hashed <= image.len())
            .ok_or(bad("sections overlap"))?;
    }
    // Whatever follows, but not the signatures, which must be last.
    let end = image
        .len()
        .checked_sub(headers.signatures)
        .filter(|end| hashed <= *end)
        .ok_or(bad("signatures overlap the sections"))?;
    running.update(image.get(hashed..end).unwrap_or_default());
    Ok(finish(running))
}

/// What the headers say.
struct Headers {
    /// Bytes of all of them.
    len: usize,
    /// What of them is measured.
    ranges: Vec<std::ops::Range<usize>>,
    /// Place and length in the file, sorted by place; none is empty.
    sections: Vec<(usize, usize)>,
    /// Bytes of signatures.
    signatures: usize,
}

impl Headers {
    fn parse(image: &[u8]) -> Option<Self> {
        let number = |at| usize::try_from(u32::from_le_bytes(field(image, at)?)).ok();
        let short = |at| Some(u16::from_le_bytes(field(image, at)?));
        if image.get(..2)? != b"MZ" {
            return None;
        }
        let pe = number(0x3c)?;
        let coff = pe.checked_add(4)?;
        let optional = coff.checked_add(20)?;
        if image.get(pe..coff)? != b"PE\0\0" || short(optional)? != PE32_PLUS {
            return None;
        }
        let len = number(optional.checked_add(60)?)?;
        let checksum = optional.checked_add(64)?;
        let directories = u32::from_le_bytes(field(image, optional.checked_add(108)?)?);
        let entry = optional.checked_add(112 + 8 * 4)?;
        let (ranges, signatures) = if directories > SIGNATURES {
            let ranges = vec![0..checksum, checksum + 4..entry, entry + 8..len];
            (ranges, number(entry + 4)?)
        } else {
            (vec![0..checksum, checksum + 4..len], 0)
        };
        let count = usize::from(short(coff + 2)?);
        let first = optional.checked_add(short(coff + 16)?.into())?;
        if count > MAX_SECTIONS {
            return None;
        }
        let mut sections = Vec::with_capacity(count);
        for index in 0..count {
            let header = first.checked_add(index * 40)?;
            let (size, at) = (number(header + 16)?, number(header + 20)?);
            if size > 0 {
                sections.push((at, size));
            }
        }
        // Stable: equal places keep the order of the table, as in the firmware.
        sections.sort_by_key(|(at, _)| *at);
        Some(Self {
            len,
            ranges,
            sections,
            signatures,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    /// Offset of the optional header of [`image`].
    const OPTIONAL: usize = 0x40 + 24;

    /// A small image with two sections, some bytes behind them and 16 bytes of signatures; the setup
    /// header of Linux lies in its first section, as in a kernel.
    pub(in crate::reference) fn image() -> Vec<u8> {
        let mut image = vec![0; 0x1000];
        let put = |image: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            image[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(&mut image, 0, b"MZ");
        put(&mut image, 0x3c, &0x40u32.to_le_bytes());
        put(&mut image, 0x40, b"PE\0\0");
        put(&mut image, 0x40 + 4 + 2, &2u16.to_le_bytes());
        put(&mut image, 0x40 + 4 + 16, &160u16.to_le_bytes());
        put(&mut image, OPTIONAL, &PE32_PLUS.to_le_bytes());
        put(&mut image, OPTIONAL + 60, &0x1f0u32.to_le_bytes());
        put(&mut image, OPTIONAL + 64, &[0xaa; 4]);
        put(&mut image, OPTIONAL + 108, &6u32.to_le_bytes());
        put(&mut image, OPTIONAL + 112 + 36, &16u32.to_le_bytes());
        // Out of order, as a linker may write them.
        for (index, (at, size)) in [(0x800u32, 0x700u32), (0x1f0, 0x610)].iter().enumerate() {
            put(
                &mut image,
                OPTIONAL + 160 + 40 * index + 16,
                &size.to_le_bytes(),
            );
            put(
                &mut image,
                OPTIONAL + 160 + 40 * index + 20,
                &at.to_le_bytes(),
            );
        }
        image[0x1f0] = 0x55;
        image[0xfff] = 0x99;
        image
    }

    #[test]
    fn checksum_and_signatures_do_not_count_and_everything_else_does() {
        let good = sha384(&image()).unwrap();
        for at in 0..0x1000 {
            let mut flipped = image();
            flipped[at] ^= 1;
            let left_out = (OPTIONAL + 64..OPTIONAL + 68).contains(&at)
                || (OPTIONAL + 112 + 32..OPTIONAL + 112 + 36).contains(&at)
                || at >= 0xff0;
            match sha384(&flipped) {
                Ok(digest) => assert_eq!(digest == good, left_out, "{at:#x}"),
                Err(_) => assert!(!left_out, "{at:#x}"),
            }
        }
    }

    #[test]
    fn an_image_without_a_signature_directory_is_measured_to_its_end() {
        let mut image = image();
        image[OPTIONAL + 108] = 4;
        let whole = sha384(&image).unwrap();
        image[0xfff] ^= 1;
        assert_ne!(sha384(&image).unwrap(), whole);
    }

    #[test]
    fn what_the_firmware_could_not_load_is_refused() {
        let short = image()[..0xe00].to_vec();
        let mut outside = image();
        outside[OPTIONAL + 160 + 18] = 1;
        let mut overlap = image();
        overlap[OPTIONAL + 160 + 16..OPTIONAL + 160 + 20].copy_from_slice(&0x800u32.to_le_bytes());
        let mut signatures = image();
        signatures[OPTIONAL + 112 + 37] = 2;
        let mut small = image();
        small[OPTIONAL] = 0x0b;
        small[OPTIONAL + 1] = 1;
        for bad in [
            &b""[..],
            b"MZ",
            &short,
            &outside,
            &overlap,
            &signatures,
            &small,
        ] {
            assert!(matches!(sha384(bad), Err(ReferenceError::Kernel(_))));
        }
    }
}
