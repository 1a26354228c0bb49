//! Words whose bits have a meaning each: one check per bit.

use crate::check::Checks;
use crate::reason::Reason;
use crate::snp::Generation;

/// What a bit must be.
pub(super) struct Bit {
    pub(super) name: &'static str,
    /// As the specification counts.
    pub(super) number: u32,
    pub(super) wanted: bool,
    /// Whether it is demanded at all.
    pub(super) demanded: bool,
    /// What it means to be as wanted.
    pub(super) meaning: &'static str,
}

impl Bit {
    /// Must be set, if `demanded`.
    pub(super) const fn set(
        name: &'static str,
        number: u32,
        demanded: bool,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            number,
            wanted: true,
            demanded,
            meaning,
        }
    }

    /// Must be clear, unless `allowed`.
    pub(super) const fn clear(
        name: &'static str,
        number: u32,
        allowed: bool,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            number,
            wanted: false,
            demanded: !allowed,
            meaning,
        }
    }

    pub(super) fn judge(&self, checks: &mut Checks, reason: Reason, word: u64) {
        let is_set = word >> self.number & 1 == 1;
        checks.check(
            self.name,
            reason,
            !self.demanded || is_set == self.wanted,
            if self.demanded {
                self.meaning
            } else {
                "either"
            },
            format_args!("bit {} is {}", self.number, u8::from(is_set)),
        );
    }
}

/// Whether what is required on some generations is required on this one. One that is not known is
/// none that could do without.
pub(super) fn required_on(generations: &[Generation], generation: Option<Generation>) -> bool {
    match generation {
        Some(generation) => generations.contains(&generation),
        None => !generations.is_empty(),
    }
}
