//! What HTTP/1 says of a message's bytes, to the letter: nothing unclear gets past.
//!
//! Parsers that forgive disagree about where a message ends, and whoever finds two that disagree
//! smuggles a request past one of them. So a [`framer`] judges every byte: whole clean heads and clean
//! framing come out of it as [`Pieces`], and for the rest it names a [`Fault`].

mod answer;
mod bytes;
mod chunks;
mod framer;
#[cfg(test)]
mod fuzz;
pub(crate) mod http2;
mod length;
mod pieces;
mod request;
mod target;

pub(crate) use answer::{AnswerHead, AnswerSaid};
pub(crate) use framer::Limits;
pub(crate) use pieces::{Piece, Pieces, fields};
pub(crate) use request::{RequestHead, Said};
pub(crate) use target::BAD_TARGET;

use http::StatusCode;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The answer to a request that is so; for a worker's answer it is always 502.
    pub(crate) status: StatusCode,
    /// One word in snake_case, for programs.
    pub(crate) code: &'static str,
    /// One sentence, for people.
    pub(crate) text: &'static str,
}

impl Fault {
    const fn new(status: StatusCode, code: &'static str, text: &'static str) -> Self {
        Self { status, code, text }
    }

    const fn bad(code: &'static str, text: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }
}
