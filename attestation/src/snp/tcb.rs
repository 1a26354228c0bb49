//! Firmware versions of a platform: compared component by component, never as one number.

use std::fmt;

use crate::snp::Generation;

/// Security version numbers of the parts of the trusted computing base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcb {
    /// Firmware mediation component; Turin only.
    pub fmc: Option<u8>,
    /// Bootloader.
    pub bootloader: u8,
    /// Trusted OS.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl Tcb {
    /// From the 8 bytes in a report; `None` if a reserved byte is not zero.
    pub const fn decode(raw: [u8; 8], generation: Generation) -> Option<Self> {
        match (generation, raw) {
            (
                Generation::Milan | Generation::Genoa,
                [bootloader, tee, 0, 0, 0, 0, snp, microcode],
            ) => Some(Self {
                fmc: None,
                bootloader,
                tee,
                snp,
                microcode,
            }),
            (Generation::Turin, [fmc, bootloader, tee, snp, 0, 0, 0, microcode]) => Some(Self {
                fmc: Some(fmc),
                bootloader,
                tee,
                snp,
                microcode,
            }),
            _ => None,
        }
    }

    /// The 8 bytes of a report.
    pub const fn encode(self) -> [u8; 8] {
        match self.fmc {
            None => [
                self.bootloader,
                self.tee,
                0,
                0,
                0,
                0,
                self.snp,
                self.microcode,
            ],
            Some(fmc) => [
                fmc,
                self.bootloader,
                self.tee,
                self.snp,
                0,
                0,
                0,
                self.microcode,
            ],
        }
    }

    /// Name and number of each component there is.
    pub fn components(self) -> impl Iterator<Item = (String, u32)> {
        let fmc = self.fmc.map(|fmc| ("fmc", fmc));
        let others = [
            ("bootloader", self.bootloader),
            ("tee", self.tee),
            ("snp", self.snp),
            ("microcode", self.microcode),
        ];
        let all = fmc.into_iter().chain(others);
        all.map(|(name, number)| (name.to_owned(), number.into()))
    }

    /// Whether every component is at least the floor's.
    pub fn reaches(&self, floor: &Self) -> bool {
        // None is below Some(0): a platform without the component does not reach a floor for it.
        self.fmc >= floor.fmc
            && self.bootloader >= floor.bootloader
            && self.tee >= floor.tee
            && self.snp >= floor.snp
            && self.microcode >= floor.microcode
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "fmc={fmc} ")?;
        }
        let Self {
            bootloader,
            tee,
            snp,
            microcode,
            ..
        } = self;
        write!(
            f,
            "bootloader={bootloader} tee={tee} snp={snp} microcode={microcode}"
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        // Reported TCBs of a Genoa and of a Turin machine.
        let genoa = Tcb::decode([0x0a, 0, 0, 0, 0, 0, 0x17, 0x54], Generation::Genoa).unwrap();
        assert_eq!((genoa.bootloader, genoa.snp, genoa.microcode), (10, 23, 84));
        let turin = Tcb::decode([1, 1, 1, 4, 0, 0, 0, 0x51], Generation::Turin).unwrap();
        assert_eq!((turin.fmc, turin.snp, turin.microcode), (Some(1), 4, 81));
        assert_eq!(genoa.encode(), [0x0a, 0, 0, 0, 0, 0, 0x17, 0x54]);
        assert_eq!(turin.encode(), [1, 1, 1, 4, 0, 0, 0, 0x51]);
        for at in 2..6 {
            let mut raw = [0; 8];
            raw[at] = 1;
            assert!(Tcb::decode(raw, Generation::Milan).is_none());
        }
        assert!(Tcb::decode([0, 0, 0, 0, 1, 0, 0, 0], Generation::Turin).is_none());
    }

    #[test]
    fn one_component_below_is_below() {
        let floor = Tcb::decode([3, 1, 0, 0, 0, 0, 20, 100], Generation::Genoa).unwrap();
        assert!(floor.reaches(&floor));
        let lower = [
            Tcb {
                bootloader: 2,
                ..floor
            },
            Tcb { tee: 0, ..floor },
            Tcb {
                snp: 19,
                microcode: 255,
                ..floor
            },
            Tcb {
                microcode: 99,
                ..floor
            },
        ];
        for tcb in lower {
            assert!(!tcb.reaches(&floor), "{tcb}");
        }
        let turin = Tcb {
            fmc: Some(0),
            ..floor
        };
        assert!(!floor.reaches(&turin));
        assert!(turin.reaches(&floor));
    }
}
