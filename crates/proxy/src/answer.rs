//! An answer on its way to the client; a streamed one holds its lease to the last byte.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use traffic::{Lease, Outcome};

use crate::account::Account;
use crate::headers::Fields;
use crate::serve::Thread;
use crate::tunnel::Tunnel;
use crate::upstream::{Broken, Exchange};

/// What a client gets.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// The reason phrase, where it is not the usual one.
    pub(crate) reason: Option<Bytes>,
    pub(crate) fields: Fields,
    /// Whether what follows on the connection may not be what it seems.
    pub(crate) is_last: bool,
    pub(crate) body: AnswerBody,
}

/// Its content.
pub(crate) struct AnswerBody(Content);

enum Content {
    /// All of it is here; its request is already counted as ended.
    Held(Option<Bytes>),
    /// What the worker and the client go on with; `None` once it has been taken.
    Tunnel(Option<Box<Tunnel>>),
    Streamed {
        body: Option<Box<Exchange>>,
        open: Option<Box<Open>>,
        /// Why it breaks off, for the next poll.
        error: Option<Broken>,
    },
}

/// All that a request occupies while its answer is streamed. Dropped, everything is given back and
/// the request counts as cancelled: the worker's connection is closed, as the rest of the answer
/// is still in it.
pub(crate) struct Open {
    pub(crate) thread: Rc<Thread>,
    pub(crate) account: Account,
    pub(crate) lease: Lease,
    pub(crate) status: u16,
}

impl Open {
    /// The answer is whole.
    fn finish(self, exchange: Exchange) {
        let (now, outcome) = (self.thread.clock.now(), Outcome::Answered(self.status));
        self.thread.connections.give_back(self.lease.backend(), exchange, now);
        self.lease.finish(now, outcome);
        self.account.finish(now, outcome);
    }

    fn fail(self) {
        let now = self.thread.clock.now();
        self.lease.finish(now, Outcome::Broken);
        self.account.finish(now, Outcome::Broken);
    }
}

impl AnswerBody {
    pub(crate) fn held(bytes: Bytes) -> Self {
        Self(Content::Held((!bytes.is_empty()).then_some(bytes)))
    }

    pub(crate) fn streamed(body: Box<Exchange>, open: Open) -> Self {
        Self(Content::Streamed { body: Some(body), open: Some(Box::new(open)), error: None })
    }

    pub(crate) fn tunnel(tunnel: Tunnel) -> Self {
        Self(Content::Tunnel(Some(Box::new(tunnel))))
    }

    /// What is to follow the answer, if it changes protocol.
    pub(crate) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match &mut self.0 {
            Content::Tunnel(tunnel) => tunnel.take(),
            Content::Held(_) | Content::Streamed { .. } => None,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Content::Tunnel(_) => Poll::Ready(None),
            Content::Held(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Streamed { body, open, error } => {
                if let Some(error) = error.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                let Some(exchange) = body else { return Poll::Ready(None) };
                let frame = ready!(Pin::new(&mut **exchange).poll_frame(cx));
                if let (Some(Ok(frame)), Some(open)) = (&frame, &mut *open) {
                    open.account.sent(frame.data_ref().map_or(0, Bytes::len));
                }
                match frame {
                    Some(Err(why)) => {
                        if let Some(open) = open.take() {
                            open.fail();
                        }
                        // What there is goes out first, the head at least: an answer that breaks
                        // off can be told from a connection that does.
                        *error = Some(why);
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // The last frame of a known length is not followed by an end: nobody asks.
                    Some(Ok(_)) if !exchange.is_end_stream() => {}
                    Some(Ok(_)) | None => {
                        if let (Some(open), Some(exchange)) = (open.take(), body.take()) {
                            open.finish(*exchange);
                        }
                    }
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Tunnel(_) => true,
            Content::Held(bytes) => bytes.is_none(),
            Content::Streamed { body, error, .. } => {
                error.is_none() && body.as_ref().is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Tunnel(_) => SizeHint::with_exact(0),
            Content::Held(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Content::Streamed { body, .. } => {
                body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
            }
        }
    }
}
