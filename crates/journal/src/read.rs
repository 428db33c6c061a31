//! Reads run files, also while they are being written and after a crash.

use std::path::{Path, PathBuf};
use std::vec;

use control::Cycle;
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

use crate::file::{self, JournalError, named};
use crate::session::{Header, Session};

/// Cycles fetched at a time: bounds memory, and how long a reader holds back the writer's
/// write-ahead log.
const PAGE: u32 = 256;

/// Broken rows that are named one by one; more are only counted.
const NAMED_MAX: usize = 20;

/// An open run file.
#[derive(Debug)]
pub struct Reader {
    file: Connection,
    path: PathBuf,
    /// Whether sessions say something when they close: not so in files of version 1.
    has_closing: bool,
}

/// A cycle with its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The session it belongs to.
    pub session: i64,
    /// Which turn of the session, counted from 1.
    pub seq: u64,
    /// The turn.
    pub cycle: Cycle,
}

/// A row as stored.
struct Raw {
    session: i64,
    seq: i64,
    json: String,
}

impl Raw {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        // Through bytes: a row whose text is broken is one bad row, not the end of the file.
        let json = String::from_utf8_lossy(row.get_ref("cycle")?.as_bytes()?).into_owned();
        Ok(Self { session: row.get("session")?, seq: row.get("seq")?, json })
    }

    fn parse(&self) -> Result<Recorded, String> {
        let named = |because: String| format!("session {}, turn {}: {because}", self.session, self.seq);
        let cycle = serde_json::from_str(&self.json).map_err(|error| named(error.to_string()))?;
        let seq = u64::try_from(self.seq).map_err(|error| named(error.to_string()))?;
        Ok(Recorded { session: self.session, seq, cycle })
    }
}

