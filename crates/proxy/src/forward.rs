//! One request: in, to a worker, and its answer out.

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use rand_core::Rng;
use rand_pcg::Pcg64;
use traffic::{Draw, Outcome};

use crate::account::{Account, Trace};
use crate::answer::{AnswerBody, Open};
use crate::body::{BodyFault, RequestBody};
use crate::downstream::{Client, Turn};
use crate::headers::{self, Head, Hop};
use crate::refusal::Refusal;
use crate::retry::{self, Answer, Content, Failure};
use crate::serve::Thread;
use crate::tunnel;

mod admission;
pub(crate) mod stickiness;
mod timing;

/// Answers a client's request; whatever happens, there is an answer. Dropped half way because the
/// client is gone, it gives back all it holds.
pub(crate) async fn answer(
    thread: Rc<Thread>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let (turn, fault) = client.begin();
    let account = Account::open(&thread, client.ip);
    let response = match fault {
        Some(fault) => refuse(&thread, fault.into(), account, turn, None),
        None => exchange(thread, &client, request, turn, account).await,
    };
    client.answered(response.status() == StatusCode::SWITCHING_PROTOCOLS);
    response
}

async fn exchange(
    thread: Rc<Thread>,
    client: &Client,
    mut request: Request<Incoming>,
    turn: Turn,
    mut account: Account,
) -> Response<AnswerBody> {
    account.asked(request.method(), request.uri(), request.version(), request.headers());
    if let Err(refusal) = admission::admit(&thread, client, &request, account.at()) {
        return refuse(&thread, refusal, account, turn, None);
    }
    let random = thread.random.borrow_mut().next_u64();
    let stick_to = stickiness::wanted(&thread, request.headers());
    let draw = Draw { at: account.at(), random, key: client.key, stick_to };
    let to_client = hyper::upgrade::on(&mut request);
    let (parts, incoming) = request.into_parts();
    let hop = Hop {
        client: &client.address,
        forwarded_for: &client.forwarded_for,
        is_trusted: client.is_trusted,
        scheme: client.scheme,
        own_host: &thread.own_host,
        new_request_id: new_request_id(&thread.random),
    };
    let head = match headers::forward(parts, hop) {
        Ok(head) => head,
        Err(refusal) => {
            client.refused();
            return refuse(&thread, refusal, account, turn, None);
        }
    };
    account.named(&head.request_id);
    let mut body =
        RequestBody::new(incoming, thread.config().body_bytes_max, thread.clock, client.exchange());
    let answered = match admit(&thread, &head, &mut body).await {
        Ok(()) => send(&thread, &head, body, draw, account.trace()).await,
        Err(failure) => Err(failure),
    };
    match answered {
        Err(failure) => {
            client.refused();
            fail(&thread, failure, account, turn, &head)
        }
        Ok(mut answer) => {
            headers::answer(&mut answer.headers, answer.status, &head.request_id);
            stickiness::remember(&thread, &mut answer, stick_to);
            if thread.config().server_timing {
                timing::say(&mut answer, account.at(), thread.clock.now());
            }
            pass_on(thread, answer, to_client, account, turn)
        }
    }
}

/// Sends a request within the time it has.
async fn send(
    thread: &Thread,
    head: &Head,
    body: RequestBody,
    draw: Draw,
    trace: Option<Trace>,
) -> Result<Answer, Failure> {
    thread.retries.borrow_mut().earn(draw.at);
    let sent = retry::send(thread, head, body, draw, trace);
    let Some(patience) = thread.config().request_timeout else { return sent.await };
    thread.clock.timeout(patience, sent).await.unwrap_or_else(|_| {
        let text = format!("no worker began to answer within {patience:?}");
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "deadline", text).into())
    })
}

/// Makes the client's answer of the worker's.
fn pass_on(
    thread: Rc<Thread>,
    answer: Answer,
    to_client: OnUpgrade,
    mut account: Account,
    turn: Turn,
) -> Response<AnswerBody> {
    account.answered(&answer);
    let Answer { status, headers, extensions, content, lease, .. } = answer;
    let code = status.as_u16();
    let body = match content {
        Content::Held(bytes) => {
            let now = thread.clock.now();
            lease.finish(now, Outcome::Answered(code));
            account.sent(bytes.len());
            account.finish(now, Outcome::Answered(code));
            AnswerBody::held(bytes, turn)
        }
        Content::Streamed(body) => {
            AnswerBody::streamed(body, Open { thread, account, lease, status: code }, turn)
        }
        Content::Tunnel(to_worker) => {
            tunnel::open(&thread, to_client, to_worker, lease, account);
            AnswerBody::held(bytes::Bytes::new(), turn)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    *response.extensions_mut() = extensions;
    response
}

/// Refuses a body that says it is too long; holds a short one that may have to be sent again.
async fn admit(thread: &Thread, head: &Head, body: &mut RequestBody) -> Result<(), Failure> {
    let length = body.length();
    if length.zip(thread.config().body_bytes_max).is_some_and(|(length, max)| length > max) {
        return Err(BodyFault::TooLarge.into());
    }
    if head.is_idempotent() && !body.is_whole() && length.is_some_and(RequestBody::can_be_held) {
        let held = thread.clock.timeout(thread.config().header_timeout, body.read_ahead()).await;
        held.map_err(|_| retry::body_too_slow())??;
    }
    Ok(())
}

fn fail(
    thread: &Thread,
    failure: Failure,
    account: Account,
    turn: Turn,
    head: &Head,
) -> Response<AnswerBody> {
    match failure {
        Failure::Refused(refusal) => refuse(thread, refusal, account, turn, Some(&head.request_id)),
        Failure::ClientGone => {
            // Nobody reads this, unless the body was malformed rather than broken off.
            drop(account);
            let text = BodyFault::Broken.to_string();
            respond(Refusal::bad_request("bad_body", text), turn, Some(&head.request_id))
        }
    }
}

fn refuse(
    thread: &Thread,
    refusal: Refusal,
    mut account: Account,
    turn: Turn,
    request_id: Option<&HeaderValue>,
) -> Response<AnswerBody> {
    account.refused(&refusal);
    account.finish(
        thread.clock.now(),
        Outcome::Refused { status: refusal.status.as_u16(), reason: refusal.code },
    );
    respond(refusal, turn, request_id)
}

fn respond(refusal: Refusal, turn: Turn, request_id: Option<&HeaderValue>) -> Response<AnswerBody> {
    let (status, mut headers, bytes): (StatusCode, HeaderMap, _) = refusal.into_parts();
    if let Some(id) = request_id {
        headers.insert(HeaderName::from_static("x-request-id"), id.clone());
    }
    let mut response = Response::new(AnswerBody::held(bytes, turn));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// 32 hexadecimal digits: nobody meets two equal ones.
fn new_request_id(random: &RefCell<Pcg64>) -> HeaderValue {
    let mut bits = [0; 16];
    random.borrow_mut().fill_bytes(&mut bits);
    let digit = |bits: u8| b"0123456789abcdef"[usize::from(bits & 15)];
    let mut id = [0; 32];
    for (pair, byte) in id.chunks_exact_mut(2).zip(bits) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
    }
    HeaderValue::from_bytes(&id).expect("hexadecimal digits are visible ASCII")
}
