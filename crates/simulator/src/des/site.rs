//! Where everything meets on virtual time: requests, workers, turns. The queue of things to
//! come lives here, what they do in the files beside it.

mod books;
mod crew;
mod requests;
mod turn;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use control::{Controller, Fleet, FleetConfig};
use jiff::Timestamp;
use traffic::{Backend, Meter, Pool, Shard, Snapshot, WorkerId};

use super::arrivals::{Arrivals, Coming, Next, Poisson};
use super::chance::Chance;
use super::credits::Account;
use super::schedule::{NEVER, Schedule};
use super::slab::Slab;
use super::station::Station;
use super::{Des, Outcome, Requests};
use crate::fluid::{Driver, Watch};
use crate::load::Load;
use crate::number::{self, index};
use crate::scenario::{Scenario, ScenarioError};
use books::Books;
use requests::Request;
use turn::Turns;

/// Something that will happen at a known time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Started(WorkerId),
    Ready(WorkerId),
    Warm(WorkerId),
    Crash(WorkerId),
    Hang(WorkerId),
    ProbeFails(WorkerId),
    Gone(WorkerId),
    Killed(WorkerId),
    RegionLost(u32),
    Noticed(WorkerId),
    Taken(WorkerId),
    Settled(WorkerId),
}

/// Who decides.
enum Mind {
    Controller(Box<Controller>),
    Static(u32),
}

/// One run.
pub(super) struct Site<'a> {
    load: &'a Load,
    scenario: &'a Scenario,
    des: &'a Des,
    coming: Coming<'a>,
    next: Next,
    now_ns: u64,
    /// Ties are settled by the order in which things were put in.
    later: BinaryHeap<Reverse<(u64, u64, What)>>,
    sequence: u64,
    completions: Schedule,
    /// One a slot of the fleet.
    stations: Vec<Seat>,
    fleet: Fleet,
    fleet_wake_ns: u64,
    /// When the first of all this happens: of what is to happen later, of the fleet's wake, and of
    /// requests that give up.
    rare_ns: u64,
    pool: Arc<Pool>,
    /// What the pool is now: nobody else changes it.
    routes: Arc<Snapshot>,
    meter: Meter,
    shard: Shard,
    /// All requests under way, by their tickets: their places here.
    open: Slab<Request>,
    /// Those without a worker, and since when.
    waiting: VecDeque<(u64, usize)>,
    patience_ns: u64,
    requests_per_load: f64,
    books: Books<'a>,
    requests: Requests,
    scored_from_ns: u64,
    /// Requests in the system, and since when.
    present: u32,
    /// Their number summed over the scored time, in request-nanoseconds.
    present_sum_ns: u128,
    present_since_ns: u64,
    balance: Chance,
    mishaps: Chance,
    start_ups: Chance,
}

/// A slot's process.
#[derive(Debug)]
struct Seat {
    id: WorkerId,
    /// As the pool knows it, once it has been routed.
    backend: Option<Arc<Backend>>,
    station: Station,
    ready_ns: Option<u64>,
    /// Busy time at the last turn, in seconds.
    busy_before_s: f64,
    routed: bool,
    account: Option<Account>,
}

/// Requests by chance, at the rate of the load.
pub(super) fn poisson<'a>(load: &'a Load, scenario: &Scenario, des: &Des) -> Arrivals<'a> {
    let requests_per_load = scenario.slo_utilisation / scenario.service_time.as_secs_f64();
    Arrivals::Poisson(Poisson::new(load, Chance::new(des.seed, 1), requests_per_load))
}

impl<'a> Site<'a> {
    pub(super) fn new(
        load: &'a Load,
        scenario: &'a Scenario,
        des: &'a Des,
        arrivals: Arrivals<'a>,
    ) -> Result<Self, ScenarioError> {
        des.check(load, scenario)?;
        let balancer =
            traffic::balance::build(&des.algorithm).map_err(|error| ScenarioError::new(error.to_string()))?;
        let pool = Pool::for_one_thread(balancer, des.in_flight_max.and_then(NonZeroU32::new));
        let meter = Meter::default();
        let start_up = scenario.start_up;
        // The simulated start-up may take what it takes: no fleet gives up on it.
        let config = FleetConfig {
            startup_deadline: start_up.saturating_mul(100).max(FleetConfig::default().startup_deadline),
            drain_timeout: scenario.patience.saturating_mul(10).max(FleetConfig::default().drain_timeout),
            surge: control::fleet::WORKERS_MAX,
            ..FleetConfig::default()
        };
        let service_s = match &arrivals {
            Arrivals::Recorded { .. } => scenario.slo_utilisation / load.requests_per_load(),
            Arrivals::Poisson(_) => scenario.service_time.as_secs_f64(),
        };
        let mut coming = Coming::new(arrivals, &des.service, service_s, Chance::new(des.seed, 2));
        Ok(Self {
            next: coming.next(),
            coming,
            now_ns: 0,
            later: BinaryHeap::new(),
            sequence: 0,
            completions: Schedule::default(),
            stations: Vec::new(),
            fleet: Fleet::new(config, des.seed),
            fleet_wake_ns: NEVER,
            rare_ns: NEVER,
            routes: pool.snapshot(),
            pool,
            shard: meter.shard(),
            meter,
            open: Slab::default(),
            waiting: VecDeque::new(),
            patience_ns: u64::try_from(scenario.patience.as_nanos()).unwrap_or(NEVER),
            requests_per_load: scenario.slo_utilisation / service_s,
            books: Books::new(load, scenario, number::millis(des.faults.warm_up.as_secs_f64()).unwrap_or(0)),
            requests: Requests::default(),
            scored_from_ns: load.scored_from_ms() * 1_000_000,
            present: 0,
            present_sum_ns: 0,
            present_since_ns: 0,
            balance: Chance::new(des.seed, 3),
            mishaps: Chance::new(des.seed, 4),
            start_ups: Chance::new(des.seed, 5),
            load,
            scenario,
            des,
        })
    }

