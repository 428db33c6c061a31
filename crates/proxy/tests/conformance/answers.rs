//! Workers' answers: good ones pass, bad ones become 502 or a transfer that is visibly cut.

use super::replies::Got::{self, BadGateway, Cut, Whole};
use super::replies::{REPLIES, Reply};
use crate::support::{Balancer, Conversation, Worker};

/// Whether `got` is what was to come.
fn is_expected(got: &str, expected: Got) -> bool {
    // Interim answers may have come through before.
    let got = got.rfind("\r\n\r\nHTTP/1.1").map_or(got, |end| &got[end + 4..]);
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
                (false, Some(length)) if status != 304 => length == text.len().to_string() && body == text,
                (false, _) => body == text,
            };
            status == expected && whole
        }
        Cut => status == 200 && is_chunked && !body.ends_with("0\r\n\r\n"),
    }
}

#[tokio::test]
async fn every_answer_is_taken_to_the_letter() {
    let mut failed = Vec::new();
    for Reply { rfc, name, send, got: expected, .. } in REPLIES {
        let worker = Worker::start(move |mut conversation: Conversation| async move {
            conversation.request().await;
            conversation.send_bytes(send).await;
        })
        .await;
        let balancer = Balancer::before(&[&worker]);
        let mut client = balancer.connect().await;
        // Not idempotent: a bad answer is not tried again.
        client.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        let got = client.rest().await;
        if !is_expected(&got, *expected) || worker.seen().len() != 1 {
            failed.push(format!("RFC {rfc}, {name}: {got:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), REPLIES.len(), failed.join("\n"));
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

/// What a worker says after the head of an answer to `HEAD` is no answer to anything.
#[tokio::test]
async fn a_body_after_head_answers_nobody() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        while let Some(request) = conversation.request().await {
            let body = if request.starts_with("HEAD ") {
                "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
            } else {
                "ok"
            };
            conversation.answer(body).await;
        }
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    for _ in 0..20 {
        client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.answer_to("HEAD").await.status, 200);
        assert_eq!(client.get("/").await.body, "ok");
    }
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
#[tokio::test]
async fn old_clients_get_no_chunks() {
    let worker = Worker::start(|mut conversation: Conversation| async move {
        conversation.request().await;
        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        conversation.send(answer).await;
    })
    .await;
    let balancer = Balancer::before(&[&worker]);
    let mut client = balancer.connect().await;
    client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let got = client.rest().await.to_ascii_lowercase();
    assert!(!got.contains("transfer-encoding") && got.ends_with("\r\n\r\nok"), "{got}");
}
