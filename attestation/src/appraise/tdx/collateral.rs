//! Intel's documents: each must be of its time, of this platform and no older than one seen before.
//! Their signatures are the business of [`super::stages`].

use dcap_qvl::intel::{PckExtension, parse_pck_extension_with};
use dcap_qvl::{QeIdentity, TcbInfo};
use duckblind_protocol::ids::{Digest, UnixTime};

use super::chain::{PckChain, Signer};
use crate::appraise::Floors;
use crate::check::Checks;
use crate::reason::Reason;
use crate::tdx::certificate::{Certificate, RevocationList, X509Error};
use crate::tdx::crypto::QvlConfig;
use crate::tdx::{TdBody, TdxCollateral};

/// Judges all documents.
pub(super) fn judge(
    checks: &mut Checks,
    collateral: &TdxCollateral,
    chain: &PckChain,
    body: &TdBody,
    floors: &Floors,
    now: UnixTime,
) {
    let mut signer = |names, text: &str| Signer::judge(checks, names, text, &chain.root, now);
    let names = [
        "collateral.pck_crl_signer",
        "collateral.pck_crl_root",
        "collateral.pck_crl_signer_validity",
    ];
    signer(names, &collateral.pck_crl_issuer_chain);
    let names = [
        "collateral.tcb_info_signer",
        "collateral.tcb_info_root",
        "collateral.tcb_info_signer_validity",
    ];
    let tcb_signer = signer(names, &collateral.tcb_info_issuer_chain);
    let names = [
        "collateral.qe_identity_signer",
        "collateral.qe_identity_root",
        "collateral.qe_identity_signer_validity",
    ];
    let qe_signer = signer(names, &collateral.qe_identity_issuer_chain);
    let signers = [tcb_signer, qe_signer];
    let signers = signers.iter().flatten().map(|signer| &signer.certificate);
    let below_root: Vec<_> = [&chain.ca, &chain.root]
        .into_iter()
        .chain(signers)
        .collect();

    let names = [
        "collateral.root_crl",
        "collateral.root_crl_time",
        "collateral.root_crl_number",
    ];
    let floor = floor(floors, chain.root.digest);
    if let Some(list) = revocation_list(checks, names, &collateral.root_ca_crl, floor, now) {
        revoked(checks, "chain.signers_revoked", &list, &below_root);
    }
    let names = [
        "collateral.pck_crl",
        "collateral.pck_crl_time",
        "collateral.pck_crl_number",
    ];
    let floor = self::floor(floors, chain.ca.digest);
    if let Some(list) = revocation_list(checks, names, &collateral.pck_crl, floor, now) {
        revoked(checks, "chain.pck_revoked", &list, &[&chain.pck]);
    }

    let extension =
        parse_pck_extension_with::<QvlConfig>(&chain.pck.der).map_err(|error| format!("{error:#}"));
    let expected = "what platform it is for";
    let extension = checks.step("chain.pck_extension", Reason::Chain, extension, expected);
    tcb_info(checks, collateral, extension.as_ref(), body, now);
    qe_identity(checks, collateral, now);
}

fn floor(floors: &Floors, issuer: Digest) -> u64 {
    floors.crl_numbers.get(&issuer).copied().unwrap_or_default()
}

