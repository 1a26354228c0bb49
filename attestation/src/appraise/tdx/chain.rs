//! Certificates: those in the quote, from the platform's key to the root, and those of Intel's
//! other signers. Whether they signed what they should is the business of [`super::stages`].

use duckblind_protocol::ids::UnixTime;

use crate::check::Checks;
use crate::policy::TdxRoot;
use crate::reason::Reason;
use crate::tdx::certificate::Certificate;
use crate::tdx::{Quote, TdxCollateral, pem};

/// From a signer to the root.
pub(super) struct Signer {
    pub(super) certificate: Certificate,
}

/// From the platform's key to the root.
pub(super) struct PckChain {
    /// The platform's key.
    pub(super) pck: Certificate,
    /// Who certifies platforms.
    pub(super) ca: Certificate,
    pub(super) root: Certificate,
}

impl PckChain {
    /// Reads the chain that the quote carries.
    pub(super) fn judge(checks: &mut Checks, quote: &Quote<'_>, now: UnixTime) -> Option<Self> {
        let chain = checks.step(
            "chain.format",
            Reason::Format,
            pem::decode_canonical(quote.pck_chain),
            "certificates in PEM, each byte as Intel writes it",
        )?;
        let [pck, ca, root] = checks.step(
            "chain.certificates",
            Reason::Chain,
            certificates(chain),
            "3 certificates",
        )?;
        checks.valid("chain.pck_validity", pck.validity, now);
        checks.valid("chain.ca_validity", ca.validity, now);
        checks.valid("chain.root_validity", root.validity, now);
        Some(Self { pck, ca, root })
    }

    /// The root is known by the digest of its whole certificate; what it says of itself counts for
    /// nothing.
    pub(super) fn pinned(&self, checks: &mut Checks, roots: &[TdxRoot]) -> Option<TdxRoot> {
        let digest = self.root.digest;
        let root = roots.iter().find(|root| root.digest().ct_eq(&digest));
        let expected = "a root that the policy lists and this build knows";
        checks.check("chain.root", Reason::Root, root.is_some(), expected, digest);
        root.copied()
    }

    /// A second copy of the chain must be the first one.
    pub(super) fn same_as(&self, checks: &mut Checks, collateral: &TdxCollateral) {
        let Some(other) = &collateral.pck_certificate_chain else {
            return;
        };
        let own = [&self.pck.der, &self.ca.der, &self.root.der];
        let same = pem::decode(other.as_bytes()).is_ok_and(|other| other.iter().eq(own));
        checks.check(
            "chain.collateral",
            Reason::Chain,
            same,
            "the certificates in the quote",
            if same {
                "the same certificates"
            } else {
                "others"
            },
        );
    }
}

impl Signer {
    /// Reads a signer's certificate, which the root must have signed itself.
    pub(super) fn judge(
        checks: &mut Checks,
        [name, root_name, validity_name]: [&'static str; 3],
        chain: &str,
        root: &Certificate,
        now: UnixTime,
    ) -> Option<Self> {
        let chain = pem::decode(chain.as_bytes()).map_err(|error| error.to_string());
        let chain = chain.and_then(certificates);
        let expected = "2 certificates in PEM";
        let [certificate, own_root] = checks.step(name, Reason::Chain, chain, expected)?;
        checks.check(
            root_name,
            Reason::Root,
            own_root.digest.ct_eq(&root.digest),
            root.digest,
            own_root.digest,
        );
        checks.valid(validity_name, certificate.validity, now);
        Some(Self { certificate })
    }
}

fn certificates<const N: usize>(chain: Vec<Vec<u8>>) -> Result<[Certificate; N], String> {
    let got = chain.len();
    let parsed: Result<Vec<_>, _> = chain.into_iter().map(Certificate::from_der).collect();
    parsed
        .map_err(|error| error.to_string())?
        .try_into()
        .map_err(|_| format!("{got} certificates"))
}
