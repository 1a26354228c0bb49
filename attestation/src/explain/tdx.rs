//! TDX quotes.

use super::{Part, certificate, either};
use crate::measurement::Measurement;
use crate::tdx::attributes::{Attribute, Attributes, ProcessorState, Xfam};
use crate::tdx::body::TdBody;
use crate::tdx::crypto::QvlConfig;
use crate::tdx::{Quote, pem};

/// The parts of a quote, and the certificates in it.
pub fn quote(quote: &Quote<'_>) -> Vec<Part> {
    let mut parts = vec![
        whole(quote),
        guest(&quote.body),
        attributes(quote.body.attributes),
        states(quote.body.xfam),
        platform(quote),
    ];
    parts.extend(certificate::chain_of(
        "platform certificate (PCK)",
        quote.pck_chain,
    ));
    parts
}

fn whole(quote: &Quote<'_>) -> Part {
    let mut part = Part::new("TDX quote");
    part.field("version", quote.version, "layout of the quote");
    let body = match quote.body.td15.as_ref().map(|td15| td15.ex.is_some()) {
        None => "TDX 1.0",
        Some(false) => "TDX 1.5",
        Some(true) => "TDX 1.5, extended",
    };
    part.field("body", body, "");
    let [installation, _] = [quote.user_data.get(..16), quote.user_data.get(16..)];
    part.bytes(
        "quoting enclave",
        installation.unwrap_or_default(),
        "names its installation on the machine",
    );
    part.field(
        "body digest",
        quote.body_digest,
        "SHA-256 of what is signed",
    );
    part
}

fn guest(body: &TdBody) -> Part {
    let mut part = Part::new("guest");
    let mut register = |name, value: &Measurement, means| part.bytes(name, value.as_bytes(), means);
    register("MRTD", &body.mrtd, "what was launched");
    let [first, second, third, fourth] = &body.rtmrs;
    register("RTMR0", first, "firmware and its settings");
    register("RTMR1", second, "boot loader and kernel");
    register("RTMR2", third, "command line and initial RAM disk");
    register("RTMR3", fourth, "the guest's own, at run time");
    register("MRCONFIGID", &body.mr_config_id, "chosen by the host");
    register("MROWNER", &body.mr_owner, "chosen by the host");
    register("MROWNERCONFIG", &body.mr_owner_config, "chosen by the host");
    part.bytes("report data", &body.report_data, "chosen by who asked");
    if let Some(td15) = &body.td15 {
        let means = "guests that serve this one, such as for migration";
        part.bytes("MRSERVICETD", td15.mr_service_td.as_bytes(), means);
    }
    if let Some(ex) = body.td15.as_ref().and_then(|td15| td15.ex.as_ref()) {
        part.field("partition", ex.vmid, "which part of the guest asked");
        part.bytes("guest id", &ex.td_id, "one life of one guest");
        part.bytes("devices", ex.dev_info.as_bytes(), "what is said of them");
        part.bytes("services at creation", ex.init_service_td.as_bytes(), "");
        part.bytes("services now", ex.cur_service_td.as_bytes(), "");
    }
    part
}

fn attributes(attributes: Attributes) -> Part {
    let bits = attributes.0;
    let mut part = Part::new(format!("guest attributes {bits:#018x}"));
    let on = |mask: u64| bits & mask != 0;
    for (name, mask, yes, no) in [
        (
            "debugging",
            Attributes::DEBUG,
            "ON: the host can read the guest",
            "off",
        ),
        (
            "profiling",
            Attributes::PROFILING,
            "ON: the host can profile the guest",
            "off",
        ),
        (
            "SEPT_VE_DISABLE",
            Attributes::SEPT_VE_DISABLE,
            "on: pages that the host took away stop the guest",
            "OFF: the host can fool the guest with pages that it took away",
        ),
        ("migration", Attributes::MIGRATABLE, "POSSIBLE", "off"),
        ("service guests", Attributes::SERVICE_TD, "reported", "off"),
    ] {
        part.field(name, places(mask), either(on(mask), yes, no));
    }
    let mut known = Attributes::DEBUG
        | Attributes::PROFILING
        | Attributes::SEPT_VE_DISABLE
        | Attributes::MIGRATABLE
        | Attributes::SERVICE_TD;
    for feature in Attribute::ALL {
        known |= feature.bits();
        if on(feature.bits()) {
            part.field(feature.name(), places(feature.bits()), "on");
        }
    }
    unknown(&mut part, bits & !known);
    part
}

