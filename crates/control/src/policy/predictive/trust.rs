//! How far a forecast is relied upon: earned by being better than the naive one, lost at once.

use crate::decision::{Because, Trust};
use crate::policy::outlook::Seer;

/// Forecasts scored before one can be trusted at all.
const SCORED_MIN: u64 = 20;
/// Loss over that of the naive forecast below which trust is earned.
const EARNED_BELOW: f64 = 0.97;
/// How probable so much better a loss may be by chance alone, where trust is to be earned. Every turn
/// asks, so it is less than the usual 5 %.
const LUCK_MAX: f64 = 0.01;
/// The same, above which full trust is lost.
const DOUBTED_ABOVE: f64 = 1.0;
/// The same, above which all of it is.
const LOST_ABOVE: f64 = 1.2;
/// Level whose coverage is watched.
const LEVEL: f64 = 0.9;
/// Standard deviations of chance by which the coverage may fall short.
const SIGMAS: f64 = 3.0;
/// The same where trust is to be earned: what was lost by a hair does not come back by a hair.
const SIGMAS_EARNED: f64 = 2.0;
/// Good turns on probation before a forecast decides.
const GOOD_TURNS: u32 = 10;

/// One forecast's standing.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) trust: Trust,
    good: u32,
}

/// What is known of a forecast at one turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// It is there, reaches as far as the lead, and is sound.
    pub(super) present: bool,
    /// Loss over that of the naive forecast, and forecasts scored.
    pub(super) ratio: Option<(f64, u64)>,
    /// How probable such a difference is by chance (Diebold and Mariano).
    pub(super) luck: f64,
    /// Share of outcomes at or below their 0.9 quantile, and their number.
    pub(super) coverage: Option<(f64, usize)>,
    /// Forecasts in a row that reach over the same moment, so that they miss it together.
    pub(super) overlap: usize,
}

impl Evidence {
    pub(super) fn of(seer: &Seer, naive: &Seer, lead: usize) -> Self {
        Self {
            present: seer.reaches(lead),
            ratio: Self::ratio(seer, naive),
            luck: seer.score.against(&naive.score, lead).p_value,
            coverage: seer.score.coverage(),
            overlap: lead,
        }
    }

    /// Loss over that of the naive forecast, and forecasts scored.
    pub(super) fn ratio(seer: &Seer, naive: &Seer) -> Option<(f64, u64)> {
        let ((own, scored), (other, _)) = seer.score.loss().zip(naive.score.loss())?;
        Some((if other > 0.0 { own / other } else { f64::INFINITY }, scored))
    }

    /// Whether it is better than the naive forecast, and not by luck, and as sure as it says.
    fn better(&self) -> bool {
        self.luck < LUCK_MAX
            && self.ratio.is_some_and(|(ratio, _)| ratio < EARNED_BELOW)
            && !self.uncovered(SIGMAS_EARNED)
    }

    /// Whether outcomes exceed the 0.9 quantile more often than chance allows, with this many
    /// standard deviations of it.
    fn uncovered(&self, sigmas: f64) -> bool {
        self.coverage.is_some_and(|(share, count)| {
            // Forecasts that overlap are right or wrong together: they count as one.
            let outcomes = count as f64 / self.overlap.max(1) as f64;
            let sigma = (LEVEL * (1.0 - LEVEL) / outcomes.max(1.0)).sqrt();
            share < LEVEL - sigmas * sigma
        })
    }
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { trust: Trust::Reactive, good: 0 }
    }

    /// One turn's evidence; why the trust is another now, if it is.
    pub(super) fn judge(&mut self, evidence: &Evidence) -> Option<Because> {
        let before = self.trust;
        let (ratio, scored) = evidence.ratio.unwrap_or((f64::INFINITY, 0));
        let numbers =
            [("ratio", ratio), ("covered", 100.0 * evidence.coverage.map_or(f64::NAN, |one| one.0))];
        let (trust, sentence) = if !evidence.present {
            (Trust::Reactive, "no sound forecast reaches as far as a start-up takes")
        } else if evidence.uncovered(SIGMAS) {
            (Trust::Reactive, "only {covered} % of the outcomes were below what 90 % should be")
        } else if ratio > LOST_ABOVE {
            (Trust::Reactive, "its loss is {ratio} times that of the naive forecast")
        } else if before == Trust::Trusted && ratio > DOUBTED_ABOVE {
            (Trust::Probation, "its loss is {ratio} times that of the naive forecast")
        } else if before == Trust::Reactive && scored >= SCORED_MIN && evidence.better() {
            (Trust::Probation, "its loss is {ratio} times that of the naive forecast, {covered} % covered")
        } else if before == Trust::Probation && self.good >= GOOD_TURNS && evidence.better() {
            (Trust::Trusted, "its loss stayed {ratio} times that of the naive forecast, {covered} % covered")
        } else {
            (before, "")
        };
        let good = trust == before && trust == Trust::Probation && evidence.better();
        self.good = if good { self.good + 1 } else { 0 };
        self.trust = trust;
        (trust != before).then(|| Because::new(sentence, numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(ratio: f64, scored: u64, covered: f64) -> Evidence {
        let coverage = Some((covered, 200));
        Evidence { present: true, ratio: Some((ratio, scored)), luck: 0.001, coverage, overlap: 1 }
    }

    #[test]
    fn trust_is_earned_slowly_and_lost_at_once() {
        let mut gate = Gate::new();
        assert!(gate.judge(&evidence(0.5, 19, 0.9)).is_none(), "too few forecasts");
        assert!(gate.judge(&evidence(0.99, 100, 0.9)).is_none(), "hardly better than naive");
        let lucky = Evidence { luck: 0.03, ..evidence(0.8, 100, 0.9) };
        assert!(gate.judge(&lucky).is_none(), "it may be luck");
        let why = gate.judge(&evidence(0.8, 30, 0.9)).unwrap();
        assert_eq!(gate.trust, Trust::Probation);
        assert_eq!(why.to_string(), "its loss is 0.8 times that of the naive forecast, 90 % covered");
        for _ in 0..GOOD_TURNS {
            assert!(gate.judge(&evidence(0.8, 50, 0.9)).is_none());
        }
        gate.judge(&evidence(0.8, 51, 0.9)).unwrap();
        assert_eq!(gate.trust, Trust::Trusted);
        gate.judge(&evidence(1.05, 60, 0.9)).unwrap();
        assert_eq!(gate.trust, Trust::Probation);
        gate.judge(&evidence(0.8, 60, 0.7)).unwrap();
        assert_eq!(gate.trust, Trust::Reactive, "70 % covered is no chance");
        assert!(
            gate.judge(&evidence(0.8, 60, 0.84)).is_none(),
            "within three deviations, but not within two"
        );
        assert!(gate.judge(&evidence(0.8, 60, 0.87)).is_some());
        let together = Evidence { overlap: 10, ..evidence(0.8, 60, 0.75) };
        assert!(gate.judge(&together).is_none(), "ten that miss together are one miss");
    }

    #[test]
    fn what_is_not_there_or_worse_than_nothing_is_not_trusted() {
        for bad in [
            Evidence::default(),
            Evidence { present: false, ..evidence(0.5, 99, 0.9) },
            evidence(1.3, 99, 0.9),
        ] {
            let mut gate = Gate { trust: Trust::Trusted, good: 0 };
            assert!(gate.judge(&bad).is_some(), "{bad:?}");
            assert_eq!(gate.trust, Trust::Reactive, "{bad:?}");
        }
    }
}
