//! Many policies on many traces: runs them on several threads, with the same result on any
//! number of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use control::{ConfigError, PolicyConfig, PolicySpec};

use crate::curve::Curve;
use crate::des::{self, Des};
use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::number;
use crate::optimum::{self, Optimum};
use crate::scenario::{Scenario, ScenarioError};
use crate::score::{MadeFrom, Of, Score};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::tune;

/// Someone who says how many workers there are, with the name used in results.
#[derive(Clone, Debug, PartialEq)]
pub struct Contestant {
    /// As it was asked for.
    pub name: String,
    /// What it is.
    pub kind: ContestantKind,
}

/// Policies and yardsticks.
#[derive(Clone, Debug, PartialEq)]
pub enum ContestantKind {
    /// A policy of the live system.
    Policy(PolicyConfig),
    /// The clairvoyant schedule.
    Optimal,
    /// Always this many.
    Static(u32),
    /// The constant number that turns out to be cheapest.
    BestStatic,
    /// An HPA with the settings that turn out to be cheapest.
    HpaTuned,
}

impl Contestant {
    /// One policy or yardstick, as it is typed.
    ///
    /// # Errors
    /// Names the policy that there is not, or the setting that it does not have.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let kind = match ContestantKind::yardstick(text) {
            Some(kind) => kind,
            None => ContestantKind::Policy(PolicySpec::parse(text)?.config),
        };
        Ok(Self { name: text.to_owned(), kind })
    }
}

impl ContestantKind {
    /// The yardstick of that name.
    pub fn yardstick(text: &str) -> Option<Self> {
        match text {
            "optimal" => Some(Self::Optimal),
            "best_static" | "best-static" => Some(Self::BestStatic),
            "hpa_tuned" | "hpa-tuned" => Some(Self::HpaTuned),
            _ => text.strip_prefix("static:")?.trim().parse().ok().map(Self::Static),
        }
    }
}

/// What is to be run: each contestant on each trace with each start-up delay.
#[derive(Clone, Debug)]
pub struct Contest<'a> {
    /// The loads.
    pub traces: &'a [Trace],
    /// Who runs on them.
    pub contestants: &'a [Contestant],
    /// Start-up delays; each takes the place of the scenario's.
    pub start_ups: &'a [Duration],
    /// All else.
    pub scenario: &'a Scenario,
    /// What runs it.
    pub engine: &'a Engine,
    /// Columns of the picture that each score brings; `None`: no pictures.
    pub columns: Option<usize>,
}

/// The engines.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are as many as seeds at a time")]
pub enum Engine {
    /// Requests as a stream.
    Fluid,
    /// Every request by itself, once with each seed from the given one on. Recorded requests
    /// come as recorded; the optimum, which knows loads and no requests, is run as a stream.
    Des {
        /// The first run; the others differ from it by their seed.
        des: Des,
        /// How many seeds.
        seeds: u64,
    },
}

/// Why a contest cannot be held.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ContestError {
    /// The scenario does not fit the trace.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A policy cannot be built.
    #[error(transparent)]
    Policy(#[from] ConfigError),
}

/// What all contestants on one trace with one start-up delay share.
struct Field<'a> {
    /// Single requests, where they are known.
    arrivals: &'a [f64],
    load: Load,
    scenario: Scenario,
    optimum: Optimum,
    best_static: u32,
    constant: Tally,
    trace_hash: String,
    hpa_tuned: Option<PolicyConfig>,
    optimum_curve: Option<Box<Curve>>,
}

impl<'a> Contest<'a> {
    /// With the scenario's own start-up delay, as a stream, without pictures.
    pub fn of(traces: &'a [Trace], contestants: &'a [Contestant], scenario: &'a Scenario) -> Self {
        let start_ups = std::slice::from_ref(&scenario.start_up);
        Self { traces, contestants, start_ups, scenario, engine: &Engine::Fluid, columns: None }
    }
}

