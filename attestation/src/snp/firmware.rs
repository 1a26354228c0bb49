//! Builds of the firmware, as reports and policies name them.

use std::fmt;
use std::str::FromStr;

/// A firmware build, as `major.minor.build`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Firmware {
    /// Build number.
    pub build: u8,
    /// Minor API version.
    pub minor: u8,
    /// Major API version.
    pub major: u8,
}

impl Firmware {
    /// Whether it is `floor` or a later build.
    pub fn reaches(&self, floor: &Self) -> bool {
        let order = |one: &Self| (one.major, one.minor, one.build);
        order(self) >= order(floor)
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.build)
    }
}

/// Text that is no build.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a firmware build is major.minor.build")]
pub struct NotABuild;

impl FromStr for Firmware {
    type Err = NotABuild;

    fn from_str(text: &str) -> Result<Self, NotABuild> {
        let mut numbers = text.split('.').map(|number| {
            // `u8` would take a sign.
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u8>().ok().filter(|_| digits)
        });
        let mut next = || numbers.next().flatten().ok_or(NotABuild);
        let firmware = Self {
            major: next()?,
            minor: next()?,
            build: next()?,
        };
        match numbers.next() {
            None => Ok(firmware),
            Some(_) => Err(NotABuild),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let firmware: Firmware = "1.55.40".parse().unwrap();
        assert_eq!(
            (firmware.major, firmware.minor, firmware.build),
            (1, 55, 40)
        );
        assert_eq!(firmware.to_string(), "1.55.40");
        for text in ["", "1", "1.55", "1.55.40.1", "1.55.256", "1.+5.4", "a.b.c"] {
            assert_eq!(text.parse::<Firmware>(), Err(NotABuild), "{text}");
        }
    }

    #[test]
    fn the_first_number_that_differs_decides() {
        let floor: Firmware = "1.55.40".parse().unwrap();
        for (text, reaches) in [
            ("1.55.40", true),
            ("1.55.41", true),
            ("1.56.0", true),
            ("2.0.0", true),
            ("1.55.39", false),
            ("1.54.255", false),
            ("0.255.255", false),
        ] {
            let firmware: Firmware = text.parse().unwrap();
            assert_eq!(firmware.reaches(&floor), reaches, "{text}");
        }
    }
}
