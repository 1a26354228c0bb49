//! Capabilities of a query process: none, and none to come by.
//!
//! A supervisor that runs as root would hand down all of them, and one of them
//! (`CAP_SYS_PTRACE`) reads any memory, dumpable or not. Capabilities belong to a thread: they go
//! before there is a second one, which then inherits their absence.

use std::io;

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
};

/// What a thread may do beyond its user, one bit for each capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Permitted, effective, inheritable or ambient.
    pub any: u64,
    /// What a program that it executes might be given.
    pub bounding: u64,
}

/// Drops all of them for the calling thread. What could not be dropped is found by [`held`].
pub fn drop_all() {
    // The bounding set and the secure bits first: changing them needs `CAP_SETPCAP`.
    for bit in 0..u64::BITS {
        // Most numbers belong to no capability of this kernel.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    let _ = set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    );
    let _ = clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let _ = set_capabilities(None, none);
}

/// What the calling thread has, as the kernel tells it.
pub fn held() -> io::Result<Held> {
    parse(&std::fs::read_to_string("/proc/thread-self/status")?)
        .ok_or_else(|| io::Error::other("the kernel does not tell of capabilities"))
}

fn parse(status: &str) -> Option<Held> {
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let mut any = 0;
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        any |= set(name)?;
    }
    Some(Held {
        any,
        bounding: set("CapBnd:")?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_loses_all_of_them() {
        let before = held().unwrap();
        // Of its own: the thread of a test may serve another one.
        let after = std::thread::spawn(|| {
            drop_all();
            held().unwrap()
        });
        let after = after.join().unwrap();
        assert_eq!(after.any, 0);
        if CapabilitySet::from_bits_retain(before.any).contains(CapabilitySet::SETPCAP) {
            assert_eq!(after.bounding, 0);
        }
    }

    #[test]
    fn each_set_counts_and_none_may_be_missing() {
        let text = |of: &str| {
            let names = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
            let line = |name: &&str| format!("{name}:\t{:016x}\n", u8::from(*name == of));
            names.iter().map(line).collect::<String>()
        };
        let none = Held {
            any: 0,
            bounding: 0,
        };
        assert_eq!(parse(&text("")), Some(none));
        for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(parse(&text(name)), Some(Held { any: 1, ..none }));
        }
        assert_eq!(
            parse(&text("CapBnd")),
            Some(Held {
                bounding: 1,
                ..none
            })
        );
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(parse(&text("").replace(name, "Cap")), None);
        }
    }
}
