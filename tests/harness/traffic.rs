//! Load that goes on in the background until it is told to end.

use clock::Clock;
use loadgen::{LoadConfig, Rate, Report, Shape};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DEADLINE;

/// Load under way.
pub(crate) struct Traffic {
    stop: CancellationToken,
    task: JoinHandle<Report>,
}

impl Traffic {
    /// So many requests a second, whatever comes back.
    pub(crate) fn open(url: &str, per_second: f64) -> Self {
        Self::start(url, |config| config.shape = Shape::Rate(Rate::per_second(per_second).unwrap()))
    }

    /// So many clients, each with one request after the other.
    pub(crate) fn closed(url: &str, clients: u32) -> Self {
        Self::start(url, |config| config.connections = Some(clients))
    }

    fn start(url: &str, shape: impl FnOnce(&mut LoadConfig)) -> Self {
        let mut config = LoadConfig::new(url.parse().unwrap());
        shape(&mut config);
        // A test ends it; were it to end by itself, the test would measure nothing.
        config.duration = Some(DEADLINE * 10);
        config.timeout = DEADLINE;
        config.grace = DEADLINE;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task =
            tokio::spawn(async move { loadgen::run(config, Clock::start(), stopped, |_| {}).await.unwrap() });
        Self { stop, task }
    }

    /// Ends it and waits for the last answers.
    pub(crate) async fn end(self) -> Report {
        self.stop.cancel();
        self.task.await.unwrap()
    }

    /// Ends it and insists that every request was answered well, and that there were some.
    pub(crate) async fn end_without_failure(self) -> Report {
        let report = self.end().await;
        assert!(report.sent > 0, "nothing was sent: {report:#?}");
        assert_eq!((report.failed, &report.errors), (0, &Default::default()), "{report:#?}");
        report
    }
}
