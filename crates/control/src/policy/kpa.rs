//! Knative's pod autoscaler: `desired = ceil(load / target)` over a stable window of 60 s, and
//! over a panic window of 6 s once that asks for twice what is ready; in panic it only grows.
//!
//! The last worker goes only after the stable window and a grace period without load; the
//! balancer holds requests while the first one starts. Source: knative/serving
//! `pkg/autoscaler/scaling/autoscaler.go`, `pkg/reconciler/autoscaling/kpa/scaler.go`.

mod settings;
mod window;

use std::time::Duration;

use jiff::Timestamp;

use self::settings::{Metric, Settings};
use self::window::{Average, Delay};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Blocked, Flip, Measured, Step};
use crate::number;
use crate::observation::Observation;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "kpa",
    about: "Knative: requests at once ÷ (100 × 70 %), panic over 6 s, scale to zero after 60 s + 30 s",
    build: |config| Ok(Built::bare(Kpa::new(super::checked(config, Settings::check)?))),
};

/// The policy.
struct Kpa {
    own: Settings,
    stable: Average,
    panic: Average,
    delay: Option<Delay>,
    /// Since when it panics, renewed while the load stays over the threshold.
    panicking: Option<Timestamp>,
    panic_most: u32,
    begun: bool,
    reached: bool,
    active_since: Option<Timestamp>,
    idle_since: Option<Timestamp>,
    min: u32,
}

/// The numbers of one turn.
struct Load {
    stable: f64,
    panic: f64,
    ready: f64,
}

impl Kpa {
    fn new(own: Settings) -> Self {
        let panic_window = own.stable_window.mul_f64(own.panic_window_percentage / 100.0);
        let delayed = !own.scale_down_delay.is_zero();
        Self {
            stable: Average::new(own.stable_window),
            panic: Average::new(panic_window),
            delay: delayed.then(|| Delay::new(own.scale_down_delay, own.tick_interval)),
            own,
            panicking: None,
            panic_most: 0,
            begun: false,
            reached: false,
            active_since: None,
            idle_since: None,
            min: 0,
        }
    }

    /// A restarted autoscaler knows no past, so it keeps what there is until it does.
    fn begin(&mut self, seen: &Observation) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.reached = seen.history.is_some() || seen.fleet.ready >= self.own.initial_scale;
        if seen.fleet.ready > 1 && seen.history.is_none() {
            self.panicking = Some(seen.at);
            self.panic_most = seen.fleet.ready;
        }
    }

    fn load(&self, seen: &Observation) -> Option<Load> {
        let named = |name: &str| {
            seen.signals
                .get(name)
                .map(|reading| reading.value)
                .filter(|value| value.is_finite() && *value >= 0.0)
        };
        let stable = named(&self.own.stable_signal).or_else(|| self.stable.value(seen.at))?;
        let panic = named(&self.own.panic_signal).or_else(|| self.panic.value(seen.at)).unwrap_or(stable);
        Some(Load { stable, panic, ready: f64::from(seen.fleet.ready.max(1)) })
    }

    /// Enters, prolongs or leaves panic.
    fn mood(&mut self, now: Timestamp, over: bool) {
        if over {
            self.panicking = Some(now);
        } else if let Some(since) = self.panicking
            && since.saturating_add(self.own.stable_window).is_ok_and(|until| until < now)
        {
            self.panicking = None;
            self.panic_most = 0;
        }
    }

    fn decide(&mut self, seen: &Observation, load: &Load) -> Recommendation {
        let (target, ready) = (self.own.per_worker(), load.ready);
        let most = (self.own.max_scale_up_rate * ready).ceil();
        let least = (ready / self.own.max_scale_down_rate).floor();
        let (stable, panic) = ((load.stable / target).ceil(), (load.panic / target).ceil());
        let bounded = |wanted: f64| {
            let replicas = number::count(wanted.max(least).min(most));
            if wanted > 0.0 { replicas.max(self.own.activation_scale) } else { replicas }
        };
        let (by_stable, by_panic) = (bounded(stable), bounded(panic));
        self.mood(seen.at, panic / ready >= self.own.panic_threshold_percentage / 100.0);
        if self.panicking.is_some() {
            self.panic_most = self.panic_most.max(by_stable.max(by_panic));
        }

        let numbers = [
            ("stable", load.stable),
            ("panic", load.panic),
            ("target", target),
            ("by_stable", stable),
            ("by_panic", panic),
            ("ready", f64::from(seen.fleet.ready)),
            ("kept", f64::from(self.panic_most)),
            ("spare", self.spare(seen, load)),
        ];
        let mut said = if self.panicking.is_some() {
            let sentence =
                "panic: {panic} over the short window / {target} → {by_panic}, never fewer than {kept}";
            let mut said = Recommendation::hold(self.panic_most, "panic", Because::new(sentence, numbers));
            if by_stable.max(by_panic) < self.panic_most {
                let until =
                    self.panicking.and_then(|since| since.saturating_add(self.own.stable_window).ok());
                let because = said.step.because.clone();
                said.blocked_by.push(Blocked { by: "panic".into(), until, because });
            }
            said
        } else {
            let sentence = "{stable} over the stable window / {target} → {by_stable}";
            Recommendation::hold(by_stable, "stable", Because::new(sentence, numbers))
        };
        let raw = number::count(stable);
        if raw != said.step.replicas {
            let because = Because::new("{stable} / {target}", [("stable", load.stable), ("target", target)]);
            said.raw = Some(Step { rule: "ratio".into(), replicas: raw, because });
        }
        self.hold_back(seen.at, &mut said);
        if said.step.replicas == seen.fleet.desired {
            said.nearest_flip = flip(load, target, seen.fleet.desired);
        }
        said
    }

    /// Requests that would still fit beyond the load and the burst that must; negative: too few.
    fn spare(&self, seen: &Observation, load: &Load) -> f64 {
        let burst = self.own.target_burst_capacity;
        if burst < 0.0 {
            -1.0
        } else if burst > 0.0 {
            (f64::from(seen.fleet.ready) * self.own.total() - burst - load.panic).floor()
        } else {
            0.0
        }
    }

    /// The scale-down delay: the most of its window counts.
    fn hold_back(&mut self, now: Timestamp, said: &mut Recommendation) {
        let Some(delay) = &mut self.delay else { return };
        let wanted = said.step.replicas;
        let kept = delay.record(now, wanted);
        if kept != wanted {
            let numbers = [("wanted", f64::from(wanted)), ("kept", f64::from(kept))];
            let because = Because::new("{wanted} wanted, but {kept} within the scale-down delay", numbers);
            said.blocked_by.push(Blocked {
                by: "scale_down_delay".into(),
                until: None,
                because: because.clone(),
            });
            said.step = Step { rule: "scale_down_delay".into(), replicas: kept, because };
        }
    }

    /// The last worker stays for the stable window since it became active, then for the grace
    /// period without load.
    fn keep_last(&mut self, seen: &Observation, said: &mut Recommendation) {
        let now = seen.at;
        if seen.fleet.desired == 0 && said.step.replicas == 0 {
            (self.active_since, self.idle_since) = (None, None);
            return;
        }
        let active = *self.active_since.get_or_insert(now);
        if said.step.replicas > 0 {
            self.idle_since = None;
            return;
        }
        if self.min > 0 {
            return;
        }
        let after = |at: Timestamp, by: Duration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
        let grace = self.own.scale_to_zero_grace_period.max(self.own.scale_to_zero_pod_retention_period);
        let may_idle = after(active, self.own.stable_window);
        // Only a worker that was active for long enough may become idle.
        let idle = (now >= may_idle).then(|| *self.idle_since.get_or_insert(now));
        let until = after(idle.unwrap_or(may_idle), grace);
        if !self.own.enable_scale_to_zero || now < until {
            let left = until.duration_since(now).as_secs_f64();
            let sentence = if self.own.enable_scale_to_zero {
                "no load; the last worker goes in {left} s"
            } else {
                "no load, but scaling to zero is switched off"
            };
            let because = Because::new(sentence, [("left", left)]);
            let until = self.own.enable_scale_to_zero.then_some(until);
            said.blocked_by.push(Blocked {
                by: "scale_to_zero_grace".into(),
                until,
                because: because.clone(),
            });
            said.step = Step { rule: "scale_to_zero_grace".into(), replicas: 1, because };
        }
    }
}

