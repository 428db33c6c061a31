//! What HTTP/1 says of a message's bytes, to the letter: nothing unclear gets past.
//!
//! Parsers that forgive disagree about where a message ends, and whoever finds two that disagree
//! smuggles a request past one of them. So a [`Framer`] judges every byte first: it lets whole clean
//! heads and clean framing through, and names a [`Fault`] for the rest. Workers' answers are read as
//! it divides them; before the parser of clients' requests it stands as a [`Gate`], which changes
//! nothing: what passes, passes as it came.

mod answer;
mod bytes;
mod chunks;
mod framer;
#[cfg(test)]
mod fuzz;
mod gate;
pub(crate) mod http2;
mod length;
mod request;
mod target;

pub(crate) use answer::AnswerHead;
pub(crate) use framer::{Framer, Limits, Part};
pub(crate) use gate::Gate;
pub(crate) use request::RequestHead;

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
