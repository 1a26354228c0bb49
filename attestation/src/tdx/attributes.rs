//! The switches of a guest: `ATTRIBUTES` and `XFAM` (Intel TDX Module ABI, tables 3.23 and 3.25).

/// `ATTRIBUTES`, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Attributes(pub u64);

impl Attributes {
    /// The host can read and write the guest.
    pub const DEBUG: u64 = 1;
    /// The host can profile the guest.
    pub const PROFILING: u64 = 0b111 << 4;
    /// The report says which service guests there are.
    pub const SERVICE_TD: u64 = 1 << 17;
    /// The host cannot make the guest run into pages that it took away.
    pub const SEPT_VE_DISABLE: u64 = 1 << 28;
    /// A service guest can move the guest to another machine.
    pub const MIGRATABLE: u64 = 1 << 29;
}

/// `XFAM`, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Xfam(pub u64);

impl Xfam {
    /// The x87 and SSE state, which every guest has.
    pub const ALWAYS: u64 = 0b11;
}

macro_rules! features {
    ($(#[$type_doc:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $text:literal $bits:expr,)* }) => {
        $(#[$type_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As policies write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Its bits.
            pub const fn bits(self) -> u64 {
                match self { $(Self::$variant => $bits,)* }
            }
        }
    };
}

features! {
    /// Switches of a guest that a policy may allow.
    Attribute {
        /// A defence against single-stepping by counting instructions.
        Icssd = "icssd" 1 << 16,
        /// Linear address space separation.
        Lass = "lass" 1 << 27,
        /// Protection keys for the kernel's pages.
        Pks = "pks" 1 << 30,
        /// Key Locker.
        KeyLocker = "key-locker" 1 << 31,
        /// An agent that provisions devices.
        Tpa = "tpa" 1 << 62,
        /// Performance counters.
        Perfmon = "perfmon" 1 << 63,
    }
}

features! {
    /// Processor state beyond x87 and SSE that a policy may allow.
    ProcessorState {
        /// AVX.
        Avx = "avx" 1 << 2,
        /// AVX-512.
        Avx512 = "avx-512" 0b111 << 5,
        /// Processor trace.
        Trace = "processor-trace" 1 << 8,
        /// Protection keys for user pages.
        Pku = "pku" 1 << 9,
        /// Address space ids for devices.
        Pasid = "pasid" 1 << 10,
        /// Control-flow enforcement.
        Cet = "cet" 0b11 << 11,
        /// Hardware duty cycling.
        Hdc = "hdc" 1 << 13,
        /// User interrupts.
        Uintr = "uintr" 1 << 14,
        /// Last branch records.
        Lbr = "lbr" 1 << 15,
        /// Hardware-controlled performance states.
        Hwp = "hwp" 1 << 16,
        /// Matrix extensions.
        Amx = "amx" 0b11 << 17,
        /// Advanced performance extensions: more registers.
        Apx = "apx" 1 << 19,
    }
}
