//! The load behind the key `l`: off → 50 → 100 → 200 → 400 requests a second → off.

use std::sync::Arc;

use clock::Clock;
use loadgen::{Load, LoadConfig, Rate, Shape, Target, Throttle, Trust};
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Requests a second, step by step; the last is off again.
const RATES_PER_SECOND: [f64; 5] = [50.0, 100.0, 200.0, 400.0, 0.0];
/// Nobody lets a dashboard load a server for longer than this.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Steps through rates; ends its load when dropped.
pub(crate) struct Steps {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: usize,
    running: Option<(Throttle, DropGuard)>,
}

impl Steps {
    /// No load yet on `url`.
    pub(crate) fn new(url: &str) -> Arc<Self> {
        Arc::new(Self { url: url.to_owned(), state: Mutex::default() })
    }

    /// Goes one step on; what to show of it.
    pub(crate) fn next(&self) -> String {
        let mut state = self.state.lock();
        let per_second = RATES_PER_SECOND[state.next % RATES_PER_SECOND.len()];
        let Some(rate) = Rate::per_second(per_second) else { return "no such rate".to_owned() };
        state.next += 1;
        if per_second > 0.0 {
            match &state.running {
                Some((throttle, _)) => throttle.set_rate(rate),
                None => match self.start(rate) {
                    Ok(running) => state.running = Some(running),
                    Err(error) => return format!("no load: {error}"),
                },
            }
            format!("{per_second:.0}/s")
        } else {
            state.running = None;
            "off".to_owned()
        }
    }

    fn start(&self, rate: Rate) -> anyhow::Result<(Throttle, DropGuard)> {
        let mut config = LoadConfig::new(self.url.parse::<Target>()?);
        // It is our own balancer, whatever its certificate.
        config.trust = Trust::Anyone;
        config.shape = Shape::Rate(rate);
        config.duration = Some(LONGEST);
        let load = Load::new(config)?;
        let throttle = load.throttle();
        let stop = CancellationToken::new();
        tokio::spawn(load.run(Clock::start(), stop.clone(), |_| {}));
        Ok((throttle, stop.drop_guard()))
    }
}
