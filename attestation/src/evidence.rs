//! The envelope that carries a hardware report, what it binds, and the certificates behind it.
//!
//! Nothing in here is believed before it is checked: the envelope itself is not signed. The report
//! is signed by the hardware, the preimages hash to what the report binds, certificates speak for
//! themselves.

use duckblind_protocol::cbor::{self, DecodeError};
use duckblind_protocol::ids::Digest;
use duckblind_protocol::key_statement::Tee;
use minicbor::{Decode, Encode};

pub use crate::tdx::TdxCollateral;

/// Bytes that a whole envelope may have.
pub const MAX_EVIDENCE: usize = 2 * 1024 * 1024;
/// Bytes that a hardware report may have.
pub const MAX_REPORT: usize = 16 * 1024;
/// Bytes that all endorsements together may have.
pub const MAX_COLLATERAL: usize = 256 * 1024;
/// Bytes that an event log may have.
pub const MAX_EVENT_LOG: usize = 1024 * 1024;
/// The one version.
pub const VERSION: u8 = 1;

/// What vendors say of the hardware behind a report: certificates, revocation lists and TDX
/// collateral. None of it needs trust: it leads to a pinned root or nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Endorsements {
    /// Certificate of the key that signed an SNP report (VCEK or VLEK), DER.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub vek: Option<Vec<u8>>,
    /// Certificate of the key that signed `vek` (ASK or ASVK), DER.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub ask: Option<Vec<u8>>,
    /// Certificate of the root (ARK), DER.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub ark: Option<Vec<u8>>,
    /// What the ARK has revoked: an X.509 certificate revocation list, DER.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub crl: Option<Vec<u8>>,
    /// Intel's word on a TDX platform.
    #[n(5)]
    pub tdx: Option<TdxCollateral>,
}

impl Endorsements {
    /// Canonical bytes, as a bundle or a message carries them.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes within the cap.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode(bytes, MAX_COLLATERAL)
    }

    /// `self`, and for what it lacks, `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let either = |own: &Option<Vec<u8>>, other: &Option<Vec<u8>>| {
            own.as_ref().or(other.as_ref()).cloned()
        };
        Self {
            vek: either(&self.vek, &other.vek),
            ask: either(&self.ask, &other.ask),
            ark: either(&self.ark, &other.ark),
            crl: either(&self.crl, &other.crl),
            tdx: self.tdx.as_ref().or(other.tdx.as_ref()).cloned(),
        }
    }

    fn len(&self) -> usize {
        [&self.vek, &self.ask, &self.ark, &self.crl]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .chain(self.tdx.as_ref().map(TdxCollateral::len))
            .fold(0, usize::saturating_add)
    }
}

/// All that an enclave answers a challenge with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Evidence {
    /// Always [`VERSION`].
    #[n(1)]
    pub v: u8,
    /// What `report` is.
    #[n(2)]
    pub tee: Tee,
    /// As the hardware gave it.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub report: Vec<u8>,
    /// Canonical bytes of the key statement.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub key_statement: Vec<u8>,
    /// Canonical bytes of the challenge.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub challenge: Vec<u8>,
    /// Canonical bytes of the configuration.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub config: Vec<u8>,
    /// Canonical bytes of the release manifest.
    #[n(7)]
    #[cbor(with = "minicbor::bytes")]
    pub release: Vec<u8>,
    /// The host may add these; it can do no harm with them.
    #[n(8)]
    pub endorsements: Endorsements,
    /// What was measured after launch, for platforms that extend registers with it: a TCG event
    /// log (CCEL).
    #[n(9)]
    #[cbor(with = "minicbor::bytes")]
    pub event_log: Option<Vec<u8>>,
}

impl Evidence {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From canonical bytes within the caps.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let evidence: Self = cbor::decode(bytes, MAX_EVIDENCE)?;
        cbor::check_version("evidence", VERSION, evidence.v)?;
        for (len, cap) in [
            (evidence.report.len(), MAX_REPORT),
            (evidence.endorsements.len(), MAX_COLLATERAL),
            (
                evidence.event_log.as_ref().map_or(0, Vec::len),
                MAX_EVENT_LOG,
            ),
        ] {
            if len > cap {
                return Err(DecodeError::TooLong { cap, len });
            }
        }
        Ok(evidence)
    }

    /// SHA-256 of the canonical bytes. Not an identity: signatures and certificates inside have
    /// several valid forms. `Appraised::evidence_body_digest` has one.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob(max: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..max)
    }

    prop_compose! {
        fn envelopes()(
            tee in proptest::sample::select(vec![Tee::SevSnp, Tee::Tdx]),
            report in blob(64),
            key_statement in blob(64),
            challenge in blob(64),
            config in blob(64),
            release in blob(64),
            vek in proptest::option::of(blob(32)),
            ask in proptest::option::of(blob(32)),
            ark in proptest::option::of(blob(32)),
            crl in proptest::option::of(blob(32)),
            event_log in proptest::option::of(blob(32)),
        ) -> Evidence {
            Evidence {
                v: VERSION, tee, report, key_statement, challenge, config, release,
                endorsements: Endorsements { vek, ask, ark, crl, tdx: None },
                event_log,
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(evidence in envelopes()) {
            prop_assert_eq!(Evidence::decode(&evidence.encode()).unwrap(), evidence);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in blob(600)) {
            let _ = Evidence::decode(&bytes);
        }

        #[test]
        fn truncations_are_refused(evidence in envelopes(), cut in any::<proptest::sample::Index>()) {
            let bytes = evidence.encode();
            let end = cut.index(bytes.len());
            prop_assert!(Evidence::decode(bytes.get(..end).unwrap()).is_err());
        }
    }

    fn sized(report: usize, ark: usize) -> Evidence {
        Evidence {
            v: VERSION,
            tee: Tee::SevSnp,
            report: vec![0; report],
            key_statement: vec![],
            challenge: vec![],
            config: vec![],
            release: vec![],
            endorsements: Endorsements {
                ark: Some(vec![0; ark]),
                ..Endorsements::default()
            },
            event_log: None,
        }
    }

    #[test]
    fn what_is_absent_takes_no_bytes() {
        assert_eq!(cbor::encode(&Endorsements::default()), [0xa0]);
        // A key with null instead is another encoding of the same, and refused.
        assert!(cbor::decode::<Endorsements>(&[0xa1, 1, 0xf6], 8).is_err());
    }

    #[test]
    fn caps() {
        assert!(Evidence::decode(&sized(MAX_REPORT, MAX_COLLATERAL).encode()).is_ok());
        let too_long = [
            sized(MAX_REPORT + 1, 0),
            sized(0, MAX_COLLATERAL + 1),
            sized(0, MAX_EVIDENCE),
        ];
        for evidence in too_long {
            assert!(matches!(
                Evidence::decode(&evidence.encode()),
                Err(DecodeError::TooLong { .. })
            ));
        }
    }

    #[test]
    fn a_higher_version_is_refused_by_name() {
        let mut evidence = sized(1, 1);
        evidence.v = 2;
        assert!(matches!(
            Evidence::decode(&evidence.encode()),
            Err(DecodeError::Version { got: 2, .. })
        ));
    }
}
