//! The demo web app.
