//! The combination itself: what members offered, how wrong they were, and the weighted answer.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::history::History;
use crate::mixture::weights;
use crate::scored::Point;
use crate::scores::Located;
use crate::series::median;

/// What each member says, by horizon: median and 0.9 quantile.
pub(crate) type Offer = Vec<Vec<Option<[f64; 2]>>>;

/// What a past loss keeps of its weight.
const LOSS_KEEP: f64 = 0.99;
/// How sharply the better members are preferred.
const SHARPNESS: f64 = 20.0;
/// Judgements before which the plain median of the members is taken.
const JUDGED_MIN: f64 = 10.0;
/// The least distance between median and upper quantile, to the size of the median.
const WIDTH_MIN: f64 = 1e-4;

/// Offers that wait for their time, and the losses of those whose time came.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Blend {
    horizons: Vec<usize>,
    offered: Option<Offer>,
    waiting: VecDeque<(usize, Offer)>,
    /// By horizon, member: loss at the median and at the 0.9 quantile, and their weight.
    losses: Vec<Vec<Loss>>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Loss {
    middle: f64,
    high: f64,
    weight: f64,
}

impl Loss {
    fn add(&mut self, said: [f64; 2], actual: f64) {
        self.weight = LOSS_KEEP * self.weight + 1.0;
        let miss = actual - said[1];
        let high = if miss >= 0.0 { 0.9 * miss } else { -0.1 * miss };
        self.middle += ((actual - said[0]).abs() - self.middle) / self.weight;
        self.high += (high - self.high) / self.weight;
    }
}

impl Blend {
    /// What members say at the slot that comes next.
    pub(crate) fn offer(&mut self, offer: Offer) {
        self.offered = Some(offer);
    }

    /// What members say after they were fitted anew, in place of what they said last.
    pub(crate) fn replace(&mut self, offer: Offer) {
        if let Some(last) = self.waiting.back_mut() {
            last.1 = offer;
        }
    }

    /// A member's share of the median, by horizon.
    pub(crate) fn weights(&self, member: usize) -> Vec<f64> {
        let Some((_, offer)) = self.waiting.back() else { return vec![0.0; self.horizons.len()] };
        let share =
            |index: usize| self.shares(offer, index, |loss| loss.middle).get(member).copied().unwrap_or(0.0);
        (0..self.horizons.len()).map(share).collect()
    }

    /// The weights of all members at one horizon; 0 for those that said nothing.
    fn shares(&self, offer: &Offer, index: usize, by: impl Fn(&Loss) -> f64) -> Vec<f64> {
        let loss = |(member, said): (usize, &Vec<Option<[f64; 2]>>)| {
            let loss = self.losses[index].get(member)?;
            said[index].filter(|_| loss.weight >= JUDGED_MIN).map(|_| by(loss))
        };
        let losses: Vec<f64> = offer.iter().enumerate().map(|one| loss(one).unwrap_or(f64::NAN)).collect();
        if losses.iter().all(|loss| loss.is_nan()) {
            return vec![0.0; losses.len()];
        }
        weights(&losses, SHARPNESS)
    }

    fn settle(&mut self, slot: usize, actual: f64) {
        for (index, &horizon) in self.horizons.iter().enumerate() {
            let Some(made) = slot.checked_sub(horizon) else { continue };
            let at = self.waiting.partition_point(|(slot, _)| *slot < made);
            let Some((_, offer)) = self.waiting.get(at).filter(|(slot, _)| *slot == made) else { continue };
            self.losses[index].resize_with(offer.len(), Loss::default);
            for (loss, said) in self.losses[index].iter_mut().zip(offer) {
                if let Some(said) = said[index] {
                    loss.add(said, actual);
                }
            }
        }
    }

    fn combine(&self, offer: &Offer, index: usize) -> Option<Located> {
        let said: Vec<Option<[f64; 2]>> = offer.iter().map(|member| member[index]).collect();
        let of = |part: usize, weights: &[f64]| -> f64 {
            said.iter().zip(weights).map(|(said, weight)| said.map_or(0.0, |said| said[part] * weight)).sum()
        };
        let by_middle = self.shares(offer, index, |loss| loss.middle);
        let by_high = self.shares(offer, index, |loss| loss.high);
        let (middle, high) = if by_middle.iter().sum::<f64>() > 0.5 {
            (of(0, &by_middle), of(1, &by_high))
        } else {
            let plain =
                |part: usize| median(&mut said.iter().flatten().map(|said| said[part]).collect::<Vec<f64>>());
            (plain(0)?, plain(1)?)
        };
        let scale = (high - middle).max(WIDTH_MIN * middle.abs()).max(1e-9);
        Some(Located { middle, scale })
    }
}

impl Point for Blend {
    const NAME: &'static str = "ensemble";

    fn new(settings: &Settings) -> Self {
        Self {
            horizons: settings.horizons.clone(),
            offered: None,
            waiting: VecDeque::new(),
            losses: vec![Vec::new(); settings.horizons.len()],
        }
    }

    fn step(&mut self, history: &History, slot: usize) {
        if let Some(actual) = history.get(slot) {
            self.settle(slot, actual);
        }
        // A gap is stepped through slot by slot; members spoke once, after its last one.
        let furthest = self.horizons.iter().copied().max().unwrap_or(0);
        while self.waiting.front().is_some_and(|(oldest, _)| oldest + furthest <= slot) {
            self.waiting.pop_front();
        }
        if slot + 1 == history.end()
            && let Some(offer) = self.offered.take()
        {
            self.waiting.push_back((slot, offer));
        }
    }

    fn locate(&self, _history: &History, slot: usize, horizon: usize) -> Option<Located> {
        let (_, offer) = self.waiting.back().filter(|(last, _)| *last == slot)?;
        let index = self.horizons.iter().position(|&one| one == horizon)?;
        self.combine(offer, index)
    }
}
