//! The event log of a simulated boot (TCG "PC Client Platform Firmware Profile", section 10: the
//! crypto-agile format, with the registers of a TDX guest as UEFI's `EFI_CC_EVENT` numbers them).

use dcap_qvl::config::CryptoProvider as _;

use super::SimulatorError;
use crate::measurement::Measurement;
use crate::tdx::crypto::AwsLc;

const EV_NO_ACTION: u32 = 0x3;
const EV_SEPARATOR: u32 = 0x4;
const EV_EVENT_TAG: u32 = 0x6;
const EV_EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
const EV_EFI_ACTION: u32 = 0x8000_0007;
const EV_EFI_PLATFORM_FIRMWARE_BLOB2: u32 = 0x8000_000a;
/// `TPM_ALG_SHA384`.
const SHA384: u16 = 0x000c;
/// Tags under which Linux measures its command line and its first file system.
const TAG_LOAD_OPTIONS: u32 = 0x8f3b_22ed;
const TAG_INITRD: u32 = 0x8f3b_22ec;
/// Bytes of the table that firmware sets aside for the log. What is free is all ones.
const AREA: usize = 2048;

/// A log and what the registers hold after it.
pub(super) struct EventLog {
    pub(super) bytes: Vec<u8>,
    /// Registers 0 to 3.
    pub(super) rtmrs: [Measurement; 4],
}

/// Registers, as this log uses them.
const FIRMWARE: u8 = 0;
const BOOT: u8 = 1;
const SYSTEM: u8 = 2;

impl EventLog {
    /// The boot of every simulated guest.
    pub(super) fn of_a_boot() -> Result<Self, SimulatorError> {
        let mut log = Self {
            bytes: header(),
            rtmrs: [Measurement::from_bytes([0; Measurement::LEN]); 4],
        };
        let firmware = b"\x12simulated firmware\0\0\0\0\0\0\0\0\x12\0\0\0\0\0\0\0";
        let measured = b"simulated firmware";
        let separator = [0; 4];
        log.add(FIRMWARE, EV_EFI_PLATFORM_FIRMWARE_BLOB2, firmware, measured)?;
        log.add(FIRMWARE, EV_SEPARATOR, &separator, &separator)?;
        let kernel = b"simulated kernel";
        log.add(BOOT, EV_EFI_BOOT_SERVICES_APPLICATION, kernel, kernel)?;
        log.add(BOOT, EV_SEPARATOR, &separator, &separator)?;
        let leaving = b"Exit Boot Services Returned with Success";
        log.add(BOOT, EV_EFI_ACTION, leaving, leaving)?;
        let cmdline = tagged(TAG_LOAD_OPTIONS, b"LOADED_IMAGE::LoadOptions\0");
        log.add(SYSTEM, EV_EVENT_TAG, &cmdline, b"simulated cmdline")?;
        let initrd = tagged(TAG_INITRD, b"Linux initrd\0");
        log.add(SYSTEM, EV_EVENT_TAG, &initrd, b"simulated initrd")?;
        log.bytes.resize(AREA, 0xff);
        Ok(log)
    }

    /// Extends register `rtmr` with the digest of `measured`, and logs it with `event`.
    fn add(
        &mut self,
        rtmr: u8,
        kind: u32,
        event: &[u8],
        measured: &[u8],
    ) -> Result<(), SimulatorError> {
        let digest = AwsLc::sha384(measured);
        let value = self.rtmrs.get_mut(usize::from(rtmr));
        let value = value.ok_or(SimulatorError::Crypto)?;
        let extended = AwsLc::sha384(&[*value.as_bytes(), digest].concat());
        *value = Measurement::from_bytes(extended);
        self.bytes.extend(number(rtmr));
        self.bytes.extend(kind.to_le_bytes());
        // One digest.
        self.bytes.extend(1u32.to_le_bytes());
        self.bytes.extend(SHA384.to_le_bytes());
        self.bytes.extend(digest);
        self.bytes.extend(len32(event));
        self.bytes.extend(event);
        Ok(())
    }
}

/// The first event, in the format of old: which digests the others have.
fn header() -> Vec<u8> {
    let mut event = b"Spec ID Event03\0".to_vec();
    // Platform class, version 2.0 of the format, eight bytes of an address.
    event.extend([0, 0, 0, 0, 0, 2, 0, 2]);
    event.extend(1u32.to_le_bytes());
    event.extend(SHA384.to_le_bytes());
    event.extend([48, 0]);
    // Nothing of the vendor's.
    event.push(0);
    let mut bytes = Vec::new();
    bytes.extend(number(FIRMWARE));
    bytes.extend(EV_NO_ACTION.to_le_bytes());
    bytes.extend([0; 20]);
    bytes.extend(len32(&event));
    bytes.extend(event);
    bytes
}

/// An event of Linux's EFI stub.
fn tagged(tag: u32, description: &[u8]) -> Vec<u8> {
    let mut event = tag.to_le_bytes().to_vec();
    event.extend(len32(description));
    event.extend(description);
    event
}

fn len32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// Registers in the log are counted from 1: its 0 is the launch measurement.
fn number(rtmr: u8) -> [u8; 4] {
    (u32::from(rtmr) + 1).to_le_bytes()
}
