//! A request's body in HTTP/2.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Frame;

use super::Respond;
use crate::body::BodyFault;

/// What comes in on a stream.
pub(crate) struct Inflow {
    stream: RecvStream,
    /// As the head says, of what has not come yet.
    length_left: Option<u64>,
    is_over: bool,
    /// Where to tell a client that waits with its body to send it.
    owes_continue: Option<Rc<RefCell<Respond>>>,
}

impl std::fmt::Debug for Inflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflow").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Inflow {
    pub(super) fn new(stream: RecvStream, head: &HeaderMap, respond: &Rc<RefCell<Respond>>) -> Self {
        let length = head.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_over = stream.is_end_stream();
        // That nothing else is expected is seen further on.
        let owes = head.contains_key(EXPECT) && !is_over;
        Self { stream, length_left: length, is_over, owes_continue: owes.then(|| Rc::clone(respond)) }
    }

    /// Whether all of it has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many bytes are still to come, where that is known.
    pub(crate) fn length_left(&self) -> Option<u64> {
        if self.is_over { Some(0) } else { self.length_left }
    }

    /// The next piece of it, or its trailers.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let broken = || Poll::Ready(Some(Err(BodyFault::Broken)));
        match self.poll_data(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(data))) => {
                // What is taken makes room for more (RFC 9113, 5.2).
                let _ = self.stream.flow_control().release_capacity(data.len());
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.length_left = self.length_left.map(|left| left.saturating_sub(length));
                self.is_over = self.stream.is_end_stream();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(_))) => broken(),
            Poll::Ready(None) => match ready!(self.stream.poll_trailers(cx)) {
                Err(_) => broken(),
                Ok(trailers) => {
                    self.is_over = true;
                    Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
                }
            },
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = self.stream.poll_data(cx);
        if let Some(respond) = self.owes_continue.take().filter(|_| data.is_pending()) {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            // A stream that is gone is found where its data are awaited.
            let _ = respond.borrow_mut().send_informational(go_on);
        }
        data
    }
}
