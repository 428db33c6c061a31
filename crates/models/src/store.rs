//! Model files named by their hash, and a SQLite index of what they are and how far they came.

mod rows;
mod stage;

use std::path::{Path, PathBuf};

use forecast::Forecaster;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::file::{BYTES_MAX, FileError, ModelFile};
use crate::recipe::{ModelId, Recipe};
use crate::train::Trained;
use rows::{note, parsed, set, stored};

pub use stage::Stage;

/// `aScM`: stands in the header of every index, so that another database is never taken for one.
const APPLICATION_ID: i32 = 0x6153_634d;
/// Version of `schema.sql`.
const SCHEMA_VERSION: i32 = 1;
/// The index, beside the files.
const INDEX: &str = "index.sqlite";
/// How long to wait for another process that is writing: its transactions take milliseconds.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// A folder of models.
pub struct Store {
    folder: PathBuf,
    index: Connection,
}

/// A row of the index.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its name.
    pub id: ModelId,
    /// What it forecasts, such as `web:requests`; one champion each.
    pub subject: String,
    /// What it was made from.
    pub recipe: Recipe,
    /// The model that decided when it was stored.
    pub parent: Option<String>,
    /// How far it has come.
    pub stage: Stage,
    /// When it was first stored.
    pub stored_at: Timestamp,
    /// Size of its file.
    pub bytes: u64,
}

/// A score of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// In steps.
    pub horizon: u32,
    /// Such as `relative_mae`.
    pub name: String,
    /// The score.
    pub value: f64,
}

/// A change of stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Of which model.
    pub id: ModelId,
    /// From where; nothing when it was stored.
    pub from: Option<Stage>,
    /// To where.
    pub to: Stage,
    /// Why.
    pub because: String,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The index is another program's.
    #[error("{}: not a model index of autoscale", .0.display())]
    Foreign(PathBuf),
    /// A file could not be used.
    #[error("{}: {because}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        because: FileError,
    },
    /// There is no such model.
    #[error("no model `{0}` in the store")]
    Unknown(String),
    /// More than one model's name begins so.
    #[error("`{0}` could be more than one model: give more digits")]
    Ambiguous(String),
    /// The stage forbids it.
    #[error("{id} is {stage}: {because}")]
    Stage {
        /// Which.
        id: ModelId,
        /// Where it stands.
        stage: Stage,
        /// Why that is in the way.
        because: &'static str,
    },
    /// There was no champion before.
    #[error("`{0}` has no earlier champion to go back to")]
    NoEarlier(String),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The index could not be read or written.
    #[error("index: {0}")]
    Index(#[from] rusqlite::Error),
}

