//! The run file: one SQLite database a run.
