//! Workers' answers: good ones pass, bad ones become 502 or a transfer that is visibly cut.

use crate::support::{Balancer, Conversation, Worker};

enum Got {
    /// 502, and nothing of the answer.
    BadGateway,
    /// All of it, with this status and body.
    Whole(u16, &'static str),
    /// A body that has no proper end.
    Cut,
}
use Got::{BadGateway, Cut, Whole};

/// RFC section, what is odd, what the worker sends before it closes, what the client gets.
const CASES: &[(&str, &str, &[u8], Got)] = &[
    ("9112 4", "plain", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    ("9112 4", "empty reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", Whole(200, "ok")),
    (
        "9112 4",
        "no space before the empty reason",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        Whole(200, "ok"),
    ),
    (
        "9112 4",
        "a status of one's own",
        b"HTTP/1.1 299 Mine\r\nContent-Length: 2\r\n\r\nok",
        Whole(299, "ok"),
    ),
    ("9112 4", "garbage", b"complete nonsense\r\n\r\n", BadGateway),
    ("9112 4", "binary", b"\x16\x03\x01\x00\xff\r\n\r\n", BadGateway),
    ("9112 4", "another protocol", b"SSH-2.0-OpenSSH\r\n", BadGateway),
    ("9112 4", "nothing at all", b"", BadGateway),
    ("9112 4", "a body without a head (HTTP/0.9)", b"<html></html>\n", BadGateway),
    ("9112 2.3", "HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    ("9112 4", "status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    ("9112 4", "status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    ("9112 4", "status below 100", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    ("9112 4", "status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    ("9112 8", "head that breaks off", b"HTTP/1.1 200 OK\r\nContent-Le", BadGateway),
    ("9112 2.2", "bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", BadGateway),
    (
        "9112 2.2",
        "bare CR in a field",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        BadGateway,
    ),
    (
        "9110 5.5",
        "NUL in a field",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        BadGateway,
    ),
    ("9112 5.1", "space before a colon", b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", BadGateway),
    ("9112 5.2", "folded field", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    (
        "9112 5",
        "field without a colon",
        b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok",
        BadGateway,
    ),
    (
        "9112 6.3",
        "two lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        BadGateway,
    ),
    (
        "9112 6.3",
        "equal lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        BadGateway,
    ),
    ("9112 6.3", "negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", BadGateway),
    ("9112 6.3", "length of a word", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", BadGateway),
    (
        "9112 6.3",
        "length and chunks",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway,
    ),
    (
        "9112 6.3",
        "a coding that is not chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        BadGateway,
    ),
    (
        "9112 6.3",
        "chunked twice",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        BadGateway,
    ),
    (
        "9112 6.1",
        "chunked in HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BadGateway,
    ),
    ("9112 6.3", "short body, not begun", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", BadGateway),
    ("9112 8", "short body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", BadGateway),
    (
        "9112 6.3",
        "long body",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        Whole(200, "ok"),
    ),
    (
        "9112 7.1",
        "chunks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Whole(200, "ok"),
    ),
    (
        "9112 7.1.1",
        "chunks with extensions",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n",
        Whole(200, "ok"),
    ),
    (
        "9112 8",
        "chunks that break off",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        Cut,
    ),
    ("9112 8", "chunk that breaks off", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", Cut),
    (
        "9112 7.1",
        "bad size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n\r\n",
        Cut,
    ),
    (
        "9112 7.1",
        "chunk longer than its size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "9112 7.1",
        "no end after the last chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        Cut,
    ),
    (
        "9112 7.1.2",
        "bad trailer",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX A: b\r\n\r\n",
        Cut,
    ),
    ("9112 6.3", "until it closes", b"HTTP/1.1 200 OK\r\n\r\nok", Whole(200, "ok")),
    ("9112 6.3", "HTTP/1.0 until it closes", b"HTTP/1.0 200 OK\r\n\r\nok", Whole(200, "ok")),
    ("9112 6.3", "204 has no body", b"HTTP/1.1 204 No Content\r\n\r\n", Whole(204, "")),
    (
        "9112 6.3",
        "204 with a body",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        Whole(204, ""),
    ),
    (
        "9112 6.3",
        "304 with a length has no body",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Whole(304, ""),
    ),
    (
        "9110 15.2",
        "an interim answer first",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Whole(200, "ok"),
    ),
    ("9110 15.2", "an interim answer alone", b"HTTP/1.1 103 Early Hints\r\n\r\n", BadGateway),
    (
        "9110 15.2.2",
        "101 that nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        BadGateway,
    ),
];

/// Whether `got` is what was to come.
fn is_expected(got: &str, expected: &Got) -> bool {
    // An interim answer may have come through before.
    let got = got.find("\r\n\r\nHTTP/1.1").map_or(got, |end| &got[end + 4..]);
    let Some((head, body)) = got.split_once("\r\n\r\n") else { return false };
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_ascii_lowercase();
    let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match expected {
        BadGateway => status == 502 && body.starts_with("502 worker w1 "),
        Whole(expected, text) => {
            let whole = match (is_chunked, length) {
                (true, _) => body == format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()),
                (false, Some(length)) if status != 304 => length == text.len().to_string() && body == *text,
                (false, _) => body == *text,
            };
            status == *expected && whole
        }
        Cut => status == 200 && is_chunked && !body.ends_with("0\r\n\r\n"),
    }
}

#[tokio::test]
async fn every_answer_is_taken_to_the_letter() {
    let mut failed = Vec::new();
    for (rfc, name, answer, expected) in CASES {
        let worker = Worker::start(move |mut conversation: Conversation| async move {
            conversation.request().await;
            conversation.send_bytes(answer).await;
        })
        .await;
        let balancer = Balancer::before(&[&worker]);
        let mut client = balancer.connect().await;
        // Not idempotent: a bad answer is not tried again.
        client.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        let got = client.rest().await;
        if !is_expected(&got, expected) || worker.seen().len() != 1 {
            failed.push(format!("RFC {rfc}, {name}: {got:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), CASES.len(), failed.join("\n"));
}

/// A worker that sends more than it was asked for must not answer the next request with it.
#[tokio::test]
async fn what_was_sent_too_much_answers_nobody() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        while conversation.request().await.is_some() {
            conversation
                .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
                .await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.body, "ok");
    }
}
