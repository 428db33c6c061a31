//! A recorded run, reduced to what speaks for one cause of swinging or another.

use std::collections::BTreeMap;
use std::time::Duration;

use control::{Cycle, Decision, Observation, State};
use traffic::WorkerId;

/// Turns that a load is averaged over, where two moments are compared.
const SMOOTHED: usize = 3;
/// How long after it became ready a worker counts as new, where turns are not longer.
const YOUNG_S: f64 = 60.0;
/// Turns that a worker must have been seen settled for its share of the work to be known.
const SETTLED_TURNS: f64 = 5.0;
/// Scale-outs without a fall of the signal, for that to be believed.
const STAYS_MIN: usize = 3;

/// One turn.
#[derive(Clone, Debug)]
struct Turn {
    at_s: f64,
    ready: u32,
    starting: u32,
    change: i64,
    /// Requests a second.
    rate: Option<f64>,
    signal: Option<f64>,
    up: Option<f64>,
    down: Option<f64>,
    /// Each ready worker: who, for how long ready, its CPU.
    workers: Vec<(WorkerId, f64, f64)>,
}

/// A change of direction soon after another change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flap {
    /// Ready workers at the one that scaled out.
    pub(super) ready: u32,
    /// How much the load moved between the two, as a share.
    pub(super) load_moved: Option<f64>,
    /// The one that scaled out did so while others still started.
    pub(super) ordered_while_starting: bool,
    /// CPU of new workers over that of the others at the one that scaled out.
    pub(super) young_ratio: Option<f64>,
}

/// The turns of a run.
pub(super) struct Turns {
    all: Vec<Turn>,
    young_s: f64,
}

