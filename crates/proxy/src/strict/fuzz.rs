//! Fuzz targets of the readers: what is let through, they, hyper and a third reader read alike.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Cursor;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::case::Case;
use self::message::{Answer, Next};
use super::framer::{Framer, Head};
use super::{AnswerHead, Limits, Piece, Pieces, RequestHead};
use crate::downstream::parse_head;
use crate::edits::fuzz;
use crate::upstream::{self, Reader};

#[path = "../../tests/conformance/case.rs"]
#[expect(dead_code, reason = "only the bytes of the cases are of use here")]
mod case;
#[path = "../../tests/conformance/fields.rs"]
mod fields;
#[path = "../../tests/conformance/framing.rs"]
mod framing;
#[path = "../../tests/conformance/lines.rs"]
mod lines;
#[path = "../../tests/conformance/message.rs"]
mod message;
#[path = "../../tests/conformance/replies.rs"]
#[expect(dead_code, reason = "only the bytes of the cases are of use here")]
mod replies;
#[path = "../../tests/conformance/smuggling.rs"]
mod smuggling;
#[path = "../../tests/conformance/targets.rs"]
mod targets;

const LIMITS: Limits = Limits { head_bytes: 64 * 1024 };

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"0",
    b"5",
    b"-",
    b"+",
    b"0x",
    b"\x0b",
    b"\xa0",
    b"\xff",
    b"\"",
    b"\\",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 X\r\n\r\n",
    b"http://a",
    b"%00",
    b"[::1]",
];

/// What is let through of `bytes` that come in pieces of `size`.
fn pass<H: Head>(framer: &mut Framer<H>, bytes: &[u8], size: usize) -> Vec<u8> {
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        held.extend_from_slice(piece);
        loop {
            let (length, part) = framer.part(&held);
            passed.extend(held.drain(..length));
            match part {
                Err(_) => return passed,
                Ok(_) if length == 0 => break,
                Ok(_) => {}
            }
        }
    }
    passed
}

/// Sizes of pieces, from single bytes to all at once.
fn piece(knob: usize) -> usize {
    [1, 2, 7, 64, 8_192][knob % 5]
}

/// A request as both readers describe it: its first line's method and target, and its body.
type Read = (String, String);

/// All whole requests by the third reader, and whether each is the last of its connection.
fn by_the_letter(mut bytes: &[u8]) -> Vec<(Read, bool)> {
    let mut all = Vec::new();
    loop {
        // Empty lines before a request line mean nothing.
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        match message::request(bytes) {
            Next::More => return all,
            Next::Malformed(fault) => panic!("let through with {fault}: {}", bytes.escape_ascii()),
            Next::Whole { length, text } => {
                bytes = &bytes[length..];
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
                let mut words = line.split(' ');
                let what = format!("{} {}", words.next().unwrap(), words.next().unwrap());
                let options = fields.lines().filter_map(|field| field.strip_prefix("connection: "));
                let options: Vec<String> = options
                    .flat_map(|list| list.split(','))
                    .map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase())
                    .collect();
                let has = |option: &str| options.iter().any(|has| has == option);
                let is_old = line.ends_with("1.0");
                // An accepted `CONNECT` would change protocol.
                let is_connect = line.starts_with("CONNECT ");
                let is_last = has("close") || is_old && !has("keep-alive") || is_connect;
                all.push(((what, body.to_owned()), is_last));
            }
        }
    }
}

/// All whole requests by hyper.
async fn by_hyper(bytes: &[u8]) -> Vec<Read> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Rc::clone(&noted);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let what = format!("{} {}", parts.method, parts.uri);
                seen.borrow_mut().push((what, message::latin_1(&body.to_bytes())));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink());
    let connection = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .half_close(true)
        .serve_connection(TokioIo::new(io), service);
    // It ends in an error where the last message breaks off.
    let _ = connection.await;
    seen.take()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// All whole requests as our own reader takes them, and how many heads it has seen. What may change
/// protocol is taken not to.
fn by_ours(bytes: &[u8], size: usize) -> (Vec<Read>, usize) {
    let mut pieces = Pieces::new(RequestHead::default(), LIMITS);
    let (mut all, mut heads) = (Vec::new(), 0);
    let mut under_way: Option<(String, Vec<u8>)> = None;
    for piece in bytes.chunks(size) {
        pieces.inbox().extend_from_slice(piece);
        loop {
            match pieces.next() {
                Err(_) => return (all, heads),
                Ok(None) => break,
                Ok(Some(Piece::Head(text))) => {
                    heads += 1;
                    let said = pieces.head().said();
                    let Ok(head) = parse_head(text, said.is_http_1_0) else { return (all, heads) };
                    under_way = Some((format!("{} {}", head.method, head.uri), Vec::new()));
                }
                Ok(Some(Piece::Data(data))) => {
                    under_way.as_mut().expect("a body has a head").1.extend_from_slice(&data);
                }
                Ok(Some(Piece::Trailers(_))) => {}
                Ok(Some(Piece::End)) => {
                    let (what, body) = under_way.take().expect("what ends has begun");
                    all.push((what, message::latin_1(&body)));
                    pieces.decide(false);
                }
            }
        }
    }
    (all, heads)
}

