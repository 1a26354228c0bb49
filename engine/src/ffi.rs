//! The other side of `shim/shim.h`, declaration by declaration.

use std::ffi::{c_char, c_void};

use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
// Brings in the C++ library that the shim calls; nothing of its Rust is needed.
use libduckdb_sys as _;

/// `enum dbl_kind`: what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Syntax,
    UnknownTable,
    UnknownColumn,
    NotOneSelect,
    Refused,
    OutOfMemory,
    Interrupted,
    Permission,
    Io,
    Sql,
    Broken,
}

impl Kind {
    /// A number that the header does not know counts as broken.
    pub(crate) const fn of(number: i32) -> Self {
        match number {
            1 => Self::Syntax,
            2 => Self::UnknownTable,
            3 => Self::UnknownColumn,
            4 => Self::NotOneSelect,
            5 => Self::Refused,
            6 => Self::OutOfMemory,
            7 => Self::Interrupted,
            8 => Self::Permission,
            9 => Self::Io,
            10 => Self::Sql,
            _ => Self::Broken,
        }
    }
}

#[repr(C)]
pub(crate) struct RawError {
    pub(crate) kind: i32,
    pub(crate) position: i64,
    pub(crate) message: *mut c_char,
    pub(crate) name: *mut c_char,
}

impl RawError {
    pub(crate) const fn empty() -> Self {
        Self {
            kind: 0,
            position: -1,
            message: std::ptr::null_mut(),
            name: std::ptr::null_mut(),
        }
    }
}

#[repr(C)]
pub(crate) struct RawFiles {
    pub(crate) ctx: *const c_void,
    pub(crate) find: unsafe extern "C" fn(
        ctx: *const c_void,
        path: *const u8,
        path_len: usize,
        file: *mut *const c_void,
        size: *mut u64,
    ) -> i32,
    pub(crate) tag: unsafe extern "C" fn(file: *const c_void, out: *mut u8, cap: usize) -> usize,
    pub(crate) read:
        unsafe extern "C" fn(file: *const c_void, offset: u64, buffer: *mut u8, len: usize) -> i32,
    pub(crate) close: unsafe extern "C" fn(file: *const c_void),
    pub(crate) release: unsafe extern "C" fn(ctx: *const c_void),
}

#[repr(C)]
pub(crate) struct RawCrypto {
    pub(crate) random: unsafe extern "C" fn(out: *mut u8, len: usize) -> i32,
    pub(crate) seal: unsafe extern "C" fn(
        key: *const u8,
        key_len: usize,
        nonce: *const u8,
        aad: *const u8,
        aad_len: usize,
        data: *mut u8,
        len: usize,
        tag: *mut u8,
    ) -> i32,
    pub(crate) open: unsafe extern "C" fn(
        key: *const u8,
        key_len: usize,
        nonce: *const u8,
        aad: *const u8,
        aad_len: usize,
        data: *mut u8,
        len: usize,
        tag: *const u8,
    ) -> i32,
}

#[repr(C)]
pub(crate) struct RawJudge {
    pub(crate) ctx: *mut c_void,
    pub(crate) meet: unsafe extern "C" fn(
        ctx: *mut c_void,
        met: i32,
        name: *const u8,
        name_len: usize,
        position: i64,
    ) -> i32,
}

/// `dbl_engine`, never looked into from here.
#[repr(C)]
pub(crate) struct RawEngine {
    _opaque: [u8; 0],
}

/// `dbl_rows`, never looked into from here.
#[repr(C)]
pub(crate) struct RawRows {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    pub(crate) fn dbl_version() -> *const c_char;
    pub(crate) fn dbl_string_free(text: *mut c_char);
    pub(crate) fn dbl_open(
        options: *const *const c_char,
        count: usize,
        files: *const RawFiles,
        crypto: *const RawCrypto,
        out: *mut *mut RawEngine,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_close(engine: *mut RawEngine);
    pub(crate) fn dbl_run(
        engine: *mut RawEngine,
        sql: *const u8,
        len: usize,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_ask(
        engine: *mut RawEngine,
        sql: *const u8,
        len: usize,
        value: *mut *mut c_char,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_interrupt(engine: *mut RawEngine);
    pub(crate) fn dbl_walk(sql: *const u8, len: usize, judge: *const RawJudge) -> i32;
    pub(crate) fn dbl_query(
        engine: *mut RawEngine,
        sql: *const u8,
        len: usize,
        judge: *const RawJudge,
        batch_rows: u64,
        out: *mut *mut RawRows,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_rows_schema(
        rows: *mut RawRows,
        out: *mut FFI_ArrowSchema,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_rows_next(
        rows: *mut RawRows,
        out: *mut FFI_ArrowArray,
        error: *mut RawError,
    ) -> i32;
    pub(crate) fn dbl_rows_close(rows: *mut RawRows);
}
