//! A learnt table: what is seen falls into one of a few hundred states, and the table says what
//! each action was worth there (Q-learning, Watkins 1989). `autoscale train-rl` makes the table.
//!
//! Whatever it has learnt, it never goes below what the last measured load needs.

use serde::Deserialize;

use super::{Built, Entry, Policy, PolicyConfig, Recommendation};
use crate::decision::{Because, Measured};
use crate::fleet::status::State;
use crate::number;
use crate::observation::Observation;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "rl",
    about: "a table learnt in simulation by `train-rl`; without one it changes nothing",
    build: |config| Ok(Built::bare(Learnt::new(super::checked(config, Settings::check)?))),
};

/// What can be done: a share of the workers more or fewer, at least one.
pub const ACTIONS: [f64; 6] = [-0.25, -0.1, 0.0, 0.1, 0.25, 0.6];
/// CPU percentages between which states differ.
const CPU: [f64; 11] = [20.0, 35.0, 50.0, 60.0, 67.0, 74.0, 80.0, 86.0, 92.0, 97.0, 99.5];
/// Load this much higher or lower than a turn before rises or falls.
const TREND: f64 = 0.04;
/// Pools above this many workers can be changed in finer shares.
const SMALL: u32 = 5;
/// No action leads above this many times the workers that carry the measured load: an agent that
/// tries things would otherwise grow its pool without end.
const ROOM: u32 = 4;
/// States: CPU × trend × somebody starting × small pool.
pub const STATES: usize = (CPU.len() + 1) * 3 * 2 * 2;

/// Settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Worth of each action in each state, state by state.
    table: Vec<f64>,
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        let size = STATES * ACTIONS.len();
        if !self.table.is_empty() && self.table.len() != size {
            return Err(format!("table has {} numbers, {size} are needed", self.table.len()));
        }
        if self.table.iter().any(|worth| !worth.is_finite()) {
            return Err("table must hold finite numbers".to_owned());
        }
        Ok(())
    }
}

/// Makes a state of what is seen; remembers the last load for its trend.
#[derive(Clone, Debug, Default)]
pub struct Eyes {
    before: Option<f64>,
}

/// What was seen at one turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Below [`STATES`].
    pub state: usize,
    /// Mean CPU of the ready workers.
    pub cpu_percent: f64,
    /// Fewest workers that carry the measured load.
    pub floor: u32,
}

impl Eyes {
    /// The state; `None` without a reading.
    pub fn look(&mut self, seen: &Observation) -> Option<Sight> {
        let ready = seen.workers.iter().filter(|worker| worker.state == State::Ready);
        let possible = |cpu: &f64| cpu.is_finite() && *cpu >= 0.0;
        let known = ready.filter_map(|worker| worker.cpu_percent.filter(possible));
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), cpu| (sum + cpu, count + 1.0));
        if count <= 0.0 {
            return None;
        }
        let cpu_percent = sum / count;
        let load = cpu_percent / 100.0 * f64::from(seen.fleet.ready);
        let before = self.before.replace(load).unwrap_or(load);
        let trend =
            if load > before * (1.0 + TREND) { 2 } else { usize::from(load >= before * (1.0 - TREND)) };
        let cpu = CPU.iter().filter(|line| cpu_percent >= **line).count();
        let starting = usize::from(seen.fleet.desired > seen.fleet.ready);
        let small = usize::from(seen.fleet.desired <= SMALL);
        let state = ((cpu * 3 + trend) * 2 + starting) * 2 + small;
        Some(Sight { state, cpu_percent, floor: number::count_up(load) })
    }
}

/// The number of workers that an action leads to from `desired`: never below the floor, nor above
/// four times that.
pub fn act(action: usize, desired: u32, sight: &Sight) -> u32 {
    let share = ACTIONS.get(action).copied().unwrap_or(0.0);
    let step = number::whole((f64::from(desired) * share.abs()).ceil()).max(i64::from(share.abs() > 0.0));
    let change = if share < 0.0 { -step } else { step };
    let floor = sight.floor.max(1);
    number::changed(desired, change).clamp(floor, floor.saturating_mul(ROOM))
}

/// The best action of a state in a table.
pub fn best(table: &[f64], state: usize) -> usize {
    let row = table.get(state * ACTIONS.len()..(state + 1) * ACTIONS.len()).unwrap_or(&[]);
    // What was never tried is worth nothing known: to change nothing comes first among equals.
    let hold = ACTIONS.iter().position(|share| share.abs() < 1e-9).unwrap_or(0);
    let mut best = hold;
    for (action, worth) in row.iter().enumerate() {
        if *worth > row[best] {
            best = action;
        }
    }
    best
}

struct Learnt {
    own: Settings,
    eyes: Eyes,
    cpu_percent: Option<f64>,
}

impl Learnt {
    fn new(own: Settings) -> Self {
        Self { own, eyes: Eyes::default(), cpu_percent: None }
    }
}

impl Policy for Learnt {
    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let sight = self.eyes.look(seen);
        self.cpu_percent = sight.map(|sight| sight.cpu_percent);
        let mut said = match sight {
            None => {
                let because = Because::plain("no reading of cpu: nothing is changed");
                Recommendation::hold(desired, "no_reading", because)
            }
            Some(_) if self.own.table.is_empty() => {
                let because = Because::plain("there is no table yet (autoscale train-rl makes one)");
                Recommendation::hold(desired, "untrained", because)
            }
            Some(sight) => {
                let action = best(&self.own.table, sight.state);
                let replicas = act(action, desired, &sight);
                let numbers = [
                    ("cpu", sight.cpu_percent),
                    ("state", sight.state as f64),
                    ("share", 100.0 * ACTIONS[action]),
                    ("replicas", f64::from(replicas)),
                ];
                let sentence = "cpu {cpu} %, state {state}: {share} % is worth most → {replicas}";
                Recommendation::hold(replicas, "learnt", Because::new(sentence, numbers))
            }
        };
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        Some(Measured {
            signal: "worker_cpu".into(),
            unit: "%".into(),
            value: self.cpu_percent,
            up: None,
            down: None,
        })
    }
}

/// A table as a policy.
pub fn config(table: &[f64]) -> PolicyConfig {
    let mut settings = serde_json::Map::new();
    settings.insert("table".to_owned(), table.into());
    PolicyConfig { name: ENTRY.name.to_owned(), settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_action_is_taken_and_the_floor_kept() {
        let sight = Sight { state: 3, cpu_percent: 90.0, floor: 4 };
        assert_eq!(
            (act(0, 8, &sight), act(0, 5, &sight), act(2, 8, &sight), act(5, 8, &sight)),
            (6, 4, 8, 13)
        );
        let mut table = vec![0.0; STATES * ACTIONS.len()];
        assert_eq!(best(&table, 3), 2, "nothing learnt: nothing changed");
        table[3 * ACTIONS.len() + 4] = 1.0;
        assert_eq!(best(&table, 3), 4);
        assert_eq!(best(&[], 3), 2);
        assert!(super::super::build(&config(&table)).is_ok());
        assert!(super::super::build(&config(&[1.0])).is_err());
    }
}
