//! RTMR1 and RTMR2 of a TDX guest that QEMU starts with `-kernel`: the firmware (TDVF, that is edk2's
//! OVMF) measures the kernel and its own steps into RTMR1, the EFI stub of Linux (6.9 and later)
//! measures command line and initial RAM disk into RTMR2.
//!
//! The rules are those of the public sources of edk2, QEMU and Linux, which changed over time:
//! [`DirectBoot`] has a field for each change. Of recorded boots, the events and their order are
//! checked in tests; digests of a kernel, command line and RAM disk that are known as files were
//! not at hand.

use super::register::{replay, sha384};
use super::{ReferenceError, kernel_header, pe_image};
use crate::measurement::Measurement;

/// Bytes of a kernel.
pub const MAX_KERNEL: u64 = 256 << 20;
/// Bytes of an initial RAM disk: it must fit below 2 GiB.
pub const MAX_INITRD: u64 = 2 << 30;
/// Characters of a command line; Linux on x86 takes 2047.
pub const MAX_COMMAND_LINE: usize = 2047;

/// What the firmware passes on where there is an initial RAM disk.
const INITRD_OPTION: &str = "initrd=initrd";
/// Events of the firmware (TCG PC Client Platform Firmware Profile, `EV_EFI_ACTION` and
/// `EV_SEPARATOR`).
const BOOT_OPTION: &[u8] = b"Calling EFI Application from Boot Option";
const SEPARATOR: &[u8] = &[0; 4];
const EXIT: &[u8] = b"Exit Boot Services Invocation";
const EXITED: &[u8] = b"Exit Boot Services Returned with Success";

/// The kernel's setup header when the firmware measures it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelHeader {
    /// As in the file: QEMU 10.2 and later.
    #[default]
    AsBuilt,
    /// Filled in by QEMU before 10.2, machine type q35.
    FilledIn {
        /// Bytes of the guest's memory, on which the place of the RAM disk depends.
        memory: u64,
    },
}

/// Where the firmware puts `initrd=initrd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitrdOption {
    /// Before the command line: edk2 since pull request 11115 of May 2025.
    #[default]
    First,
    /// After it: edk2 until then.
    Last,
}

/// Where the firmware measures the end of its own part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// Into RTMR1: edk2-stable202411 and later.
    #[default]
    Rtmr1,
    /// A second time into RTMR0: edk2 until then.
    Rtmr0,
}

/// What a guest is started from, and by what.
#[derive(Clone, Copy, Debug)]
pub struct DirectBoot<'a> {
    /// A bzImage with an EFI stub.
    pub kernel: &'a [u8],
    /// The initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// The command line as QEMU gets it.
    pub append: &'a str,
    /// See there.
    pub header: KernelHeader,
    /// See there.
    pub initrd_option: InitrdOption,
    /// See there.
    pub separator: Separator,
}

/// Registers of a guest that was started so, and the events that an event log of it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootRegisters {
    /// Firmware and kernel.
    pub rtmr1: Measurement,
    /// Command line and initial RAM disk.
    pub rtmr2: Measurement,
    /// The event of the kernel in RTMR1.
    pub kernel: Measurement,
    /// The event of the command line in RTMR2.
    pub command_line: Measurement,
    /// The event of the initial RAM disk in RTMR2.
    pub initrd: Option<Measurement>,
}

impl DirectBoot<'_> {
    /// Computes both.
    pub fn registers(&self) -> Result<BootRegisters, ReferenceError> {
        if self.initrd.is_some_and(<[u8]>::is_empty) {
            return Err(ReferenceError::EmptyInitrd);
        }
        let kernel = self.kernel_event()?;
        let command_line = self.command_line_event()?;
        let initrd = self.initrd.map(|initrd| sha384([initrd]));
        Ok(BootRegisters {
            rtmr1: rtmr1_of(kernel, self.separator),
            rtmr2: replay([Some(command_line), initrd].into_iter().flatten()),
            kernel,
            command_line,
            initrd,
        })
    }

    fn kernel_event(&self) -> Result<Measurement, ReferenceError> {
        let KernelHeader::FilledIn { memory } = self.header else {
            return pe_image::sha384(self.kernel);
        };
        // QEMU writes a video mode that it finds in the command line into the header too.
        if self.append.contains("vga=") {
            return Err(ReferenceError::KernelHeader("the command line has vga="));
        }
        let initrd = self.initrd.map(<[u8]>::len);
        pe_image::sha384(&kernel_header::fill_in(self.kernel, initrd, memory)?)
    }

    fn command_line_event(&self) -> Result<Measurement, ReferenceError> {
        check_command_line(self.append)?;
        let options = match (self.initrd, self.initrd_option) {
            (None, _) if self.append.is_empty() => {
                return Err(ReferenceError::CommandLine("is empty"));
            }
            (None, _) => self.append.to_owned(),
            (Some(_), InitrdOption::First) => format!("{INITRD_OPTION} {}", self.append),
            (Some(_), InitrdOption::Last) => format!("{} {INITRD_OPTION}", self.append),
        };
        // UTF-16 with its end, as UEFI passes it.
        let options: Vec<u8> = options
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        Ok(sha384([&options]))
    }
}

