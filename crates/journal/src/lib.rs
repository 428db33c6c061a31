//! The run file: one SQLite database that holds a run, turn by turn, with the configuration
//! under which it ran. A restart appends a session to the same file.

mod file;
mod read;
mod session;
mod write;

pub use file::JournalError;
pub use read::{Cycles, Reader, Recorded};
pub use session::{Header, Kind, Session};
pub use write::{Health, QUEUE_LENGTH, Writer};