/// Whether a target is the same, but that an absolute one without a path is shown with one.
fn is_alike(read: &Read, letter: &Read) -> bool {
    let ((what, body), (letter, expected)) = (read, letter);
    let bare = |what: &str| what.replace("/?", "?").trim_end_matches('/').to_ascii_lowercase();
    // A host of the whole server is a field then.
    let is_server = what == "OPTIONS *" && letter.starts_with("OPTIONS ");
    body == expected && (what == letter || bare(what) == bare(letter) || is_server)
}

fn check_requests(bytes: &[u8], size: usize) {
    let passed = pass(&mut Framer::new(RequestHead::default(), LIMITS), bytes, size);
    let letter = by_the_letter(&passed);
    let (ours, heads) = by_ours(&passed, size);
    assert!(letter.len() == heads || letter.len() + 1 == heads, "{heads} heads, {letter:?}");
    for (number, read) in ours.iter().enumerate() {
        assert!(is_alike(read, &letter[number].0), "ours {read:?} for {:?}", letter[number]);
    }
    assert_eq!(
        ours.len(),
        letter.len(),
        "ours {ours:?}, to the letter {letter:?}: {}",
        passed.escape_ascii()
    );
    let hyper = block_on(by_hyper(&passed));
    for (number, read) in hyper.iter().enumerate() {
        assert!(is_alike(read, &letter[number].0), "hyper {read:?} for {:?}", letter[number]);
    }
    let ended = letter.iter().position(|(_, is_last)| *is_last).map_or(letter.len(), |last| last + 1);
    assert_eq!(hyper.len(), ended, "hyper {hyper:?}, to the letter {letter:?}: {}", passed.escape_ascii());
}

async fn answer_by_hyper(bytes: &[u8], is_head: bool) -> Option<Answer> {
    let (io, mut worker) = tokio::io::duplex(bytes.len() + 1_024);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    let ask = async move {
        let method = if is_head { "HEAD" } else { "GET" };
        let request = Request::builder().method(method).uri("/").header("host", "a");
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok();
        Some(Answer { status, body: body.map(|body| message::latin_1(&body.to_bytes())) })
    };
    let say = async move {
        // An answer before its request would be none.
        while worker.read_u8().await.is_ok_and(|byte| byte != b'\n') {}
        worker.write_all(bytes).await.unwrap();
    };
    let (answer, _, ()) = tokio::join!(ask, connection, say);
    answer
}

/// The first answer as our own reader takes it.
fn answer_by_ours(bytes: &[u8], size: usize, is_head: bool) -> Option<Answer> {
    let mut reader = Reader::new();
    reader.ask(is_head);
    let mut answer: Option<Answer> = None;
    let mut body = Vec::new();
    let whole = |answer: Answer, body: &[u8]| Answer { body: Some(message::latin_1(body)), ..answer };
    for piece in bytes.chunks(size) {
        reader.inbox().extend_from_slice(piece);
        loop {
            match reader.next() {
                Ok(None) => break,
                Ok(Some(upstream::Piece::Interim(_) | upstream::Piece::Trailers(_))) => {}
                Ok(Some(upstream::Piece::Head(head))) => {
                    answer = Some(Answer { status: head.status.as_u16(), body: None });
                }
                Ok(Some(upstream::Piece::Data(data))) => body.extend_from_slice(&data),
                Ok(Some(upstream::Piece::End)) => return answer.map(|answer| whole(answer, &body)),
                Err(_) => return answer,
            }
        }
    }
    if reader.close() { answer.map(|answer| whole(answer, &body)) } else { answer }
}

fn check_answer(bytes: &[u8], size: usize, is_head: bool) {
    let mut head = AnswerHead::default();
    head.ask(is_head);
    let passed = pass(&mut Framer::new(head, LIMITS), bytes, size);
    let letter = message::answer(&passed, is_head);
    let whole = |answer: Option<Answer>| answer.filter(|answer| answer.body.is_some());
    let hyper = block_on(answer_by_hyper(&passed, is_head));
    if hyper.as_ref().is_some_and(|answer| answer.status == 101) {
        // Behind it is another protocol.
        return;
    }
    let ours = answer_by_ours(bytes, size, is_head);
    assert_eq!(whole(ours), whole(letter.clone()), "{}", passed.escape_ascii());
    assert_eq!(whole(hyper), whole(letter), "{}", passed.escape_ascii());
}

#[test]
fn requests_are_read_alike() {
    let tables = [lines::CASES, targets::CASES, fields::CASES, framing::CASES, smuggling::CASES];
    let examples: Vec<&[u8]> = tables.into_iter().flatten().map(|case: &Case| case.send).collect();
    for example in &examples {
        check_requests(example, 8_192);
    }
    fuzz("requests", &examples, WORDS, |bytes, knob| check_requests(bytes, piece(knob)));
}

#[test]
fn answers_are_read_alike() {
    let examples: Vec<&[u8]> = replies::REPLIES.iter().map(|reply| reply.send).collect();
    for example in &examples {
        check_answer(example, 8_192, false);
    }
    fuzz("answers", &examples, WORDS, |bytes, knob| {
        check_answer(bytes, piece(knob / 2), knob.is_multiple_of(2));
    });
}
