//! Orders.

use std::time::Duration;

use admin::{BalancerOrder, ClientError, Length, PauseOrder};
use control::ScaleTo;

use crate::support::pool;

#[tokio::test]
async fn orders_arrive_as_commands() {
    let pool = pool(0).await;
    let accepted = pool.client.scale(ScaleTo::By(1), None).await.unwrap();
    assert_eq!((accepted.text.as_str(), accepted.until), ("test: scale to +1, held until resumed", None));
    let accepted = pool.client.scale(ScaleTo::Exactly(3), Some(Duration::from_secs(5))).await.unwrap();
    assert!(accepted.until.is_some());
    pool.client.pause(PauseOrder::default()).await.unwrap();
    pool.client.resume().await.unwrap();
    pool.client.drain("w1").await.unwrap();
    pool.client.kill("w1").await.unwrap();
    pool.client.stop().await.unwrap();
    let accepted = pool.client.boost(4, Duration::from_secs(600)).await.unwrap();
    assert!(accepted.text.starts_with("test: boost to at least 4 until 20"), "{}", accepted.text);
    let taken = pool.notes.taken.lock().clone();
    assert_eq!(taken[0], r#"{"command":"scale","to":{"by":1},"until":null,"by":"test"}"#);
    assert!(taken[1].contains(r#""to":{"exactly":3},"until":"2026-"#), "{}", taken[1]);
    assert_eq!(taken[2], r#"{"command":"pause","until":null,"by":"test"}"#);
    assert_eq!(taken[3], r#"{"command":"resume","by":"test"}"#);
    assert_eq!(taken[4..7], ["drain w1", "kill w1", "stop"]);
    assert!(taken[7].starts_with(r#"{"command":"boost","min":4,"until":"20"#), "{}", taken[7]);
}

#[tokio::test]
async fn orders_as_curl_sends_them() {
    let pool = pool(0).await;
    for body in [r#"{"replicas":3}"#, r#"{"replicas":"max","hold_s":null}"#] {
        assert_eq!(pool.post("/api/v1/scale", body).await.0, 202, "{body}");
    }
    assert_eq!(pool.post("/api/v1/pause", "").await.0, 202);
    assert_eq!(pool.post("/api/v1/resume", "{}").await.0, 202);
    let taken = pool.notes.taken.lock().clone();
    assert!(!taken[0].contains(r#""until":null"#), "sixty seconds unless told otherwise: {}", taken[0]);
    assert!(taken[1].contains(r#""until":null"#), "{}", taken[1]);
    for body in
        ["", "{", "{}", r#"{"replicas":-3}"#, r#"{"replicas":1,"hold":5}"#, r#"{"replicas":1,"hold_s":0}"#]
    {
        let (status, told) = pool.post("/api/v1/scale", body).await;
        assert_eq!(status, 400, "{body}: {told}");
    }
    let (status, told) = pool.post("/api/v1/scale", " ".repeat(64 * 1024 + 1)).await;
    assert_eq!(status, 413, "{told}");
    assert_eq!(pool.notes.taken.lock().len(), 4);
}

#[tokio::test]
async fn workers_are_protected_and_given_up_again() {
    let pool = pool(0).await;
    assert_eq!(pool.client.protect("w1", true).await.unwrap().text, "w1 is protected from scale-in");
    assert_eq!(pool.client.protect("w1", false).await.unwrap().text, "w1 is protected no longer");
    assert_eq!(pool.post("/api/v1/workers/w1/protect", "").await.0, 202);
    assert_eq!(pool.post("/api/v1/workers/w1/protect", r#"{"protected":0}"#).await.0, 400);
    assert!(matches!(pool.client.protect("w7", true).await, Err(ClientError::NotFound { .. })));
    assert_eq!(*pool.notes.taken.lock(), ["protect w1", "unprotect w1", "protect w1"]);
}

#[tokio::test]
async fn refusals_say_why() {
    let pool = pool(0).await;
    let error = pool.client.kill("w7").await.unwrap_err();
    assert!(matches!(&error, ClientError::NotFound { error, .. } if error == "there is no worker `w7`"));
    assert!(error.hint().unwrap().contains("autoscale ps"));
    let error = pool.client.reload().await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused { status: 409, error, .. } if error.contains("min > max")));
    *pool.notes.busy.lock() = true;
    let error = pool.client.resume().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 503, .. }), "{error:?}");
}

#[tokio::test]
async fn the_balancer_is_changed_by_order() {
    let pool = pool(0).await;
    assert_eq!(pool.client.balancer().await.unwrap().algorithm, "least_connections");
    assert_eq!(pool.client.targets().await.unwrap(), []);
    let order = BalancerOrder {
        queue: Some(8),
        queue_timeout: Some(Length(Duration::from_secs(2))),
        ..BalancerOrder::default()
    };
    pool.client.change_balancer(&order).await.unwrap();
    pool.client.weigh("w1", Some(3)).await.unwrap();
    pool.client.weigh("w1", None).await.unwrap();
    assert_eq!(pool.client.add_backend("127.0.0.1:1").await.unwrap().text, "w7 is balanced over");
    pool.client.remove_backend("w1").await.unwrap();
    let taken = pool.notes.taken.lock().clone();
    assert_eq!(serde_json::from_str::<BalancerOrder>(&taken[0]).unwrap(), order);
    assert_eq!(taken[1..], ["weigh Some(3) w1", "weigh None w1", "add 127.0.0.1:1", "remove w1"]);
    assert_eq!(pool.post("/api/v1/balancer", r#"{"queue_timeout":2.5}"#).await.0, 202);
    assert_eq!(pool.post("/api/v1/balancer", r#"{"algorithm":"none"}"#).await.0, 400);
    assert_eq!(pool.post("/api/v1/balancer", r#"{"algoritm":"none"}"#).await.0, 400);
    assert_eq!(pool.post("/api/v1/workers/w1/weight", "{}").await.0, 400);
    let refused = pool.client.remove_backend("w9").await.unwrap_err();
    assert!(matches!(refused, ClientError::NotFound { .. }), "{refused}");
}

#[tokio::test]
async fn a_request_is_found_by_its_id() {
    let pool = pool(0).await;
    assert_eq!(pool.client.requests("abc").await.unwrap()[0]["status"], 200);
    for (id, because) in [("other", "no recent request"), ("nowhere", "not written down")] {
        let missing = pool.client.requests(id).await.unwrap_err();
        assert!(matches!(missing, ClientError::NotFound { .. }) && missing.to_string().contains(because));
    }
}
