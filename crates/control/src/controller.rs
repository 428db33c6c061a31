//! Turns observations into decisions: orders → soundness → policy → limits, each once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::decision::{Because, Blocked, Boost, Decision, Flip, InForce, Step, Text};
use crate::limits::keep::Keep;
use crate::limits::{Limited, Limits, Meets, bounds, elapsed};
use crate::observation::{Command, Observation, ScaleTo};
use crate::policy::exec::Program;
use crate::policy::{self, ConfigError, Policy, PolicyConfig, Recommendation};
use crate::shadow::{ShadowConfig, Shadows};
use crate::soundness::{Doubt, Soundness};

/// Turns come at least this often, so that charts move and orders act although a policy may
/// be asked seldom.
pub const TURN_MAX: Duration = Duration::from_secs(1);

/// What a controller needs to know; recorded in the run file, so that a run replays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerConfig {
    /// Which policy, with its settings.
    pub policy: PolicyConfig,
    /// Never fewer replicas than this.
    pub min: u32,
    /// Never more replicas than this.
    pub max: u32,
    /// How often the policy is asked. Turns in between only sample and take orders.
    #[serde(rename = "interval_s", with = "traffic::window::seconds")]
    pub interval: Duration,
    /// Policies that only watch, each on a virtual pool of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<ShadowConfig>,
}

impl ControllerConfig {
    /// Time between two turns of the loop.
    pub fn turn(&self) -> Duration {
        self.interval.min(TURN_MAX)
    }

    /// Refuses values that make no sense, alone or together.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.max == 0 {
            return Err(ConfigError::Value("max must be at least 1".to_owned()));
        }
        if self.min > self.max {
            return Err(ConfigError::Value(format!("min ({}) is above max ({})", self.min, self.max)));
        }
        if self.interval < Duration::from_millis(10) {
            return Err(ConfigError::Value("interval must be at least 10ms".to_owned()));
        }
        policy::build(&self.policy)?;
        Shadows::new(self).map(drop)
    }
}

/// A number of replicas ordered by hand.
#[derive(Clone, Debug)]
struct Held {
    replicas: u32,
    until: Option<Timestamp>,
    because: Text,
}

/// An order to change nothing, or to take nothing away.
#[derive(Clone, Debug)]
struct Paused {
    until: Option<Timestamp>,
    scale_in_only: bool,
    at: Option<u32>,
    because: Text,
}

/// Decides, turn by turn. Cannot fail, wait, log or read a clock.
pub struct Controller {
    config: ControllerConfig,
    policy: Box<dyn Policy>,
    limits: Limits,
    held: Option<Held>,
    paused: Option<Paused>,
    /// At least so many until then.
    boost: Option<Boost>,
    shadows: Shadows,
    soundness: Soundness,
    /// When the policy was asked last, or due to be; `None` before the first turn.
    asked: Option<Timestamp>,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(config: ControllerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let mut built = policy::build(&config.policy)?;
        built.policy.bounds(config.min, config.max);
        let limits = Limits::with(built.limits, config.min, config.max);
        let shadows = Shadows::new(&config)?;
        let (held, paused, boost, asked) = (None, None, None, None);
        let soundness = Soundness::default();
        Ok(Self { config, policy: built.policy, limits, held, paused, boost, shadows, soundness, asked })
    }

    /// The configuration in force.
    pub fn config(&self) -> &ControllerConfig {
        &self.config
    }

    /// Whether anybody may look at latencies and waits.
    pub fn reads_latency(&self) -> bool {
        self.policy.reads_latency() || !self.shadows.is_empty()
    }

    /// Programs whose answers the policy and its shadows need, each once.
    pub fn programs(&self) -> Vec<Program> {
        let mut all = self.policy.programs();
        all.extend(self.shadows.programs());
        all.sort_unstable();
        all.dedup_by(|a, b| a.command == b.command);
        all
    }

