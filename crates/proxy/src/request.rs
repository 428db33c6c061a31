//! A request's head as its client sent it, by whichever protocol.

use http::{Method, Uri, Version};

use crate::fields::FieldLines;

/// A head that has been judged.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) fields: FieldLines,
}

impl From<http::request::Parts> for Request {
    fn from(parts: http::request::Parts) -> Self {
        let http::request::Parts { method, uri, version, headers, .. } = parts;
        Self { method, uri, version, fields: FieldLines::of(&headers) }
    }
}
