//! One database and its one connection, held safely.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::CRYPTO;
use crate::error::{Detail, EngineError};
use crate::ffi::{self, Kind, RawEngine, RawError, RawRows};
use crate::file_system::Files;
use crate::gate::{Judge, Walked as _};

/// Rows per Arrow batch, at most: large enough that a batch's overhead does not count, small enough
/// that a few wide ones fit any memory limit.
const BATCH_ROWS: u64 = 16 * 1024;

/// An error of DuckDB's, as the shim sorted it.
pub(crate) struct DuckError {
    pub(crate) kind: Kind,
    pub(crate) position: Option<u32>,
    pub(crate) message: String,
    pub(crate) name: Option<String>,
}

impl DuckError {
    fn take(raw: &mut RawError) -> Self {
        Self {
            kind: Kind::of(raw.kind),
            position: u32::try_from(raw.position).ok(),
            message: take_text(&mut raw.message).unwrap_or_default(),
            name: take_text(&mut raw.name),
        }
    }
}

/// Copies and frees a text that the shim handed over.
fn take_text(text: &mut *mut c_char) -> Option<String> {
    let owned = std::mem::replace(text, std::ptr::null_mut());
    if owned.is_null() {
        return None;
    }
    // SAFETY: not null, so a NUL-terminated text from the shim's CopyText, freed below and not before.
    let copy = unsafe { CStr::from_ptr(owned) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: from the shim's CopyText, and forgotten here: freed once.
    unsafe { ffi::dbl_string_free(owned) };
    Some(copy)
}

/// The version that the library states.
pub(crate) fn library_version() -> String {
    // SAFETY: a constant of the library, NUL-terminated and never freed.
    let version = unsafe { CStr::from_ptr(ffi::dbl_version()) };
    version.to_string_lossy().into_owned()
}

pub(crate) struct Connection {
    raw: NonNull<RawEngine>,
    files: Arc<Files>,
    /// One statement is prepared or run at a time; rows are fetched and interrupts sent without it.
    statement: Mutex<()>,
}

// SAFETY: the shim keeps no thread-local state. DuckDB guards a connection's context with a lock of
// its own, `statement` orders our calls beyond that, and an interrupt only sets an atomic flag.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    /// A database in memory with these options.
    pub(crate) fn open(
        options: &[(&'static str, String)],
        files: Arc<Files>,
    ) -> Result<Self, EngineError> {
        let broken = |_| EngineError::Setup {
            what: "an option holds a NUL",
            detail: Detail::new(""),
        };
        let mut texts = Vec::with_capacity(options.len() * 2);
        for (name, value) in options {
            texts.push(CString::new(*name).map_err(broken)?);
            texts.push(CString::new(value.as_str()).map_err(broken)?);
        }
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();

        let raw_files = Arc::clone(&files).into_raw();
        let mut engine = std::ptr::null_mut();
        let mut error = RawError::empty();
        // SAFETY: `pointers` holds two live texts per option; the shim copies both tables of functions
        // and takes over the reference in `raw_files`; `engine` and `error` are locals.
        unsafe {
            ffi::dbl_open(
                pointers.as_ptr(),
                options.len(),
                &raw const raw_files,
                &raw const CRYPTO,
                &raw mut engine,
                &raw mut error,
            );
        }
        match NonNull::new(engine) {
            Some(raw) => Ok(Self {
                raw,
                files,
                statement: Mutex::new(()),
            }),
            None => Err(EngineError::of_setup(
                "opening the database",
                DuckError::take(&mut error),
            )),
        }
    }

    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Runs one statement of our own.
    pub(crate) fn run(&self, sql: &str) -> Result<(), DuckError> {
        let _one = self
            .statement
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut error = RawError::empty();
        // SAFETY: the engine lives as long as `self`; the text is copied.
        let state =
            unsafe { ffi::dbl_run(self.raw.as_ptr(), sql.as_ptr(), sql.len(), &raw mut error) };
        if state == 0 {
            Ok(())
        } else {
            Err(DuckError::take(&mut error))
        }
    }

    /// Runs one statement of our own for its first value.
    pub(crate) fn ask(&self, sql: &str) -> Result<Option<String>, DuckError> {
        let _one = self
            .statement
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut error = RawError::empty();
        let mut value = std::ptr::null_mut();
        // SAFETY: the engine lives as long as `self`; the text is copied; the value becomes ours.
        let state = unsafe {
            ffi::dbl_ask(
                self.raw.as_ptr(),
                sql.as_ptr(),
                sql.len(),
                &raw mut value,
                &raw mut error,
            )
        };
        let value = take_text(&mut value);
        if state == 0 {
            Ok(value)
        } else {
            Err(DuckError::take(&mut error))
        }
    }

    /// Starts a stranger's statement, if it is one SELECT on these tables.
    pub(crate) fn query(&self, sql: &str, tables: &[String]) -> Result<RowsHandle, EngineError> {
        let _one = self
            .statement
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut judge = Judge::new(tables);
        let raw_judge = judge.as_raw();
        let mut rows = std::ptr::null_mut();
        let mut error = RawError::empty();
        // SAFETY: the engine lives as long as `self`, the judge longer than this call, in which the shim
        // alone uses it; the text is copied; the rows become ours.
        unsafe {
            ffi::dbl_query(
                self.raw.as_ptr(),
                sql.as_ptr(),
                sql.len(),
                &raw const raw_judge,
                BATCH_ROWS,
                &raw mut rows,
                &raw mut error,
            );
        }
        if let Some(raw) = NonNull::new(rows) {
            return Ok(RowsHandle { raw });
        }
        let error = DuckError::take(&mut error);
        // The judge knows better than DuckDB why it refused, the files why they could not be read.
        Err(judge
            .into_refusal()
            .or_else(|| self.files.take_failure())
            .unwrap_or_else(|| EngineError::of_query(error)))
    }

    fn interrupt(&self) {
        // SAFETY: the engine lives as long as `self`, and this call is allowed beside any other.
        unsafe { ffi::dbl_interrupt(self.raw.as_ptr()) };
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: from dbl_open, closed once; rows hold a reference to `self`, so none are left.
        unsafe { ffi::dbl_close(self.raw.as_ptr()) };
    }
}

/// A started query. Must not outlive its [`Connection`]: [`crate::Rows`] sees to that.
pub(crate) struct RowsHandle {
    raw: NonNull<RawRows>,
}

// SAFETY: the handle is the only way to its stream, and DuckDB ties neither to a thread.
unsafe impl Send for RowsHandle {}

impl RowsHandle {
    pub(crate) fn schema(&mut self) -> Result<arrow::ffi::FFI_ArrowSchema, DuckError> {
        let mut schema = arrow::ffi::FFI_ArrowSchema::empty();
        let mut error = RawError::empty();
        // SAFETY: the rows are open; on success the shim moves a schema into the empty one.
        let state =
            unsafe { ffi::dbl_rows_schema(self.raw.as_ptr(), &raw mut schema, &raw mut error) };
        if state == 0 {
            Ok(schema)
        } else {
            Err(DuckError::take(&mut error))
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<arrow::ffi::FFI_ArrowArray>, DuckError> {
        let mut array = arrow::ffi::FFI_ArrowArray::empty();
        let mut error = RawError::empty();
        // SAFETY: the rows are open; when there is a batch the shim moves it into the empty array.
        match unsafe { ffi::dbl_rows_next(self.raw.as_ptr(), &raw mut array, &raw mut error) } {
            0 => Ok(None),
            1 => Ok(Some(array)),
            _ => Err(DuckError::take(&mut error)),
        }
    }
}

impl Drop for RowsHandle {
    fn drop(&mut self) {
        // SAFETY: from dbl_query, closed once.
        unsafe { ffi::dbl_rows_close(self.raw.as_ptr()) };
    }
}

/// Stops the query that runs now, from any thread. It ends with [`EngineError::Interrupted`].
#[derive(Clone)]
pub struct InterruptHandle {
    connection: Arc<Connection>,
}

impl InterruptHandle {
    pub(crate) const fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Stops it. Does nothing when no query runs.
    pub fn interrupt(&self) {
        self.connection.interrupt();
    }
}