/// RTMR1 from the digest of the kernel.
pub(super) fn rtmr1_of(kernel: Measurement, separator: Separator) -> Measurement {
    let separator = match separator {
        Separator::Rtmr1 => Some(sha384([SEPARATOR])),
        Separator::Rtmr0 => None,
    };
    let before = [kernel, sha384([BOOT_OPTION])];
    let after = [sha384([EXIT]), sha384([EXITED])];
    replay(before.into_iter().chain(separator).chain(after))
}

/// A command line that QEMU, firmware and kernel read alike.
pub(super) fn check_command_line(line: &str) -> Result<(), ReferenceError> {
    let wrong = if line.len() > MAX_COMMAND_LINE {
        "is too long"
    } else if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        "has characters that are not printable ASCII"
    } else if line.trim() != line {
        "starts or ends with a space"
    } else {
        return Ok(());
    };
    Err(ReferenceError::CommandLine(wrong))
}

impl BootRegisters {
    /// The two registers, as they stand in an entry of a policy's `images`.
    pub fn fragment(&self) -> String {
        format!("rtmr1 = \"{}\", rtmr2 = \"{}\"", self.rtmr1, self.rtmr2)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reference::pe_image::tests::image;

    fn boot<'a>(kernel: &'a [u8], initrd: Option<&'a [u8]>, append: &'a str) -> DirectBoot<'a> {
        DirectBoot {
            kernel,
            initrd,
            append,
            header: KernelHeader::default(),
            initrd_option: InitrdOption::default(),
            separator: Separator::default(),
        }
    }

    #[test]
    fn every_input_and_every_rule_counts() {
        let kernel = image();
        let base = boot(&kernel, Some(b"disk"), "quiet");
        let good = base.registers().unwrap();
        let of = |changed: DirectBoot<'_>| changed.registers().unwrap();
        let mut other = kernel.clone();
        other[0x300] ^= 1;
        let changed = of(DirectBoot {
            kernel: &other,
            ..base
        });
        assert!(changed.rtmr1 != good.rtmr1 && changed.rtmr2 == good.rtmr2);
        let changed = of(DirectBoot {
            separator: Separator::Rtmr0,
            ..base
        });
        assert!(changed.rtmr1 != good.rtmr1 && changed.rtmr2 == good.rtmr2);
        for changed in [
            DirectBoot {
                initrd: Some(b"disc"),
                ..base
            },
            DirectBoot {
                initrd: None,
                ..base
            },
            DirectBoot {
                append: "Quiet",
                ..base
            },
            DirectBoot {
                initrd_option: InitrdOption::Last,
                ..base
            },
        ] {
            let changed = of(changed);
            assert!(changed.rtmr1 == good.rtmr1 && changed.rtmr2 != good.rtmr2);
        }
    }

    #[test]
    fn an_empty_disk_is_refused() {
        assert!(matches!(
            boot(&image(), Some(b""), "quiet").registers(),
            Err(ReferenceError::EmptyInitrd)
        ));
    }

    #[test]
    fn options_are_utf16_with_an_end() {
        let kernel = image();
        let event = sha384([b"a\0b\0\0\0"]);
        assert_eq!(
            boot(&kernel, None, "ab").registers().unwrap().rtmr2,
            replay([event])
        );
    }

    #[test]
    fn command_lines_that_are_read_differently_are_refused() {
        let kernel = image();
        let long = "x".repeat(MAX_COMMAND_LINE + 1);
        for bad in [" a", "a ", "a\0b", "a\nb", "ä", "", &long] {
            assert!(matches!(
                boot(&kernel, None, bad).registers(),
                Err(ReferenceError::CommandLine(_))
            ));
        }
    }

    #[test]
    fn a_filled_in_header_is_measured_and_vga_is_not_computed() {
        let mut kernel = image();
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
        kernel[0x211] = 1;
        let base = boot(&kernel, None, "quiet");
        let header = KernelHeader::FilledIn { memory: 4 << 30 };
        let filled = DirectBoot { header, ..base };
        assert_ne!(
            filled.registers().unwrap().rtmr1,
            base.registers().unwrap().rtmr1
        );
        let vga = DirectBoot {
            append: "vga=ask",
            ..filled
        };
        assert!(matches!(
            vga.registers(),
            Err(ReferenceError::KernelHeader(_))
        ));
    }
}