    /// Takes up an earlier run where it ended, so that a restart by itself changes nothing:
    /// cool-downs, datapoints, holds and pauses go on. Reloads in the past are left out; the
    /// configuration handed to `new` stands.
    pub fn resume<'a>(&mut self, past: impl IntoIterator<Item = &'a Cycle>) {
        for cycle in past {
            if let Cycle::Decided { seen, .. } = cycle {
                let mut seen = seen.clone();
                seen.commands.retain(|command| !matches!(command, Command::Reload { .. }));
                let _ = self.decide(&seen);
            }
        }
    }

    /// One turn.
    pub fn decide(&mut self, seen: &Observation) -> Decision {
        let current = seen.fleet.desired;
        let refused = self.take_orders(seen);
        self.expire(seen.at);
        let doubt = self.take_up(seen);
        let seen = Doubt::believed(doubt.as_deref(), seen);

        // Asked also while an order overrules it: its datapoints must stay those of the present.
        let mut said = if self.is_due(seen.at) {
            self.policy.recommend(seen)
        } else {
            self.between_turns(seen.at, current)
        };
        let mut overruled = None;
        let mut limited = self.limits.apply(seen, said.step.replicas, said.meets);
        if let Some((order, until)) = self.order(current) {
            limited = self.limits.apply(seen, order.replicas, Meets::Order);
            said.blocked_by = vec![Blocked { by: order.rule.clone(), until, because: order.because.clone() }];
            said.nearest_flip = None;
            overruled = Some(std::mem::replace(&mut said.step, order));
        }
        if overruled.is_none() && said.nearest_flip.is_none() {
            let may = bounds::clamp(&self.config, said.step.replicas);
            said.nearest_flip = later(seen.at, may, &limited);
        }
        said.blocked_by.extend(limited.blocked_by);
        said.blocked_by.extend(refused);

        let decision = Decision {
            current,
            recommended: said.step,
            limited: limited.steps,
            blocked_by: said.blocked_by,
            excluded: said.excluded,
            unsound: doubt.as_ref().map_or(Vec::new(), |doubt| doubt.unsound.clone()),
            nearest_flip: said.nearest_flip,
            measured: said.measured.or_else(|| self.policy.measured()),
            in_force: self.in_force(),
            raw: said.raw,
            overruled,
            alarms: said.alarms,
            members: said.members,
            foresight: said.foresight,
            boost: self.boost,
            shadows: self.shadows.turn(seen),
        };
        self.limits.settled(seen, decision.desired());
        decision
    }

    /// One turn whose reasons nobody reads: the number that [`decide`](Self::decide) would end with,
    /// for simulations of years.
    pub fn desired(&mut self, seen: &Observation) -> u32 {
        let ordered = self.held.is_some() || self.paused.is_some() || self.boost.is_some();
        if ordered || !seen.commands.is_empty() || !self.shadows.is_empty() {
            return self.decide(seen).desired();
        }
        let doubt = self.take_up(seen);
        let seen = Doubt::believed(doubt.as_deref(), seen);
        let (asked, meets) =
            if self.is_due(seen.at) { self.policy.number(seen) } else { (seen.fleet.desired, Meets::Bounds) };
        let desired = self.limits.number(seen, asked, meets);
        self.limits.settled(seen, desired);
        desired
    }

    /// Shows limits and policy what can be believed; what cannot.
    fn take_up(&mut self, seen: &Observation) -> Option<Box<Doubt>> {
        let doubt = self.soundness.judge(seen);
        let seen = Doubt::believed(doubt.as_deref(), seen);
        self.limits.observe(seen);
        self.policy.observe(seen);
        doubt
    }

    /// The order that stands in the policy's place, and until when.
    fn order(&self, current: u32) -> Option<(Step, Option<Timestamp>)> {
        if let Some(paused) = self.paused.as_ref().filter(|paused| !paused.scale_in_only) {
            let because = Because::plain(paused.because.clone());
            let replicas = paused.at.unwrap_or(current);
            return Some((Step { rule: "paused".into(), replicas, because }, paused.until));
        }
        let held = self.held.as_ref()?;
        let numbers = [("replicas", f64::from(held.replicas))];
        let because = Because::new(held.because.clone(), numbers);
        Some((Step { rule: "by_hand".into(), replicas: held.replicas, because }, held.until))
    }

    /// Applies orders in the order in which they came; returns those that could not be.
    fn take_orders(&mut self, seen: &Observation) -> Vec<Blocked> {
        let mut refused = Vec::new();
        for command in &seen.commands {
            match command {
                Command::Scale { to, until, by } => {
                    let from = self.held.as_ref().map_or(seen.fleet.desired, |held| held.replicas);
                    let asked = match *to {
                        ScaleTo::Exactly(replicas) => replicas,
                        ScaleTo::By(step) => from.saturating_add_signed(step),
                        ScaleTo::Max => self.config.max,
                    };
                    // Several "+1" in a row must count from what can be, not from wishes.
                    let replicas =
                        if matches!(to, ScaleTo::By(_)) { bounds::clamp(&self.config, asked) } else { asked };
                    let because = format!("{{replicas}} replicas ordered by {by}").into();
                    self.held = Some(Held { replicas, until: *until, because });
                    self.pause(None);
                }
                Command::Pause { until, scale_in_only, at, by } => {
                    let what = if *scale_in_only { "scale-in is paused" } else { "paused" };
                    let because = format!("{what} by {by}").into();
                    let (scale_in_only, at) = (*scale_in_only, *at);
                    self.pause(Some(Paused { until: *until, scale_in_only, at, because }));
                }
                Command::Boost { min, until, .. } => {
                    self.boost = Some(Boost { min: *min, until: *until });
                    self.limits.boost(self.boost);
                }
                Command::Resume { .. } => {
                    self.held = None;
                    self.pause(None);
                    self.boost = None;
                    self.limits.boost(None);
                }
                Command::Reload { config, .. } => refused.extend(self.reload(config).err()),
            }
        }
        refused
    }

    /// Sets or ends a pause; that of scale-in alone is a limit, since the policy goes on.
    fn pause(&mut self, paused: Option<Paused>) {
        let only_in = paused.as_ref().filter(|paused| paused.scale_in_only);
        self.limits.keep(only_in.map(|paused| Keep { because: paused.because.clone(), until: paused.until }));
        self.paused = paused;
    }

    /// Goes on under another configuration; a bad one changes nothing.
    fn reload(&mut self, config: &ControllerConfig) -> Result<(), Blocked> {
        let built = config.check().and_then(|()| policy::build(&config.policy)).map_err(|error| Blocked {
            by: "reload".into(),
            until: None,
            because: Because::text(format!("the new configuration is refused, the old one stays: {error}")),
        })?;
        if config.policy != self.config.policy {
            self.policy = built.policy;
        }
        self.policy.bounds(config.min, config.max);
        let same = (config.min, config.max, config.interval)
            == (self.config.min, self.config.max, self.config.interval);
        if (config.shadows != self.config.shadows || !same)
            && let Ok(shadows) = Shadows::new(config)
        {
            self.shadows = shadows;
        }
        if config.interval != self.config.interval {
            self.asked = None;
        }
        self.limits.replace(built.limits, config.min, config.max);
        self.config = config.clone();
        Ok(())
    }

    fn expire(&mut self, now: Timestamp) {
        let over = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
        self.held.take_if(|held| over(held.until));
        if self.paused.as_ref().is_some_and(|paused| over(paused.until)) {
            self.pause(None);
        }
        self.boost.take_if(|boost| over(Some(boost.until)));
    }

    /// Whether the policy is to be asked now; if so, notes when it was due.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let interval = self.config.interval;
        let passed = self.asked.map(|last| (last, elapsed(last, now).unwrap_or_default()));
        self.asked = Some(match passed {
            Some((_, passed)) if passed < interval => return false,
            // Late, but within the grid.
            Some((last, passed)) if passed > interval && passed < interval.saturating_mul(2) => {
                last.saturating_add(interval).unwrap_or(now)
            }
            // After a stall the grid starts anew: missed turns are not made up for.
            _ => now,
        });
        true
    }

    fn between_turns(&self, now: Timestamp, current: u32) -> Recommendation {
        let due = self.asked.and_then(|last| last.saturating_add(self.config.interval).ok());
        let left = due.map_or(0.0, |due| due.duration_since(now).as_secs_f64());
        let because = Because::new("the policy is asked again in {left} s", [("left", left)]);
        let said = Recommendation::hold(current, "between_turns", because);
        Recommendation { meets: Meets::Bounds, ..said }
    }

    fn in_force(&self) -> InForce {
        InForce {
            policy: self.config.policy.name.clone(),
            min: self.config.min,
            max: self.config.max,
            paused: self.paused.as_ref().is_some_and(|paused| !paused.scale_in_only),
            scale_in_paused: self.paused.as_ref().is_some_and(|paused| paused.scale_in_only),
            paused_until: self.paused.as_ref().and_then(|paused| paused.until),
            held: self.held.as_ref().map(|held| held.replicas),
            held_until: self.held.as_ref().and_then(|held| held.until),
        }
    }
}

/// When a limit that took a change back will let it pass: what must differ is the time.
fn later(now: Timestamp, replicas: u32, limited: &Limited) -> Option<Flip> {
    let until = limited.blocked_by.iter().filter_map(|blocked| blocked.until).max()?;
    let left = until.duration_since(now).as_secs_f64();
    Some(Flip { replicas, because: Because::new("in {left} s it may", [("left", left)]) })
}

#[cfg(test)]
#[path = "controller/tests.rs"]
mod tests;
