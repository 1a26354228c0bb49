//! Event logs of TDX guests.

use serde::Serialize;

use super::Part;
use crate::measurement::Measurement;
use crate::tdx::EventLog;

/// Characters of an event's text that are shown.
const MOST: usize = 60;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedEvent {
    /// Which RTMR it was measured into.
    pub register: usize,
    /// What the log calls it; not authentic.
    pub kind: u32,
    /// The name of the kind.
    pub name: &'static str,
    /// What was measured.
    pub digest: Measurement,
    /// Readable text in the event's data, shortened; not authentic.
    pub text: String,
}

/// The events, in their order.
pub fn events(log: &EventLog<'_>) -> Vec<LoggedEvent> {
    log.events()
        .iter()
        .map(|event| LoggedEvent {
            register: event.register,
            kind: event.kind,
            name: name(event.kind),
            digest: event.digest,
            text: text(event.data),
        })
        .collect()
}

/// What the log replays to, and whether that is what the quote has, if there is one.
pub fn registers(log: &EventLog<'_>, quoted: Option<&[Measurement; 4]>) -> Part {
    let mut part = Part::new("registers that the log replays to");
    let names = ["RTMR0", "RTMR1", "RTMR2", "RTMR3"];
    for (at, (name, value)) in names.into_iter().zip(log.registers()).enumerate() {
        let same = quoted
            .and_then(|quoted| quoted.get(at))
            .map(|own| own == value);
        let means = match same {
            None => "",
            Some(true) => "as in the quote",
            Some(false) => "NOT as in the quote",
        };
        part.bytes(name, value.as_bytes(), means);
    }
    part
}

/// Names of the TCG's platform specification for PCs.
const fn name(kind: u32) -> &'static str {
    match kind {
        0x0000_0001 => "EV_POST_CODE",
        0x0000_0004 => "EV_SEPARATOR",
        0x0000_0005 => "EV_ACTION",
        0x0000_0006 => "EV_EVENT_TAG",
        0x0000_0007 => "EV_S_CRTM_CONTENTS",
        0x0000_0008 => "EV_S_CRTM_VERSION",
        0x0000_0009 => "EV_CPU_MICROCODE",
        0x0000_000a => "EV_PLATFORM_CONFIG_FLAGS",
        0x0000_000b => "EV_TABLE_OF_DEVICES",
        0x0000_000c => "EV_COMPACT_HASH",
        0x0000_000d => "EV_IPL",
        0x0000_000e => "EV_IPL_PARTITION_DATA",
        0x0000_000f => "EV_NONHOST_CODE",
        0x0000_0010 => "EV_NONHOST_CONFIG",
        0x0000_0011 => "EV_NONHOST_INFO",
        0x8000_0001 => "EV_EFI_VARIABLE_DRIVER_CONFIG",
        0x8000_0002 => "EV_EFI_VARIABLE_BOOT",
        0x8000_0003 => "EV_EFI_BOOT_SERVICES_APPLICATION",
        0x8000_0004 => "EV_EFI_BOOT_SERVICES_DRIVER",
        0x8000_0005 => "EV_EFI_RUNTIME_SERVICES_DRIVER",
        0x8000_0006 => "EV_EFI_GPT_EVENT",
        0x8000_0007 => "EV_EFI_ACTION",
        0x8000_0008 => "EV_EFI_PLATFORM_FIRMWARE_BLOB",
        0x8000_0009 => "EV_EFI_HANDOFF_TABLES",
        0x8000_000a => "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
        0x8000_000b => "EV_EFI_HANDOFF_TABLES2",
        0x8000_000c => "EV_EFI_VARIABLE_BOOT2",
        0x8000_0010 => "EV_EFI_HCRTM_EVENT",
        0x8000_00e0 => "EV_EFI_VARIABLE_AUTHORITY",
        0x8000_00e1 => "EV_EFI_SPDM_FIRMWARE_BLOB",
        0x8000_00e2 => "EV_EFI_SPDM_FIRMWARE_CONFIG",
        _ => "unknown",
    }
}

/// Printable characters, of ASCII or of every other byte of UTF-16; nothing if there are few.
fn text(data: &[u8]) -> String {
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let text: String = data
        .iter()
        .filter(|byte| **byte != 0)
        .map(|byte| {
            if printable(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .take(MOST)
        .collect();
    let readable = text.chars().filter(char::is_ascii_alphanumeric).count();
    if readable * 2 > text.len() {
        text
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shown_if_they_are_some() {
        assert_eq!(text(b"console=ttyS0\0"), "console=ttyS0");
        assert_eq!(text(b"B\0o\0o\0t\0"), "Boot");
        assert_eq!(text(&[1, 2, 3, 0xff]), "");
        assert_eq!(text(&[b'a'; 1000]).len(), MOST);
        assert_eq!(text(b""), "");
    }
}
