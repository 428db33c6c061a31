//! The search along one setting: at random first, then where its estimator expects the least.

use std::sync::Mutex;

use rand_pcg::Pcg64;
use tpe::TpeOptimizer;

use crate::contest::spread;

/// One setting's places between 0 and 1. Each has chances of its own, so that all can be asked side by
/// side and answer the same on any number of threads.
struct Knob {
    learnt: TpeOptimizer,
    /// Knows nothing: what it asks for is at random.
    blank: TpeOptimizer,
    chance: Pcg64,
}

/// All settings of a search.
pub(super) struct Knobs(Vec<Mutex<Knob>>);

impl Knobs {
    /// So many.
    pub(super) fn new(count: usize, seed: u64) -> Self {
        let unit = tpe::range(0.0, 1.0).expect("0 is below 1");
        let optimizer = || TpeOptimizer::new(tpe::parzen_estimator(), unit);
        let knob = |number: u128| Knob {
            learnt: optimizer(),
            blank: optimizer(),
            chance: Pcg64::new(seed.into(), 7 + number),
        };
        Self((0..count as u128).map(knob).map(Mutex::new).collect())
    }

    /// The next places to try, one share for each setting.
    pub(super) fn ask(&self, places: usize, at_random: bool, threads: usize) -> Vec<Vec<f64>> {
        let shares = spread(&self.0, threads, |knob| {
            let knob = &mut *knob.lock().expect("no thread panics while it asks");
            let from = if at_random { &mut knob.blank } else { &mut knob.learnt };
            (0..places).map(|_| from.ask(&mut knob.chance).unwrap_or(0.5)).collect::<Vec<f64>>()
        });
        (0..places).map(|place| shares.iter().map(|of| of[place]).collect()).collect()
    }

    /// What a place came to.
    pub(super) fn tell(&mut self, place: &[f64], loss: f64) {
        for (knob, share) in self.0.iter_mut().zip(place) {
            let knob = knob.get_mut().expect("no thread panics while it asks");
            // A place that was asked for lies in the range; a loss is a number.
            let _ = knob.learnt.tell(*share, loss);
        }
    }
}
