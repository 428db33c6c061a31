//! Draws cycles: one view model, ratatui and web.
