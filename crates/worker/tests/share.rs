//! A worker under more load than it can take keeps to its share, by the process's CPU clock.
//!
//! Alone in its file, so that no other test burns CPU in the same process.

#[path = "support/client.rs"]
mod client;

use std::time::Duration;

use clock::Clock;
use rustix::time::{ClockId, clock_gettime};
use worker::{Worker, WorkerConfig};

fn process_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("never negative")
}

#[tokio::test]
async fn a_flooded_worker_takes_no_more_than_its_size() {
    let clock = Clock::start();
    let config = WorkerConfig { port: 0, cpus: 0.25, ..WorkerConfig::default() };
    let worker = Worker::bind(config, clock).unwrap();
    let address = worker.address();
    let serving = tokio::spawn(worker.serve(std::future::pending()));

    let (wall, cpu) = (clock.uptime(), process_cpu());
    let clients: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let mut answered = 0_u32;
                while clock.uptime() < wall + Duration::from_millis(1500) {
                    let answer = client::get(address, "/").await;
                    assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    let (wall, cpu) = (clock.uptime() - wall, process_cpu() - cpu);
    serving.abort();

    // The clients run in this process and are paid for out of the share; what they do after the
    // last answer is not, hence the margin over one slice.
    let limit = wall.mul_f64(0.25) + Duration::from_millis(60);
    assert!(cpu <= limit, "{cpu:?} of CPU in {wall:?}, {answered} answers");
    assert!(cpu >= Duration::from_millis(5) * answered, "each answer was worked for: {cpu:?}, {answered}");
}
