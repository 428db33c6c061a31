//! The web page.
/// The page.
pub const PAGE: &str = "";
