//! How early each wave of the demo was met: from the need of one more worker until it was ready.

use std::time::Duration;

use control::decision::Trust;
use control::{Cycle, Decision, Observation};
use jiff::Timestamp;

/// A day, compressed.
pub(super) const SEASON: Duration = Duration::from_secs(40);
/// Days that are played: one to learn, two to show what was learnt.
pub(super) const WAVES: u32 = 3;

/// One turn, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// From the beginning of the first wave.
    second: f64,
    /// In workers at the utilisation that still meets the objective.
    load: f64,
    ready: u32,
    existing: u32,
    trust: Option<Trust>,
}

/// The turns of all waves.
#[derive(Clone, Debug)]
pub(super) struct Waves {
    begun: Timestamp,
    turns: Vec<Turn>,
}

/// What became of one wave.
#[derive(Clone, Debug, PartialEq)]
struct Met {
    /// For the second worker, the third, …: from when it was needed until it was ready, in seconds;
    /// below 0 it was ready before.
    late_s: Vec<Option<f64>>,
    worker_seconds: f64,
    /// How far the forecast was relied upon when the wave had risen half-way.
    trust: Option<Trust>,
}

impl Waves {
    pub(super) fn new(begun: Timestamp) -> Self {
        Self { begun, turns: Vec::new() }
    }

    pub(super) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Takes in a turn.
    pub(super) fn see(&mut self, cycle: &Cycle) {
        if let Cycle::Decided { seen, decision, .. } = cycle {
            self.turns.extend(self.turn(seen, decision));
        }
    }

    fn turn(&self, seen: &Observation, decision: &Decision) -> Option<Turn> {
        Some(Turn {
            second: seen.at.duration_since(self.begun).as_secs_f64(),
            load: decision.measured.as_ref()?.value?,
            ready: seen.fleet.ready,
            existing: seen.fleet.ready + seen.fleet.starting + seen.fleet.draining,
            trust: decision.foresight.as_ref().map(|foresight| foresight.trust),
        })
    }

    /// A line a wave, and what the last came to against the first.
    pub(super) fn told(&self) -> Vec<String> {
        let waves: Vec<Met> = (0..WAVES).map(|wave| self.met(wave)).collect();
        let mut lines = vec![
            "waves     from the need of one more worker until it was ready, beside the first wave".to_owned(),
        ];
        for (number, wave) in (1_u32..).zip(&waves) {
            let mean = mean(wave.late_s.iter().copied().flatten());
            let met = match mean {
                Some(late) if late > 0.0 => format!("{late:.1} s late"),
                Some(late) => format!("{:.1} s early", -late),
                None => "not met".to_owned(),
            };
            let gained = match (number, gained(&waves[0], wave)) {
                (2.., Some(gained)) if gained >= 0.0 => format!(", {gained:.1} s gained"),
                (2.., Some(lost)) => format!(", {:.1} s lost", -lost),
                _ => String::new(),
            };
            let trust = wave.trust.map_or("no forecast yet", Trust::name);
            lines.push(format!(
                "  wave {number}  {met}{gained}; {:.0} worker-seconds; forecast: {trust}",
                wave.worker_seconds
            ));
        }
        lines
    }

    fn met(&self, wave: u32) -> Met {
        let season_s = SEASON.as_secs_f64();
        let from = f64::from(wave) * season_s;
        let turns: Vec<&Turn> =
            self.turns.iter().filter(|turn| (from..from + season_s).contains(&turn.second)).collect();
        let rising = |turn: &&&Turn| turn.second < from + season_s / 2.0;
        let highest = turns.iter().filter(rising).map(|turn| turn.load).fold(0.0, f64::max);
        let levels = (1_u32..).take_while(|level| f64::from(*level) < highest);
        let trust =
            turns.iter().find(|turn| turn.second >= from + season_s / 4.0).and_then(|turn| turn.trust);
        let worker_seconds = turns
            .windows(2)
            .map(|pair| f64::from(pair[0].existing) * (pair[1].second - pair[0].second))
            .sum();
        Met { late_s: levels.map(|level| late_s(&turns, level)).collect(), worker_seconds, trust }
    }
}

/// From when the load needed more than `level` workers until there were more; `None` if it never did,
/// or there never were.
fn late_s(turns: &[&Turn], level: u32) -> Option<f64> {
    let needed = turns.iter().position(|turn| turn.load > f64::from(level))?;
    let enough = |turn: &&Turn| turn.ready > level;
    let ready = if enough(&turns[needed]) {
        turns[..needed].iter().rposition(|turn| !enough(turn)).map_or(0, |last| last + 1)
    } else {
        needed + turns[needed..].iter().position(enough)?
    };
    Some(turns[ready].second - turns[needed].second)
}

/// How much earlier `wave` was met than `first`, over the workers that both needed.
fn gained(first: &Met, wave: &Met) -> Option<f64> {
    let both = first.late_s.iter().zip(&wave.late_s);
    mean(both.filter_map(|(first, then)| Some((*first)? - (*then)?)))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two workers more in the rise of each wave, the first `late` seconds after they are needed.
    fn waves(late: [f64; 3]) -> Waves {
        let mut waves = Waves::new(Timestamp::UNIX_EPOCH);
        for half in 0..240 {
            let second = f64::from(half) / 2.0;
            let (wave, phase) = (half / 80, second % 40.0);
            // Needs a second worker from 8 s on, a third from 12 s on.
            let load = if phase < 20.0 {
                0.25 + phase / 8.0 * 0.75 + f64::from(u8::from(phase > 8.0)) * 0.3
            } else {
                0.5
            };
            let late = late[usize::try_from(wave).unwrap()];
            let need = 1 + u32::from(phase - late >= 8.5) + u32::from(phase - late >= 12.0);
            let ready = if phase < 22.0 { need } else { 1 };
            waves.turns.push(Turn { second, load, ready, existing: ready, trust: Some(Trust::Trusted) });
        }
        waves
    }

    #[test]
    fn the_gain_of_a_wave_is_told() {
        let told = waves([3.0, 1.0, -1.0]).told();
        assert!(told[1].contains("s late; ") && !told[1].contains("gained"), "{told:#?}");
        assert!(told[2].contains("2.0 s gained"), "{told:#?}");
        assert!(told[3].contains("4.0 s gained") && told[3].contains("s early"), "{told:#?}");
        assert!(told[3].ends_with("forecast: trusted"), "{told:#?}");
    }

    #[test]
    fn a_wave_that_was_met_later_is_no_gain_and_none_at_all_says_so() {
        let told = waves([1.0, 3.0, 1.0]).told();
        assert!(told[2].contains("2.0 s lost"), "{told:#?}");
        let told = Waves::new(Timestamp::UNIX_EPOCH).told();
        assert!(told[1].contains("not met") && told[1].ends_with("no forecast yet"), "{told:#?}");
    }
}
