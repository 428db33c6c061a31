//! Draws cycles: one view model, shown as a terminal screen, plain lines and a web page.
//!
//! [`View`] takes [`control::Cycle`]s and nothing else, so that every face of the dashboard
//! shows the same numbers, live and from a record. Time comes from the cycles.

pub mod foresight;
pub mod plain;
pub mod report;
pub mod terminal;
pub mod text;
pub mod view;
pub mod web;
pub mod why;

pub use view::View;
