//! Byte for byte: what is passed on, what is refused, and what becomes of bad answers.

mod answers;
#[expect(dead_code, reason = "whether others may forgive is the benchmark's question")]
mod case;
mod fields;
mod framing;
mod limits;
mod lines;
#[expect(dead_code, reason = "whether others may forgive is the benchmark's question")]
mod replies;
mod smuggling;
mod targets;

use case::Case;
use tokio::io::AsyncWriteExt;

use crate::support::{Balancer, Conversation, Worker};

async fn polite_worker() -> Worker {
    Worker::start(|mut conversation: Conversation| async move {
        while let Some(request) = conversation.request().await {
            if request.starts_with("HEAD ") {
                conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await;
            } else {
                conversation.answer("ok").await;
            }
        }
    })
    .await
}

/// What went wrong, if anything.
async fn try_case(balancer: &Balancer, worker: &Worker, case: &Case) -> Result<(), String> {
    let before = worker.seen().len();
    let mut client = balancer.connect().await;
    client.send_bytes(case.send).await;
    if case.close {
        client.close_sending().await;
    }
    let method = if case.send.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    for number in 1..=case.passed {
        let mut answer = client.answer_to(method).await;
        if answer.status == 100 {
            answer = client.answer_to(method).await;
        }
        if answer.status != 200 {
            return Err(format!("request {number} was answered {}: {}", answer.status, answer.body));
        }
    }
    if !case.refused.is_empty() {
        let answer = client.answer().await;
        if !case.refused.contains(&answer.status) {
            return Err(format!("answered {}, not {:?}", answer.status, case.refused));
        }
        if answer.header("x-autoscale-reason").is_none() || answer.header("connection") != Some("close") {
            return Err(format!("no reason, or not closed: {answer:?}"));
        }
        let rest = client.rest().await;
        if !rest.is_empty() {
            return Err(format!("went on: {rest}"));
        }
    }
    let seen = worker.seen().split_off(before);
    if seen.len() != case.passed {
        return Err(format!("the worker saw {} requests: {seen:?}", seen.len()));
    }
    let last = seen.last().map(String::as_str).unwrap_or_default();
    if let Some(missing) = case.seen.iter().find(|text| !last.contains(**text)) {
        return Err(format!("`{missing}` is not in {last}"));
    }
    let is_seen = |text: &&&str| seen.iter().any(|request| request.contains(**text));
    match case.unseen.iter().find(is_seen) {
        Some(text) => Err(format!("`{text}` is in {seen:?}")),
        None => Ok(()),
    }
}

/// Every row of every table.
fn cases() -> impl Iterator<Item = &'static Case> {
    let tables =
        [lines::CASES, targets::CASES, fields::CASES, framing::CASES, smuggling::CASES, limits::CASES];
    tables.into_iter().flatten()
}

#[tokio::test]
async fn every_request_is_taken_to_the_letter() {
    let worker = polite_worker().await;
    let balancer = Balancer::before(&[&worker]);
    let (mut cases, mut failed) = (0, Vec::new());
    for case in self::cases() {
        cases += 1;
        // Shown if the case panics.
        println!("RFC {}, {}", case.rfc, case.name);
        if let Err(problem) = try_case(&balancer, &worker, case).await {
            failed.push(format!("RFC {}, {}: {problem}", case.rfc, case.name));
        }
    }
    assert!(failed.is_empty(), "{} of {cases} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(cases >= 440, "cases got lost: {cases}");
}

/// The same bytes, one at a time: where a segment ends must make no difference.
#[tokio::test]
async fn bytes_that_come_singly_are_judged_alike() {
    let worker = polite_worker().await;
    let balancer = Balancer::before(&[&worker]);
    let framed = framing::CASES.iter().chain(smuggling::CASES);
    for case in framed.filter(|case| !case.refused.is_empty()) {
        let mut client = balancer.connect().await;
        client.stream.set_nodelay(true).unwrap();
        for byte in case.send {
            if !client.try_send_byte(*byte).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        for _ in 0..case.passed {
            assert_eq!(client.answer().await.status, 200, "{}", case.name);
        }
        let status = client.answer().await.status;
        assert!(case.refused.contains(&status), "{}: {status}", case.name);
    }
}

/// Behind a fault nothing is served, however good it looks: who knows where it begins?
#[tokio::test]
async fn nothing_behind_a_fault_is_served() {
    let worker = polite_worker().await;
    let balancer = Balancer::before(&[&worker]);
    for case in cases().filter(|case| !case.refused.is_empty() && !case.close) {
        let mut client = balancer.connect().await;
        client.send_bytes(case.send).await;
        // The balancer may be closing already.
        let _ = client.stream.write_all(b"\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.rest().await;
        let seen = worker.seen();
        let served = seen.iter().find(|request| request.contains("/behind") || request.contains("/smuggled"));
        assert_eq!(served, None, "RFC {}, {}", case.rfc, case.name);
    }
}
