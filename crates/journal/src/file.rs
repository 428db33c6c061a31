//! Opening a run file, and telling it from any other file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// `aScl`: stands in the header of every run file, so that another program's database is
/// never taken for one, nor written to.
const APPLICATION_ID: i32 = 0x6153_636c;

/// Version of `schema.sql`.
const SCHEMA_VERSION: i32 = 2;

/// What brings a file of version 1 up to this one; its rows stay as they are.
const FROM_1: &str = "ALTER TABLE sessions ADD COLUMN closing TEXT";

/// How long to wait for another process that is writing to the same file. Its batches take
/// milliseconds; longer means that it hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a run file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no such file.
    #[error("{}: no such run file", .path.display())]
    Missing {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file belongs to something else; it was not touched.
    #[error("{}: not a run file of autoscale ({because})", .path.display())]
    Foreign {
        /// The file asked for.
        path: PathBuf,
        /// What it is instead.
        because: String,
    },
    /// A later version of autoscale wrote it.
    #[error("{}: written by a newer autoscale (format {found}; this one reads up to {known})", .path.display())]
    Newer {
        /// The file asked for.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest format known here.
        known: i32,
    },
    /// The file is damaged.
    #[error("{}: damaged, {place}: {because}", .path.display())]
    Corrupt {
        /// The file asked for.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// What is wrong there.
        because: String,
    },
    /// The file could not be opened, read or written.
    #[error("{}: {because}", .path.display())]
    Io {
        /// The file asked for.
        path: PathBuf,
        /// The cause.
        because: String,
        /// Whether there is no room left.
        full: bool,
    },
    /// The file holds no such session.
    #[error("{}: no session {session} in it", .path.display())]
    NoSession {
        /// The file asked for.
        path: PathBuf,
        /// The session asked for.
        session: i64,
    },
}

/// Puts a name to an error of SQLite: which file, and what was being done.
pub(crate) fn named(path: &Path, doing: &str, error: &rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            JournalError::Foreign { path, because: "no SQLite database".to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            JournalError::Corrupt { path, place: doing.to_owned(), because: error.to_string() }
        }
        Some(ErrorCode::DiskFull) => {
            JournalError::Io { path, because: format!("{doing}: no room left"), full: true }
        }
        _ => JournalError::Io { path, because: format!("{doing}: {error}"), full: false },
    }
}

/// Opens for writing; makes the file where there is none or an empty one.
pub(crate) fn open_to_write(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut file = open(path, flags)?;
    let fresh = table_count(path, &file)? == 0 && application_id(path, &file)? == 0;
    let outdated = !fresh && check(path, &file)? < SCHEMA_VERSION;
    let tuned = file
        .pragma_update(None, "journal_mode", "WAL")
        // With WAL, NORMAL loses at most the last commits on power loss, never the file.
        .and_then(|()| file.pragma_update(None, "synchronous", "NORMAL"))
        .and_then(|()| file.pragma_update(None, "foreign_keys", true));
    tuned.map_err(|error| named(path, "preparing", &error))?;
    if fresh {
        create(&mut file).map_err(|error| named(path, "creating its tables", &error))?;
    }
    if outdated {
        update(&mut file).map_err(|error| named(path, "bringing its tables up to date", &error))?;
    }
    Ok(file)
}

/// Opens for reading; changes nothing. Also says whether it holds what version 2 added.
pub(crate) fn open_to_read(path: &Path) -> Result<(Connection, bool), JournalError> {
    let length = match path.metadata() {
        Ok(found) if found.is_dir() => {
            return Err(JournalError::Foreign { path: path.to_owned(), because: "a directory".to_owned() });
        }
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::Missing { path: path.to_owned() });
        }
        Err(error) => {
            return Err(JournalError::Io { path: path.to_owned(), because: error.to_string(), full: false });
        }
    };
    if length == 0 {
        return Err(JournalError::Foreign { path: path.to_owned(), because: "empty".to_owned() });
    }
    let file = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = check(path, &file)?;
    Ok((file, version >= 2))
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    let opened = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let file = opened.map_err(|error| named(path, "opening", &error))?;
    file.busy_timeout(BUSY_TIMEOUT).map_err(|error| named(path, "opening", &error))?;
    Ok(file)
}

fn create(file: &mut Connection) -> rusqlite::Result<()> {
    let whole = file.transaction()?;
    whole.execute_batch(include_str!("schema.sql"))?;
    whole.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    whole.pragma_update(None, "application_id", APPLICATION_ID)?;
    whole.commit()
}

fn update(file: &mut Connection) -> rusqlite::Result<()> {
    let whole = file.transaction()?;
    whole.execute_batch(FROM_1)?;
    whole.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    whole.commit()
}

/// Refuses what is not ours, and what is newer than this program; its version.
fn check(path: &Path, file: &Connection) -> Result<i32, JournalError> {
    if application_id(path, file)? != APPLICATION_ID {
        let because = "another program's SQLite database".to_owned();
        return Err(JournalError::Foreign { path: path.to_owned(), because });
    }
    let found: i32 = file
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| named(path, "reading its version", &error))?;
    if found > SCHEMA_VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

fn application_id(path: &Path, file: &Connection) -> Result<i32, JournalError> {
    file.pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| named(path, "reading its header", &error))
}

fn table_count(path: &Path, file: &Connection) -> Result<i64, JournalError> {
    file.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| named(path, "reading its header", &error))
}