impl Store {
    /// Opens the store in `folder`, made if there is none.
    ///
    /// # Errors
    /// When the folder cannot be made or its index is another program's.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs_err::create_dir_all(folder.join("models"))?;
        let path = folder.join(INDEX);
        let index = Connection::open(&path)?;
        index.busy_timeout(BUSY_TIMEOUT)?;
        let foreign = |_| StoreError::Foreign(path.clone());
        let number = |name: &str| index.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
        let application = number("application_id").map_err(foreign)?;
        let tables: i64 = index.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        if tables == 0 && application == 0 {
            index.execute_batch(&format!(
                "PRAGMA journal_mode = WAL; BEGIN; {} PRAGMA application_id = {APPLICATION_ID}; \
                 PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
                include_str!("store/schema.sql")
            ))?;
        } else if application != APPLICATION_ID || number("user_version")? != SCHEMA_VERSION {
            return Err(StoreError::Foreign(path));
        }
        index.execute_batch("PRAGMA foreign_keys = ON")?;
        Ok(Self { folder: folder.to_owned(), index })
    }

    fn path(&self, id: &ModelId) -> PathBuf {
        self.folder.join("models").join(format!("{}.model", id.as_str()))
    }

    /// Keeps a trained model of `subject` as a candidate. Storing it again changes nothing.
    ///
    /// # Errors
    /// When a file or the index cannot be written.
    pub fn add(&mut self, now: Timestamp, subject: &str, trained: &Trained) -> Result<Stored, StoreError> {
        let path = self.path(&trained.id);
        let named = |because| StoreError::File { path: path.clone(), because };
        let bytes = trained.file.to_bytes().map_err(named)?;
        // Whole or not at all: a reader never sees half a model.
        let half = path.with_extension("half");
        fs_err::write(&half, &bytes)?;
        fs_err::rename(&half, &path)?;
        let parent = self.champion(subject)?.map(|champion| champion.id.as_str().to_owned());
        let change = self.index.transaction()?;
        let file = &trained.file;
        let added = change.execute(
            "INSERT INTO models VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'candidate', ?10) \
             ON CONFLICT (id) DO NOTHING",
            params![
                trained.id.as_str(),
                subject,
                file.recipe.model,
                serde_json::to_string(&file.recipe).unwrap_or_default(),
                file.data_hash,
                file.code_version,
                parent,
                blake3::hash(&bytes).to_hex().as_str(),
                i64::try_from(bytes.len()).unwrap_or(i64::MAX),
                now.to_string(),
            ],
        )?;
        if added > 0 {
            note(&change, now, trained.id.as_str(), None, Stage::Candidate, "trained")?;
        }
        change.commit()?;
        self.find(trained.id.as_str())
    }

    /// The model itself, checked.
    ///
    /// # Errors
    /// When it is not there, or its file is damaged, foreign, misnamed, or made by other code.
    pub fn load(&self, id: &ModelId) -> Result<(ModelFile, Box<dyn Forecaster>), StoreError> {
        let path = self.path(id);
        let named = |because| StoreError::File { path: path.clone(), because };
        if fs_err::metadata(&path)?.len() > BYTES_MAX {
            return Err(named(FileError::Corrupt(format!("larger than {BYTES_MAX} bytes"))));
        }
        let file = ModelFile::from_bytes(&fs_err::read(&path)?).map_err(named)?;
        if file.id() != *id {
            let (asked, found) = (id.to_string(), file.id().to_string());
            return Err(named(FileError::Misnamed { asked, found }));
        }
        let model = file.restore().map_err(named)?;
        Ok((file, model))
    }

    /// The model whose name begins with `prefix`.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, prefix: &str) -> Result<Stored, StoreError> {
        // A name is hexadecimal: what is not cannot match, and cannot be a pattern.
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::Unknown(prefix.to_owned()));
        }
        let mut found = self.select("id LIKE ?1 || '%' LIMIT 2", &prefix.to_ascii_lowercase())?;
        match (found.pop(), found.pop()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(StoreError::Unknown(prefix.to_owned())),
            (Some(_), Some(_)) => Err(StoreError::Ambiguous(prefix.to_owned())),
        }
    }

    /// All models, the latest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn list(&self) -> Result<Vec<Stored>, StoreError> {
        self.select("?1 = '' ORDER BY stored_at DESC, id", "")
    }

    /// The model that decides for `subject`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn champion(&self, subject: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.select("subject = ?1 AND stage = 'champion'", subject)?.pop())
    }

    fn select(&self, which: &str, argument: &str) -> Result<Vec<Stored>, StoreError> {
        let columns = "id, subject, recipe, parent, stage, stored_at, bytes";
        let mut query = self.index.prepare(&format!("SELECT {columns} FROM models WHERE {which}"))?;
        let rows = query.query_map([argument], stored)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One stage further: candidate → shadow → champion; a retired model may come back. The
    /// champion before retires.
    ///
    /// # Errors
    /// When there is no such model, it decides already, or its file cannot be used.
    pub fn promote(&mut self, now: Timestamp, id: &ModelId, because: &str) -> Result<Stage, StoreError> {
        let model = self.find(id.as_str())?;
        let next = model.stage.next().ok_or(StoreError::Stage {
            id: id.clone(),
            stage: model.stage,
            because: "it decides already",
        })?;
        // What cannot be read must not be put in charge.
        self.load(id)?;
        let champion = self.champion(&model.subject)?;
        let change = self.index.transaction()?;
        if let Some(before) = champion.filter(|_| next == Stage::Champion) {
            let reason = format!("{id} took over");
            set(&change, now, &before, Stage::Retired, &reason)?;
        }
        set(&change, now, &model, next, because)?;
        change.commit()?;
        Ok(next)
    }

    /// The champion of `subject` retires, and the one before it decides again.
    ///
    /// # Errors
    /// When there was none before, or its file cannot be used: then nothing changes.
    pub fn rollback(&mut self, now: Timestamp, subject: &str, because: &str) -> Result<Stored, StoreError> {
        let champion = self.champion(subject)?.ok_or_else(|| StoreError::NoEarlier(subject.to_owned()))?;
        let earlier: Option<String> = self
            .index
            .query_row(
                "SELECT id FROM changes JOIN models USING (id) WHERE subject = ?1 AND id <> ?2 \
                 AND to_stage = 'champion' AND stage = 'retired' ORDER BY number DESC LIMIT 1",
                [subject, champion.id.as_str()],
                |row| row.get(0),
            )
            .optional()?;
        let earlier = earlier.ok_or_else(|| StoreError::NoEarlier(subject.to_owned()))?;
        let earlier = self.find(&earlier)?;
        self.load(&earlier.id)?;
        let change = self.index.transaction()?;
        set(&change, now, &champion, Stage::Retired, because)?;
        set(&change, now, &earlier, Stage::Champion, because)?;
        change.commit()?;
        self.find(earlier.id.as_str())
    }

    /// Takes a model out of the running.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn retire(&mut self, now: Timestamp, id: &ModelId, because: &str) -> Result<(), StoreError> {
        let model = self.find(id.as_str())?;
        let change = self.index.transaction()?;
        set(&change, now, &model, Stage::Retired, because)?;
        change.commit()?;
        Ok(())
    }

    /// Keeps a model's scores; a score of the same name and horizon is replaced.
    ///
    /// # Errors
    /// When there is no such model or the index cannot be written.
    pub fn score(&mut self, id: &ModelId, metrics: &[Metric]) -> Result<(), StoreError> {
        let change = self.index.transaction()?;
        for metric in metrics.iter().filter(|metric| metric.value.is_finite()) {
            change.execute(
                "INSERT OR REPLACE INTO metrics VALUES (?1, ?2, ?3, ?4)",
                params![id.as_str(), metric.horizon, metric.name, metric.value],
            )?;
        }
        Ok(change.commit()?)
    }

    /// A model's scores, by horizon.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn scores(&self, id: &ModelId) -> Result<Vec<Metric>, StoreError> {
        let mut query = self
            .index
            .prepare("SELECT horizon, name, value FROM metrics WHERE id = ?1 ORDER BY horizon, name")?;
        let metric =
            |row: &Row<'_>| Ok(Metric { horizon: row.get(0)?, name: row.get(1)?, value: row.get(2)? });
        Ok(query.query_map([id.as_str()], metric)?.collect::<Result<_, _>>()?)
    }

    /// What happened to the models of `subject`, the latest first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn changes(&self, subject: &str) -> Result<Vec<Change>, StoreError> {
        let mut query = self.index.prepare(
            "SELECT at, id, from_stage, to_stage, because FROM changes JOIN models USING (id) \
             WHERE subject = ?1 ORDER BY number DESC",
        )?;
        let change = |row: &Row<'_>| {
            let from: Option<String> = row.get(2)?;
            Ok(Change {
                at: parsed(row, 0)?,
                id: parsed(row, 1)?,
                from: from.and_then(|from| from.parse().ok()),
                to: parsed(row, 3)?,
                because: row.get(4)?,
            })
        };
        Ok(query.query_map([subject], change)?.collect::<Result<_, _>>()?)
    }
}
