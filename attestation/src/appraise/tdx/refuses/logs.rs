//! Images, registers and event logs.

use super::*;
use crate::tdx::EventLog;
use crate::tdx::event_log::MAX_EVENTS;

/// A policy that leaves these registers to the log.
fn leaving(registers: [Option<&str>; 4]) -> Scene {
    let own = image(platform(), [None; 4]);
    Scene::good().edit(&own, &image(platform(), registers))
}

const LOG: Option<&str> = Some("event-log");

/// The events of the simulated boot, as policies list them.
fn events(registers: &[usize]) -> Vec<String> {
    let log = Scene::good().evidence().event_log.unwrap();
    let log = EventLog::parse(&log).unwrap();
    let events = log.events().iter();
    let events = events.filter(|event| registers.contains(&event.register));
    events
        .map(|event| format!("\"rtmr{}:{}\"", event.register, event.digest))
        .collect()
}

#[test]
fn another_image() {
    let appraisal = Scene::good().judge_lie(|report| report.mr_td[47] ^= 1);
    let failed = ["guest.mrtd", "guest.rtmrs"];
    refused_by(&appraisal, &failed, &[Reason::Measurement]);
}

#[test]
fn other_registers() {
    type Change = fn(&mut TDReport10);
    let changes: [Change; 4] = [
        |report| report.rt_mr0[0] ^= 1,
        |report| report.rt_mr1[0] ^= 1,
        |report| report.rt_mr2[0] ^= 1,
        |report| report.rt_mr3[0] ^= 1,
    ];
    let replays = ["event_log.rtmr0", "event_log.rtmr1", "event_log.rtmr2"];
    for (number, change) in changes.into_iter().enumerate() {
        let mut evidence = Scene::good().lie(change);
        let appraisal = Scene::good().case.judge_envelope(&evidence);
        // The log says nothing of register 3.
        match replays.get(number) {
            Some(replay) => {
                let reasons = [Reason::Measurement, Reason::EventLog];
                refused_by(&appraisal, &["guest.rtmrs", replay], &reasons);
            }
            None => refused_by(&appraisal, &["guest.rtmrs"], &[Reason::Measurement]),
        }
        evidence.event_log = None;
        let appraisal = Scene::good().case.judge_envelope(&evidence);
        refused_by(&appraisal, &["guest.rtmrs"], &[Reason::Measurement]);
    }
}

#[test]
fn a_listed_image_needs_no_log() {
    let appraisal = Scene::good().judge_changed(|evidence| evidence.event_log = None);
    assert!(appraisal.result.is_ok());
}

#[test]
fn registers_left_to_a_log_that_is_not_there() {
    let free = Scene::good().edit("free_registers = []", "free_registers = [\"rtmr0\"]");
    assert!(free.judge().result.is_ok());
    let scene = leaving([LOG, None, None, None])
        .edit("free_registers = []", "free_registers = [\"rtmr0\"]");
    assert!(scene.judge().result.is_ok());
    let appraisal = scene.judge_changed(|evidence| evidence.event_log = None);
    refused_by(&appraisal, &["event_log"], &[Reason::EventLog]);
}

#[test]
fn a_log_that_does_not_lead_to_the_registers() {
    let scene = leaving([LOG, LOG, LOG, None]).edit(
        "free_registers = []",
        "free_registers = [\"rtmr0\", \"rtmr1\", \"rtmr2\"]",
    );
    assert!(scene.judge().result.is_ok());
    let log = scene.evidence().event_log.unwrap();
    let parsed = EventLog::parse(&log).unwrap();
    let names = ["event_log.rtmr0", "event_log.rtmr1", "event_log.rtmr2"];
    for event in parsed.events() {
        let at = log.windows(48).position(|at| at == event.digest.as_bytes());
        let mut altered = log.clone();
        altered[at.unwrap()] ^= 1;
        let appraisal = scene.judge_changed(|evidence| evidence.event_log = Some(altered));
        assert!(appraisal.result.is_err());
        let failed: Vec<_> = appraisal
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Fail)
            .collect();
        // The separator is in two registers; its first place is found.
        assert_eq!(failed.len(), 1);
        assert!(names.contains(&failed[0].name), "{}", failed[0].name);
        assert_eq!(failed[0].reason, Reason::EventLog);
        // Events of a log that is not genuine are not looked at.
        let judged = ["event_log.required", "event_log.allowed"];
        assert!(
            !appraisal
                .checks
                .iter()
                .any(|check| judged.contains(&check.name))
        );
    }
}

