//! Certificates and revocation lists, as they came with evidence.

use der::Decode as _;
use duckblind_protocol::ids::Digest;
use x509_cert::crl::CertificateList;
use x509_cert::time::Time;

use super::Part;
use crate::evidence::Endorsements;
use crate::snp::Generation;
use crate::snp::certificate::Certificate;
use crate::snp::vek::{Holder, VekClaims};
use crate::tdx::{TdxCollateral, pem};

/// What came with evidence, one part each.
pub fn endorsements(endorsements: &Endorsements) -> Vec<Part> {
    let mut parts = Vec::new();
    for (name, der) in [
        ("certificate of the signing key (VEK)", &endorsements.vek),
        ("certificate of its signer (ASK or ASVK)", &endorsements.ask),
        ("root certificate (ARK)", &endorsements.ark),
    ] {
        if let Some(der) = der {
            parts.push(certificate(name, der));
        }
    }
    if let Some(der) = &endorsements.crl {
        parts.push(revocation_list("revocation list of the ARK", der));
    }
    if let Some(tdx) = &endorsements.tdx {
        parts.extend(collateral(tdx));
    }
    parts
}

/// One certificate, DER.
pub fn certificate(title: impl Into<String>, der: &[u8]) -> Part {
    let mut part = Part::new(title);
    let Ok(parsed) = x509_cert::Certificate::from_der(der) else {
        part.field("bytes", der.len(), "not a certificate");
        return part;
    };
    let tbs = parsed.tbs_certificate();
    part.field("subject", tbs.subject(), "");
    part.field("issuer", tbs.issuer(), "");
    let validity = tbs.validity();
    part.field("valid from", date(&validity.not_before), "");
    part.field("valid until", date(&validity.not_after), "");
    part.field("serial", hex::encode(tbs.serial_number().as_bytes()), "");
    let digest = Digest::of(der);
    let means = Generation::of_root(&digest)
        .map(|generation| format!("AMD's root of {generation}"))
        .unwrap_or_default();
    part.field("sha256", digest, means);
    let claims = Certificate::from_der(der).ok();
    if let Some(claims) = claims.and_then(|parsed| VekClaims::read(&parsed).ok()) {
        part.field("product", &claims.product, "");
        part.field("firmware", claims.tcb, "the key is derived from it");
        match &claims.holder {
            Holder::Chip(id) => part.field("chip", hex::encode(id), ""),
            Holder::Cloud(name) => part.field("cloud", name, ""),
        }
    }
    part
}

/// One revocation list, DER.
pub fn revocation_list(title: impl Into<String>, der: &[u8]) -> Part {
    let mut part = Part::new(title);
    let list: Result<CertificateList, _> = CertificateList::from_der(der);
    let Ok(list) = list else {
        part.field("bytes", der.len(), "not a revocation list");
        return part;
    };
    let tbs = &list.tbs_cert_list;
    part.field("issuer", &tbs.issuer, "");
    part.field("made", date(&tbs.this_update), "");
    let next = tbs.next_update.as_ref();
    part.field(
        "next",
        next.map_or_else(|| "never".into(), date),
        "not to be used after it",
    );
    let revoked = tbs.revoked_certificates.as_ref().map_or(0, Vec::len);
    part.field("revoked", revoked, "certificates that it lists");
    part
}

fn collateral(tdx: &TdxCollateral) -> Vec<Part> {
    let mut parts = vec![
        revocation_list("revocation list of Intel's root", &tdx.root_ca_crl),
        revocation_list("revocation list of platform certificates", &tdx.pck_crl),
        signed_json(
            "Intel's levels of this platform model (TCB info)",
            &tdx.tcb_info,
        ),
        signed_json("identity of the quoting enclave", &tdx.qe_identity),
    ];
    if let Some(chain) = &tdx.pck_certificate_chain {
        parts.extend(chain_of("platform certificate", chain.as_bytes()));
    }
    parts
}

/// A PEM chain, one part per certificate.
pub(super) fn chain_of(title: &str, text: &[u8]) -> Vec<Part> {
    let Ok(chain) = pem::decode(text) else {
        let mut part = Part::new(title);
        part.field("bytes", text.len(), "not certificates");
        return vec![part];
    };
    let names = [title, "its signer", "the root"];
    let named = chain.iter().zip(names);
    named.map(|(der, name)| certificate(name, der)).collect()
}

/// A document of Intel's: its dates and numbers.
fn signed_json(title: &str, text: &str) -> Part {
    let mut part = Part::new(title);
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        part.field("bytes", text.len(), "not JSON");
        return part;
    };
    for (name, key) in [
        ("kind", "id"),
        ("issued", "issueDate"),
        ("next", "nextUpdate"),
        ("edition", "tcbEvaluationDataNumber"),
        ("FMSPC", "fmspc"),
    ] {
        match value.get(key) {
            Some(serde_json::Value::String(text)) => part.field(name, text, ""),
            Some(number) => part.field(name, number, ""),
            None => {}
        }
    }
    part
}

fn date(time: &Time) -> String {
    time.to_date_time().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_none_are_said_to_be_none() {
        let part = certificate("x", b"no");
        assert_eq!(part.fields[0].means, "not a certificate");
        let part = revocation_list("x", b"no");
        assert_eq!(part.fields[0].means, "not a revocation list");
        assert_eq!(chain_of("x", b"no").len(), 1);
        assert_eq!(signed_json("x", "{").fields[0].means, "not JSON");
        assert_eq!(endorsements(&Endorsements::default()), []);
    }
}
