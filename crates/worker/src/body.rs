//! The body of an answer: a short text, or filler of any length that costs no memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Filler is sent in pieces of this size, all slices of one constant.
const PIECE: usize = 16 * 1024;
static FILLER: [u8; PIECE] = [b'.'; PIECE];

/// What is left to send.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A text, sent in one piece.
    Text(Bytes),
    /// So many bytes of filler.
    Filler(u64),
}

impl Answer {
    /// An answer in words.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(text.into())
    }

    fn left(&self) -> u64 {
        match self {
            Self::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Self::Filler(left) => *left,
        }
    }

    fn take(&mut self) -> Bytes {
        match self {
            Self::Text(text) => std::mem::take(text),
            Self::Filler(left) => {
                let piece = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                *left -= u64::try_from(piece).unwrap_or(0);
                Bytes::from_static(&FILLER[..piece])
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(self.take()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn filler_has_the_length_it_promises() {
        for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 100_000] {
            let answer = Answer::Filler(length);
            assert_eq!(answer.size_hint().exact(), Some(length));
            let body = answer.collect().await.unwrap().to_bytes();
            assert_eq!(u64::try_from(body.len()).unwrap(), length);
        }
    }
}
