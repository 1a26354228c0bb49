//! What a TDX guest may be: images, registers, switches.

use super::super::read::Section;
use super::super::{Allowed, NonEmpty, PolicyError};
use super::LIST_ONE;
use crate::measurement::Measurement;
use crate::tdx::attributes::{Attribute, ProcessorState};

const ZERO: Measurement = Measurement::from_bytes([0; 48]);
const HEX_OR_ZERO: &str = "\"zero\" or 96 hex digits";

/// One image as it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TdxImage {
    /// What was launched.
    pub(crate) mrtd: Measurement,
    /// What was measured since.
    pub(crate) rtmrs: [Register; 4],
}

/// What a runtime register must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// This.
    Is(Measurement),
    /// Whatever the event log replays to, if the policy takes its events.
    Log,
}

/// What `mr_config_id` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigId {
    /// This.
    Is(Measurement),
    /// SHA-384 of the configuration that the evidence carries.
    Config,
}

/// An event of the log, in so far as its register vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoggedEvent {
    /// Which RTMR.
    pub(crate) register: usize,
    /// What was measured.
    pub(crate) digest: Measurement,
}

/// What holds for the guest whatever its image.
#[derive(Clone, Debug)]
pub(crate) struct GuestPolicy {
    pub(crate) modules: Allowed<Measurement>,
    /// Everything else must be off, but for what must be on.
    pub(crate) attributes: Vec<Attribute>,
    /// Everything else must be off, but for what every guest has.
    pub(crate) states: Vec<ProcessorState>,
    pub(crate) config_ids: NonEmpty<ConfigId>,
    pub(crate) owners: NonEmpty<Measurement>,
    pub(crate) owner_configs: NonEmpty<Measurement>,
    /// Must be in the log, each in a register that the log vouches for.
    pub(crate) required_events: Vec<LoggedEvent>,
    /// May be in the log.
    pub(crate) allowed_events: Vec<LoggedEvent>,
    /// Registers in which there may be any events.
    pub(crate) free_registers: Vec<usize>,
}

pub(super) fn images(tdx: &mut Section) -> Result<Vec<TdxImage>, PolicyError> {
    const KEYS: &[&str] = &["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"];
    let mut images = Vec::new();
    for mut image in tdx.tables("images", KEYS)? {
        images.push(TdxImage {
            mrtd: image.value("mrtd", "96 hex digits", |text| text.parse().ok())?,
            rtmrs: [
                register(&mut image, "rtmr0")?,
                register(&mut image, "rtmr1")?,
                register(&mut image, "rtmr2")?,
                register(&mut image, "rtmr3")?,
            ],
        });
    }
    Ok(images)
}

fn register(image: &mut Section, key: &'static str) -> Result<Register, PolicyError> {
    let expected = "\"zero\", \"event-log\" or 96 hex digits";
    image.value(key, expected, |text| match text {
        "event-log" => Some(Register::Log),
        other => zero_or_hex(other).map(Register::Is),
    })
}

pub(super) fn guest(tdx: &mut Section) -> Result<GuestPolicy, PolicyError> {
    const KEYS: &[&str] = &[
        "modules",
        "attributes",
        "processor_states",
        "config_ids",
        "owners",
        "owner_configs",
    ];
    const LOG: &[&str] = &["required", "allowed", "free_registers"];
    let mut log = tdx.section("event_log", LOG)?;
    let mut guest = tdx.section("guest", KEYS)?;
    let config_ids = guest.list(
        "config_ids",
        "\"zero\", \"config\" or 96 hex digits",
        |text| match text {
            "config" => Some(ConfigId::Config),
            other => zero_or_hex(other).map(ConfigId::Is),
        },
    )?;
    let owners = guest.list("owners", HEX_OR_ZERO, zero_or_hex)?;
    let owner_configs = guest.list("owner_configs", HEX_OR_ZERO, zero_or_hex)?;
    Ok(GuestPolicy {
        modules: guest.allowed("modules", "96 hex digits", |text| text.parse().ok())?,
        attributes: guest.names("attributes", Attribute::ALL, Attribute::name)?,
        states: guest.names(
            "processor_states",
            ProcessorState::ALL,
            ProcessorState::name,
        )?,
        config_ids: guest.non_empty("config_ids", config_ids, LIST_ONE)?,
        owners: guest.non_empty("owners", owners, LIST_ONE)?,
        owner_configs: guest.non_empty("owner_configs", owner_configs, LIST_ONE)?,
        required_events: events(&mut log, "required")?,
        allowed_events: events(&mut log, "allowed")?,
        free_registers: log.names("free_registers", &[0, 1, 2, 3], register_name)?,
    })
}

fn zero_or_hex(text: &str) -> Option<Measurement> {
    match text {
        "zero" => Some(ZERO),
        hex => hex.parse().ok(),
    }
}

/// Such as `rtmr1:` and 96 hex digits.
fn events(log: &mut Section, key: &'static str) -> Result<Vec<LoggedEvent>, PolicyError> {
    let expected = "a register and what was measured into it: \"rtmr1:\" and 96 hex digits";
    log.list(key, expected, |text| {
        let (register, digest) = text.split_once(':')?;
        let register = (0..4).find(|number| register_name(*number) == register)?;
        Some(LoggedEvent {
            register,
            digest: digest.parse().ok()?,
        })
    })
}

const fn register_name(number: usize) -> &'static str {
    match number {
        0 => "rtmr0",
        1 => "rtmr1",
        2 => "rtmr2",
        _ => "rtmr3",
    }
}