fn revocation_list(
    checks: &mut Checks,
    [name, time_name, number_name]: [&'static str; 3],
    der: &[u8],
    floor: u64,
    now: UnixTime,
) -> Option<RevocationList> {
    let list = RevocationList::from_der(der);
    let reason = match &list {
        Err(X509Error::NoNextUpdate | X509Error::NoNumber) => Reason::CrlStale,
        _ if der.is_empty() => Reason::CollateralMissing,
        _ => Reason::Chain,
    };
    let list = checks.step(name, reason, list, "a revocation list")?;
    // When it was made is judged with everything else that was, by `platform`.
    let (_, next) = list.window;
    let expected = format_args!("a time until {next}").to_string();
    checks.check(time_name, Reason::CrlStale, now <= next, expected, now);
    checks.check(
        number_name,
        Reason::CrlStale,
        list.number >= floor,
        format_args!("at least {floor}, which was seen before"),
        list.number,
    );
    Some(list)
}

fn revoked(
    checks: &mut Checks,
    name: &'static str,
    list: &RevocationList,
    certificates: &[&Certificate],
) {
    let revoked = certificates.iter().find(|one| list.lists(one));
    let got = revoked.map_or_else(|| "none".into(), |one| one.digest.to_string());
    checks.check(name, Reason::Revoked, revoked.is_none(), "none", got);
}

fn tcb_info(
    checks: &mut Checks,
    collateral: &TdxCollateral,
    extension: Option<&PckExtension>,
    body: &TdBody,
    now: UnixTime,
) {
    let info = serde_json::from_str::<TcbInfo>(&collateral.tcb_info);
    let expected = "security versions in JSON";
    let Some(info) = checks.step("collateral.tcb_info", Reason::Format, info, expected) else {
        return;
    };
    checks.check(
        "collateral.tcb_info_kind",
        Reason::Chain,
        info.id == "TDX" && info.version == 3,
        "TDX, version 3",
        format_args!("{}, version {}", info.id, info.version),
    );
    let name = "collateral.tcb_info_time";
    dates(checks, name, &info.issue_date, &info.next_update, now);
    let Some(extension) = extension else { return };
    let ours = hex::encode(extension.fmspc);
    checks.check(
        "collateral.fmspc",
        Reason::Chain,
        info.fmspc.eq_ignore_ascii_case(&ours),
        &ours,
        &info.fmspc,
    );
    let ours = hex::encode(&extension.pce_id);
    checks.check(
        "collateral.pce_id",
        Reason::Chain,
        info.pce_id.eq_ignore_ascii_case(&ours),
        &ours,
        &info.pce_id,
    );
    level(checks, &info, extension, body);
}

/// Whether the platform reaches any of the levels that Intel knows, and if not, by how much it
/// misses the nearest.
fn level(checks: &mut Checks, info: &TcbInfo, extension: &PckExtension, body: &TdBody) {
    let shortfalls = |level: &dcap_qvl::TcbLevel| {
        let found = level.shortfalls(
            &extension.cpu_svn,
            extension.pce_svn,
            Some(&body.tee_tcb_svn),
        );
        found.ok()
    };
    let nearest = info
        .tcb_levels
        .iter()
        .filter_map(shortfalls)
        .min_by_key(Vec::len);
    let pass = nearest.as_ref().is_some_and(Vec::is_empty);
    let got = match nearest {
        Some(short) if short.is_empty() => "one".to_owned(),
        Some(short) => {
            let short = short
                .iter()
                .map(|one| format!("{:?} is {}, needs {}", one.component, one.have, one.needs));
            short.collect::<Vec<_>>().join("; ")
        }
        None => "no level to compare with".to_owned(),
    };
    let expected = "a level of security versions that Intel lists";
    checks.check("tcb.level", Reason::TcbStatus, pass, expected, got);
}

fn qe_identity(checks: &mut Checks, collateral: &TdxCollateral, now: UnixTime) {
    let identity = serde_json::from_str::<QeIdentity>(&collateral.qe_identity);
    let expected = "the quoting enclave's identity in JSON";
    let name = "collateral.qe_identity";
    let Some(identity) = checks.step(name, Reason::Format, identity, expected) else {
        return;
    };
    checks.check(
        "collateral.qe_identity_kind",
        Reason::Chain,
        identity.id == "TD_QE" && matches!(identity.version, 2 | 3),
        "TD_QE, version 2 or 3",
        format_args!("{}, version {}", identity.id, identity.version),
    );
    let name = "collateral.qe_identity_time";
    dates(
        checks,
        name,
        &identity.issue_date,
        &identity.next_update,
        now,
    );
}

fn dates(checks: &mut Checks, name: &'static str, from: &str, to: &str, now: UnixTime) {
    if let (Some(from), Some(to)) = (unix(from), unix(to)) {
        window(checks, name, Reason::Validity, (from, to), now);
    } else {
        let got = format_args!("{from} to {to}").to_string();
        checks.check(name, Reason::Format, false, "two dates", got);
    }
}

/// Such as `2026-10-01T12:00:00Z`.
pub(super) fn unix(date: &str) -> Option<UnixTime> {
    let seconds = date
        .parse::<der::DateTime>()
        .ok()?
        .unix_duration()
        .as_secs();
    i64::try_from(seconds).ok().map(UnixTime)
}

fn window(
    checks: &mut Checks,
    name: &'static str,
    reason: Reason,
    (from, to): (UnixTime, UnixTime),
    now: UnixTime,
) {
    let pass = from <= now && now <= to;
    let expected = format_args!("a time from {from} to {to}").to_string();
    checks.check(name, reason, pass, expected, now);
}
