//! Processor generations.

use std::fmt;
use std::str::FromStr;

use duckblind_protocol::ids::Digest;

/// A line of AMD processors with a root key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004, 97x4 and 8004.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Generation {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Milan, Self::Genoa, Self::Turin];

    /// The name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milan => "milan",
            Self::Genoa => "genoa",
            Self::Turin => "turin",
        }
    }

    /// From the family and model that a report of version 3 or later carries.
    pub const fn of_cpu(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0f) => Some(Self::Milan),
            // 0xa0 and up are the dense and small parts, which carry Genoa's keys.
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Self::Genoa),
            (0x1a, 0x00..=0x11) => Some(Self::Turin),
            _ => None,
        }
    }

    /// From the product name in a certificate, with or without a stepping: `Milan-B0`, `Genoa`.
    pub fn of_product(name: &str) -> Option<Self> {
        let line = name.split_once('-').map_or(name, |(line, _)| line);
        match line {
            "Milan" => Some(Self::Milan),
            "Genoa" => Some(Self::Genoa),
            "Turin" => Some(Self::Turin),
            _ => None,
        }
    }

    /// The generation whose root certificate (ARK, DER) has this digest. These are AMD's own
    /// roots; no configuration adds to them.
    pub fn of_root(digest: &Digest) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|generation| generation.root() == *digest)
    }

    /// SHA-256 of AMD's root certificate (ARK, DER) of this generation.
    pub const fn root(self) -> Digest {
        Digest::from_bytes(match self {
            Self::Milan => [
                0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1, 0xf4, 0x21, 0x0d,
                0xe4, 0x9e, 0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4, 0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63,
                0x9a, 0x54, 0x0b, 0xcd,
            ],
            Self::Genoa => [
                0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a, 0x7d, 0x33, 0x5f,
                0x67, 0x4e, 0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c, 0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d,
                0x10, 0x3d, 0xb2, 0xf1,
            ],
            Self::Turin => [
                0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9, 0x04, 0x87, 0x7d,
                0x48, 0x19, 0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41, 0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c,
                0x73, 0xdd, 0x3f, 0x6a,
            ],
        })
    }

    /// `structVersion` of its certificates.
    pub const fn struct_version(self) -> u8 {
        match self {
            Self::Milan | Self::Genoa => 0,
            Self::Turin => 1,
        }
    }

    /// Bytes of the chip id that its certificates carry; the rest of the report's field is zero.
    pub const fn hw_id_len(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a generation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a processor generation")]
pub struct UnknownGeneration;

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        Self::ALL
            .iter()
            .copied()
            .find(|generation| generation.name() == text)
            .ok_or(UnknownGeneration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus() {
        assert_eq!(Generation::of_cpu(0x19, 0x01), Some(Generation::Milan));
        assert_eq!(Generation::of_cpu(0x19, 0x11), Some(Generation::Genoa));
        assert_eq!(Generation::of_cpu(0x19, 0xa0), Some(Generation::Genoa));
        assert_eq!(Generation::of_cpu(0x1a, 0x02), Some(Generation::Turin));
        assert_eq!(Generation::of_cpu(0x19, 0x20), None);
        assert_eq!(Generation::of_cpu(0x1a, 0x50), None);
        assert_eq!(Generation::of_cpu(0x17, 0x01), None);
    }

    #[test]
    fn products() {
        assert_eq!(Generation::of_product("Milan-B0"), Some(Generation::Milan));
        assert_eq!(Generation::of_product("Genoa"), Some(Generation::Genoa));
        assert_eq!(Generation::of_product("Genoax"), None);
        assert_eq!(Generation::of_product(""), None);
    }
}
