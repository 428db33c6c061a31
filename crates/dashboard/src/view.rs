//! What a dashboard shows, made of cycles alone: the last turn, a bounded history, and the
//! numbers derived from both.

mod figures;
pub mod reaction;
pub mod story;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use control::{
    Applied, Cycle, Decision, FleetStatus, Foresight, InForce, Observation, ShadowTurn, State, WorkerSeen,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use traffic::{Latency, WorkerId};

pub use reaction::{Reaction, ScaleOut};
pub use story::{Event, Kind};

use crate::text::between;
use reaction::Reactions;

/// What charts can look back on: long enough for a lecture's example, short enough to redraw.
pub const HISTORY: Duration = Duration::from_secs(600);

/// Turns kept within [`HISTORY`], for loops that turn faster than four times a second.
const TURNS_MAX: usize = 2_400;

/// Turns kept where charts look back further: two days at one in 15 s, some megabytes.
const TURNS_MAX_LONG: usize = 12_000;

/// Events kept: more than any screen shows.
const EVENTS_MAX: usize = 200;

/// Rates are averages over this: shorter and they flicker, longer and they lag behind a step.
pub const RATE_SPAN: Duration = Duration::from_secs(10);

/// A cycle this much older than the last belongs to another run; less, and it is a repetition.
const ANOTHER_RUN: Duration = Duration::from_secs(60);

/// The rule of turns at which the policy was not asked, because its interval is longer.
const BETWEEN_TURNS: &str = "between_turns";

/// One turn, as charts need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// The pool; `None` when it could not be asked.
    pub fleet: Option<FleetStatus>,
    /// The policy's signal.
    pub signal: Option<f64>,
    /// The line above which it scales out.
    pub up: Option<f64>,
    /// The line below which it scales in.
    pub down: Option<f64>,
    /// Change of the desired number at this turn.
    pub change: i64,
    /// What each policy that only watches would have, in order of [`View::shadows`].
    pub shadows: Vec<u32>,
    /// What was expected at this turn of a later one.
    pub expected: Option<Expected>,
    arrivals: u64,
    measured: Duration,
    latency: Option<Latency>,
}

/// Where four of five readings of a later moment should lie, in the signal's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// That moment.
    pub at: Timestamp,
    /// One in ten is below.
    pub low: f64,
    /// One in ten is above.
    pub high: f64,
}

impl Expected {
    fn of(made: Timestamp, foresight: &Foresight) -> Option<Self> {
        let lead = jiff::SignedDuration::try_from_secs_f64(foresight.lead_s).ok()?;
        let at = made.checked_add(lead).ok()?;
        let sound = foresight.q10.is_finite() && foresight.q90.is_finite();
        sound.then_some(Self { at, low: foresight.q10, high: foresight.q90 })
    }
}

/// The last turn at which the pool could be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What was seen.
    pub seen: Observation,
    /// What was decided.
    pub decision: Decision,
    /// What came of it.
    pub applied: Applied,
}

/// Sums since the first cycle shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests that ended well.
    pub completions: u64,
    /// Requests that did not.
    pub failures: u64,
    /// Seconds that each worker existed, summed.
    pub worker_seconds: f64,
    /// The same for a pool that always has the maximum.
    pub fixed_seconds: f64,
}

impl Totals {
    /// Share of worker-seconds saved against a pool fixed at its maximum, in percent.
    pub fn saved_percent(&self) -> Option<f64> {
        let fixed = self.fixed_seconds;
        (fixed > 0.0).then(|| 100.0 * (1.0 - self.worker_seconds / fixed)).filter(|saved| *saved >= 0.0)
    }
}

/// All that a dashboard shows.
#[derive(Clone, Debug)]
pub struct View {
    zone: TimeZone,
    started: Option<Timestamp>,
    now: Option<Timestamp>,
    last: Option<Decided>,
    /// The last decision for which the policy was asked.
    asked: Option<Decision>,
    blind: Option<(Timestamp, String)>,
    turns: VecDeque<Turn>,
    events: VecDeque<Event>,
    blockers_told: story::Told,
    reactions: Reactions,
    totals: Totals,
    marks: BTreeMap<WorkerId, VecDeque<(Timestamp, u64)>>,
    load: Option<String>,
    history: Duration,
}

