//! TDX: a platform's security versions against Intel's levels.

use dcap_qvl::tcb_info::{SvnComponent, SvnShortfall, TcbInfo, TcbLevel};
use dcap_qvl::{TcbStatus, intel};
use serde::Serialize;
use serde_json::Value;

use super::Shortfall;
use crate::tdx::crypto::QvlConfig;
use crate::tdx::{Quote, pem};

/// Where a platform stands among Intel's levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TdxStatus {
    /// The model, hex.
    pub fmspc: String,
    /// Intel's word on the level that the platform reaches, such as `OutOfDate`; none if it reaches
    /// none.
    pub status: Option<String>,
    /// Intel's advisories for that level.
    pub advisories: Vec<String>,
    /// Since when there is that level.
    pub level_date: Option<String>,
    /// The edition of Intel's data.
    pub edition: u32,
    /// What it falls short of the newest level that Intel calls up to date; empty if nothing does.
    pub shortfalls: Vec<Shortfall>,
}

/// Why there is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStatus {
    /// The certificate of the platform in the quote.
    #[error("the quote's platform certificate cannot be read")]
    Certificate,
    /// Intel's levels.
    #[error("the TCB info cannot be read")]
    TcbInfo,
    /// Levels of other machines.
    #[error("the TCB info is of another platform model")]
    OtherModel,
}

/// Compares a quote with the `tcbInfo` of Intel's answer, JSON. Nothing of either is verified.
pub fn tdx(quote: &Quote<'_>, tcb_info: &str) -> Result<TdxStatus, NoStatus> {
    let chain = pem::decode(quote.pck_chain).map_err(|_| NoStatus::Certificate)?;
    let leaf = chain.first().ok_or(NoStatus::Certificate)?;
    let pck =
        intel::parse_pck_extension_with::<QvlConfig>(leaf).map_err(|_| NoStatus::Certificate)?;
    let info: TcbInfo = serde_json::from_str(tcb_info).map_err(|_| NoStatus::TcbInfo)?;
    let names: Value = serde_json::from_str(tcb_info).map_err(|_| NoStatus::TcbInfo)?;
    let fmspc = hex::encode(pck.fmspc);
    if !info.fmspc.eq_ignore_ascii_case(&fmspc) {
        return Err(NoStatus::OtherModel);
    }
    let first = &quote.body.tee_tcb_svn;
    let second = quote.body.td15.as_ref().map(|td15| &td15.tee_tcb_svn2);
    let short = |level: &TcbLevel| -> Result<Vec<SvnShortfall>, NoStatus> {
        let mut all = Vec::new();
        for svn in [Some(first), second].into_iter().flatten() {
            let found = level.shortfalls(&pck.cpu_svn, pck.pce_svn, Some(svn));
            for one in found.map_err(|_| NoStatus::TcbInfo)? {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        Ok(all)
    };
    let mut reached = None;
    for level in &info.tcb_levels {
        if short(level)?.is_empty() {
            reached = Some(level);
            break;
        }
    }
    let newest = info
        .tcb_levels
        .iter()
        .find(|level| level.tcb_status == TcbStatus::UpToDate);
    let mut shortfalls = match newest {
        Some(level) => short(level)?,
        None => Vec::new(),
    };
    let module = info
        .tdx_module_identity(first)
        .map_err(|_| NoStatus::TcbInfo)?;
    let levels = module
        .map(|module| module.tcb_levels.as_slice())
        .unwrap_or_default();
    let newest = levels
        .iter()
        .find(|level| level.tcb_status == TcbStatus::UpToDate);
    shortfalls.extend(newest.and_then(|level| level.shortfall(first)));
    Ok(TdxStatus {
        fmspc,
        status: reached.map(|level| level.tcb_status.to_string()),
        advisories: reached
            .map(|level| level.advisory_ids.clone())
            .unwrap_or_default(),
        level_date: reached.map(|level| level.tcb_date.clone()),
        edition: info.tcb_evaluation_data_number,
        shortfalls: shortfalls
            .into_iter()
            .map(|one| described(one, &names))
            .collect(),
    })
}

fn described(short: SvnShortfall, info: &Value) -> Shortfall {
    let (component, mend) = match short.component {
        SvnComponent::Sgx(at) => named("sgxtcbcomponents", "processor component", at, info),
        SvnComponent::Tdx(at) => named("tdxtcbcomponents", "TDX component", at, info),
        SvnComponent::PceSvn => (
            "provisioning certification enclave (PCE)".into(),
            "update the host's SGX software (PCE), then register the platform again",
        ),
        SvnComponent::TdxModuleIsvSvn => (
            "TDX module".into(),
            "update the TDX module (with the BIOS, or by the host's loader)",
        ),
    };
    Shortfall {
        component,
        have: short.have.into(),
        needs: short.needs.into(),
        mend: mend.to_owned(),
    }
}

/// Intel says of most components what they are and who updates them.
fn named(list: &str, what: &str, at: u8, info: &Value) -> (String, &'static str) {
    let pointer = format!("/tcbLevels/0/tcb/{list}/{at}");
    let entry = info.pointer(&pointer);
    let text = |key: &str| entry.and_then(|entry| entry.get(key)?.as_str());
    let name = match text("type") {
        Some(kind) => format!("{what} {at} ({kind})"),
        None => format!("{what} {at}"),
    };
    let mend = match (text("category"), text("type")) {
        (_, Some(kind)) if kind.contains("TDX Module") => {
            "update the TDX module (with the BIOS, or by the host's loader)"
        }
        (Some("OS/VMM"), _) => "update the host's system: microcode that it loads, TDX module",
        (Some("BIOS"), _) => "update the BIOS, then register the platform again",
        _ => "update the BIOS and the microcode, then register the platform again",
    };
    (name, mend)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tdx::TdxCollateral;
    use crate::vectors;

    #[test]
    fn the_same_quote_before_and_after_a_recovery() {
        let Some(folder) = vectors::folder("tdx") else {
            return;
        };
        let read = |path: &str| std::fs::read(folder.join(path)).unwrap();
        let raw = read("normalized/Phala-Network_dcap-qvl__tdx_quote.quote.bin");
        let quote = Quote::parse(&raw).unwrap();
        let status = |path: &str| {
            let collateral = TdxCollateral::from_json(&read(path)).unwrap();
            tdx(&quote, &collateral.tcb_info)
        };
        let before = status("Phala-Network_dcap-qvl/tdx_quote_collateral.json").unwrap();
        assert_eq!(before.status.as_deref(), Some("UpToDate"));
        assert_eq!((before.shortfalls.len(), before.edition), (0, 17));
        let after = status("normalized/collateral_phala_b0c06f_2026-10.json").unwrap();
        assert_eq!(after.status.as_deref(), Some("OutOfDate"));
        assert!(after.advisories.contains(&"INTEL-SA-01192".to_owned()));
        assert!(!after.shortfalls.is_empty());
        assert!(
            after
                .shortfalls
                .iter()
                .all(|one| one.have < one.needs && !one.mend.is_empty())
        );
        let other = status("normalized/collateral_attrs_90c06f.json");
        assert_eq!(other, Err(NoStatus::OtherModel));
        assert_eq!(tdx(&quote, "{}"), Err(NoStatus::TcbInfo));
    }
}