fn states(xfam: Xfam) -> Part {
    let mut part = Part::new(format!("processor state {:#018x}", xfam.0));
    let always = xfam.0 & Xfam::ALWAYS == Xfam::ALWAYS;
    part.field(
        "x87 and SSE",
        places(Xfam::ALWAYS),
        either(always, "on", "OFF"),
    );
    let mut known = Xfam::ALWAYS;
    for state in ProcessorState::ALL {
        known |= state.bits();
        if xfam.0 & state.bits() != 0 {
            part.field(state.name(), places(state.bits()), "on");
        }
    }
    unknown(&mut part, xfam.0 & !known);
    part
}

fn unknown(part: &mut Part, bits: u64) {
    if bits != 0 {
        part.field(
            "unknown",
            format!("{bits:#x}"),
            "bits without a known meaning",
        );
    }
}

/// `bit 4`, `bits 4-6`.
fn places(mask: u64) -> String {
    let (first, last) = (mask.trailing_zeros(), 63 - mask.leading_zeros().min(63));
    if first == last {
        format!("bit {first}")
    } else {
        format!("bits {first}-{last}")
    }
}

fn platform(quote: &Quote<'_>) -> Part {
    let body = &quote.body;
    let mut part = Part::new("platform");
    let [version, major, loader, ..] = body.tee_tcb_svn;
    let module = format!("module security version {version} of line {major}, loader {loader}");
    part.field("TDX TCB", hex::encode(body.tee_tcb_svn), module);
    if let Some(td15) = &body.td15 {
        let means = "the same, now: modules are updated under running guests";
        part.field("TDX TCB 2", hex::encode(td15.tee_tcb_svn2), means);
    }
    part.bytes("MRSEAM", body.mr_seam.as_bytes(), "the TDX module");
    part.bytes(
        "MRSIGNERSEAM",
        body.mr_signer_seam.as_bytes(),
        "who signed the module: zero for Intel",
    );
    part.bytes("module attributes", &body.seam_attributes, "");
    let leaf = pem::decode(quote.pck_chain).ok();
    let leaf = leaf.as_ref().and_then(|chain| chain.first());
    let pck = leaf.and_then(|der| dcap_qvl::intel::parse_pck_extension_with::<QvlConfig>(der).ok());
    let Some(pck) = pck else {
        part.field("platform certificate", "unreadable", "");
        return part;
    };
    part.field("FMSPC", hex::encode(pck.fmspc), "family, model, stepping");
    part.bytes("PPID", &pck.ppid, "the platform's provisioning id");
    if let Some(id) = &pck.platform_instance_id {
        part.bytes("instance", id, "the platform's instance id");
    }
    part.field(
        "CPU SVN",
        hex::encode(pck.cpu_svn),
        "processor and microcode",
    );
    part.field("PCE SVN", pck.pce_svn, "certification enclave");
    let memory = match pck.sgx_type {
        0 => "a small region with integrity and replay protection",
        1 => "all of it, encrypted",
        2 => "all of it, encrypted and with integrity",
        _ => "unknown",
    };
    part.field("memory", pck.sgx_type, memory);
    for (name, flag, yes, no) in [
        ("SMT", pck.smt_enabled, "on", "off"),
        (
            "dynamic",
            pck.dynamic_platform,
            "packages can be added",
            "its packages are fixed",
        ),
        (
            "keys",
            pck.cached_keys,
            "Intel keeps a copy",
            "Intel keeps no copy",
        ),
    ] {
        if let Some(flag) = flag {
            part.field(name, flag, either(flag, yes, no));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means<'a>(part: &'a Part, name: &str) -> &'a str {
        let mut fields = part.fields.iter();
        fields
            .find(|field| field.name == name)
            .map_or("", |field| field.means.as_str())
    }

    #[test]
    fn bits_in_words() {
        let part = attributes(Attributes(1 << 28));
        assert_eq!(means(&part, "debugging"), "off");
        assert!(means(&part, "SEPT_VE_DISABLE").starts_with("on"));
        let part = attributes(Attributes(1 | 1 << 63 | 1 << 40));
        assert!(means(&part, "debugging").starts_with("ON"));
        assert!(means(&part, "SEPT_VE_DISABLE").starts_with("OFF"));
        assert_eq!(means(&part, "perfmon"), "on");
        assert_eq!(
            part.fields.last().map(|field| field.value.as_str()),
            Some("0x10000000000")
        );
        let part = states(Xfam(0xe7));
        assert_eq!(means(&part, "avx-512"), "on");
        assert_eq!(means(&part, "amx"), "");
    }

    #[test]
    fn places_of_bits() {
        assert_eq!(places(1), "bit 0");
        assert_eq!(places(1 << 63), "bit 63");
        assert_eq!(places(0b111 << 4), "bits 4-6");
    }
}