impl Contest<'_> {
    /// How many scores there will be.
    pub fn size(&self) -> usize {
        let seeds = match self.engine {
            Engine::Fluid => 1,
            Engine::Des { seeds, .. } => number::index(*seeds).max(1),
        };
        self.traces.len() * self.start_ups.len() * self.contestants.len() * seeds
    }

    /// Runs everything on `threads` threads. `done` is told after each run, in any order; the
    /// scores come in the order of traces, start-up delays and contestants.
    pub fn run(&self, threads: usize, done: &(dyn Fn() + Sync)) -> Result<Vec<Score>, ContestError> {
        self.scenario.check()?;
        for contestant in self.contestants {
            match &contestant.kind {
                ContestantKind::Policy(policy) => drop(fluid::controller(policy.clone(), self.scenario)?),
                ContestantKind::Static(workers) => drop(self.scenario.constant(*workers)?),
                _ => {}
            }
        }
        let grounds: Vec<(&Trace, Duration)> = self
            .traces
            .iter()
            .flat_map(|trace| self.start_ups.iter().map(move |start_up| (trace, *start_up)))
            .collect();
        let fields = spread(&grounds, threads, |(trace, start_up)| self.field(trace, *start_up));
        let fields = fields.into_iter().collect::<Result<Vec<Field>, ContestError>>()?;
        let engines = self.engines();
        let mut heats: Vec<(&Field, &Contestant, &Engine)> = Vec::with_capacity(self.size());
        for field in &fields {
            for contestant in self.contestants {
                heats.extend(engines.iter().map(|engine| (field, contestant, engine)));
            }
        }
        let scores = spread(&heats, threads, |(field, contestant, engine)| {
            let score = field.score(contestant, engine);
            done();
            score
        });
        let scores = scores.into_iter().collect::<Result<Vec<Score>, ContestError>>()?;
        Ok(scores.chunks(engines.len().max(1)).filter_map(Score::mean).collect())
    }

    /// One a seed.
    fn engines(&self) -> Vec<Engine> {
        match self.engine {
            Engine::Fluid => vec![Engine::Fluid],
            Engine::Des { des, seeds } => (0..(*seeds).max(1))
                .map(|more| Engine::Des {
                    des: Des { seed: des.seed.wrapping_add(more), ..des.clone() },
                    seeds: 1,
                })
                .collect(),
        }
    }

    fn field<'a>(&self, trace: &'a Trace, start_up: Duration) -> Result<Field<'a>, ContestError> {
        let scenario = Scenario { start_up, ..self.scenario.clone() };
        let mut load = Load::new(trace, &scenario)?;
        load.columns = self.columns;
        let wants =
            |kind: &ContestantKind| self.contestants.iter().any(|contestant| contestant.kind == *kind);
        let wants_plan = wants(&ContestantKind::Optimal) || self.columns.is_some();
        let optimum = optimum::solve(&load, &scenario, wants_plan);
        let (best_static, _) = optimum::best_static(&load, &scenario);
        let constant = fluid::run(&load, &scenario, Driver::Static(best_static), None);
        let optimum_curve =
            self.columns.and_then(|_| fluid::run(&load, &scenario, Driver::Plan(&optimum.plan), None).curve);
        let hpa_tuned =
            wants(&ContestantKind::HpaTuned).then(|| tune::hindsight::hpa(&load, &scenario)).flatten();
        let trace_hash = trace.fingerprint();
        Ok(Field {
            trace_hash,
            hpa_tuned,
            optimum_curve,
            arrivals: &trace.arrivals,
            load,
            scenario,
            optimum,
            best_static,
            constant,
        })
    }
}

impl Field<'_> {
    fn score(&self, contestant: &Contestant, engine: &Engine) -> Result<Score, ContestError> {
        let driver = match &contestant.kind {
            ContestantKind::Policy(policy) => {
                Driver::Controller(Box::new(fluid::controller(policy.clone(), &self.scenario)?))
            }
            ContestantKind::Optimal => Driver::Plan(&self.optimum.plan),
            ContestantKind::Static(workers) => Driver::Static(*workers),
            ContestantKind::BestStatic => Driver::Static(self.best_static),
            ContestantKind::HpaTuned => {
                let config =
                    self.hpa_tuned.clone().ok_or_else(|| ConfigError::UnknownPolicy("hpa".to_owned()))?;
                Driver::Controller(Box::new(fluid::controller(config, &self.scenario)?))
            }
        };
        let (load, scenario) = (&self.load, &self.scenario);
        let engine_asked = engine;
        let (engine, tally) = match engine {
            Engine::Des { des, .. } if contestant.kind != ContestantKind::Optimal => {
                let outcome = if self.arrivals.is_empty() {
                    des::run(load, scenario, des, driver, None)?
                } else {
                    des::replay(load, scenario, des, self.arrivals, driver, None)?
                };
                ("des", outcome.tally)
            }
            _ => ("fluid", fluid::run(load, scenario, driver, None)),
        };
        let of = Of {
            trace: &load.name,
            policy: &contestant.name,
            engine,
            optimal_cost: self.optimum.cost,
            constant: &self.constant,
            made_from: self.made_from(engine_asked),
            chosen: self.chosen(&contestant.kind),
            optimum_curve: self.optimum_curve.as_deref(),
        };
        Ok(tally.score(of, scenario))
    }
}

impl Field<'_> {
    /// What a yardstick chose for this load.
    fn chosen(&self, kind: &ContestantKind) -> Option<String> {
        match kind {
            ContestantKind::BestStatic => Some(format!("static:{}", self.best_static)),
            ContestantKind::HpaTuned => self.hpa_tuned.as_ref().map(tune::space::spelled),
            _ => None,
        }
    }

    fn made_from(&self, engine: &Engine) -> MadeFrom {
        let seed = match engine {
            Engine::Fluid => None,
            Engine::Des { des, .. } => Some(des.seed),
        };
        let here = MadeFrom::here(&self.scenario, Some(&format!("{engine:?}")));
        MadeFrom { trace_hash: self.trace_hash.clone(), seed, ..here }
    }
}

/// Works through `items` on several threads; results come in the order of the items.
pub fn spread<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(items.iter().map(|_| None).collect::<Vec<Option<R>>>());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { break };
                    let result = work(item);
                    results.lock().expect("no thread panics while it holds the lock")[place] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().expect("no thread panics while it holds the lock");
    results.into_iter().map(|result| result.expect("each item was worked on")).collect()
}
