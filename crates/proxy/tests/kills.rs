//! Workers killed at random under load: nothing is executed twice, nothing is lost in silence.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use crate::support::{Balancer, Client, Worker, route, soon, until};

const KILLS: u32 = 20;

/// Takes a while over each request, so that kills meet some.
async fn busy() -> Worker {
    Worker::start(|mut conversation| async move {
        while conversation.request().await.is_some() {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            conversation.answer("done").await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_is_executed_twice_and_none_is_lost_in_silence() {
    let mut pool: Vec<(u32, Worker)> = Vec::new();
    for slot in 1..=4 {
        pool.push((slot, busy().await));
    }
    let balancer = Balancer::before(&[]);
    let routed = |pool: &[(u32, Worker)]| {
        let routes: Vec<_> = pool.iter().map(|(slot, worker)| route(*slot, worker.address)).collect();
        balancer.router.replace(&routes);
    };
    routed(&pool);
    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let answers: Arc<Mutex<Vec<(String, u16)>>> = Arc::default();
    let mut clients = tokio::task::JoinSet::new();
    let address = balancer.proxy.local_addr();
    for number in 0..6 {
        let (stop, told, answers) = (Arc::clone(&stop), Arc::clone(&told), Arc::clone(&answers));
        clients.spawn(async move {
            for turn in 0.. {
                if stop.load(SeqCst) {
                    return;
                }
                let mut client = Client::connect(address).await;
                let id = format!("{number:02}-{turn:06}");
                client
                    .send(&format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{id}", id.len()))
                    .await;
                let status = client.answer().await.status;
                answers.lock().unwrap().push((id, status));
                told.fetch_add(1, SeqCst);
            }
        });
    }
    let mut dead = Vec::new();
    for kill in 0..KILLS {
        let before = told.load(SeqCst);
        until("some requests between two kills", || told.load(SeqCst) >= before + 15).await;
        let victim = usize::try_from(kill.wrapping_mul(2_654_435_761) >> 16).unwrap() % pool.len();
        pool[victim].1.kill().await;
        // The balancer hears of it a little later, as it would of a process.
        until("requests meet the dead worker", || told.load(SeqCst) >= before + 20).await;
        dead.push(std::mem::replace(&mut pool[victim], (5 + kill, busy().await)));
        routed(&pool);
    }
    stop.store(true, SeqCst);
    while let Some(ended) = soon("every client is told", clients.join_next()).await {
        ended.expect("each request has an answer");
    }
    let mut executed: BTreeMap<String, u32> = BTreeMap::new();
    for request in pool.iter().chain(&dead).flat_map(|(_, worker)| worker.seen()) {
        let id = request.rsplit("\r\n").next().unwrap().to_owned();
        *executed.entry(id).or_default() += 1;
    }
    let answers = answers.lock().unwrap().clone();
    assert!(answers.len() >= 15 * usize::try_from(KILLS).unwrap());
    for (id, status) in &answers {
        let times = executed.remove(id).unwrap_or_default();
        assert!(times <= 1, "{id} was executed {times} times and answered {status}");
        assert!(*status != 200 || times == 1, "{id} was answered and never executed");
        assert!([200, 502, 503].contains(status), "{id}: {status}");
    }
    assert!(executed.is_empty(), "nobody was told of {executed:?}");
    let failed = answers.iter().filter(|(_, status)| *status != 200).count();
    assert_eq!(u64::try_from(failed).unwrap(), balancer.reading().failures(), "each failure is counted once");
}
