//! Why evidence is refused: one list for appraisals, EARs, the command line, logs and metrics.

use crate::named::named;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $code:literal $hint:literal,)*) => {
        /// The kind of a check. Names and codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Such as `E_MEASUREMENT`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Such as `DB-ATT-012`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What a person can do about it.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}

reasons! {
    /// Bytes that are not what they should be.
    Format = "E_FORMAT" "DB-ATT-001" "the evidence is damaged or of another program",
    /// A report version that the policy does not take.
    Version = "E_VERSION" "DB-ATT-002" "add the report version to the policy if this build knows it",
    /// The hardware's signature does not hold.
    Signature = "E_SIG" "DB-ATT-003" "the report was altered or signed by another chip",
    /// Certificates do not lead from the report to the root.
    Chain = "E_CHAIN" "DB-ATT-004" "fetch the certificates of exactly this chip and firmware",
    /// The root is not one that the policy trusts.
    Root = "E_ROOT" "DB-ATT-005" "the policy lists roots; a simulated root needs a development policy and a build that knows simulators",
    /// A certificate is not valid at the time of appraisal.
    Validity = "E_VALIDITY" "DB-ATT-006" "check the clock, then renew the certificate",
    /// A certificate was revoked.
    Revoked = "E_REVOKED" "DB-ATT-007" "the vendor no longer vouches for this key",
    /// A revocation list is too old.
    CrlStale = "E_CRL_STALE" "DB-ATT-008" "fetch the revocation list again",
    /// Certificates are missing.
    CollateralMissing = "E_COLLATERAL_MISSING" "DB-ATT-009" "bring what the vendor says of this chip: certificates, revocation list, TCB data (`duckblind attest fetch-collateral`)",
    /// Firmware below the floor.
    TcbFloor = "E_TCB_FLOOR" "DB-ATT-010" "update the platform's firmware",
    /// The vendor calls the platform out of date.
    TcbStatus = "E_TCB_STATUS" "DB-ATT-011" "update the platform's firmware",
    /// Another program was launched.
    Measurement = "E_MEASUREMENT" "DB-ATT-012" "compare the enclave binary with the release that the policy lists",
    /// The guest can be debugged.
    Debug = "E_DEBUG" "DB-ATT-013" "launch the guest without the debug policy bit",
    /// The guest can be moved by a migration agent.
    Migrate = "E_MIGRATE" "DB-ATT-014" "launch the guest without the migration policy bit",
    /// The report comes from another privilege level.
    Vmpl = "E_VMPL" "DB-ATT-015" "the enclave must ask for its report at a level that the policy lists",
    /// A bit of the guest's launch policy.
    PolicyBit = "E_POLICY_BIT" "DB-ATT-016" "launch the guest with the policy bits that the policy asks for",
    /// The report does not speak for what came with it.
    Binding = "E_BINDING" "DB-ATT-017" "the evidence was put together from different parts",
    /// Not an answer to our challenge.
    Nonce = "E_NONCE" "DB-ATT-018" "ask for fresh evidence",
    /// Another machine than expected.
    Platform = "E_PLATFORM" "DB-ATT-019" "the policy does not take this platform, or it is not the one seen before",
    /// A paravisor stands between guest and hardware.
    PlatformParavisor = "E_PLATFORM_PARAVISOR" "DB-ATT-020" "reports of paravisor guests do not speak for the guest",
    /// A processor generation that the policy does not take.
    Generation = "E_GENERATION" "DB-ATT-021" "use a host of a generation that the policy lists",
    /// The event log does not match.
    EventLog = "E_EVENT_LOG" "DB-ATT-022" "the event log was altered",
    /// Too much of something.
    Limit = "E_LIMIT" "DB-ATT-023" "the evidence is larger than any honest one",
    /// The enclave's configuration or release is not what the policy takes.
    Config = "E_CONFIG" "DB-ATT-024" "compare the enclave's configuration and release with the policy",
}

macro_rules! warnings {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $meaning:literal,)*) => {
        /// What one should know of evidence that is accepted all the same. Names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Warning { $($(#[$doc])* $variant,)* }

        impl Warning {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Such as `W_SIMULATED`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it means, for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

warnings! {
    /// The platform is simulated.
    Simulated = "W_SIMULATED" "the platform is simulated: it protects nothing",
    /// The policy takes a generation whose root secrets are said to be extractable.
    Generation = "W_GENERATION" "this generation's root secrets are said to be extractable: reports can be forged",
    /// The policy takes a platform that its vendor does not call up to date.
    TcbStatus = "W_TCB_STATUS" "the vendor does not call this platform up to date",
    /// Firmware that runs is not committed: the host can still go back.
    Provisional = "W_PROVISIONAL" "the platform runs firmware that it has not committed",
    /// The policy does not ask for a revocation list, and there was none.
    NoRevocation = "W_NO_REVOCATION" "whether the chip's key was revoked is not known",
}

named!(Reason, UnknownReason, "not a reason code");
named!(Warning, UnknownWarning, "not a warning");

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_codes_are_unique_and_parse() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
        }
        assert!("E_NOTHING".parse::<Reason>().is_err());
    }
}
