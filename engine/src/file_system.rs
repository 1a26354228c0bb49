//! The files behind `sealed://`, as DuckDB's C++ asks for them.

use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use duckblind_lake::sealed_file::{LakeError, SealedFile};

use crate::error::{Detail, EngineError};
use crate::ffi::RawFiles;

/// A read-only file made of functions. It never changes while it lives; several threads read it at
/// once.
pub trait VirtualFile: Send + Sync {
    /// Bytes in it.
    fn len(&self) -> u64;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset` on and says how far; less than all of it only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError>;

    /// Names the content: two files with one tag are equal.
    fn version_tag(&self) -> &str;

    /// What errors call it, if it has a name.
    fn name(&self) -> Option<&str> {
        None
    }
}

impl VirtualFile for SealedFile {
    fn len(&self) -> u64 {
        self.virtual_len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        SealedFile::read_at(self, buffer, offset)
    }

    fn version_tag(&self) -> &str {
        SealedFile::version_tag(self)
    }
}

/// A file of a table, by the name that its owner knows.
pub(crate) struct NamedFile<F> {
    pub(crate) file: F,
    pub(crate) name: String,
}

impl<F: VirtualFile> VirtualFile for NamedFile<F> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LakeError> {
        self.file.read_at(buffer, offset)
    }

    fn version_tag(&self) -> &str {
        self.file.version_tag()
    }

    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// Why a read failed. DuckDB only learns that it did.
enum Failure {
    Lake {
        error: LakeError,
        file: Option<String>,
    },
    Short,
    Panicked,
}

/// All files of one engine, and the first failure to read one of them.
#[derive(Default)]
pub(crate) struct Files {
    by_path: RwLock<HashMap<String, Arc<dyn VirtualFile>>>,
    failure: Mutex<Option<Failure>>,
}

/// What DuckDB holds as an open file.
struct OpenFile {
    file: Arc<dyn VirtualFile>,
    files: Arc<Files>,
}

impl Files {
    pub(crate) fn insert(&self, path: String, file: Arc<dyn VirtualFile>) {
        self.by_path
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, file);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.by_path
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
    }

    fn find(&self, path: &[u8]) -> Option<Arc<dyn VirtualFile>> {
        let path = std::str::from_utf8(path).ok()?;
        self.by_path
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }

    fn fail(&self, failure: Failure) {
        let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        // The first one is the cause, the rest follows from it.
        slot.get_or_insert(failure);
    }

    /// The failure since the last call, if there was one.
    pub(crate) fn take_failure(&self) -> Option<EngineError> {
        let taken = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Some(match taken? {
            Failure::Lake { error, file: None } => EngineError::Data(error),
            Failure::Lake {
                error,
                file: Some(file),
            } => EngineError::File {
                file: Detail::new(file),
                error,
            },
            Failure::Short => EngineError::Files {
                detail: Detail::new("a virtual file ended early"),
            },
            Failure::Panicked => EngineError::Broken {
                detail: Detail::new("the reader of a virtual file panicked"),
            },
        })
    }

    /// The table of functions for the shim, which holds one reference to these files until it calls
    /// `release`.
    pub(crate) fn into_raw(self: Arc<Self>) -> RawFiles {
        RawFiles {
            ctx: Arc::into_raw(self).cast(),
            find,
            tag,
            read,
            close,
            release,
        }
    }
}

impl OpenFile {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<(), Failure> {
        let mut rest = buffer;
        let mut at = offset;
        while !rest.is_empty() {
            let got = self.file.read_at(rest, at).map_err(|error| Failure::Lake {
                error,
                file: self.file.name().map(str::to_owned),
            })?;
            if got == 0 {
                return Err(Failure::Short);
            }
            rest = rest.get_mut(got..).ok_or(Failure::Short)?;
            at = at.checked_add(got as u64).ok_or(Failure::Short)?;
        }
        Ok(())
    }
}

unsafe extern "C" fn find(
    ctx: *const c_void,
    path: *const u8,
    path_len: usize,
    file: *mut *const c_void,
    size: *mut u64,
) -> i32 {
    // SAFETY: `ctx` is the pointer of `into_raw`, whose reference the shim still holds; borrowed here.
    let files = unsafe { &*ctx.cast::<Files>() };
    // SAFETY: the shim passes the bytes of a C++ string, never null, alive during this call.
    let path = unsafe { std::slice::from_raw_parts(path, path_len) };
    let Ok(Some(found)) = catch_unwind(AssertUnwindSafe(|| files.find(path))) else {
        return 0;
    };
    // SAFETY: one more reference to the files that `ctx` keeps alive; `OpenFile` gives it back.
    let owner = unsafe {
        Arc::increment_strong_count(ctx.cast::<Files>());
        Arc::from_raw(ctx.cast::<Files>())
    };
    let len = found.len();
    let open = Box::new(OpenFile {
        file: found,
        files: owner,
    });
    // SAFETY: both point to locals of the caller.
    unsafe {
        *size = len;
        *file = Box::into_raw(open).cast_const().cast();
    }
    1
}

unsafe extern "C" fn tag(file: *const c_void, out: *mut u8, cap: usize) -> usize {
    // SAFETY: a pointer from `find` that `close` has not seen yet.
    let open = unsafe { &*file.cast::<OpenFile>() };
    let Ok(tag) = catch_unwind(AssertUnwindSafe(|| open.file.version_tag().as_bytes())) else {
        return 0;
    };
    let len = tag.len().min(cap);
    // SAFETY: `out` has room for `cap` bytes and lies in the caller's frame, `tag` in the file.
    unsafe { std::ptr::copy_nonoverlapping(tag.as_ptr(), out, len) };
    len
}

unsafe extern "C" fn read(file: *const c_void, offset: u64, buffer: *mut u8, len: usize) -> i32 {
    // SAFETY: a pointer from `find` that `close` has not seen yet; DuckDB may share it between threads,
    // and `OpenFile` is only read.
    let open = unsafe { &*file.cast::<OpenFile>() };
    // SAFETY: DuckDB hands over a buffer of `len` bytes from its own allocator, not null as the shim
    // never asks for 0 bytes, and touches it again only after this call.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, len) };
    match catch_unwind(AssertUnwindSafe(|| open.fill(buffer, offset))) {
        Ok(Ok(())) => 0,
        Ok(Err(failure)) => {
            open.files.fail(failure);
            1
        }
        Err(_) => {
            open.files.fail(Failure::Panicked);
            1
        }
    }
}

unsafe extern "C" fn close(file: *const c_void) {
    // SAFETY: made by `Box::into_raw` in `find`; the shim calls this once per file.
    let open = unsafe { Box::from_raw(file.cast_mut().cast::<OpenFile>()) };
    // A destructor that panics has nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(open)));
}

unsafe extern "C" fn release(ctx: *const c_void) {
    // SAFETY: the reference of `into_raw`; the shim calls this once, when its file system goes.
    let files = unsafe { Arc::from_raw(ctx.cast::<Files>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(files)));
}
