//! What of a balancer can be seen and changed while it runs; shared by server and client.

use serde::{Deserialize, Serialize};

use crate::orders::Length;
use crate::ports::OrdersError;

/// The balancer's settings in force. `null` stands for no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BalancerSettings {
    /// Who takes the next request.
    pub algorithm: String,
    /// Shares by version, as in `1=90,2=10`; empty without a split.
    pub split: String,
    /// Seconds in which a new worker takes less than its share.
    pub slow_start_s: f64,
    /// Requests at one worker at most.
    pub max_in_flight: Option<u32>,
    /// By which algorithm that is learned; empty where it is not.
    #[serde(default)]
    pub adaptive_limit: String,
    /// Seconds at a worker that `aimd` takes for too slow.
    #[serde(default)]
    pub adaptive_latency_s: f64,
    /// Requests at one worker at most now, by hand or learned.
    #[serde(default)]
    pub limit_now: Option<u32>,
    /// Share of failed requests at which none is sent for a while.
    #[serde(default)]
    pub circuit_breaker: Option<f64>,
    /// `closed`, `open` or `half_open`; empty without a breaker.
    #[serde(default)]
    pub circuit: String,
    /// When a second worker is asked too, as in `p95` or `50ms`; empty: never.
    #[serde(default)]
    pub hedge_after: String,
    /// The same in seconds, once that is known.
    #[serde(default)]
    pub hedge_after_s: Option<f64>,
    /// Requests that wait at most.
    pub queue: u64,
    /// Seconds that one waits at most.
    pub queue_timeout_s: f64,
    /// Seconds until an answer must have begun.
    pub request_timeout_s: Option<f64>,
    /// Client connections at once.
    pub max_connections: u64,
    /// Bytes of a request's body at most.
    pub max_body: Option<u64>,
    /// Requests a second of one address.
    pub rate_limit: Option<f64>,
    /// Of those at once.
    pub rate_burst: Option<f64>,
}

/// Change what is named, leave the rest. 0 takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BalancerOrder {
    /// Who takes the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Shares by version, as in `1=90,2=10`; empty: no split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How long a new worker takes less than its share: `"10s"`, or seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Length>,
    /// Requests at one worker at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// By which algorithm that is learned, as in `gradient`; `off`: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_limit: Option<String>,
    /// A median time at a worker that `aimd` takes for too slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_latency: Option<Length>,
    /// Share of failed requests (0–1) at which none is sent for a while; 0: they always are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<f64>,
    /// When a second worker is asked too, as in `p95` or `50ms`; `off`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge_after: Option<String>,
    /// Requests that wait at most; 0: none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// How long one waits at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Length>,
    /// Until when an answer must have begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Length>,
    /// Client connections at once; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Bytes of a request's body at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
    /// Requests a second of one address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<f64>,
    /// Of those at once; twice the rate when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_burst: Option<f64>,
}

/// Give a worker another share under weighted balancing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightOrder {
    /// Relative to the others; 0: no new request; `null`: as its route says.
    #[serde(deserialize_with = "Option::deserialize")] // Else it could be left out.
    pub weight: Option<u32>,
}

/// Balance over one server more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendOrder {
    /// As in `127.0.0.1:5001,weight=3,version=1` or `unix:/run/app.sock`.
    pub backend: String,
}

/// A worker as the balancer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSeen {
    /// Its name, as in `w1`.
    pub id: String,
    /// Where it listens.
    pub address: Option<String>,
    /// `healthy`, `unhealthy`, `initial`, `draining` or `unused`.
    pub state: String,
    /// Why, in the words of an ALB's reason codes; `null` for a healthy one.
    pub reason: Option<String>,
    /// Its share under weighted balancing.
    pub weight: u32,
    /// The app version it runs.
    pub version: u32,
    /// Requests at it now.
    pub in_flight: u32,
    /// Of those at most; `None` without a limit.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Requests that it has ended.
    pub requests: u64,
    /// Those of them that it failed.
    pub failures: u64,
}

/// Steers a balancer. A worker is named by its slot (`w1`) or by slot and run (`w1.3`). What is
/// changed is in force when the call returns, for requests to come.
pub trait Balancing: Send + Sync {
    /// What is in force.
    fn settings(&self) -> BalancerSettings;
    /// Changes what `order` names; all of it or, when some of it cannot be, nothing.
    fn change(&self, order: &BalancerOrder) -> Result<(), OrdersError>;
    /// Sets a worker's weight by hand, or gives it back to its route.
    fn weigh(&self, worker: &str, weight: Option<u32>) -> Result<(), OrdersError>;
    /// Balances over one server more, and says what it is called.
    fn add(&self, order: &BackendOrder) -> Result<String, OrdersError>;
    /// Takes a server out; its requests end first.
    fn remove(&self, worker: &str) -> Result<(), OrdersError>;
    /// What the access log says of the recent requests with this id, newest first; `None` where
    /// there is no access log.
    fn requests(&self, id: &str) -> Option<Vec<serde_json::Value>>;
    /// Every worker that there is, in order.
    fn targets(&self) -> Vec<TargetSeen>;
}
