//! The loop on paused time, with a scripted source and a recording target.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use control::{
    Applied, Command, Controller, ControllerConfig, Cycle, FleetStatus, PolicyConfig, Reading, ScaleTo,
};
use jiff::Timestamp;
use live::{Loop, Mode, Source, SourceError, Status, Target, TargetError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use traffic::{Sample, Window};

/// Gives out its readings of the host's CPU by way of the target and its windows in turn.
struct Scripted(VecDeque<Result<Sample, SourceError>>);

impl Source for Scripted {
    async fn sample(&mut self, _: Timestamp) -> Result<Sample, SourceError> {
        self.0.pop_front().unwrap_or_else(|| Ok(quiet()))
    }
}

fn quiet() -> Sample {
    Sample {
        window: Window {
            length: Duration::from_secs(1),
            arrivals: 0,
            completions: 0,
            failures: 0,
            in_flight: 0,
            queued: 0,
            latency: None,
            queue_wait_max: Duration::ZERO,
        },
        backends: Vec::new(),
        ledger: None,
    }
}

#[derive(Default)]
struct Orders {
    desired: u32,
    all: Vec<u32>,
}

struct Recording {
    orders: Arc<Mutex<Orders>>,
    clock: Clock,
    host_cpu: VecDeque<f64>,
    refuse: bool,
    unreachable_turns: u32,
}

impl Target for Recording {
    async fn status(&mut self) -> Result<Status, TargetError> {
        if self.unreachable_turns > 0 {
            self.unreachable_turns -= 1;
            return Err(TargetError("no answer".to_owned()));
        }
        let desired = self.orders.lock().unwrap().desired;
        let fleet = FleetStatus { desired, ready: desired, ..FleetStatus::default() };
        let value = self.host_cpu.pop_front().unwrap_or(20.0);
        let reading = Reading { value, at: self.clock.now() };
        Ok(Status { fleet, signals: BTreeMap::from([("host_cpu".to_owned(), reading)]), ..Status::default() })
    }

    async fn scale_to(&mut self, desired: u32, _seen: &[control::WorkerSeen]) -> Result<(), TargetError> {
        if self.refuse {
            return Err(TargetError("refused".to_owned()));
        }
        let mut orders = self.orders.lock().unwrap();
        orders.desired = desired;
        orders.all.push(desired);
        Ok(())
    }
}

struct Bench {
    orders: Arc<Mutex<Orders>>,
    commands: mpsc::Sender<Command>,
    run: Loop<Scripted, Recording>,
}

fn bench(host_cpu: &[f64], interval: Duration) -> Bench {
    let orders = Arc::new(Mutex::new(Orders { desired: 1, all: Vec::new() }));
    let settings = serde_json::json!({"signal": "host_cpu"});
    let config = ControllerConfig {
        policy: PolicyConfig {
            name: "threshold".to_owned(),
            settings: settings.as_object().unwrap().clone(),
        },
        min: 1,
        max: 5,
        interval,
        shadows: Vec::new(),
    };
    let (commands, receiver) = mpsc::channel(8);
    let clock = Clock::start();
    let target = Recording {
        clock,
        orders: Arc::clone(&orders),
        host_cpu: host_cpu.iter().copied().collect(),
        refuse: false,
        unreachable_turns: 0,
    };
    let run = Loop {
        source: Scripted(VecDeque::new()),
        target,
        controller: Controller::new(config).unwrap(),
        commands: receiver,
        mode: Mode::Act,
        forecasting: None,
        slow: Box::new(live::NoSlow),
        clock,
    };
    Bench { orders, commands, run }
}

/// Runs until `count` cycles are there.
async fn cycles(run: Loop<Scripted, Recording>, count: usize) -> Vec<Cycle> {
    let stop = CancellationToken::new();
    let mut all = Vec::new();
    let ending = stop.clone();
    run.run(stop, |cycle| {
        all.push(cycle);
        if all.len() == count {
            ending.cancel();
        }
    })
    .await;
    all
}

fn applied(cycle: &Cycle) -> &Applied {
    match cycle {
        Cycle::Decided { applied, .. } => applied,
        Cycle::Blind { because, .. } => panic!("blind: {because}"),
    }
}

#[tokio::test(start_paused = true)]
async fn orders_what_is_decided_once_a_turn() {
    let bench = bench(&[90.0, 90.0, 90.0, 90.0, 90.0], Duration::from_secs(1));
    let all = cycles(bench.run, 5).await;
    assert_eq!(bench.orders.lock().unwrap().all, [2, 2, 2, 3, 3], "3 s of cool-down after the decision");
    let gaps: Vec<f64> =
        all.windows(2).map(|two| two[1].at().duration_since(two[0].at()).as_secs_f64()).collect();
    assert!(gaps.iter().all(|gap| (gap - 1.0).abs() < 0.01), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn an_order_by_hand_does_not_wait_for_the_interval() {
    let bench = bench(&[], Duration::from_secs(15));
    let started = tokio::time::Instant::now();
    bench
        .commands
        .send(Command::Scale { to: ScaleTo::Exactly(4), until: None, by: "test".to_owned() })
        .await
        .unwrap();
    let _ = cycles(bench.run, 2).await;
    assert_eq!(bench.orders.lock().unwrap().all, [4, 4]);
    assert!(started.elapsed() < Duration::from_millis(1_100), "turns come each second, orders at once");
}

#[tokio::test(start_paused = true)]
async fn a_lost_sample_is_no_traffic_and_the_loop_goes_on() {
    let mut bench = bench(&[], Duration::from_secs(1));
    bench.run.source.0.push_back(Err(SourceError("lost".to_owned())));
    let all = cycles(bench.run, 2).await;
    let traffic: Vec<bool> = all
        .iter()
        .map(|cycle| matches!(cycle, Cycle::Decided { seen, .. } if seen.traffic.is_some()))
        .collect();
    assert_eq!(traffic, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_order_is_asked_again_next_turn() {
    let mut bench = bench(&[90.0, 90.0], Duration::from_secs(1));
    bench.run.target.refuse = true;
    let all = cycles(bench.run, 2).await;
    for cycle in &all {
        assert_eq!(*applied(cycle), Applied::Failed("refused".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_given_to_a_blind_loop_is_kept() {
    let mut bench = bench(&[], Duration::from_secs(1));
    bench.run.target.unreachable_turns = 1;
    bench
        .commands
        .send(Command::Scale { to: ScaleTo::Exactly(4), until: None, by: "test".to_owned() })
        .await
        .unwrap();
    let all = cycles(bench.run, 2).await;
    assert!(matches!(&all[0], Cycle::Blind { because, .. } if because == "no answer"));
    assert_eq!(bench.orders.lock().unwrap().all, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_orders_nothing() {
    let mut bench = bench(&[90.0], Duration::from_secs(1));
    bench.run.mode = Mode::Recommend;
    let all = cycles(bench.run, 1).await;
    assert_eq!(*applied(&all[0]), Applied::DryRun);
    assert!(bench.orders.lock().unwrap().all.is_empty());
}