    pub(super) fn run(
        mut self,
        driver: Driver,
        mut watch: Option<&mut Watch>,
    ) -> Result<Outcome, ScenarioError> {
        let mut mind = match driver {
            Driver::Controller(controller) => Mind::Controller(controller),
            Driver::Static(workers) => {
                super::few_enough(workers)?;
                Mind::Static(workers)
            }
            Driver::Plan(_) | Driver::Agent(_) => {
                let because =
                    "a schedule or an agent decides on loads, not on single requests: use the fluid engine";
                return Err(ScenarioError::new(because.to_owned()));
            }
        };
        let first = match &mind {
            Mind::Controller(_) => self.load.first_workers(self.scenario),
            Mind::Static(workers) => *workers,
        };
        self.begin_with(first);
        self.expect_losses();
        let mut turns = Turns::new(self.scenario);
        for step in 1..=self.load.steps() {
            let at_ns = self.load.begin_ms(step) * 1_000_000;
            self.pass_until(at_ns);
            if step < self.load.steps() {
                if turns.take(&mut self, step, &mut mind, &mut watch).is_break() {
                    break;
                }
            } else {
                self.books.end_step(step - 1, &self.fleet.status());
            }
        }
        self.count_present();
        self.requests.present_s = self.present_sum_ns as f64 / 1e9;
        Ok(Outcome { tally: self.books.finish(self.now_ns / 1_000_000), requests: self.requests })
    }

    /// Lets everything happen before `until_ns`, in order.
    fn pass_until(&mut self, until_ns: u64) {
        loop {
            let done_ns = self.completions.earliest();
            let next_ns = self.rare_ns.min(done_ns).min(self.next.at_ns);
            if next_ns >= until_ns {
                self.now_ns = until_ns;
                return;
            }
            self.now_ns = self.now_ns.max(next_ns);
            if done_ns == next_ns {
                self.complete();
            } else if self.next.at_ns == next_ns {
                self.arrive();
            } else {
                self.happen_at(next_ns);
            }
        }
    }

    /// Lets one of the rarer things happen whose time that is.
    fn happen_at(&mut self, next_ns: u64) {
        if self.later_ns() == next_ns {
            let what = self.later.pop();
            self.look_ahead();
            if let Some(Reverse((_, _, what))) = what {
                self.happen(what);
            }
        } else if self.impatient_ns() == next_ns {
            self.give_up();
        } else {
            let now = self.moment();
            self.fleet.handle_timeout(now);
            self.obey();
        }
    }

    fn later_ns(&self) -> u64 {
        self.later.peek().map_or(NEVER, |Reverse((at, ..))| *at)
    }

    /// To be called whenever something of it has changed.
    fn look_ahead(&mut self) {
        self.rare_ns = self.later_ns().min(self.fleet_wake_ns).min(self.impatient_ns());
    }

    /// The present moment; virtual time 0 is 1970.
    fn moment(&self) -> Timestamp {
        // By parts: 128 bits at every request would be a tenth of its cost.
        let (second, nanos) = (self.now_ns / 1_000_000_000, self.now_ns % 1_000_000_000);
        let second = i64::try_from(second).unwrap_or(i64::MAX);
        let nanos = i32::try_from(nanos).expect("less than a billion");
        Timestamp::new(second, nanos).unwrap_or(Timestamp::MAX)
    }

    fn put(&mut self, at_ns: u64, what: What) {
        self.sequence += 1;
        self.later.push(Reverse((at_ns, self.sequence, what)));
        self.look_ahead();
    }

    fn scoring(&self) -> bool {
        self.now_ns >= self.scored_from_ns
    }
}

/// Where a worker's station stands.
fn place(id: WorkerId) -> usize {
    index(u64::from(id.slot.saturating_sub(1)))
}
