//! Readings that stand still while the traffic moves.

use jiff::Timestamp;

use super::{Fault, Found, Row};
use crate::observation::Observation;

/// Equal readings in a row from which one is taken for stuck.
const READINGS: u32 = 10;
/// No program serves so many requests in less CPU time than the kernel can tell from none.
const REQUESTS: u64 = 1_000;

/// The rate at which requests come in, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    rate: Option<f64>,
}

impl Traffic {
    pub(super) fn see(&mut self, seen: &Observation) {
        let window = seen.traffic.as_ref().filter(|window| !window.length.is_zero());
        self.rate = window.map(traffic::Window::rate_per_second);
    }
}

/// How long one reading has stood still, and what the traffic did meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stillness {
    bits: u64,
    readings: u32,
    taken: Option<Timestamp>,
    /// Rates meanwhile, in requests a second.
    least: f64,
    most: f64,
    /// Requests that the worker had ended when it began, and now.
    requests: (u64, u64),
}

impl Stillness {
    pub(super) fn is_new(&self, taken: Timestamp) -> bool {
        self.taken != Some(taken)
    }

    /// Whether this is what it reads already.
    pub(super) fn is_at(&self, value: f64) -> bool {
        self.readings > 0 && self.bits == value.to_bits()
    }

    /// Takes note of a reading; `requests` are those that its worker has ended.
    pub(super) fn see(&mut self, value: f64, taken: Timestamp, requests: u64, traffic: &Traffic) {
        if !self.is_at(value) {
            let bits = value.to_bits();
            let (least, most) = (traffic.rate.unwrap_or(f64::INFINITY), traffic.rate.unwrap_or(0.0));
            let requests = (requests, requests);
            *self = Self { bits, readings: 1, taken: Some(taken), least, most, requests };
            return;
        }
        self.readings = self.readings.saturating_add(1);
        self.taken = Some(taken);
        self.requests.1 = requests;
        if let Some(rate) = traffic.rate {
            (self.least, self.most) = (self.least.min(rate), self.most.max(rate));
        }
    }

    /// Whether it has stood still for so long that [`fault`](Self::fault) must be asked.
    pub(super) fn is_long(&self) -> bool {
        self.readings >= READINGS
    }

    /// Whether it should have moved. A whole number may well stand still, and a limit holds still
    /// what presses against it; what has a fraction moves with the traffic, in its last bits at
    /// least. Zero may be too little to be measured, unless there was much to do.
    pub(super) fn fault(&self, row: &Row, value: f64) -> Option<Found> {
        if !row.moves || !self.is_long() {
            return None;
        }
        if value == 0.0 {
            let ended = self.requests.1.saturating_sub(self.requests.0);
            let sentence = "it has been 0 while the worker ended a thousand requests";
            return (ended >= REQUESTS).then_some((Fault::Stuck, sentence));
        }
        let traffic_moved = self.most >= 2.0 * self.least + 1.0;
        let sentence = "it has been {value} to the last bit while the traffic changed";
        (value.fract() != 0.0 && traffic_moved).then_some((Fault::Stuck, sentence))
    }
}
