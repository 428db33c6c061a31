//! Active probes, for backends that nobody else watches: asked at intervals, counted in rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use traffic::{Address, Backend, ProbeCount, Probed, WorkerId};

use crate::body::RequestBody;
use crate::serve::Thread;

/// How backends are probed; the words are those of an ALB's target group.
#[derive(Clone, Debug)]
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
            matcher: Matcher(vec![(200, 499)]),
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
            matcher: Matcher(vec![(200, 200)]),
        }
    }
}

/// Statuses, as an ALB writes them: `200`, `200,202` or `200-299`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(Vec<(u16, u16)>);

impl Matcher {
    fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// Text that is no matcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMatcher(String);

impl fmt::Display for BadMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no statuses (like 200, 200,202 or 200-299)", self.0)
    }
}

impl std::error::Error for BadMatcher {}

impl FromStr for Matcher {
    type Err = BadMatcher;

    fn from_str(text: &str) -> Result<Self, BadMatcher> {
        let status = |text: &str| text.trim().parse().ok().filter(|status| (100..=599).contains(status));
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to): (u16, u16) = (status(from)?, status(to)?);
            (from <= to).then_some((from, to))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| BadMatcher(text.to_owned()))
    }
}

/// Probes every routed backend until its task is dropped.
pub(crate) async fn run(thread: Rc<Thread>, check: HealthCheck) {
    let counts: Rc<RefCell<HashMap<WorkerId, ProbeCount>>> = Rc::default();
    let check = Rc::new(check);
    loop {
        let ready = thread.pool.ready();
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
                let fresh = || ProbeCount::new(check.healthy_threshold, check.unhealthy_threshold);
                let verdict = counts.borrow_mut().entry(backend.id()).or_insert_with(fresh).record(result);
                take_up(&thread, &backend, verdict);
            });
        }
        thread.clock.sleep(check.interval.max(check.timeout)).await;
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
        let mut sender = crate::upstream::open(&address).await.ok()?;
        let mut request = Request::new(RequestBody::empty(clock));
        *request.uri_mut() = check.path.clone();
        let host = HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("worker"));
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("autoscale-probe"));
        let response = sender.send(request).await.ok()?;
        Some(response.status().as_u16())
    };
    match clock.timeout(check.timeout, exchange).await {
        Err(_) => Probed::TimedOut,
        Ok(None) => Probed::Failed,
        Ok(Some(status)) if check.matcher.matches(status) => Probed::Healthy,
        Ok(Some(_)) => Probed::Mismatch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_written_as_for_an_alb() {
        let matches = |text: &str, status| text.parse::<Matcher>().unwrap().matches(status);
        assert!(matches("200", 200) && !matches("200", 201));
        assert!(matches("200,202", 202) && !matches("200,202", 201));
        assert!(matches("200-299, 404", 250) && matches("200-299,404", 404) && !matches("200-299", 300));
        for bad in ["", "x", "299-200", "20", "200-", "200,,201", "1000"] {
            assert!(bad.parse::<Matcher>().is_err(), "{bad}");
        }
    }
}
