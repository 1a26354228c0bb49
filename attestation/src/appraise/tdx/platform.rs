//! What Intel says of the platform, against what the policy takes.

use std::time::Duration;

use dcap_qvl::{PckCertFlag, Policy as _, QuoteClaims, QuotePolicy, TcbStatus};
use duckblind_protocol::ids::UnixTime;

use super::Genuine;
use super::collateral::unix;
use super::stages;
use crate::appraise::{Inputs, TdxPlatform};
use crate::check::Checks;
use crate::policy::{MemoryProtection, PlatformPolicy, TcbPolicy, TdxPolicy, TdxRoot};
use crate::reason::Reason;
use crate::tdx::TdBody;

const DAY: u32 = 24 * 60 * 60;

pub(super) fn judge(
    checks: &mut Checks,
    claims: &QuoteClaims,
    policy: &TdxPolicy,
    genuine: &Genuine,
    inputs: &Inputs<'_>,
) {
    let floors = &inputs.floors.tcb_evaluations;
    let root = genuine.root.map(TdxRoot::digest);
    let seen = root.and_then(|root| floors.get(&root)).copied();
    let floor = policy.tcb.min_evaluation.max(seen.unwrap_or_default());
    issued(checks, genuine, inputs.now);
    statuses(checks, claims, &policy.tcb);
    ages(checks, claims, &policy.tcb, inputs.now);
    advisories(checks, claims, &policy.tcb);
    checks.check(
        "tcb.evaluation",
        Reason::TcbFloor,
        claims.tcb.eval_data_number >= floor,
        format_args!("at least {floor}"),
        claims.tcb.eval_data_number,
    );
    switches(checks, claims, &policy.platform);
    identity(checks, claims, &policy.platform);
    // The same again as the library understands it.
    let same = library_policy(policy, floor, inputs.now).validate(claims);
    stages::policy(checks, same.map_err(|error| format!("{error:#}")));
}

/// Nothing may be of tomorrow. Certificates and Intel's JSON have been judged; the revocation lists
/// remain, which the library takes however young.
fn issued(checks: &mut Checks, genuine: &Genuine, now: UnixTime) {
    let Some((from, _)) = genuine.window() else {
        return;
    };
    checks.check(
        "collateral.issued",
        Reason::CrlStale,
        from <= now,
        format_args!("a time from {from}"),
        now,
    );
}

/// Launch and now, platform and quoting enclave: each must be of a status that the policy lists.
fn statuses(checks: &mut Checks, claims: &QuoteClaims, policy: &TcbPolicy) {
    let current = claims.platform.current_tcb_level.as_ref();
    let all = [
        ("tcb.status", Some(claims.tcb.status)),
        ("tcb.current_status", current.map(|level| level.tcb_status)),
        ("tcb.qe_status", Some(claims.qe.tcb_level.tcb_status)),
    ];
    for (name, status) in all {
        let Some(status) = status else { continue };
        checks.check(
            name,
            Reason::TcbStatus,
            policy.statuses.contains(&status),
            format_args!("one of {:?}", policy.statuses.as_slice()),
            status,
        );
    }
}

const fn is_out_of_date(status: TcbStatus) -> bool {
    matches!(
        status,
        TcbStatus::OutOfDate | TcbStatus::OutOfDateConfigurationNeeded
    )
}

/// How long ago Intel's newer security versions came out.
fn ages(checks: &mut Checks, claims: &QuoteClaims, policy: &TcbPolicy, now: UnixTime) {
    let qe = &claims.qe.tcb_level;
    let all = [
        (
            "tcb.age",
            is_out_of_date(claims.tcb.status)
                && is_out_of_date(claims.platform.tcb_level.tcb_status),
            &claims.platform.tcb_level.tcb_date,
            policy.platform_grace_days,
        ),
        (
            "tcb.qe_age",
            is_out_of_date(qe.tcb_status),
            &qe.tcb_date,
            policy.qe_grace_days,
        ),
    ];
    for (name, applies, date, days) in all {
        if !applies {
            continue;
        }
        let grace = i64::from(days) * i64::from(DAY);
        let until = unix(date).map(|date| UnixTime(date.0.saturating_add(grace)));
        checks.check(
            name,
            Reason::TcbStatus,
            until.is_some_and(|until| now <= until),
            format_args!("at most {days} days after {date}"),
            now,
        );
    }
}

