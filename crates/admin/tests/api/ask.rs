//! Questions with one answer.

use admin::{ClientError, Record};
use control::Cycle;
use serde_json::json;

use crate::support::{pool, scale_out, start, turn, turn_with};

#[tokio::test]
async fn the_status_has_the_shape_of_the_contract() {
    let pool = pool(61).await;
    (1..=60).for_each(|second| drop(pool.board.push(turn(second))));
    let status = pool.json("/api/v1/status").await;
    let picked = |keys: &[&str]| keys.iter().map(|key| status[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        picked(&["desired", "min", "max", "policy", "signal", "paused"]),
        [json!(2), json!(1), json!(5), json!("threshold"), json!("worker_cpu"), json!(false)]
    );
    assert_eq!(status["cpu"], json!({"workers_percent": 60.0, "host_percent": 22.0}));
    assert_eq!(
        status["requests"],
        json!({"total": 1200, "failed": 1, "in_flight": 3, "queued": 0, "worker_limit": 16, "per_second": 20.0,
            "per_minute": 1200.0, "latency_ms": {"p50": 12.0, "p95": 20.1, "p99": 31.0}})
    );
    let mut worker = status["workers"][0].clone();
    let uptime = worker["uptime_s"].take().as_f64().unwrap();
    assert!((61.0..600.0).contains(&uptime), "{uptime}");
    assert_eq!(
        worker,
        json!({"id": "w1", "pid": 101, "address": "127.0.0.1:5000", "state": "ready", "cpu_percent": 60.0,
            "memory_bytes": 9_000_000, "in_flight": 1, "requests": 600, "requests_per_minute": 600.0,
            "uptime_s": null, "restarts": 0, "protected": false})
    );
    assert_eq!(status["workers"][1]["state"], "starting");
    assert_eq!(status["workers"][1]["cpu_percent"], json!(null));
    assert_eq!(status["record"]["recorded"], 7);
    let read = pool.client.status().await.unwrap();
    assert_eq!((read.desired, read.ready, read.workers.len()), (2, 1, 2));
}

#[tokio::test]
async fn before_the_first_turn_the_configuration_is_shown() {
    let pool = pool(0).await;
    let status = pool.client.status().await.unwrap();
    assert_eq!((status.desired, status.min, status.max, status.turned_at), (1, 1, 5, None));
    assert_eq!(status.requests.latency_ms, admin::status::LatencyMs::default());
    assert_eq!(pool.raw("/healthz", &[]).await.0, 200);
    assert_eq!(pool.raw("/readyz", &[]).await.0, 503);
    pool.board.restore([turn(1)]);
    assert_eq!(pool.client.status().await.unwrap().workers, [], "an earlier start is no status");
    assert_eq!(pool.client.cycles(9).await.unwrap(), [turn(1)], "but it is history");
    pool.board.push(turn(2));
    assert_eq!(pool.raw("/readyz", &[]).await.0, 200);
    assert_eq!(pool.raw("/", &[]).await, (200, "<!doctype html><title>autoscale</title>".to_owned()));
}

#[tokio::test]
async fn trouble_is_an_alarm() {
    let pool = pool(5).await;
    pool.board.push(turn_with(1, |json| {
        json["applied"] = json!({"failed": "no such user"});
        json["seen"]["traffic"] = json!(null);
        json["seen"]["workers"][0]["state"] = json!("backoff");
    }));
    let alarms = pool.client.status().await.unwrap().alarms;
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    assert!(alarms[0].contains("no such user") && alarms[2].contains("autoscale logs w1"), "{alarms:?}");
    pool.board.push(Cycle::Blind { at: start(), because: "no cgroup".to_owned() });
    let status = pool.client.status().await.unwrap();
    assert_eq!(status.alarms, ["cannot see the pool: no cgroup"]);
    assert_eq!(status.workers.len(), 2, "what was seen last is still shown");
}

#[tokio::test]
async fn decisions_come_newest_first_with_their_whole_trail() {
    let pool = pool(9).await;
    [turn(1), scale_out(2), turn(3)].into_iter().for_each(|cycle| drop(pool.board.push(cycle)));
    let records = pool.client.decisions(2, false).await.unwrap();
    let seconds: Vec<i64> =
        records.iter().map(|record| record.at().duration_since(start()).as_secs()).collect();
    assert_eq!(seconds, [3, 2]);
    let json = pool.json("/api/v1/decisions?changes=true&last=5").await;
    assert_eq!(json.as_array().unwrap().len(), 1);
    let decided = &json[0];
    assert_eq!(decided["kind"], "decided");
    assert_eq!((&decided["current"], &decided["desired"]), (&json!(2), &json!(5)));
    assert_eq!(decided["text"], "2 → 5: at most 5 (bounds)");
    assert_eq!(
        decided["trail"][0],
        json!({"rule": "above_up", "replicas": 9, "text": "cpu 81.2 % > 35 %",
            "numbers": {"cpu": 81.25, "up": 35.0}})
    );
    assert_eq!(decided["blocked_by"][0]["left_s"], 3.0);
    assert_eq!(decided["excluded"][0]["worker"], "w2");
    assert_eq!(decided["nearest_flip"]["text"], "below 35 % it stays");
    let at = |text: &'static str| pool.client.decision_at(text);
    let nearest = at("2026-01-01T00:00:02.4+00:00").await.unwrap().unwrap();
    assert!(matches!(nearest, Record::Decided(decided) if decided.desired == 5));
    assert!(at("1h").await.unwrap().is_some());
    let error = at("teatime").await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 400, .. }) && error.hint().is_some());
}

