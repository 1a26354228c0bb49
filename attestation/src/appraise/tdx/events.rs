//! The image: registers that the policy lists, and those that an event log vouches for.

use crate::check::Checks;
use crate::evidence::Evidence;
use crate::measurement::Measurement;
use crate::policy::{GuestPolicy, LoggedEvent, Register, TdxImage, TdxPolicy};
use crate::reason::Reason;
use crate::tdx::event_log::{Event, EventLogError};
use crate::tdx::{EventLog, TdBody};

const REPLAYS: [&str; 4] = [
    "event_log.rtmr0",
    "event_log.rtmr1",
    "event_log.rtmr2",
    "event_log.rtmr3",
];

pub(super) fn judge(checks: &mut Checks, body: &TdBody, evidence: &Evidence, policy: &TdxPolicy) {
    let image = image(checks, body, policy);
    let vouched = |register: usize| {
        let rule = image.and_then(|image| image.rtmrs.get(register));
        matches!(rule, Some(Register::Log))
    };
    let needed = (0..4).any(vouched);
    let log = match (&evidence.event_log, needed) {
        (Some(log), _) => EventLog::parse(log),
        (None, false) => return,
        (None, true) => {
            let expected = "an event log, as the policy takes its word on registers";
            checks.check("event_log", Reason::EventLog, false, expected, "none");
            return;
        }
    };
    let reason = match &log {
        Err(EventLogError::TooLong(_) | EventLogError::TooMany) => Reason::Limit,
        _ => Reason::EventLog,
    };
    let Some(log) = checks.step("event_log", reason, log, "a TCG event log") else {
        return;
    };
    if !replays(checks, body, &log, vouched) {
        return;
    }
    if needed {
        let events = log.events().iter();
        let events: Vec<_> = events.filter(|event| vouched(event.register)).collect();
        judge_events(checks, &events, &policy.guest, vouched);
    }
}

/// The image of the policy that it is, if any. Of several, the one that says the most.
fn image<'a>(checks: &mut Checks, body: &TdBody, policy: &'a TdxPolicy) -> Option<&'a TdxImage> {
    let images = policy.images.as_slice().iter();
    let mrtds: Vec<_> = images.clone().map(|image| image.mrtd).collect();
    checks.check(
        "guest.mrtd",
        Reason::Measurement,
        body.mrtd.is_one_of(mrtds.iter()),
        format_args!("one of {} in the policy", mrtds.len()),
        body.mrtd,
    );
    let is = |image: &&TdxImage| {
        let rules = image.rtmrs.iter().zip(&body.rtmrs);
        let listed = rules.fold(true, |all, (rule, value)| match rule {
            Register::Is(listed) => all & value.is_one_of([*listed].iter()),
            Register::Log => all,
        });
        listed & body.mrtd.is_one_of([image.mrtd].iter())
    };
    let listed = |image: &&TdxImage| {
        let rules = image.rtmrs.iter();
        rules.filter(|rule| matches!(rule, Register::Is(_))).count()
    };
    let image = images.filter(is).max_by_key(listed);
    let registers = |rtmrs: &[Measurement; 4]| {
        let texts: Vec<_> = rtmrs.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    checks.check(
        "guest.rtmrs",
        Reason::Measurement,
        image.is_some(),
        "the registers of an image of the policy",
        registers(&body.rtmrs),
    );
    image
}

/// Compares every register that the log speaks of or for. Before that, no event is looked at.
fn replays(
    checks: &mut Checks,
    body: &TdBody,
    log: &EventLog<'_>,
    vouched: impl Fn(usize) -> bool,
) -> bool {
    let zero = Measurement::from_bytes([0; 48]);
    let pairs = body.rtmrs.iter().zip(log.registers()).zip(REPLAYS);
    let mut all = true;
    for (register, ((quoted, replayed), name)) in pairs.enumerate() {
        // What is measured after the firmware is gone needs not be in its log.
        if *replayed == zero && !vouched(register) {
            continue;
        }
        let same = quoted.is_one_of([*replayed].iter());
        all &= checks.check(name, Reason::EventLog, same, quoted, replayed);
    }
    all
}

/// Only digests count: what else the log says of an event is anyone's word.
fn judge_events(
    checks: &mut Checks,
    events: &[&Event<'_>],
    policy: &GuestPolicy,
    vouched: impl Fn(usize) -> bool,
) {
    let is = |event: &Event<'_>, one: &LoggedEvent| {
        one.register == event.register && one.digest == event.digest
    };
    let required = policy.required_events.iter();
    let missing = required
        .filter(|one| vouched(one.register))
        .find(|one| !events.iter().any(|event| is(event, one)));
    let got = missing.map_or_else(
        || "all".into(),
        |one| format!("no rtmr{}:{}", one.register, one.digest),
    );
    checks.check(
        "event_log.required",
        Reason::Measurement,
        missing.is_none(),
        "every event that the policy requires",
        got,
    );
    let listed = || policy.required_events.iter().chain(&policy.allowed_events);
    let stranger = events.iter().find(|event| {
        !policy.free_registers.contains(&event.register) && !listed().any(|one| is(event, one))
    });
    let got = stranger.map_or_else(
        || "none but these".into(),
        |one| format!("rtmr{}:{}", one.register, one.digest),
    );
    checks.check(
        "event_log.allowed",
        Reason::Measurement,
        stranger.is_none(),
        "no event but those that the policy lists",
        got,
    );
}