fn advisories(checks: &mut Checks, claims: &QuoteClaims, policy: &TcbPolicy) {
    let among = |list: &[String], id: &str| list.iter().any(|one| one.eq_ignore_ascii_case(id));
    let denied = |id: &&String| among(&policy.denied_advisories, id);
    let accepted = |id: &&String| among(&policy.accepted_advisories, id);
    let names = |ids: Vec<&String>| match ids.as_slice() {
        [] => "none".to_owned(),
        ids => ids
            .iter()
            .map(|id| id.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    };
    let strange: Vec<_> = all_advisories(claims).filter(|id| !accepted(id)).collect();
    checks.check(
        "tcb.advisories",
        Reason::TcbStatus,
        strange.is_empty(),
        "none but those that the policy accepts",
        names(strange),
    );
    let denied: Vec<_> = all_advisories(claims).filter(denied).collect();
    checks.check(
        "tcb.denied_advisories",
        Reason::TcbStatus,
        denied.is_empty(),
        "none of those that the policy denies",
        names(denied),
    );
}

/// At launch, now, and of the quoting enclave.
fn all_advisories(claims: &QuoteClaims) -> impl Iterator<Item = &String> {
    let current = claims.platform.current_tcb_level.iter();
    let launch = claims.platform.tcb_level.advisory_ids.iter();
    launch
        .chain(current.flat_map(|level| &level.advisory_ids))
        .chain(&claims.qe.tcb_level.advisory_ids)
}

/// What the platform's certificate says of it. What it leaves open counts as the worse.
fn switches(checks: &mut Checks, claims: &QuoteClaims, policy: &PlatformPolicy) {
    let pck = &claims.platform.pck;
    let all = [
        ("platform.smt", policy.allow_smt, pck.smt_enabled),
        (
            "platform.dynamic",
            policy.allow_dynamic,
            pck.dynamic_platform,
        ),
        (
            "platform.cached_keys",
            policy.allow_cached_keys,
            pck.cached_keys,
        ),
    ];
    for (name, allowed, flag) in all {
        let pass = allowed || flag == PckCertFlag::False;
        let expected = if allowed { "either" } else { "off" };
        let got = match flag {
            PckCertFlag::False => "off",
            PckCertFlag::True => "on",
            PckCertFlag::Undefined => "not said",
        };
        checks.check(name, Reason::Platform, pass, expected, got);
    }
    let all = MemoryProtection::ALL.iter();
    let memory = all.copied().find(|kind| kind.number() == pck.sgx_type);
    let names: Vec<_> = policy
        .memory
        .as_slice()
        .iter()
        .map(|kind| kind.name())
        .collect();
    checks.check(
        "platform.memory",
        Reason::Platform,
        memory.is_some_and(|memory| policy.memory.contains(&memory)),
        format_args!("one of {}", names.join(", ")),
        memory.map_or("unknown", MemoryProtection::name),
    );
}

/// Which platform it is, and of which model.
fn identity(checks: &mut Checks, claims: &QuoteClaims, policy: &PlatformPolicy) {
    let pck = &claims.platform.pck;
    let ppid = <[u8; 16]>::try_from(pck.ppid.as_slice()).ok();
    let ids: Vec<_> = pck.platform_instance_id.into_iter().chain(ppid).collect();
    let got: Vec<_> = ids.iter().map(hex::encode).collect();
    let got = got.join(", ");
    let denied = |id| policy.denied_ids.contains(id);
    checks.check(
        "platform.id",
        Reason::Platform,
        ids.iter().any(|id| policy.ids.takes(id)),
        "a platform that the policy lists",
        &got,
    );
    checks.check(
        "platform.denied_id",
        Reason::Platform,
        !ids.iter().any(denied),
        "none that the policy denies",
        got,
    );
    let got = hex::encode(pck.fmspc);
    checks.check(
        "platform.fmspc",
        Reason::Platform,
        policy.fmspcs.takes(&pck.fmspc),
        "a model that the policy lists",
        &got,
    );
    checks.check(
        "platform.denied_fmspc",
        Reason::Platform,
        !policy.denied_fmspcs.contains(&pck.fmspc),
        "none that the policy denies",
        got,
    );
}

fn library_policy(policy: &TdxPolicy, floor: u32, now: UnixTime) -> QuotePolicy {
    let (tcb, platform) = (&policy.tcb, &policy.platform);
    let days = |days: u32| Duration::from_secs(u64::from(days) * u64::from(DAY));
    let memory: Vec<u8> = platform
        .memory
        .as_slice()
        .iter()
        .map(|kind| kind.number())
        .collect();
    let now = u64::try_from(now.0).unwrap_or_default();
    // `strict` lists the one status that our list may lack; `tcb.status` sees to that.
    let strict = QuotePolicy::strict(now)
        .platform_grace_period(days(tcb.platform_grace_days))
        .qe_grace_period(days(tcb.qe_grace_days))
        .min_tcb_eval_data_number(floor)
        .reject_advisories(&tcb.denied_advisories)
        .allow_dynamic_platform(platform.allow_dynamic)
        .allow_cached_keys(platform.allow_cached_keys)
        .allow_smt(platform.allow_smt)
        .accepted_sgx_types(&memory);
    let statuses = tcb.statuses.as_slice().iter();
    statuses.fold(strict, |policy, status| policy.allow_status(*status))
}

/// Whether Intel says anything but that all is well.
pub(super) fn is_warned_of(claims: &QuoteClaims) -> bool {
    claims.tcb.status != TcbStatus::UpToDate || all_advisories(claims).next().is_some()
}

/// What accepted evidence says of its platform.
pub(super) fn learned(body: &TdBody, claims: &QuoteClaims) -> TdxPlatform {
    let pck = &claims.platform.pck;
    let instance = pck.platform_instance_id.map(|id| id.to_vec());
    TdxPlatform {
        mrtd: body.mrtd,
        rtmrs: body.rtmrs,
        tcb_status: claims.tcb.status.to_string(),
        advisories: claims.tcb.advisory_ids.clone(),
        tcb_evaluation: claims.tcb.eval_data_number,
        fmspc: pck.fmspc,
        platform_id: instance.unwrap_or_else(|| pck.ppid.clone()),
    }
}