impl Default for View {
    /// Nothing seen yet; times of day in UTC.
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            started: None,
            now: None,
            last: None,
            asked: None,
            blind: None,
            turns: VecDeque::new(),
            events: VecDeque::new(),
            blockers_told: story::Told::default(),
            reactions: Reactions::default(),
            totals: Totals::default(),
            marks: BTreeMap::new(),
            load: None,
            history: HISTORY,
        }
    }
}

impl View {
    /// Nothing seen yet; times of day in `zone`.
    pub fn in_zone(zone: TimeZone) -> Self {
        Self { zone, ..Self::default() }
    }

    /// The same, with charts that look back this far.
    #[must_use]
    pub fn looking_back(self, history: Duration) -> Self {
        Self { history, ..self }
    }

    /// Takes one turn. Repetitions are ignored, so that a stream may overlap the history that
    /// was read before it; a turn from another run starts anew.
    pub fn apply(&mut self, cycle: &Cycle) {
        let at = cycle.at();
        if let Some(now) = self.now {
            if between(at, now) > ANOTHER_RUN {
                let (load, history) = (self.load.take(), self.history);
                *self = Self { load, history, ..Self::in_zone(self.zone.clone()) };
            } else if at <= now {
                return;
            }
        }
        match cycle {
            Cycle::Decided { seen, decision, applied, .. } => self.decided(seen, decision, applied),
            Cycle::Blind { at, because } => self.blind(*at, because),
        }
        self.now = Some(at);
        self.started.get_or_insert(at);
        self.forget(at);
    }

    /// What the load generator does at the moment, in some 30 columns, as in
    /// `load 240/s, step 3 of 6`; `None` when there is none.
    pub fn set_load(&mut self, load: Option<String>) {
        self.load = load;
    }

    fn decided(&mut self, seen: &Observation, decision: &Decision, applied: &Applied) {
        let before = self.last.as_ref();
        let mut news: Vec<Event> = seen.transitions.iter().filter_map(story::lost).collect();
        if self.blind.take().is_some() {
            let what = "the pool answers again".to_owned();
            news.push(Event { at: seen.at, kind: Kind::Blind, what, why: String::new() });
        }
        news.extend(seen.commands.iter().map(|command| story::ordered(seen.at, command)));
        let asked = decision.recommended.rule != BETWEEN_TURNS;
        if asked {
            news.extend(self.blockers_told.tell(seen.at, decision));
        }
        news.extend(story::changed(seen.at, decision, applied));
        news.extend(story::refused(seen.at, applied, before.map(|last| &last.applied)));
        self.events.extend(news);
        self.reactions.turn(self.now, seen, decision);
        self.add_up(seen, decision);
        self.mark(seen);
        let measured = decision.measured.as_ref();
        let window = seen.traffic.as_ref();
        self.turns.push_back(Turn {
            at: seen.at,
            fleet: Some(seen.fleet),
            signal: measured.and_then(|measured| measured.value),
            up: measured.and_then(|measured| measured.up),
            down: measured.and_then(|measured| measured.down),
            change: if matches!(applied, Applied::Ordered) { decision.change() } else { 0 },
            shadows: decision.shadows.iter().map(ShadowTurn::desired).collect(),
            expected: decision.foresight.as_ref().and_then(|foresight| Expected::of(seen.at, foresight)),
            arrivals: window.map_or(0, |window| window.arrivals),
            measured: window.map_or(Duration::ZERO, |window| window.length),
            latency: window.and_then(|window| window.latency),
        });
        if asked {
            self.asked = Some(decision.clone());
        }
        let decision = decision.clone();
        self.last = Some(Decided { seen: seen.clone(), decision, applied: applied.clone() });
    }

    fn blind(&mut self, at: Timestamp, because: &str) {
        if self.blind.is_none() {
            let what = "the pool does not answer".to_owned();
            self.events.push_back(Event { at, kind: Kind::Blind, what, why: because.to_owned() });
        }
        let since = self.blind.take().map_or(at, |(since, _)| since);
        self.blind = Some((since, because.to_owned()));
        self.turns.push_back(Turn {
            at,
            fleet: None,
            signal: None,
            up: None,
            down: None,
            change: 0,
            shadows: Vec::new(),
            expected: None,
            arrivals: 0,
            measured: Duration::ZERO,
            latency: None,
        });
    }

