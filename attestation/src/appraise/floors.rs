//! What must not go back from one appraisal to the next.

use std::collections::BTreeMap;

use duckblind_protocol::ids::Digest;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Numbers that a vendor only ever raises. The key is SHA-256 of the certificate (DER) of whoever
/// issues them, so that lines of processors, and simulated platforms, do not mix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Numbers of revocation lists.
    #[n(1)]
    pub crl_numbers: BTreeMap<Digest, u64>,
    /// Intel's TCB evaluation data numbers.
    #[n(2)]
    pub tcb_evaluations: BTreeMap<Digest, u32>,
}

impl Floors {
    /// Takes over every number of `seen` that is higher than its own.
    pub fn raise(&mut self, seen: &Self) {
        for (issuer, number) in &seen.crl_numbers {
            let floor = self.crl_numbers.entry(*issuer).or_default();
            *floor = (*floor).max(*number);
        }
        for (issuer, number) in &seen.tcb_evaluations {
            let floor = self.tcb_evaluations.entry(*issuer).or_default();
            *floor = (*floor).max(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upwards_and_issuer_by_issuer() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut floors = Floors {
            crl_numbers: [(a, 5)].into(),
            tcb_evaluations: [(a, 17)].into(),
        };
        floors.raise(&Floors {
            crl_numbers: [(a, 4), (b, 1)].into(),
            tcb_evaluations: [(a, 18)].into(),
        });
        assert_eq!(floors.crl_numbers, [(a, 5), (b, 1)].into());
        assert_eq!(floors.tcb_evaluations, [(a, 18)].into());
    }
}