impl Reader {
    /// Opens `path` for reading only.
    ///
    /// # Errors
    /// Says which file and what is wrong with it: missing, another program's, written by a
    /// newer autoscale, damaged.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (file, has_closing) = file::open_to_read(path)?;
        Ok(Self { file, path: path.to_owned(), has_closing })
    }

    /// Every session, oldest first.
    ///
    /// # Errors
    /// A damaged header, or a file that cannot be read.
    pub fn sessions(&self) -> Result<Vec<Session>, JournalError> {
        self.select_sessions("SELECT id FROM sessions ORDER BY id")
    }

    /// The newest session; `None` in a file without any.
    ///
    /// # Errors
    /// As [`Reader::sessions`].
    pub fn last_session(&self) -> Result<Option<Session>, JournalError> {
        Ok(self.select_sessions("SELECT max(id) FROM sessions HAVING max(id) NOT NULL")?.pop())
    }

    /// The cycles of a session, oldest first, read as they are asked for.
    ///
    /// # Errors
    /// There is no such session.
    pub fn cycles(&self, session: i64) -> Result<Cycles<'_>, JournalError> {
        let known: bool = self
            .file
            .query_row("SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?1)", [session], |row| row.get(0))
            .map_err(|error| self.named("reading its sessions", &error))?;
        if !known {
            return Err(JournalError::NoSession { path: self.path.clone(), session });
        }
        let page = Vec::new().into_iter();
        Ok(Cycles { reader: self, session, after: 0, page, ended: false, skipped: 0, broken: Vec::new() })
    }

    /// The newest `n` readable cycles of whatever session, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self, n: u32) -> Result<Vec<Recorded>, JournalError> {
        let sql = "SELECT session, seq, cycle FROM cycles ORDER BY id DESC LIMIT ?1";
        let rows = self.raw(sql, params![n])?;
        Ok(rows.iter().rev().filter_map(|raw| raw.parse().ok()).collect())
    }

    fn page(&self, session: i64, after: i64) -> Result<Vec<Raw>, JournalError> {
        let sql = "SELECT session, seq, cycle FROM cycles
                   WHERE session = :session AND seq > :after ORDER BY seq LIMIT :page";
        self.raw(sql, named_params! { ":session": session, ":after": after, ":page": PAGE })
    }

    fn raw(&self, sql: &str, with: impl rusqlite::Params) -> Result<Vec<Raw>, JournalError> {
        let fetch = || {
            let mut select = self.file.prepare_cached(sql)?;
            let rows = select.query_map(with, Raw::from_row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        fetch().map_err(|error| self.named("reading its cycles", &error))
    }

    fn select_sessions(&self, ids: &str) -> Result<Vec<Session>, JournalError> {
        let closing = if self.has_closing { "closing" } else { "NULL AS closing" };
        let sql = format!(
            "SELECT id, kind, started_at, ended_at, version, seed, config, dropped, {closing},
                    (SELECT count(*) FROM cycles WHERE session = s.id) AS cycles,
                    (SELECT coalesce(min(seq), 0) FROM cycles WHERE session = s.id) AS first_seq,
                    (SELECT coalesce(max(seq), 0) FROM cycles WHERE session = s.id) AS last_seq
             FROM sessions AS s WHERE id IN ({ids}) ORDER BY id"
        );
        let fetch = || {
            let mut select = self.file.prepare(&sql)?;
            let rows = select.query_map([], |row| Ok((row.get("id")?, session(row)?)))?;
            rows.collect::<rusqlite::Result<Vec<(i64, Result<Session, String>)>>>()
        };
        let found = fetch().map_err(|error| self.named("reading its sessions", &error))?;
        let whole = found.into_iter().map(|(id, session)| {
            session.map_err(|because| JournalError::Corrupt {
                path: self.path.clone(),
                place: format!("session {id}"),
                because,
            })
        });
        whole.collect()
    }

    fn named(&self, doing: &str, error: &rusqlite::Error) -> JournalError {
        named(&self.path, doing, error)
    }
}

/// The outer error is SQLite's, the inner one says what the row holds wrongly.
fn session(row: &Row<'_>) -> rusqlite::Result<Result<Session, String>> {
    let kind: String = row.get("kind")?;
    let started_at: String = row.get("started_at")?;
    let ended_at: Option<String> = row.get("ended_at")?;
    let seed: String = row.get("seed")?;
    let config: String = row.get("config")?;
    let closing: Option<String> = row.get("closing")?;
    let (id, version) = (row.get("id")?, row.get("version")?);
    let count = |column: &str| -> rusqlite::Result<u64> {
        Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
    };
    let (cycles, dropped) = (count("cycles")?, count("dropped")?);
    let (first_seq, last_seq) = (count("first_seq")?, count("last_seq")?);
    let parse = || -> Result<Session, String> {
        let moment = |text: &str| text.parse::<Timestamp>().map_err(|error| error.to_string());
        let header = Header {
            kind: kind.parse()?,
            started_at: moment(&started_at)?,
            version,
            seed: seed.parse().map_err(|error| format!("its seed: {error}"))?,
            config: serde_json::from_str(&config).map_err(|error| format!("its config: {error}"))?,
        };
        let ended_at = ended_at.as_deref().map(moment).transpose()?;
        let closing = closing.as_deref().map(serde_json::from_str).transpose();
        let closing = closing.map_err(|error| format!("what it closed with: {error}"))?;
        Ok(Session { id, header, ended_at, cycles, first_seq, last_seq, dropped, closing })
    };
    Ok(parse())
}

/// Streams a session's cycles. A row that cannot be understood is skipped and counted; an
/// unreadable file ends the stream with an error.
#[derive(Debug)]
pub struct Cycles<'a> {
    reader: &'a Reader,
    session: i64,
    after: i64,
    page: vec::IntoIter<Raw>,
    ended: bool,
    skipped: u64,
    broken: Vec<String>,
}

impl Cycles<'_> {
    /// How many rows could not be understood so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Which rows, and why; only the first few are named.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }
}

impl Iterator for Cycles<'_> {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let Some(raw) = self.page.next() else {
                match self.reader.page(self.session, self.after) {
                    Ok(page) if page.is_empty() => self.ended = true,
                    Ok(page) => self.page = page.into_iter(),
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(error));
                    }
                }
                continue;
            };
            self.after = raw.seq;
            match raw.parse() {
                Ok(recorded) => return Some(Ok(recorded)),
                Err(because) => {
                    self.skipped += 1;
                    if self.broken.len() < NAMED_MAX {
                        self.broken.push(because);
                    }
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "session {}, turn {}", self.session, self.seq)
    }
}