#[test]
fn what_the_log_says_of_events_counts_for_nothing() {
    let scene = Scene::good();
    let log = scene.evidence().event_log.unwrap();
    let parsed = EventLog::parse(&log).unwrap();
    let data = parsed.events().last().unwrap().data;
    let at = log.windows(data.len()).position(|at| at == data).unwrap();
    let mut altered = log.clone();
    altered[at] ^= 1;
    let appraisal = scene.judge_changed(|evidence| evidence.event_log = Some(altered));
    assert!(appraisal.result.is_ok());
}

#[test]
fn register_3_left_to_a_log_that_does_not_speak_of_it() {
    let scene = leaving([None, None, None, LOG]);
    assert!(scene.judge().result.is_ok());
    let appraisal = scene.judge_lie(|report| report.rt_mr3[0] = 1);
    refused_by(&appraisal, &["event_log.rtmr3"], &[Reason::EventLog]);
}

#[test]
fn events_that_the_policy_lists() {
    let unlisted = leaving([None, LOG, LOG, None]);
    refused_by(
        &unlisted.judge(),
        &["event_log.allowed"],
        &[Reason::Measurement],
    );
    let listed = events(&[1, 2]).join(", ");
    let required = format!("required = [{listed}]");
    let scene = leaving([None, LOG, LOG, None]).edit("required = []", &required);
    assert!(scene.judge().result.is_ok());
    let allowed = format!("allowed = [{listed}]");
    let scene = leaving([None, LOG, LOG, None]).edit("allowed = []", &allowed);
    assert!(scene.judge().result.is_ok());
    // One that is not there.
    let other = format!("required = [\"rtmr2:{}\"]", "07".repeat(48));
    let scene = scene.edit("required = []", &other);
    refused_by(
        &scene.judge(),
        &["event_log.required"],
        &[Reason::Measurement],
    );
    // One that is there, but in another register.
    let moved = listed.replace("rtmr2:", "rtmr1:");
    let scene = leaving([None, LOG, LOG, None])
        .edit("required = []", &format!("required = [{moved}]"))
        .edit("allowed = []", &allowed);
    refused_by(
        &scene.judge(),
        &["event_log.required"],
        &[Reason::Measurement],
    );
    let scene =
        leaving([None, LOG, LOG, None]).edit("allowed = []", &format!("allowed = [{moved}]"));
    refused_by(
        &scene.judge(),
        &["event_log.allowed"],
        &[Reason::Measurement],
    );
    // Only registers that are left to the log are judged by its events.
    let scene = leaving([None, LOG, None, None])
        .edit("required = []", &other)
        .edit("allowed = []", &allowed);
    assert!(scene.judge().result.is_ok());
}

#[test]
fn of_several_images_one_must_fit() {
    let own = image(platform(), [None; 4]);
    let log = image(platform(), [LOG, LOG, LOG, None]);
    let other = "07".repeat(48);
    let wrong = image(platform(), [Some(&other), None, None, None]);
    // The image that says the most counts: no event is judged.
    for both in [format!("{log}, {own}"), format!("{own}, {log}, {wrong}")] {
        assert!(Scene::good().edit(&own, &both).judge().result.is_ok());
    }
    let scene = Scene::good().edit(&own, &format!("{wrong}, {log}"));
    refused_by(
        &scene.judge(),
        &["event_log.allowed"],
        &[Reason::Measurement],
    );
    let scene = Scene::good().edit(&own, &wrong);
    refused_by(&scene.judge(), &["guest.rtmrs"], &[Reason::Measurement]);
}

#[test]
fn damaged_and_endless_logs() {
    let scene = Scene::good();
    let damaged = scene.judge_changed(|evidence| evidence.event_log.as_mut().unwrap()[32] ^= 1);
    refused_by(&damaged, &["event_log"], &[Reason::EventLog]);
    let endless = scene.judge_changed(|evidence| {
        let log = evidence.event_log.as_mut().unwrap();
        let filling = log.iter().rposition(|byte| *byte != 0xff).unwrap() + 1;
        log.truncate(filling);
        let event = [1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 12, 0].into_iter();
        let event: Vec<u8> = event.chain([0; 52]).collect();
        log.extend(event.repeat(MAX_EVENTS));
    });
    refused_by(&endless, &["event_log"], &[Reason::Limit]);
}
