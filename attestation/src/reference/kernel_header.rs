//! What QEMU before 10.2 writes into a kernel's setup header before it hands the kernel over
//! (Linux x86 boot protocol; QEMU, `x86_load_linux`). The firmware measures the result.

use super::{ReferenceError, field};

/// `HdrS` at 0x202.
const MAGIC: &[u8] = b"HdrS";
/// Boot protocol 2.12, Linux 3.8: no kernel that knows TDX is older.
const MIN_PROTOCOL: u16 = 0x20c;
const LOADED_HIGH: u8 = 0x01;
const CAN_USE_HEAP: u8 = 0x80;
/// `XLF_CAN_BE_LOADED_ABOVE_4G`.
const ABOVE_4G: u16 = 0x02;
const QEMU_LOADER: u8 = 0xb0;
/// Where QEMU puts the real-mode part and the command line of such kernels.
const REAL_MODE: u32 = 0x1_0000;
const COMMAND_LINE: u32 = 0x2_0000;
/// Kept free for ACPI tables at the end of low memory.
const ACPI: u64 = 0x2_8000;
/// The machine type q35 splits its memory here.
const LOW_MEMORY: u64 = 0x8000_0000;
const LOW_MEMORY_OF_SMALL: u64 = 0xb000_0000;

/// The kernel as a guest with `memory` bytes gets it. Only the machine type q35 with its default
/// split of memory.
pub(super) fn fill_in(
    kernel: &[u8],
    initrd: Option<usize>,
    memory: u64,
) -> Result<Vec<u8>, ReferenceError> {
    let bad = ReferenceError::KernelHeader;
    let header = Header::parse(kernel).ok_or(bad("there is none"))?;
    if header.protocol < MIN_PROTOCOL || header.load_flags & LOADED_HIGH == 0 {
        return Err(bad("its boot protocol is older than 2.12"));
    }
    let mut kernel = kernel.to_vec();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = kernel.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0x210, &[QEMU_LOADER, header.load_flags | CAN_USE_HEAP]);
    let heap_end = (COMMAND_LINE - REAL_MODE - 0x200) & 0xffff;
    put(0x224, heap_end.to_le_bytes().get(..2).unwrap_or_default());
    put(0x228, &COMMAND_LINE.to_le_bytes());
    if let Some(len) = initrd {
        let (at, len) = header
            .initrd(len, memory)
            .ok_or(ReferenceError::Memory { memory })?;
        put(0x218, &at.to_le_bytes());
        put(0x21c, &len.to_le_bytes());
    }
    Ok(kernel)
}

/// The fields that decide.
struct Header {
    protocol: u16,
    load_flags: u8,
    /// The highest address that the kernel finds an initial RAM disk at.
    initrd_max: u32,
}

impl Header {
    fn parse(kernel: &[u8]) -> Option<Self> {
        if kernel.get(0x202..0x206)? != MAGIC {
            return None;
        }
        let above = u16::from_le_bytes(field(kernel, 0x236)?) & ABOVE_4G != 0;
        Some(Self {
            protocol: u16::from_le_bytes(field(kernel, 0x206)?),
            load_flags: *kernel.get(0x211)?,
            initrd_max: if above {
                u32::MAX
            } else {
                u32::from_le_bytes(field(kernel, 0x22c)?)
            },
        })
    }

    /// Address and length.
    fn initrd(&self, len: usize, memory: u64) -> Option<(u32, u32)> {
        let low = if memory >= LOW_MEMORY_OF_SMALL {
            LOW_MEMORY
        } else {
            memory
        };
        let free = low.checked_sub(ACPI)?.checked_sub(1)?;
        let max = free.min(self.initrd_max.into());
        let len = u64::try_from(len).ok()?;
        let at = max.checked_sub(len).filter(|left| *left > 0)? & !0xfff;
        Some((at.try_into().ok()?, len.try_into().ok()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn kernel() -> Vec<u8> {
        let mut kernel = vec![0; 0x400];
        kernel[0x202..0x206].copy_from_slice(MAGIC);
        kernel[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
        kernel[0x211] = LOADED_HIGH;
        kernel[0x224..0x226].copy_from_slice(&[0xa0, 0x50]);
        kernel[0x236] = 0x7f;
        kernel
    }

    /// What was seen of a real kernel with an initial RAM disk of 11 101 888 bytes in a guest with
    /// more than 2.75 GiB (github.com/Dstack-TEE/dstack, issue 1185): these bytes and no others.
    #[test]
    fn the_bytes_that_qemu_was_seen_to_write() {
        let before = kernel();
        let after = fill_in(&before, Some(0x00a9_62c0), 4 << 30).unwrap();
        let seen: &[(usize, &[u8])] = &[
            (0x210, &[0xb0, 0x81]),
            (0x218, &[0x00, 0x10, 0x54, 0x7f, 0xc0, 0x62, 0xa9, 0x00]),
            (0x224, &[0x00, 0xfe]),
            (0x228, &[0x00, 0x00, 0x02, 0x00]),
        ];
        let mut expected = before;
        for (at, bytes) in seen {
            expected[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(after, expected);
    }

    #[test]
    fn the_place_depends_on_memory_below_the_split_only() {
        let place =
            |memory| fill_in(&kernel(), Some(1 << 20), memory).unwrap()[0x218..0x21c].to_vec();
        assert_eq!(place(0xb000_0000), place(64 << 30));
        assert_eq!(place(0x8000_0000), place(64 << 30));
        assert_ne!(place(0x9000_0000), place(64 << 30));
        assert_ne!(place(1 << 30), place(64 << 30));
    }

    #[test]
    fn a_limit_of_the_kernel_counts_where_it_must_stay_low() {
        let mut low = kernel();
        low[0x236] &= !2;
        low[0x22c..0x230].copy_from_slice(&0x37ff_ffffu32.to_le_bytes());
        let after = fill_in(&low, Some(0x1000), 4 << 30).unwrap();
        assert_eq!(after[0x218..0x21c], 0x37ff_e000u32.to_le_bytes());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut old = kernel();
        old[0x206] = 0x0b;
        let mut low = kernel();
        low[0x211] = 0;
        for bad in [vec![], vec![0; 0x400], old, low] {
            assert!(matches!(
                fill_in(&bad, None, 4 << 30),
                Err(ReferenceError::KernelHeader(_))
            ));
        }
        for (len, memory) in [(1usize << 31, 4u64 << 30), (1, 0), (1, 0x2_8001)] {
            assert!(matches!(
                fill_in(&kernel(), Some(len), memory),
                Err(ReferenceError::Memory { .. })
            ));
        }
    }
}
