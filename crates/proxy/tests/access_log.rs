//! What is written down of a request, whichever way it ends: once, and with what cost what.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proxy::{AccessLog, LogFormat};
use serde_json::Value;

use crate::support::{Setup, Worker, until};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn line(&self, target: &str) -> Value {
        let lines = self.lines();
        let mut found = lines.iter().filter(|line| line["target"] == target);
        let line = found.next().unwrap_or_else(|| panic!("{target} in {lines:?}")).clone();
        assert!(found.next().is_none(), "{target} is written down once: {lines:?}");
        line
    }
}

#[tokio::test]
async fn each_request_is_written_down_once_however_it_ends() {
    let paper = Paper::default();
    let log = AccessLog::start(Box::new(paper.clone()), LogFormat::Json).unwrap();
    let mut setup = Setup::with(|config| {
        config.body_bytes_max = Some(3);
        config.access_log = Some(Arc::clone(&log));
    });
    setup.algorithm = "round_robin";
    let dying = Worker::start(|mut conversation| async move {
        conversation.request().await;
    })
    .await;
    let good = Worker::start(|mut conversation| async move {
        while let Some(request) = conversation.request().await {
            if request.starts_with("GET /hang ") {
                conversation.hang().await;
            } else {
                conversation.answer("hello").await;
            }
        }
    })
    .await;
    let balancer = setup.before(&[&dying, &good]);

    let mut client = balancer.connect().await;
    let head = "host: t\r\nuser-agent: test\r\nx-request-id: abc\r\n\r\n";
    client.send(&format!("GET /retried HTTP/1.1\r\n{head}")).await;
    assert_eq!(client.answer().await.status, 200);
    let mut client = balancer.connect().await;
    client.send("POST /large HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\nlong").await;
    assert_eq!(client.answer().await.status, 413);
    balancer.router.replace(&[crate::support::route(2, good.address)]);
    let mut client = balancer.connect().await;
    client.send("GET /hang HTTP/1.1\r\nhost: t\r\n\r\n").await;
    until("the request is at the worker", || good.seen().len() == 2).await;
    drop(client);
    until("it is counted as cancelled", || balancer.reading().cancelled == 1).await;
    balancer.router.replace(&[crate::support::route(1, dying.address)]);
    let mut client = balancer.connect().await;
    client.send("POST /broken HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 502);

    until("all are written", || {
        log.flush();
        log.written() == 4
    })
    .await;
    let retried = paper.line("/retried");
    assert_eq!((&retried["worker"], &retried["attempts"]), (&"w2.1".into(), &2.into()));
    assert_eq!((&retried["outcome"], &retried["bytes"]), (&"answered".into(), &5.into()));
    assert_eq!((&retried["request_id"], &retried["user_agent"]), (&"abc".into(), &"test".into()));
    assert!(retried["total_ms"].as_f64() >= retried["first_byte_ms"].as_f64(), "{retried}");
    assert_eq!(log.find("abc").len(), 1);
    let large = paper.line("/large");
    assert_eq!((&large["reason"], &large["status"]), (&"body_too_large".into(), &413.into()));
    assert_eq!((&large["worker"], &large["attempts"]), (&Value::Null, &0.into()));
    let gone = paper.line("/hang");
    assert_eq!((&gone["outcome"], &gone["status"]), (&"cancelled".into(), &499.into()));
    assert_eq!((&gone["worker"], &gone["attempts"]), (&"w2.1".into(), &1.into()), "who has it to the end");
    let broken = paper.line("/broken");
    assert_eq!((&broken["reason"], &broken["worker"]), (&"worker_failed".into(), &"w1.1".into()));
    assert_eq!((&broken["outcome"], &broken["attempts"]), (&"refused".into(), &1.into()));
    assert_eq!(log.dropped(), 0);
}