impl Turns {
    pub(super) fn of(cycles: &[Cycle]) -> Self {
        let decided = cycles.iter().filter_map(|cycle| match cycle {
            Cycle::Decided { seen, decision, .. } => Some(turn(seen, decision)),
            Cycle::Blind { .. } => None,
        });
        let all: Vec<Turn> = decided.collect();
        let interval_s = match (all.first(), all.last()) {
            (Some(first), Some(last)) => (last.at_s - first.at_s) / all.len().max(2) as f64,
            _ => 0.0,
        };
        Self { all, young_s: YOUNG_S.max(2.0 * interval_s) }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn changes(&self) -> usize {
        self.all.iter().filter(|turn| turn.change != 0).count()
    }

    pub(super) fn length_s(&self) -> f64 {
        self.all.first().zip(self.all.last()).map_or(0.0, |(first, last)| last.at_s - first.at_s)
    }

    /// The two lines at the last turn that had them.
    pub(super) fn lines(&self) -> (Option<f64>, Option<f64>) {
        let last = self.all.iter().rev().find(|turn| turn.up.is_some() || turn.down.is_some());
        last.map_or((None, None), |turn| (turn.up, turn.down))
    }

    /// Every change of direction within this time after another change.
    pub(super) fn flaps(&self, within: Duration) -> Vec<Flap> {
        let changes: Vec<usize> = (0..self.all.len()).filter(|place| self.all[*place].change != 0).collect();
        let pairs = changes.windows(2).filter(|pair| {
            let (one, other) = (&self.all[pair[0]], &self.all[pair[1]]);
            one.change.signum() != other.change.signum() && other.at_s - one.at_s <= within.as_secs_f64()
        });
        pairs.map(|pair| self.flap(pair[0], pair[1])).collect()
    }

    fn flap(&self, first: usize, second: usize) -> Flap {
        let out = if self.all[first].change > 0 { first } else { second };
        // As the policy saw it, turn by turn: what is averaged out would look like no noise.
        let rates = self.all[first].rate.zip(self.all[second].rate);
        let moved = rates.map(|(before, after)| {
            let mean = f64::midpoint(before, after);
            if mean > 0.0 { (after - before).abs() / mean } else { 0.0 }
        });
        Flap {
            ready: self.all[out].ready,
            load_moved: moved,
            ordered_while_starting: self.all[out].starting > 0,
            young_ratio: self.young_ratio(&self.all[out]),
        }
    }

    /// The load as it was seen about then.
    fn rate(&self, place: usize) -> Option<f64> {
        let from = place.saturating_sub(SMOOTHED - 1);
        mean(self.all[from..=place].iter().filter_map(|turn| turn.rate))
    }

    /// CPU of the new workers over that of the others.
    fn young_ratio(&self, turn: &Turn) -> Option<f64> {
        let of = |young: bool| {
            mean(
                turn.workers
                    .iter()
                    .filter(|worker| (worker.1 <= self.young_s) == young)
                    .map(|worker| worker.2),
            )
        };
        let (new, others) = (of(true)?, of(false)?);
        (others > 0.0).then_some(new / others)
    }

    /// For how long new workers are busier than others, and at which share of the speed.
    pub(super) fn warm_up(&self) -> Option<(Duration, f64)> {
        let mut longest_s: f64 = 0.0;
        let mut ratios = Vec::new();
        for turn in &self.all {
            let others =
                mean(turn.workers.iter().filter(|worker| worker.1 > self.young_s).map(|worker| worker.2));
            let Some(others) = others.filter(|others| *others > 0.0) else { continue };
            for (_, age_s, cpu) in turn.workers.iter().filter(|worker| worker.1 <= self.young_s) {
                if cpu / others >= super::YOUNG_BUSIER {
                    longest_s = longest_s.max(*age_s);
                    ratios.push(cpu / others);
                }
            }
        }
        let ratio = mean(ratios.into_iter())?;
        Some((Duration::try_from_secs_f64(longest_s.max(1.0)).ok()?, (1.0 / ratio).clamp(0.1, 1.0)))
    }

    /// By how much of the mean the work of settled workers differs, over the whole run.
    pub(super) fn skew(&self) -> Option<f64> {
        let mut shares: BTreeMap<WorkerId, (f64, f64)> = BTreeMap::new();
        for turn in &self.all {
            let settled: Vec<_> = turn.workers.iter().filter(|worker| worker.1 > self.young_s).collect();
            let Some(all) = mean(settled.iter().map(|worker| worker.2)).filter(|all| *all > 0.0) else {
                continue;
            };
            if settled.len() < 2 {
                continue;
            }
            for worker in settled {
                let share = shares.entry(worker.0).or_default();
                *share = (share.0 + worker.2 / all, share.1 + 1.0);
            }
        }
        let known = shares.values().filter(|(_, turns)| *turns >= SETTLED_TURNS);
        let means: Vec<f64> = known.map(|(sum, turns)| sum / turns).collect();
        if means.len() < 2 {
            return None;
        }
        let (low, high) = means
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), share| (low.min(*share), high.max(*share)));
        Some(high - low)
    }

    /// Whether the signal stays where it is although workers came and the load stayed.
    pub(super) fn signal_stays(&self) -> bool {
        let mut fell = 0;
        let mut stayed = 0;
        for (place, turn) in self.all.iter().enumerate().filter(|(_, turn)| turn.change > 0) {
            let came = self.all[place..].iter().position(|later| {
                f64::from(later.ready) >= 1.15 * f64::from(turn.ready) && later.at_s > turn.at_s
            });
            // They may show at once, or only at the turn after, the first that measures them for the
            // whole of its length.
            let Some(place_after) = came.map(|came| place + came + 1).filter(|after| *after < self.all.len())
            else {
                continue;
            };
            let signals = [place_after - 1, place_after].map(|place| self.all[place].signal);
            let after = signals.into_iter().flatten().reduce(f64::min);
            let steady = self
                .rate(place)
                .zip(self.rate(place_after))
                .is_some_and(|(before, now)| before > 0.0 && ((now - before) / before).abs() < 0.1);
            let Some((before, now)) = turn.signal.zip(after).filter(|_| steady) else { continue };
            if now >= 0.9 * before { stayed += 1 } else { fell += 1 }
        }
        stayed >= STAYS_MIN && stayed > fell
    }
}

fn turn(seen: &Observation, decision: &Decision) -> Turn {
    let at_s = seen.at.as_millisecond() as f64 / 1e3;
    let workers = seen.workers.iter().filter(|worker| worker.state == State::Ready).filter_map(|worker| {
        let age_s = seen.at.duration_since(worker.ready_at?).as_secs_f64();
        Some((worker.id, age_s, worker.cpu_percent?))
    });
    let measured = decision.measured.as_ref();
    let window = seen.traffic.as_ref().filter(|window| !window.length.is_zero());
    Turn {
        at_s,
        ready: seen.fleet.ready,
        starting: seen.fleet.starting,
        change: decision.change(),
        rate: window.map(traffic::Window::rate_per_second),
        signal: measured.and_then(|measured| measured.value),
        up: measured.and_then(|measured| measured.up),
        down: measured.and_then(|measured| measured.down),
        workers: workers.collect(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
