//! Direct regression of each horizon's move on lags, levels and seasons, learnt anew with every
//! reading: `y(t+h) − y(t) = β_h · x(t)`, least squares that forget, in three speeds.
//!
//! The answer is a mixture of them and of standing still, weighted by what each got wrong of late,
//! so that it is never far behind the naive forecast. Rows count less the more they surprise
//! (Huber 1964), so that a spike teaches little. Bounded by construction: see [`Normal`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::linear::{Normal, dot};
use crate::mixture::weights;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Autoregressive::NAME,
    about: "regression on lags, levels and seasons, learnt with every reading",
    build: Scored::<Autoregressive>::build,
    restore: Scored::<Autoregressive>::restore,
};

/// What a row keeps of its weight at each step: half is gone after 115, 350 and 7,000 steps.
const FORGETTING: [f64; 3] = [0.994, 0.998, 0.9999];
/// Pseudo-observations of "nothing moves" for each coefficient: a bold and a shy solution.
const RIDGES: [f64; 2] = [4.0, 60.0];
/// Steps between two solutions, once there are many rows: a fifth of the quickest forgetting.
const SOLVE_EVERY: u64 = 24;
/// Rows up to which every step is solved.
const SOLVE_ALWAYS: u64 = 256;
/// Rows a solution needs.
const ROWS_MIN: f64 = 12.0;
/// Usual errors above which a row counts less.
const HUBER: f64 = 1.0;
/// What a past error keeps of its weight among the mixture's candidates.
const LOSS_KEEP: f64 = 0.99;
/// How sharply the mixture prefers the better candidate.
const SHARPNESS: f64 = 100.0;
/// The advantage of standing still: in doubt, nothing moves.
const STANDING_STILL: f64 = 0.98;
/// Standing still, and the solution of each speed and ridge.
const CANDIDATES: usize = 1 + RIDGES.len() * FORGETTING.len();
/// Slots at the end of a series that a fit steps through.
const STEPPED: usize = 10_000;

/// Its memory.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Autoregressive {
    seasons: Vec<usize>,
    furthest: usize,
    heads: Vec<Head>,
    /// Views of the last slots, with a row for each head, until their time comes.
    waiting: VecDeque<Waiting>,
    steps: u64,
}

/// One horizon.
#[derive(Clone, Serialize, Deserialize)]
struct Head {
    horizon: usize,
    normals: Vec<Normal>,
    solved: Vec<Option<Vec<f64>>>,
    /// Mean absolute error of each candidate, discounted.
    losses: [f64; CANDIDATES],
    judged: f64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    slot: usize,
    anchor: f64,
    scale: f64,
    heads: Vec<Ahead>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Ahead {
    row: Vec<f64>,
    moves: [f64; CANDIDATES],
}

impl Head {
    fn new(horizon: usize) -> Self {
        Self { horizon, normals: Vec::new(), solved: Vec::new(), losses: [0.0; CANDIDATES], judged: 0.0 }
    }

    /// Moves from the anchor, one a candidate.
    fn moves(&self, row: &[f64]) -> [f64; CANDIDATES] {
        let mut moves = [0.0; CANDIDATES];
        for (guess, solved) in moves[1..].iter_mut().zip(&self.solved) {
            *guess = solved.as_ref().map_or(0.0, |solved| dot(solved, row));
        }
        moves
    }

    /// The mixture of the candidates.
    fn mix(&self, moves: &[f64; CANDIDATES]) -> f64 {
        if self.judged < ROWS_MIN {
            return 0.0;
        }
        let mut losses = self.losses;
        losses[0] *= STANDING_STILL;
        dot(&weights(&losses, SHARPNESS), moves)
    }

    fn judge(&mut self, moves: &[f64; CANDIDATES], moved: f64) {
        self.judged = LOSS_KEEP * self.judged + 1.0;
        for (loss, guess) in self.losses.iter_mut().zip(moves) {
            *loss += ((moved - guess).abs() - *loss) / self.judged;
        }
    }

