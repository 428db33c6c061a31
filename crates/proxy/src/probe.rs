//! Active probes, for backends that nobody else watches: asked at intervals, counted in rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::Uri;
use jiff::Timestamp;
use tokio::sync::watch;
use traffic::{Address, Backend, Matcher, ProbeCount, Probed, WorkerId};

use crate::body::RequestBody;
use crate::headers::Head;
use crate::serve::Thread;
use crate::settings::Settings;

/// How soon a backend that has just been routed is found to be there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How backends are probed; the words are those of an ALB's target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for, with its query.
    pub path: Uri,
    /// Where, if not where requests go.
    pub port: Option<u16>,
    /// Time between two probes of a backend.
    pub interval: Duration,
    /// Time that a probe may take.
    pub timeout: Duration,
    /// Successes in a row that bring a backend back; its first one ever is enough.
    pub healthy_threshold: u32,
    /// Failures in a row that take it out.
    pub unhealthy_threshold: u32,
    /// Statuses that are a success.
    pub matcher: Matcher,
    /// How long after a backend was first routed its failures do not count.
    pub grace_period: Duration,
}

impl HealthCheck {
    /// For workers on the same machine: they are asked every second, and anything but a server
    /// error will do, so that an app without a health page is not taken for dead.
    pub fn local() -> Self {
        Self {
            path: Uri::from_static("/healthz"),
            port: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: Matcher::new(200, 499),
            grace_period: Duration::ZERO,
        }
    }

    /// As an AWS Application Load Balancer asks.
    pub fn alb() -> Self {
        Self {
            path: Uri::from_static("/"),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            matcher: Matcher::new(200, 200),
            grace_period: Duration::ZERO,
        }
    }
}

/// Probes every routed backend as the settings say, until its task is dropped.
pub(crate) async fn run(thread: Rc<Thread>, mut settings: watch::Receiver<Arc<Settings>>) {
    let counts: Rc<RefCell<HashMap<WorkerId, Probing>>> = Rc::default();
    loop {
        let check = settings.borrow_and_update().config.health_check.clone();
        let ready = thread.pool.ready();
        let Some(check) = check.map(Rc::new) else {
            // Probed no more, they are all in service as far as probes go.
            counts.borrow_mut().clear();
            ready.iter().for_each(|backend| backend.set_probed(Probed::Unprobed));
            if settings.changed().await.is_err() {
                return;
            }
            continue;
        };
        counts.borrow_mut().retain(|id, _| ready.iter().any(|backend| backend.id() == *id));
        for backend in ready.iter() {
            let (thread, check, counts) = (Rc::clone(&thread), Rc::clone(&check), Rc::clone(&counts));
            let backend = Arc::clone(backend);
            if backend.probed() == Probed::Unprobed {
                backend.set_probed(Probed::Initial);
            }
            // Each has its own task: one that hangs delays no other. None outlives two intervals.
            tokio::task::spawn_local(async move {
                let result = probe(thread.clock, &backend, &check).await;
                let now = thread.clock.now();
                let fresh = || Probing::new(&check, now);
                let verdict =
                    counts.borrow_mut().entry(backend.id()).or_insert_with(fresh).record(result, now, &check);
                take_up(&thread, &backend, verdict);
            });
        }
        let wait = check.interval.max(check.timeout);
        tokio::select! {
            () = thread.clock.sleep(wait) => {}
            () = newcomers(&thread, &ready) => {}
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

/// What is known of one backend.
struct Probing {
    count: ProbeCount,
    since: Timestamp,
}

impl Probing {
    fn new(check: &HealthCheck, now: Timestamp) -> Self {
        Self { count: ProbeCount::new(check.healthy_threshold, check.unhealthy_threshold), since: now }
    }

    fn record(&mut self, result: Probed, now: Timestamp, check: &HealthCheck) -> Probed {
        let age = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        if result != Probed::Healthy && age < check.grace_period {
            return self.count.verdict();
        }
        self.count.record(result)
    }
}

/// Resolves when there are backends that were not there before: they are not to wait for a turn.
async fn newcomers(thread: &Thread, known: &[Arc<Backend>]) {
    let is_known = |backend: &Arc<Backend>| known.iter().any(|other| other.id() == backend.id());
    while thread.pool.ready().iter().all(is_known) {
        thread.clock.sleep(LOOK_EVERY).await;
    }
}

fn take_up(thread: &Thread, backend: &Backend, verdict: Probed) {
    let before = backend.probed();
    backend.set_probed(verdict);
    if before != verdict && verdict == Probed::Healthy {
        thread.waiting.serve(&thread.pool, thread.clock.now());
    }
}

/// One probe, on a connection of its own: a kept one may outlive a listener that is gone.
async fn probe(clock: Clock, backend: &Backend, check: &HealthCheck) -> Probed {
    let exchange = async {
        let address = match (backend.address(), check.port) {
            (Address::Tcp(address), Some(port)) => Address::Tcp((address.ip(), port).into()),
            (address, _) => address.clone(),
        };
        let link = crate::upstream::open(&address, false).await.ok()?;
        let host = address.to_string();
        let fields = [("host", host.as_str()), ("connection", "close"), ("user-agent", "autoscale-probe")];
        let head = Head::of_our_own(check.path.clone(), &fields);
        let mut exchange = link.send(&head, Some(&RequestBody::empty(clock)), None);
        let answer = std::future::poll_fn(|cx| exchange.poll_head(cx, |_| ())).await.ok()?;
        Some(answer.status.as_u16())
    };
    match clock.timeout(check.timeout, exchange).await {
        Err(_) => Probed::TimedOut,
        Ok(None) => Probed::Failed,
        Ok(Some(status)) if check.matcher.matches(status) => Probed::Healthy,
        Ok(Some(_)) => Probed::Mismatch,
    }
}
