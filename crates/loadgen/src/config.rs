//! What a load run can be told, what it does when told nothing, and why it may refuse.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use crate::plan::{Pattern, PatternError, Plan, Spacing, Stages, Trace};
use crate::target::Target;
use crate::tls::Trust;
use crate::units::Rate;

/// Length of a run that was given neither a length nor a number of requests.
const LENGTH: Duration = Duration::from_secs(10);
/// Length of a pattern that was not given one: long enough to see its shape.
const PATTERN_LENGTH: Duration = Duration::from_secs(60);
/// Connections of a closed loop that was not given a number.
const CONNECTIONS: u32 = 10;
/// Most connections of a closed loop: each needs a port of this machine, of which there are
/// some 28,000.
const CONNECTIONS_MAX: u32 = 20_000;
/// Most requests under way at once, for the same reason.
const IN_FLIGHT_MAX: u32 = 20_000;

/// How much load.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Closed loop: each connection sends its next request when the last was answered.
    Closed,
    /// Open loop at a constant rate.
    Rate(Rate),
    /// Open loop through stages.
    Stages {
        /// Rate at the start of the first stage.
        start: Rate,
        /// The stages.
        stages: Stages,
    },
    /// Open loop in a named shape.
    Pattern {
        /// The shape.
        pattern: Pattern,
        /// Its highest rate.
        rate: Rate,
    },
    /// Open loop as recorded.
    Trace(Trace),
}

/// One run of load.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where to.
    pub target: Target,
    /// How much. Default closed.
    pub shape: Shape,
    /// Connections. The closed loop keeps each busy; default 10. In the open loop requests that
    /// find none free wait in the generator, which only the corrected latency shows; default:
    /// as many as are needed.
    pub connections: Option<u32>,
    /// Length of the run. Default: the shape's own; without one and without `requests`, 10 s
    /// (a pattern: 60 s). Longer than the stages or the trace: the last rate goes on.
    pub duration: Option<Duration>,
    /// Stop after so many requests. Default: no bound.
    pub requests: Option<u64>,
    /// Spread of the open loop's requests. Default even.
    pub spacing: Spacing,
    /// Open loop: requests under way or waiting for a connection at once; those beyond are
    /// dropped and counted. Default 10,000.
    pub in_flight_max: u32,
    /// Time for one request, its connection included. Default 10 s.
    pub timeout: Duration,
    /// Time for requests under way at the end of the run; the rest counts as failed. Default 5 s.
    pub grace: Duration,
    /// Whether connections are used again. Default true.
    pub keep_alive: bool,
    /// Default GET.
    pub method: Method,
    /// Headers added to each request. Default none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body of each request. Default empty.
    pub body: Bytes,
    /// Whose certificate an `https://` target may show.
    pub trust: Trust,
}

impl LoadConfig {
    /// A run with all defaults: a closed loop of 10 connections for 10 s.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            shape: Shape::Closed,
            connections: None,
            duration: None,
            requests: None,
            spacing: Spacing::Even,
            in_flight_max: 10_000,
            timeout: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            keep_alive: true,
            method: Method::GET,
            headers: Vec::new(),
            body: Bytes::new(),
            trust: Trust::default(),
        }
    }

    /// When requests are to go; `None` for the closed loop.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn plan(&self) -> Result<Option<Plan>, LoadError> {
        self.check()?;
        let unbounded = self.duration.is_none() && self.requests.is_none();
        let cut = |plan: Plan| match self.duration {
            Some(length) => plan.lasting(length),
            None => plan,
        };
        Ok(Some(match &self.shape {
            Shape::Closed => return Ok(None),
            Shape::Rate(rate) => Plan::constant(*rate, self.duration.or(unbounded.then_some(LENGTH))),
            Shape::Stages { start, stages } => cut(Plan::stages(*start, stages)),
            Shape::Pattern { pattern, rate } => {
                Plan::pattern(pattern, *rate, self.duration.unwrap_or(PATTERN_LENGTH))?
            }
            Shape::Trace(trace) => cut(Plan::trace(trace)),
        }))
    }

    /// Connections that may be open at once.
    pub(crate) fn connections_max(&self) -> u32 {
        match self.shape {
            Shape::Closed => self.connections.unwrap_or(CONNECTIONS),
            _ => self.connections.unwrap_or(self.in_flight_max),
        }
    }

    /// Length of a closed loop; `None` when the number of requests ends it.
    pub(crate) fn closed_length(&self) -> Option<Duration> {
        self.duration.or_else(|| self.requests.is_none().then_some(LENGTH))
    }

    fn check(&self) -> Result<(), LoadError> {
        let wrong = |text: String| Err(LoadError::Setting(text));
        if let Some(connections) = self.connections
            && !(1..=CONNECTIONS_MAX).contains(&connections)
        {
            return wrong(format!("{connections} connections: expected 1 to {CONNECTIONS_MAX}"));
        }
        if self.in_flight_max == 0 || self.in_flight_max > IN_FLIGHT_MAX {
            return wrong(format!(
                "{} requests in flight: expected 1 to {IN_FLIGHT_MAX}",
                self.in_flight_max
            ));
        }
        if self.duration == Some(Duration::ZERO) || self.requests == Some(0) {
            return wrong("nothing to do: the length and the number of requests must be above 0".to_owned());
        }
        if self.timeout.is_zero() {
            return wrong("the time-out of a request must be above 0".to_owned());
        }
        Ok(())
    }
}

/// Why a run did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The pattern cannot be planned.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The host's name leads nowhere.
    #[error("there is no address for the host `{host}`: {because}")]
    Resolve {
        /// As in the URL.
        host: String,
        /// The cause.
        because: std::io::Error,
    },
}