/// The nearer load at which the stable window would ask for another number.
fn flip(load: &Load, target: f64, desired: u32) -> Option<Flip> {
    let up = target * f64::from(desired);
    let down = target * f64::from(desired.checked_sub(1)?);
    let (line, replicas, sentence) = if up - load.stable <= load.stable - down {
        (up, desired.saturating_add(1), "above {line} it would have; the stable window has {stable}")
    } else {
        (down, desired - 1, "from {line} down it would have; the stable window has {stable}")
    };
    let because = Because::new(sentence, [("line", line), ("stable", load.stable)]);
    Some(Flip { replicas, because })
}

impl Policy for Kpa {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn bounds(&mut self, min: u32, _: u32) {
        self.min = min;
    }

    fn observe(&mut self, seen: &Observation) {
        self.begin(seen);
        let Some(window) = &seen.traffic else { return };
        let value = match self.own.metric {
            Metric::Concurrency => f64::from(window.in_flight) + f64::from(window.queued),
            Metric::Rps => window.rate_per_second(),
        };
        self.stable.take(seen.at, value, window.length);
        self.panic.take(seen.at, value, window.length);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        self.reached |= seen.fleet.ready >= self.own.initial_scale;
        let mut said = match self.load(seen) {
            Some(load) => {
                let mut said = self.decide(seen, &load);
                self.keep_last(seen, &mut said);
                said
            }
            None => Recommendation::hold(
                desired,
                "no_reading",
                Because::plain("no load was measured yet: nothing is changed"),
            ),
        };
        if !self.reached && said.step.replicas < self.own.initial_scale {
            let numbers = [("initial", f64::from(self.own.initial_scale))];
            let because = Because::new("{initial} must be ready once before fewer are allowed", numbers);
            said.step = Step { rule: "initial_scale".into(), replicas: self.own.initial_scale, because };
        }
        if said.step.replicas < desired && !self.is_measured(seen) {
            let because =
                Because::plain("no load was measured at this turn: nothing is taken away on what was before");
            let blocked = Blocked { by: "no_reading".into(), until: None, because: because.clone() };
            said.blocked_by.push(blocked);
            said.step = Step { rule: "no_reading".into(), replicas: desired, because };
        }
        said.measured = self.measured_at(seen);
        said
    }
}

impl Kpa {
    /// Whether this turn brought anything, and not only what the windows still hold.
    fn is_measured(&self, seen: &Observation) -> bool {
        seen.traffic.is_some() || seen.signals.contains_key(&self.own.stable_signal)
    }

    fn measured_at(&self, seen: &Observation) -> Option<Measured> {
        let load = self.load(seen);
        let signal = if self.own.metric == Metric::Rps { "rps" } else { "in_flight" };
        Some(Measured {
            signal: signal.into(),
            unit: if self.own.metric == Metric::Rps {
                "requests/s per worker"
            } else {
                "requests per worker"
            }
            .into(),
            value: load.map(|load| load.stable / load.ready),
            up: Some(self.own.per_worker()),
            down: None,
        })
    }
}

#[cfg(test)]
#[path = "kpa/tests.rs"]
mod tests;
