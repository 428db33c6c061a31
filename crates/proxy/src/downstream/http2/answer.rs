//! An answer in HTTP/2: its head, and its body as fast as the client takes it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Body;

use super::Respond;
use crate::answer::{AnswerBody, Reply};
use crate::date;
use crate::downstream::Hint;
use crate::downstream::patience::Patience;
use crate::serve::Thread;

/// An interim answer.
pub(super) fn interim(hint: Hint) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = hint.status;
    *response.headers_mut() = hint.fields.into_map();
    response
}

/// Sends an answer to its last byte, or until nobody takes it any more.
pub(super) async fn send(thread: &Thread, respond: &RefCell<Respond>, reply: Reply, is_head: bool) {
    let Reply { status, fields, body, .. } = reply;
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = fields.into_map();
    let is_bodiless = is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length =
        body.size_hint().exact().filter(|length| if is_bodiless { is_head && *length > 0 } else { true });
    if let Some(length) = length {
        head.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    let date = || HeaderValue::from_str(&date::text(thread.clock.now())).expect("a date is visible ASCII");
    head.headers_mut().entry(DATE).or_insert_with(date);
    let ends = is_bodiless || body.is_end_stream();
    // The client is gone, or has taken its request back: here, and wherever sending fails.
    let Ok(stream) = respond.borrow_mut().send_response(head, ends) else { return };
    if ends {
        return;
    }
    let config = thread.config();
    let mut outflow = Outflow { stream, body, piece: Bytes::new(), patience: None };
    poll_fn(|cx| {
        if outflow.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !outflow.is_blocked() {
            outflow.patience = None;
            return Poll::Pending;
        }
        let begin = || Patience::new(thread.clock, config.send_timeout);
        ready!(outflow.patience.get_or_insert_with(begin).poll_over(cx, config.send_timeout));
        outflow.stream.send_reset(Reason::CANCEL);
        Poll::Ready(())
    })
    .await;
}

/// A body on its way.
struct Outflow {
    stream: SendStream<Bytes>,
    body: AnswerBody,
    /// For which the client has not had room yet.
    piece: Bytes,
    /// With the client while it has none.
    patience: Option<Patience>,
}

impl Outflow {
    /// Whether it waits for the client, and not for the worker.
    fn is_blocked(&self) -> bool {
        !self.piece.is_empty()
    }

    /// Sends on; ready when it is over, one way or the other.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            while !self.piece.is_empty() {
                match self.poll_room(cx) {
                    Poll::Ready(Some(room)) => {
                        self.patience = None;
                        let part = self.piece.split_to(room.min(self.piece.len()));
                        let ends = self.piece.is_empty() && self.body.is_end_stream();
                        if self.stream.send_data(part, ends).is_err() || ends {
                            return Poll::Ready(());
                        }
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        // Asked to its end, the body knows that it is whole.
                        let _ = Pin::new(&mut self.body).poll_frame(cx);
                        let _ = self.stream.send_trailers(trailers);
                        return Poll::Ready(());
                    }
                },
                Some(Err(_)) => {
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(());
                }
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// How many bytes the client has room for; `None` when the stream is gone.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(self.piece.len());
        loop {
            match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(0)) => {}
                    Some(Ok(room)) => return Poll::Ready(Some(room)),
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                room => return Poll::Ready(Some(room)),
            }
        }
    }
}
