//! The statement gate: what one SELECT may name.
//!
//! The shim walks the parsed tree and shows every table, every function in FROM, every other function
//! and everything it does not know. Allowed are the tables of the job, functions in FROM that read
//! nothing but their arguments, and functions that compute. The file system is a wall of its own: what
//! slips through here still finds no file.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Detail, EngineError};
use crate::ffi::RawJudge;

/// Functions in FROM that only turn their arguments into rows.
const TABLE_FUNCTIONS: [&str; 8] = [
    "generate_series",
    "generate_subscripts",
    "json_each",
    "json_tree",
    "range",
    "repeat",
    "repeat_row",
    "unnest",
];

/// Functions elsewhere that look at the engine, run SQL of their own or leave something behind.
const REFUSED_FUNCTIONS: [&str; 12] = [
    "current_setting",
    "getenv",
    "getvariable",
    "json_deserialize_sql",
    "json_execute_serialized_sql",
    "json_serialize_plan",
    "json_serialize_sql",
    "nextval",
    "currval",
    "setval",
    "which_secret",
    "write_log",
];

/// `enum dbl_met` of the header: what the walk meets. Parts of a qualified name come joined by NUL.
pub(crate) enum Met {
    Table,
    TableFunction,
    Function,
    Forbidden,
    Column,
    AnyColumn,
    Alias,
}

impl Met {
    const fn of(number: i32) -> Self {
        match number {
            1 => Self::Table,
            2 => Self::TableFunction,
            3 => Self::Function,
            5 => Self::Column,
            6 => Self::AnyColumn,
            7 => Self::Alias,
            _ => Self::Forbidden,
        }
    }
}

/// Is shown a statement piece by piece.
pub(crate) trait Walked {
    /// Whether the walk goes on.
    fn meet(&mut self, met: &Met, name: &str, position: Option<u32>) -> bool;

    /// The functions for the shim; valid as long as `self` is neither moved nor used.
    fn as_raw(&mut self) -> RawJudge
    where
        Self: Sized,
    {
        RawJudge {
            ctx: std::ptr::from_mut(self).cast(),
            meet: meet::<Self>,
        }
    }
}

/// Judges one statement.
pub(crate) struct Judge<'a> {
    /// The names of the job's tables.
    tables: &'a [String],
    refusal: Option<EngineError>,
}

impl<'a> Judge<'a> {
    pub(crate) const fn new(tables: &'a [String]) -> Self {
        Self {
            tables,
            refusal: None,
        }
    }

    /// Why the statement was refused, if it was.
    pub(crate) fn into_refusal(self) -> Option<EngineError> {
        self.refusal
    }

    fn judge(&self, met: &Met, name: &str, position: Option<u32>) -> Result<(), EngineError> {
        match met {
            Met::Table if self.is_table(name) => Ok(()),
            Met::Table => Err(EngineError::UnknownTable {
                name: Detail::new(name.replace('\0', ".")),
                position,
            }),
            Met::TableFunction if listed(&TABLE_FUNCTIONS, name) => Ok(()),
            Met::TableFunction => Err(EngineError::Refused {
                detail: Detail::new(format!("the table function {name} is not allowed here")),
                position,
            }),
            Met::Function if !listed(&REFUSED_FUNCTIONS, name) => Ok(()),
            Met::Function => Err(EngineError::Refused {
                detail: Detail::new(format!("the function {name} is not allowed here")),
                position,
            }),
            Met::Forbidden => Err(EngineError::Refused {
                detail: Detail::new(format!("{name} is not allowed here")),
                position,
            }),
            // Who may read a table may read every column whose key came with the job.
            Met::Column | Met::AnyColumn | Met::Alias => Ok(()),
        }
    }

    fn is_table(&self, name: &str) -> bool {
        let parts: Vec<&str> = name.split('\0').collect();
        let is = |part: &str, wanted: &str| part.eq_ignore_ascii_case(wanted);
        let table = match parts.as_slice() {
            [table] => table,
            [schema, table] if is(schema, "main") => table,
            [catalog, schema, table] if is(catalog, "memory") && is(schema, "main") => table,
            _ => return false,
        };
        self.tables.iter().any(|known| is(known, table))
    }
}

impl Walked for Judge<'_> {
    fn meet(&mut self, met: &Met, name: &str, position: Option<u32>) -> bool {
        match self.judge(met, name, position) {
            Ok(()) => true,
            Err(refusal) => {
                self.refusal = Some(refusal);
                false
            }
        }
    }
}

fn listed(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(name))
}

unsafe extern "C" fn meet<W: Walked>(
    ctx: *mut c_void,
    met: i32,
    name: *const u8,
    name_len: usize,
    position: i64,
) -> i32 {
    // SAFETY: `ctx` is the `W` of `as_raw`, which nobody else touches during the walk.
    let walked = unsafe { &mut *ctx.cast::<W>() };
    // SAFETY: the shim passes the bytes of a C++ string, never null, alive during this call.
    let name = unsafe { std::slice::from_raw_parts(name, name_len) };
    let goes_on = catch_unwind(AssertUnwindSafe(|| {
        let name = String::from_utf8_lossy(name);
        walked.meet(&Met::of(met), &name, u32::try_from(position).ok())
    }));
    i32::from(!matches!(goes_on, Ok(true)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_whatever_their_case_and_only_where_they_are() {
        let tables = ["Orders".to_owned()];
        let judge = Judge::new(&tables);
        for good in ["orders", "ORDERS", "main\0orders", "memory\0main\0Orders"] {
            assert!(judge.is_table(good), "{good:?}");
        }
        for bad in [
            "orders2",
            "main.orders",
            "pg_catalog\0orders",
            "temp\0main\0orders",
            "a\0b\0c\0orders",
            "",
        ] {
            assert!(!judge.is_table(bad), "{bad:?}");
        }
    }

    #[test]
    fn unknown_things_are_forbidden() {
        let judge = Judge::new(&[]);
        for number in [0, 4, 8, -1, i32::MAX] {
            assert!(judge.judge(&Met::of(number), "anything", None).is_err());
        }
    }

    #[test]
    fn functions_are_matched_without_case() {
        let judge = Judge::new(&[]);
        assert!(judge.judge(&Met::TableFunction, "UNNEST", None).is_ok());
        assert!(
            judge
                .judge(&Met::TableFunction, "read_parquet", None)
                .is_err()
        );
        assert!(judge.judge(&Met::Function, "sum", None).is_ok());
        assert!(judge.judge(&Met::Function, "Write_Log", None).is_err());
    }
}