    fn learn(&mut self, ahead: &Ahead, moved: f64) {
        if self.normals.first().is_none_or(|normal| !normal.fits(&ahead.row)) {
            self.normals = FORGETTING.iter().map(|_| Normal::new(ahead.row.len())).collect();
            self.solved = vec![None; CANDIDATES - 1];
        }
        let usual = HUBER * self.losses.iter().copied().fold(f64::INFINITY, f64::min);
        for (speed, normal) in self.normals.iter_mut().enumerate() {
            let error = (moved - ahead.moves[1 + RIDGES.len() * speed]).abs();
            let weight = if error > usual && usual > 0.0 { usual / error } else { 1.0 };
            // Input that says nothing moves nothing: no row, no forgetting either.
            if ahead.row.iter().any(|value| value.abs() > 1e-12) {
                normal.discount(FORGETTING[speed]);
                normal.add(&ahead.row, moved, weight);
            }
        }
    }

    fn solve(&mut self) {
        for (normal, solved) in self.normals.iter().zip(self.solved.chunks_mut(RIDGES.len())) {
            if normal.weight() < ROWS_MIN {
                continue;
            }
            for (solved, &ridge) in solved.iter_mut().zip(&RIDGES) {
                *solved = normal.solve(ridge).or(solved.take());
            }
        }
    }
}

impl Autoregressive {
    /// The reading at `slot` is what waiting rows were waiting for.
    fn settle(&mut self, slot: usize, actual: f64) {
        for (index, head) in self.heads.iter_mut().enumerate() {
            let Some(made) = slot.checked_sub(head.horizon) else { continue };
            let at = self.waiting.partition_point(|waiting| waiting.slot < made);
            let Some(waiting) = self.waiting.get(at).filter(|waiting| waiting.slot == made) else { continue };
            let ahead = &waiting.heads[index];
            // In the row's own unit, so that no stretch of the past outweighs the others.
            let moved = actual - waiting.anchor;
            head.judge(&ahead.moves, moved);
            head.learn(ahead, moved);
        }
    }
}

impl Point for Autoregressive {
    const NAME: &'static str = "autoregressive";

    fn new(settings: &Settings) -> Self {
        Self {
            seasons: settings.season_steps(),
            furthest: settings.furthest(),
            heads: settings.horizons.iter().map(|&horizon| Head::new(horizon)).collect(),
            waiting: VecDeque::new(),
            steps: 0,
        }
    }

    fn stepped(&self) -> usize {
        STEPPED
    }

    fn step(&mut self, history: &History, slot: usize) {
        if let Some(actual) = history.get(slot) {
            self.settle(slot, actual);
            self.steps += 1;
        }
        if self.steps < SOLVE_ALWAYS || self.steps.is_multiple_of(SOLVE_EVERY) {
            self.heads.iter_mut().for_each(Head::solve);
        }
        while self.waiting.front().is_some_and(|oldest| oldest.slot + self.furthest <= slot) {
            self.waiting.pop_front();
        }
        let Some(view) = View::from(history, slot) else { return };
        let ahead = |head: &Head| {
            let row = view.linear(history, head.horizon, &self.seasons);
            let moves = head.moves(&row);
            Ahead { row, moves }
        };
        let heads = self.heads.iter().map(ahead).collect();
        self.waiting.push_back(Waiting { slot, anchor: view.anchor, scale: view.scale, heads });
    }

    fn locate(&self, _history: &History, slot: usize, horizon: usize) -> Option<Located> {
        let waiting = self.waiting.back().filter(|waiting| waiting.slot == slot)?;
        let index = self.heads.iter().position(|head| head.horizon == horizon)?;
        let head = &self.heads[index];
        if head.judged < ROWS_MIN {
            return None;
        }
        let moved = head.mix(&waiting.heads[index].moves);
        Some(Located { middle: waiting.anchor + moved, scale: waiting.scale })
    }
}
