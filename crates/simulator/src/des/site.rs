//! Where everything meets on virtual time: requests, workers, turns. The queue of things to
//! come lives here, what they do in the files beside it.

mod books;
mod crew;
mod turn;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use control::{Controller, Fleet, FleetConfig};
use jiff::Timestamp;
use traffic::{Arrival, Draw, Meter, Outcome as Ending, Pool, Shard, WorkerId};

use super::arrivals::{Arrivals, Poisson};
use super::chance::Chance;
use super::credits::Account;
use super::schedule::{NEVER, Schedule};
use super::station::{Job, Station};
use super::{Des, Outcome, Requests};
use crate::fluid::{Driver, Watch};
use crate::load::Load;
use crate::number::{self, index};
use crate::scenario::{Scenario, ScenarioError};
use books::Books;
use turn::Turns;

/// Requests that wait for a worker at most; the next one is refused. More would wait longer
/// than anyone's patience at any sensible rate.
const WAITING_MAX: usize = 1_000_000;

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

/// A request without a worker.
#[derive(Debug)]
struct Waiting {
    arrival: Arrival,
    arrived_ns: u64,
    since_ns: u64,
    service_s: f64,
    again: bool,
    avoid: Option<WorkerId>,
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
    arrivals: Arrivals<'a>,
    next_arrival_ns: u64,
    now_ns: u64,
    /// Ties are settled by the order in which things were put in.
    later: BinaryHeap<Reverse<(u64, u64, What)>>,
    sequence: u64,
    completions: Schedule,
    /// One a slot of the fleet.
    stations: Vec<Seat>,
    fleet: Fleet,
    fleet_wake_ns: u64,
    pool: Arc<Pool>,
    meter: Meter,
    shard: Arc<Shard>,
    waiting: VecDeque<Waiting>,
    service_s: f64,
    patience_ns: u64,
    requests_per_load: f64,
    books: Books<'a>,
    requests: Requests,
    scored_from_ns: u64,
    /// Requests in the system, and since when.
    present: u64,
    present_since_ns: u64,
    service: Chance,
    balance: Chance,
    mishaps: Chance,
    start_ups: Chance,
}

