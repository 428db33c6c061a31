//! Rows of the index as what they stand for, and changes of stage.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use super::{Stage, StoreError, Stored};

/// A column of text as what it stands for.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| rusqlite::Error::InvalidColumnType(column, text, rusqlite::types::Type::Text))
}

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let recipe: String = row.get(2)?;
    let recipe = serde_json::from_str(&recipe)
        .map_err(|_| rusqlite::Error::InvalidColumnType(2, recipe, rusqlite::types::Type::Text))?;
    Ok(Stored {
        id: parsed(row, 0)?,
        subject: row.get(1)?,
        recipe,
        parent: row.get(3)?,
        stage: parsed(row, 4)?,
        stored_at: parsed(row, 5)?,
        bytes: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
    })
}

pub(super) fn set(
    change: &Transaction<'_>,
    now: Timestamp,
    model: &Stored,
    to: Stage,
    because: &str,
) -> Result<(), StoreError> {
    change.execute("UPDATE models SET stage = ?2 WHERE id = ?1", [model.id.as_str(), to.name()])?;
    note(change, now, model.id.as_str(), Some(model.stage), to, because)
}

pub(super) fn note(
    change: &Transaction<'_>,
    now: Timestamp,
    id: &str,
    from: Option<Stage>,
    to: Stage,
    because: &str,
) -> Result<(), StoreError> {
    change.execute(
        "INSERT INTO changes (at, id, from_stage, to_stage, because) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![now.to_string(), id, from.map(Stage::name), to.name(), because],
    )?;
    Ok(())
}