    fn add_up(&mut self, seen: &Observation, decision: &Decision) {
        if let Some(window) = &seen.traffic {
            self.totals.completions += window.completions;
            self.totals.failures += window.failures;
        }
        let Some(now) = self.now else { return };
        let passed = between(now, seen.at).as_secs_f64();
        let fleet = &seen.fleet;
        let live = fleet.starting + fleet.ready + fleet.unhealthy + fleet.draining;
        self.totals.worker_seconds += f64::from(live) * passed;
        if decision.in_force.max < u32::MAX {
            self.totals.fixed_seconds += f64::from(decision.in_force.max) * passed;
        }
    }

    fn mark(&mut self, seen: &Observation) {
        self.marks.retain(|id, _| seen.workers.iter().any(|worker| worker.id == *id));
        for worker in &seen.workers {
            let marks = self.marks.entry(worker.id).or_default();
            if worker.state == State::Starting {
                // Its rate begins when it is ready, not when its process was asked for.
                marks.clear();
            }
            marks.push_back((seen.at, worker.requests));
            while marks.len() > 2 && between(marks[1].0, seen.at) >= RATE_SPAN {
                marks.pop_front();
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let most = if self.history > HISTORY { TURNS_MAX_LONG } else { TURNS_MAX };
        while self.turns.len() > most
            || self.turns.front().is_some_and(|turn| between(turn.at, now) > self.history)
        {
            self.turns.pop_front();
        }
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }
}

/// What is shown.
impl View {
    /// Where times of day are told.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The time of the last turn; a dashboard's only clock.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// From the first turn shown to the last.
    pub fn elapsed(&self) -> Duration {
        self.started.zip(self.now).map_or(Duration::ZERO, |(from, to)| between(from, to))
    }

    /// The last turn at which the pool could be asked.
    pub fn last(&self) -> Option<&Decided> {
        self.last.as_ref()
    }

    /// The last decision for which the policy was asked: the reason for what is, also in the
    /// turns between.
    pub fn asked(&self) -> Option<&Decision> {
        self.asked.as_ref()
    }

    /// Since when the pool cannot be asked, and why.
    pub fn unanswered(&self) -> Option<(Timestamp, &str)> {
        self.blind.as_ref().map(|(since, because)| (*since, because.as_str()))
    }

    /// What the policy foresaw when it was last asked, if it is one that does.
    pub fn foresight(&self) -> Option<&Foresight> {
        self.asked.as_ref()?.foresight.as_deref()
    }

    /// Configuration and orders in force.
    pub fn in_force(&self) -> Option<&InForce> {
        self.last.as_ref().map(|last| &last.decision.in_force)
    }

    /// Turns of the last [`HISTORY`], oldest first.
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = &Turn> {
        self.turns.iter()
    }

    /// What happened, newest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().rev()
    }

    /// Policies that only watch, as of the last turn.
    pub fn shadows(&self) -> &[ShadowTurn] {
        self.last.as_ref().map_or(&[], |last| &last.decision.shadows)
    }

    /// Sums since the first turn shown.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Scale-outs since the first turn shown, oldest first, at most a hundred.
    pub fn scale_outs(&self) -> &[ScaleOut] {
        self.reactions.all()
    }

    /// The last scale-out whose new worker is ready.
    pub fn last_scale_out(&self) -> Option<&ScaleOut> {
        self.reactions.last()
    }

    /// What the load generator does at the moment.
    pub fn load(&self) -> Option<&str> {
        self.load.as_deref()
    }

    /// Every worker, in order of slot.
    pub fn workers(&self) -> &[WorkerSeen] {
        self.last.as_ref().map_or(&[], |last| &last.seen.workers)
    }

    /// The pool in numbers.
    pub fn fleet(&self) -> FleetStatus {
        self.last.as_ref().map(|last| last.seen.fleet).unwrap_or_default()
    }

    /// How many replicas there should be after the last decision.
    pub fn desired(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.decision.desired())
    }
}