/// A slot's process.
#[derive(Debug)]
struct Seat {
    id: WorkerId,
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
        mut arrivals: Arrivals<'a>,
    ) -> Result<Self, ScenarioError> {
        let balancer =
            traffic::balance::build(&des.algorithm).map_err(|error| ScenarioError::new(error.to_string()))?;
        let meter = Meter::new(1);
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
        Ok(Self {
            next_arrival_ns: arrivals.next_ns(),
            arrivals,
            now_ns: 0,
            later: BinaryHeap::new(),
            sequence: 0,
            completions: Schedule::default(),
            stations: Vec::new(),
            fleet: Fleet::new(config, des.seed),
            fleet_wake_ns: NEVER,
            pool: Pool::new(balancer, des.in_flight_max.and_then(NonZeroU32::new)),
            shard: meter.shard(0),
            meter,
            waiting: VecDeque::new(),
            service_s,
            patience_ns: u64::try_from(scenario.patience.as_nanos()).unwrap_or(NEVER),
            requests_per_load: scenario.slo_utilisation / service_s,
            books: Books::new(load, scenario, number::millis(des.faults.warm_up.as_secs_f64()).unwrap_or(0)),
            requests: Requests::default(),
            scored_from_ns: load.scored_from_ms() * 1_000_000,
            present: 0,
            present_since_ns: 0,
            service: Chance::new(des.seed, 2),
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
            Driver::Static(workers) => Mind::Static(workers),
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
        Ok(Outcome { tally: self.books.finish(self.now_ns / 1_000_000), requests: self.requests })
    }

    /// Lets everything happen before `until_ns`, in order.
    fn pass_until(&mut self, until_ns: u64) {
        loop {
            let later_ns = self.later.peek().map_or(NEVER, |Reverse((at, ..))| *at);
            let impatient_ns = self.impatient_ns();
            let rare_ns = later_ns.min(self.fleet_wake_ns).min(impatient_ns);
            let done_ns = self.completions.earliest();
            let next_ns = rare_ns.min(done_ns).min(self.next_arrival_ns);
            if next_ns >= until_ns {
                self.now_ns = until_ns;
                return;
            }
            self.now_ns = self.now_ns.max(next_ns);
            if done_ns == next_ns {
                self.complete();
            } else if self.next_arrival_ns == next_ns {
                self.arrive();
            } else if later_ns == next_ns {
                if let Some(Reverse((_, _, what))) = self.later.pop() {
                    self.happen(what);
                }
            } else if impatient_ns == next_ns {
                self.give_up();
            } else {
                let now = self.moment();
                self.fleet.handle_timeout(now);
                self.obey();
            }
        }
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
    }

    fn scoring(&self) -> bool {
        self.now_ns >= self.scored_from_ns
    }

    /// Keeps the sum for Little's law.
    fn count_present(&mut self) {
        let from_ns = self.present_since_ns.max(self.scored_from_ns);
        let passed_s = self.now_ns.saturating_sub(from_ns) as f64 / 1e9;
        self.requests.present_s += passed_s * self.present as f64;
        self.present_since_ns = self.now_ns;
    }

    fn arrive(&mut self) {
        self.next_arrival_ns = self.arrivals.next_ns();
        self.count_present();
        self.present += 1;
        self.requests.arrived += u64::from(self.scoring());
        let arrival = self.shard.arrive(self.moment());
        let service_s = self.des.service.draw(self.service_s, &mut self.service);
        let now_ns = self.now_ns;
        let request =
            Waiting { arrival, arrived_ns: now_ns, since_ns: now_ns, service_s, again: false, avoid: None };
        // Those who came before are served before.
        match if self.waiting.is_empty() { self.serve(request) } else { Some(request) } {
            Some(request) if self.waiting.len() >= WAITING_MAX => self.refuse(request),
            Some(request) => self.wait(request),
            None => {}
        }
    }

    /// Gives a request to a worker; hands it back if none can take it.
    fn serve(&mut self, request: Waiting) -> Option<Waiting> {
        let at = self.moment();
        let draw = Draw { at, random: self.balance.bits(), key: 0, stick_to: None };
        let Some(lease) = self.pool.lease(draw, request.avoid) else { return Some(request) };
        let place = place(lease.backend().id());
        let Waiting { arrival, arrived_ns, service_s, again, .. } = request;
        self.stations[place].station.enter(self.now_ns, Job { arrival, lease, arrived_ns, service_s, again });
        self.completions.set(place, self.stations[place].station.next_ns());
        None
    }

    fn wait(&mut self, request: Waiting) {
        self.shard.enter_queue();
        self.waiting.push_back(Waiting { since_ns: self.now_ns, ..request });
    }

    /// When the request that waits longest gives up.
    fn impatient_ns(&self) -> u64 {
        self.waiting.front().map_or(NEVER, |request| request.since_ns.saturating_add(self.patience_ns))
    }

    fn give_up(&mut self) {
        if let Some(request) = self.waiting.pop_front() {
            self.shard.leave_queue(self.scenario.patience);
            self.refuse(request);
        }
    }

    fn refuse(&mut self, request: Waiting) {
        self.count_present();
        self.present -= 1;
        request.arrival.finish(self.moment(), Ending::Refused { status: 503, reason: "queue_full" });
        if self.scoring() {
            self.requests.dropped += 1;
            self.books.dropped(1.0 / self.requests_per_load);
        }
    }

    /// The earliest request in service is done.
    fn complete(&mut self) {
        let place = self.completions.first();
        let seat = &mut self.stations[place];
        let job = seat.station.finish(self.now_ns);
        self.completions.set(place, seat.station.next_ns());
        let Some(job) = job else { return };
        let (id, drained) = (seat.id, !seat.routed && seat.station.len() == 0);
        self.count_present();
        self.present -= 1;
        let at = self.moment();
        job.lease.finish(at, Ending::Answered(200));
        job.arrival.finish(at, Ending::Answered(200));
        if self.scoring() {
            let response_s = (self.now_ns - job.arrived_ns) as f64 / 1e9;
            self.requests.completed += 1;
            self.requests.response_s += response_s;
            self.books.answered(response_s);
        }
        if drained {
            self.fleet.handle(at, control::Event::Drained { id });
            self.obey();
        }
        self.let_in();
    }

    /// Whoever waits longest goes first, as long as there is room.
    fn let_in(&mut self) {
        while let Some(request) = self.waiting.pop_front() {
            let since_ns = request.since_ns;
            if let Some(request) = self.serve(request) {
                self.waiting.push_front(request);
                return;
            }
            let waited = std::time::Duration::from_nanos(self.now_ns - since_ns);
            self.shard.leave_queue(waited);
            if self.scoring() {
                self.requests.wait_s += waited.as_secs_f64();
            }
        }
    }

    /// What a worker had when it ended: once more elsewhere, as the proxy does it, or lost.
    fn bereave(&mut self, jobs: Vec<Job>, id: WorkerId) {
        for job in jobs {
            let at = self.moment();
            job.lease.finish(at, Ending::Broken);
            if job.again {
                self.count_present();
                self.present -= 1;
                job.arrival.finish(at, Ending::Answered(502));
                self.requests.failed += u64::from(self.scoring());
                continue;
            }
            self.shard.count_retry();
            let request = Waiting {
                arrival: job.arrival,
                arrived_ns: job.arrived_ns,
                since_ns: self.now_ns,
                service_s: job.service_s,
                again: true,
                avoid: Some(id),
            };
            if let Some(request) = self.serve(request) {
                self.wait(request);
            }
        }
    }
}

/// Where a worker's station stands.
fn place(id: WorkerId) -> usize {
    index(u64::from(id.slot.saturating_sub(1)))
}
