//! Active probes: who is out, who is back, and what becomes of requests at one that hangs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use proxy::HealthCheck;
use traffic::{Backend, Probed};

use crate::support::{Balancer, Setup, Worker, soon, until};

/// Hangs while `hangs` is set, as a process stopped by a signal does; else answers with `name`.
async fn moody(name: &'static str, hangs: &Arc<AtomicBool>) -> Worker {
    let hangs = Arc::clone(hangs);
    Worker::start(move |mut conversation| {
        let hangs = Arc::clone(&hangs);
        async move {
            while conversation.request().await.is_some() {
                if hangs.load(SeqCst) {
                    return conversation.hang().await;
                }
                conversation.answer(name).await;
            }
        }
    })
    .await
}

fn probing(workers: &[&Worker]) -> Balancer {
    let millis = Duration::from_millis;
    let check = HealthCheck { interval: millis(20), timeout: millis(100), ..HealthCheck::local() };
    Setup::with(|config| config.health_check = Some(check)).before(workers)
}

fn states(balancer: &Balancer) -> Vec<(&'static str, &'static str)> {
    let listed = balancer.router.pool().target_health(balancer.clock.now());
    listed.into_iter().map(|target| (target.state, target.reason)).collect()
}

#[tokio::test]
async fn a_worker_that_hangs_is_out_and_its_requests_go_elsewhere() {
    let (hangs, never) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let workers = [moody("1", &hangs).await, moody("2", &never).await];
    let balancer = probing(&workers.each_ref());
    let is_in = |backend: &Arc<Backend>| backend.probed() == Probed::Healthy;
    until("both are in", || balancer.router.pool().ready().iter().all(is_in)).await;
    hangs.store(true, SeqCst);
    // One of two must meet the worker that hangs, and both are answered by the other.
    for _ in 0..2 {
        assert_eq!(soon("answered", balancer.get("/")).await.body, "2");
    }
    until("out", || states(&balancer) == [("unhealthy", "Target.Timeout"), ("healthy", "")]).await;
    for _ in 0..10 {
        assert_eq!(balancer.get("/").await.body, "2");
    }
    hangs.store(false, SeqCst);
    until("back", || states(&balancer) == [("healthy", ""); 2]).await;
}

#[tokio::test]
async fn dead_and_wrong_workers_are_told_apart() {
    let dead = Worker::refusing().await;
    let wrong = Worker::start(|mut conversation| async move {
        while conversation.request().await.is_some() {
            conversation.send("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let good = Worker::answering("good").await;
    let balancer = probing(&[&dead, &wrong, &good]);
    let expected = [
        ("unhealthy", "Target.FailedHealthChecks"),
        ("unhealthy", "Target.ResponseCodeMismatch"),
        ("healthy", ""),
    ];
    until("all are known", || states(&balancer) == expected).await;
    for _ in 0..10 {
        assert_eq!(balancer.get("/").await.body, "good");
    }
    assert!(wrong.seen().iter().all(|request| request.contains("user-agent: autoscale-probe")));
}
