//! The engine: open, tables in, one SELECT, rows out.

use std::sync::{Arc, Mutex, PoisonError};

use duckblind_lake::manifest::Manifest;
use duckblind_lake::sealed_file::SealedFile;

use crate::connection::{Connection, InterruptHandle};
use crate::error::EngineError;
use crate::file_system::{Files, NamedFile, VirtualFile};
use crate::lock_down;
use crate::rows::Rows;
use crate::settings::Settings;

/// Bytes that a table's name may have.
const MAX_NAME: usize = 128;

/// One database in memory, locked down.
pub struct Engine {
    connection: Arc<Connection>,
    settings: Settings,
    tables: Vec<String>,
    /// Whether the final lock is on.
    locked: Mutex<bool>,
}

impl Engine {
    /// Opens a database in memory that can read sealed files and nothing else, and shows by probes
    /// that this is so. Configuration is locked later, with the job's limits: by
    /// [`Engine::set_limits`] or, with the limits given here, before the first query.
    pub fn open(settings: &Settings) -> Result<Self, EngineError> {
        let options = lock_down::open_options(settings)?;
        let connection = Connection::open(&options, Arc::new(Files::default()))?;
        lock_down::confine(&connection, settings)?;
        let connection = Arc::new(connection);
        lock_down::rehearse(&connection, settings)?;
        rehearse(&connection)?;
        Ok(Self {
            connection,
            settings: settings.clone(),
            tables: Vec::new(),
            locked: Mutex::new(false),
        })
    }

    /// Sets the job's limits and locks the configuration. Works once, before the first query.
    pub fn set_limits(&self, threads: u32, memory_bytes: u64) -> Result<(), EngineError> {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if *locked {
            return Err(EngineError::Limits {
                what: "they are set already",
            });
        }
        lock_down::limit_and_lock(&self.connection, threads, memory_bytes)?;
        *locked = true;
        Ok(())
    }

    /// Makes a table of Parquet files with one schema. The name is taken as it is, quoted where it
    /// must be; case does not distinguish two names.
    pub fn add_table<F: VirtualFile + 'static>(
        &mut self,
        name: &str,
        files: Vec<F>,
    ) -> Result<(), EngineError> {
        self.add_files(name, None, files)
    }

    /// Makes a table with these columns, in this order, of files that need not have all of them: a
    /// column that a file lacks is NULL there.
    pub fn add_table_with<F: VirtualFile + 'static>(
        &mut self,
        name: &str,
        columns: &[String],
        files: Vec<F>,
    ) -> Result<(), EngineError> {
        if columns.is_empty() {
            return Err(EngineError::Table {
                what: "it has no columns",
            });
        }
        self.add_files(name, Some(columns), files)
    }

    /// Makes a table of a manifest's files, opened, in its order. Every file may have all columns or
    /// some; errors name the files as the manifest does.
    pub fn add_sealed_table(
        &mut self,
        name: &str,
        manifest: &Manifest,
        files: Vec<SealedFile>,
    ) -> Result<(), EngineError> {
        let schema = manifest.schema.iter();
        let columns: Vec<String> = schema.map(|field| field.name.clone()).collect();
        let alike = files.iter().all(|file| file.column_names() == columns);
        let named = files
            .into_iter()
            .zip(&manifest.files)
            .map(|(file, known)| NamedFile {
                file,
                name: format!("table {name}, file {}", known.path),
            })
            .collect();
        if alike {
            self.add_table(name, named)
        } else {
            self.add_table_with(name, &columns, named)
        }
    }

    fn add_files<F: VirtualFile + 'static>(
        &mut self,
        name: &str,
        columns: Option<&[String]>,
        files: Vec<F>,
    ) -> Result<(), EngineError> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            return Err(EngineError::Table {
                what: "its name is empty, too long or holds a NUL",
            });
        }
        if self
            .tables
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
        {
            return Err(EngineError::Table {
                what: "there is one of that name",
            });
        }
        if files.is_empty() {
            return Err(EngineError::Table {
                what: "it has no files",
            });
        }
        // Paths are numbers: nothing of a name or location gets into them.
        let number = self.tables.len();
        let mut paths = Vec::with_capacity(files.len());
        for (part, file) in files.into_iter().enumerate() {
            let path = format!("sealed://{number}/{part}.parquet");
            self.connection.files().insert(path.clone(), Arc::new(file));
            paths.push(path);
        }
        // By name only where files differ: DuckDB then reads every footer before it begins.
        let (select, by_name) = match columns {
            None => ("*".to_owned(), false),
            Some(columns) => (list(columns, '"'), true),
        };
        let view = format!(
            "CREATE VIEW {} AS SELECT {select} FROM \
             read_parquet([{}], hive_partitioning = false, union_by_name = {by_name})",
            quoted(name, '"'),
            list(&paths, '\''),
        );
        if let Err(error) = self.connection.run(&view) {
            for path in &paths {
                self.connection.files().remove(path);
            }
            return Err(self
                .connection
                .files()
                .take_failure()
                .unwrap_or_else(|| EngineError::of_setup("making a table", error)));
        }
        self.tables.push(name.to_owned());
        Ok(())
    }

    /// Starts `sql`, which must be exactly one SELECT on the tables added. Nothing of it runs when it
    /// is anything else. One query at a time: a second one is refused while the
    /// [`Rows`] of the first are open.
    pub fn query(&self, sql: &str) -> Result<Rows, EngineError> {
        {
            let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
            if !*locked {
                lock_down::limit_and_lock(
                    &self.connection,
                    self.settings.threads,
                    self.settings.memory_bytes,
                )?;
                *locked = true;
            }
        }
        // A failure left over from an abandoned query is not this one's.
        drop(self.connection.files().take_failure());
        let handle = self.connection.query(sql, &self.tables)?;
        Rows::new(handle, Arc::clone(&self.connection))
    }

    /// A handle that stops a running query.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(Arc::clone(&self.connection))
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Runs a query of our own to its end: its code and pages are met now, not when a job waits.
fn rehearse(connection: &Arc<Connection>) -> Result<(), EngineError> {
    let handle = connection.query("SELECT 1 AS one", &[])?;
    let mut rows = Rows::new(handle, Arc::clone(connection))?;
    while rows.next_batch()?.is_some() {}
    Ok(())
}

fn list(texts: &[String], quote: char) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text, quote)).collect();
    quoted.join(", ")
}

/// `text` between `quote`s, those inside doubled.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        if c == quote {
            out.push(quote);
        }
        out.push(c);
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_inside_are_doubled() {
        assert_eq!(quoted("a", '"'), "\"a\"");
        assert_eq!(
            quoted("a\"; DROP VIEW b; --", '"'),
            "\"a\"\"; DROP VIEW b; --\""
        );
        assert_eq!(quoted("it's", '\''), "'it''s'");
    }
}
