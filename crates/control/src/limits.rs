//! Limits on what a policy asks for, in one order for all policies; each speaks at most once.

pub mod bounds;
pub mod wake;

use crate::decision::Step;
use crate::observation::Observation;

/// The limits of one pool.
#[derive(Clone, Debug)]
pub struct Limits {
    min: u32,
    max: u32,
}

impl Limits {
    /// Limits with these bounds.
    pub fn new(min: u32, max: u32) -> Self {
        Self { min, max }
    }

    /// Runs `asked` through every limit; returns a step for each that changed the number.
    pub fn apply(&self, seen: &Observation, asked: &Step) -> Vec<Step> {
        let mut trail = Vec::new();
        trail.extend(wake::limit(seen, asked.replicas));
        let replicas = trail.last().unwrap_or(asked).replicas;
        trail.extend(bounds::limit(self.min, self.max, replicas));
        trail
    }
}
