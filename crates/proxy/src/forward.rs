//! One request: in, to a worker, and its answer out.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use rand_core::Rng;
use rand_pcg::Pcg64;
use traffic::{Draw, Outcome};

use crate::account::Account;
use crate::answer::{AnswerBody, Open, Reply};
use crate::body::{BodyFault, RequestBody, Source};
use crate::downstream::Client;
use crate::headers::{self, Fields, Head, Hop};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::retry::{self, Answer, Content, Failure};
use crate::serve::Thread;
use crate::strict;
use crate::tunnel::Tunnel;

mod admission;
pub(crate) mod stickiness;
mod timing;

/// Answers a client's request; whatever happens, there is an answer. Dropped half way because the
/// client is gone, it gives back all it holds.
pub(crate) async fn answer(
    thread: Rc<Thread>,
    client: Rc<Client>,
    request: Request,
    source: Source,
) -> Reply {
    let mut account = Account::open(&thread, client.ip);
    account.asked(&request);
    if let Err(refusal) = admission::admit(&thread, &client, &request.fields, account.at()) {
        return refuse(&thread, refusal, account, None);
    }
    let random = thread.random.borrow_mut().next_u64();
    let stick_to = stickiness::wanted(&thread, &request.fields);
    let draw = Draw { at: account.at(), random, key: client.key, stick_to };
    let hop = Hop {
        client: &client.address,
        forwarded_for: &client.forwarded_for,
        is_trusted: client.is_trusted,
        scheme: client.scheme,
        own_host: &thread.own_host,
        new_request_id: new_request_id(&thread.random),
    };
    let head = match headers::forward(request, hop) {
        Ok(head) => head,
        Err(refusal) => return refuse(&thread, refusal, account, None),
    };
    account.named(&head.request_id);
    let mut body =
        RequestBody::new(source, thread.config().body_bytes_max, thread.clock, Rc::clone(&client.asker));
    let answered = in_time(&thread, async {
        admit(&thread, &head, &mut body).await?;
        thread.retries.borrow_mut().earn(draw.at);
        retry::send(&thread, &head, body, draw, account.trace()).await
    });
    match answered.await {
        Err(failure) => fail(&thread, failure, account, &head),
        Ok(answer) => {
            let mut fields = headers::answer(&answer.head, &head.request_id);
            stickiness::remember(&thread, answer.lease.backend().id(), &mut fields, stick_to);
            if thread.config().server_timing {
                let total = answer.at.duration_since(account.at());
                timing::say(&mut fields, Duration::try_from(total).unwrap_or_default(), answer.queued);
            }
            pass_on(thread, answer, fields, account)
        }
    }
}

/// Answers what is no proper request; it is counted as one.
pub(crate) fn refuse_fault(thread: &Thread, client: &Client, fault: strict::Fault) -> Reply {
    refuse(thread, fault.into(), Account::open(thread, client.ip), None)
}

/// Has a request answered within the time it has.
async fn in_time(
    thread: &Thread,
    answered: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    let Some(patience) = thread.config().request_timeout else { return answered.await };
    thread.clock.timeout(patience, answered).await.unwrap_or_else(|_| {
        let text = format!("no worker began to answer within {patience:?}");
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "deadline", text).into())
    })
}

/// Makes the client's answer of the worker's.
fn pass_on(thread: Rc<Thread>, answer: Answer, fields: Fields, mut account: Account) -> Reply {
    account.answered(&answer);
    let Answer { head, content, at, lease, .. } = answer;
    let status = head.status.as_u16();
    let body = match content {
        Content::Held(bytes) => {
            lease.finish(at, Outcome::Answered(status));
            account.sent(bytes.len());
            account.finish(at, Outcome::Answered(status));
            AnswerBody::held(bytes)
        }
        Content::Streamed(body) => AnswerBody::streamed(body, Open { thread, account, lease, status }),
        Content::Tunnel(worker) => AnswerBody::tunnel(Tunnel { worker, lease, account }),
    };
    Reply { status: head.status, reason: head.reason, fields, is_last: false, body }
}

/// Refuses a body that says it is too long. Holds a short one: it may have to be sent again, and who
/// is slow to send it keeps no worker and no place in a queue.
async fn admit(thread: &Thread, head: &Head, body: &mut RequestBody) -> Result<(), Failure> {
    let length = body.length();
    if length.zip(thread.config().body_bytes_max).is_some_and(|(length, max)| length > max) {
        return Err(BodyFault::TooLarge.into());
    }
    if body.is_whole() || head.upgrade.is_some() || !length.is_some_and(RequestBody::can_be_held) {
        return Ok(());
    }
    if head.is_idempotent() {
        let held = thread.clock.timeout(thread.config().header_timeout, body.read_ahead()).await;
        held.map_err(|_| retry::body_too_slow())??;
    } else {
        // As with a body that is streamed, each piece has its time.
        let patience = thread.config().first_byte_timeout;
        while !body.is_whole() {
            let read = thread.clock.timeout(patience, body.read_piece()).await;
            read.map_err(|_| retry::body_too_slow())??;
        }
    }
    Ok(())
}

fn fail(thread: &Thread, failure: Failure, account: Account, head: &Head) -> Reply {
    match failure {
        Failure::Refused(refusal) => refuse(thread, refusal, account, Some(&head.request_id)),
        Failure::ClientGone => {
            // Nobody reads this, unless the body was malformed rather than broken off.
            drop(account);
            let text = BodyFault::Broken.to_string();
            respond(Refusal::bad_request("bad_body", text), Some(&head.request_id))
        }
    }
}

fn refuse(
    thread: &Thread,
    refusal: Refusal,
    mut account: Account,
    request_id: Option<&HeaderValue>,
) -> Reply {
    account.refused(&refusal);
    account.finish(
        thread.clock.now(),
        Outcome::Refused { status: refusal.status.as_u16(), reason: refusal.code },
    );
    respond(refusal, request_id)
}

fn respond(refusal: Refusal, request_id: Option<&HeaderValue>) -> Reply {
    let mut reply = refusal.into_reply();
    if let Some(id) = request_id {
        reply.fields.put("x-request-id", id.as_bytes());
    }
    reply
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