#[tokio::test]
async fn series_are_cut_to_the_time_asked_for() {
    let pool = pool(100).await;
    (1..=100).for_each(|second| drop(pool.board.push(turn(second))));
    pool.board
        .push(Cycle::Blind { at: start() + std::time::Duration::from_secs(101), because: "x".to_owned() });
    // The clock of the server goes on: it may have passed the first of the fifty seconds.
    let points = pool.client.series("cpu", "50s").await.unwrap();
    assert!((2..=52).contains(&points.len()), "{points:?}");
    assert_eq!(points.last().unwrap().value, None, "a blind turn is a gap");
    assert_eq!(points[points.len() - 2].value, Some(100.0));
    let all = pool.client.series("latency_p95", "1h").await.unwrap();
    assert_eq!((all.len(), all[0].value), (101, Some(20.1)));
    let error = pool.client.series("karma", "1m").await.unwrap_err();
    assert!(error.hint().unwrap().contains("latency_p95"), "{error:?}");
    assert!(pool.client.series("cpu", "soon").await.is_err());
    for metric in admin::sample::METRICS {
        pool.client.series(metric.name, "1m").await.unwrap();
    }
}

#[tokio::test]
async fn wrong_questions_are_told_so_in_json() {
    let pool = pool(0).await;
    let cases = [
        ("/api/v1/nothing", 404),
        ("/api/v1/scale", 405),
        ("/api/v1/decisions?last=x", 400),
        ("/api/v1/decisions?lost=1", 400),
        ("/api/v1/series", 400),
        ("/api/v1/workers/w9/logs", 404),
        ("/api/v1/workers/w9/logs?follow=true", 404),
    ];
    for (path, status) in cases {
        let (got, text) = pool.raw(path, &[]).await;
        assert_eq!(got, status, "{path}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json["error"].is_string(), "{path}: {text}");
    }
    let missing = pool.client.logs("w9", 5).await.unwrap_err();
    assert!(matches!(&missing, ClientError::NotFound { error, .. } if error.contains("w9")), "{missing}");
    assert_eq!(pool.client.logs("w1", 2).await.unwrap().len(), 2);
    let odd = pool.client.logs("../../status?", 2).await.unwrap_err();
    assert!(matches!(odd, ClientError::NotFound { .. }), "{odd}");
}

#[tokio::test]
async fn who_does_not_answer_is_named() {
    let client = admin::Client::new("http://127.0.0.1:1", None, "test").unwrap();
    let error = client.status().await.unwrap_err();
    assert_eq!(error.to_string(), "no autoscale answers at http://127.0.0.1:1");
    assert!(error.hint().unwrap().contains("autoscale run"));
    for bad in ["", "ftp://x", "https://127.0.0.1:1", "http://"] {
        assert!(matches!(admin::Client::new(bad, None, "test"), Err(ClientError::BadUrl(_))), "{bad}");
    }
}

#[tokio::test]
async fn a_prediction_is_what_the_newest_decision_saw() {
    let pool = pool(3).await;
    let empty = pool.json("/predict").await;
    assert_eq!((&empty["recommendation"], &empty["predicted_next"]), (&json!("No Change"), &json!(null)));
    let Cycle::Decided { seen, mut decision, applied, .. } = turn(1) else { panic!("a decided turn") };
    decision.measured = Some(control::Measured {
        signal: "load".into(),
        unit: "workers".into(),
        value: Some(2.0),
        up: None,
        down: None,
    });
    decision.recommended.replicas = decision.current + 1;
    decision.limited.clear();
    decision.foresight = Some(Box::new(control::Foresight {
        model: "ensemble".into(),
        trust: control::Trust::Trusted,
        lead_s: 4.0,
        load: 2.0,
        q10: 2.5,
        q50: 3.0,
        q90: 3.5,
        coverage: Some(0.91),
        loss_ratio: Some(0.6),
        reactive: 3,
        planned: 4,
        next: None,
        standings: Vec::new(),
    }));
    drop(pool.board.push(Cycle::Decided { seen, decision, applied, ledger: None }));
    let told = pool.json("/predict").await;
    assert_eq!(
        told,
        json!({"at": told["at"], "signal": "load",
            "horizons": [{"seconds": 4.0, "q10": 2.5, "q50": 3.0, "q90": 3.5}], "current_avg": 2.0, "predicted_next": 3.0, "recommendation": "Scale Up",
            "target": told["target"], "reactive_target": 3, "horizon_s": 4.0,
            "quantiles": {"q10": 2.5, "q50": 3.0, "q90": 3.5}, "factor": 1.5, "confidence": 0.91,
            "loss_ratio": 0.6, "model": "ensemble", "trust": "trusted", "next": null, "models": []})
    );
}
