//! Trains the table of the policy `rl` on a load: Q-learning in the gym, with chance from a seed.

use control::policy::rl::{self, ACTIONS, Eyes, STATES, Sight};
use rand_core::Rng;
use rand_pcg::Pcg64;

use crate::gym;
use crate::load::Load;
use crate::number::index;
use crate::scenario::Scenario;

/// Weight of the next turn's worth: what happens some ten turns later still counts a third.
const DISCOUNT: f64 = 0.9;
/// Share of random actions in the first episode; it falls evenly to none in the last.
const CURIOSITY: f64 = 0.4;
/// A state's learning rate falls with its visits to this power: slowly enough to forget luck.
const COOLING: f64 = 0.6;

/// Learns a table in so many passes over the load; `done` is told after each.
pub fn train(load: &Load, scenario: &Scenario, episodes: u32, seed: u64, done: &dyn Fn()) -> Vec<f64> {
    let mut chance = Pcg64::new(u128::from(seed), 11);
    let mut even = move || (chance.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0;
    let mut table = vec![0.0; STATES * ACTIONS.len()];
    let mut visits = vec![0.0_f64; table.len()];
    for episode in 0..episodes {
        let curiosity = CURIOSITY * (1.0 - f64::from(episode) / f64::from(episodes));
        let (mut eyes, mut last) = (Eyes::default(), None::<usize>);
        let mut agent = |seen: &control::Observation, turn: &gym::Turn| {
            let Some(sight) = eyes.look(seen) else {
                last = None;
                return turn.desired;
            };
            if let Some(taken) = last {
                // Per worker that is needed, so that quiet and busy hours weigh alike.
                let needed = f64::from(sight.floor.max(1));
                let reward = turn.reward / needed / scenario.decide_every.as_secs_f64();
                let next = worth(&table, &sight);
                visits[taken] += 1.0;
                table[taken] += (reward + DISCOUNT * next - table[taken]) / visits[taken].powf(COOLING);
            }
            let action = if even() < curiosity {
                index(crate::number::count((even() * ACTIONS.len() as f64).floor())).min(ACTIONS.len() - 1)
            } else {
                rl::best(&table, sight.state)
            };
            last = Some(sight.state * ACTIONS.len() + action);
            rl::act(action, turn.desired, &sight)
        };
        gym::play(load, scenario, &mut agent);
        done();
    }
    // What was never tried must not look better than what was: all worth is below zero.
    let least = table.iter().copied().fold(0.0, f64::min);
    for (worth, visits) in table.iter_mut().zip(&visits) {
        if *visits < 1.0 {
            *worth = least;
        }
        *worth = (*worth * 1e4).round() / 1e4;
    }
    table
}

fn worth(table: &[f64], sight: &Sight) -> f64 {
    table[sight.state * ACTIONS.len() + rl::best(table, sight.state)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fluid::{self, Driver};
    use crate::trace::{Told, Trace};

    #[test]
    fn what_it_learns_is_better_than_doing_nothing_and_the_same_each_time() {
        let value = |at: u32| 500.0 + 400.0 * (f64::from(at) / 40.0).sin();
        let rows: String = (0..500).map(|at| format!("{},{}\n", at * 60, value(at))).collect();
        let trace = Trace::read("wave", &format!("time_s,value\n{rows}"), &Told::default()).unwrap();
        let scenario = Scenario::default();
        let load = Load::new(&trace, &scenario).unwrap();
        let (seen, rest) = (load.until(0.6), load.scored_after(0.6));
        let table = train(&seen, &scenario, 30, 1, &|| ());
        assert_eq!(table, train(&seen, &scenario, 30, 1, &|| ()));
        let cost = |table: &[f64]| {
            let controller = fluid::controller(rl::config(table), &scenario).unwrap();
            fluid::run(&rest, &scenario, Driver::Controller(Box::new(controller)), None).cost(10.0)
        };
        let (learnt, nothing) = (cost(&table), cost(&[]));
        assert!(learnt < 0.7 * nothing, "{learnt} and {nothing}");
    }
}
