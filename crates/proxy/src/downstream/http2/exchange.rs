//! One stream: a request, and its answer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, ready};

use h2::RecvStream;
use http::{Method, Request};

use super::{Inflow, Respond, answer};
use crate::body::Source;
use crate::downstream::{Client, Peer};
use crate::serve::Thread;
use crate::strict;

/// Carries a stream to its end. A client that leaves its answer unread for too long is reset: until
/// then it holds a worker's place.
pub(super) async fn carry(
    thread: Rc<Thread>,
    peer: &Rc<Peer>,
    request: Request<RecvStream>,
    respond: Respond,
) {
    let client = Rc::new(Client::new(peer));
    client.asker.begin(true);
    let respond = Rc::new(RefCell::new(respond));
    let (mut parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let inflow = Inflow::new(body, &parts.headers, &respond);
    let reply = match strict::http2::settle(&mut parts, !inflow.is_over()) {
        Err(fault) => Some(crate::downstream::refuse(&thread, &client, fault)),
        Ok(()) => {
            let source = Source::Http2(Box::new(inflow));
            let answering =
                crate::downstream::answer(Rc::clone(&thread), Rc::clone(&client), parts.into(), source);
            let mut answering = std::pin::pin!(answering);
            poll_fn(|cx| {
                let answered = answering.as_mut().poll(cx);
                let mut respond = respond.borrow_mut();
                for hint in client.asker.take_hints() {
                    // A stream that is gone is found below.
                    let _ = respond.send_informational(answer::interim(hint));
                }
                if let Poll::Ready(reply) = answered {
                    return Poll::Ready(Some(reply));
                }
                // The client has taken its request back, or is gone: what is dropped counts as cancelled.
                let _ = ready!(respond.poll_reset(cx));
                Poll::Ready(None)
            })
            .await
        }
    };
    if let Some(reply) = reply {
        answer::send(&thread, &respond, reply, is_head).await;
    }
}
