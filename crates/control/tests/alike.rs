//! What spares work changes nothing: every policy decides the same, byte for byte, whether one of
//! workers that are alike speaks for them or each is looked at, with or without its reasons, and
//! with or without latencies where it says that it reads none.

use std::time::Duration;

use control::policy::signal::Signal;
use control::{
    Controller, ControllerConfig, Decision, FleetStatus, Observation, POLICIES, PolicyConfig, SlowInputs,
    State, WorkerSeen,
};
use jiff::Timestamp;
use proptest::prelude::*;
use traffic::{Latency, Version, Window, WorkerId};

/// What becomes of the pool between two turns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Nothing,
    /// One more, ready for so many milliseconds.
    More(u64),
    /// One in the middle is gone.
    Fewer,
    /// The last one is in another state for this turn.
    Odd(State),
}

/// Turns in which the same is read again and again, with what becomes of the pool before each.
#[derive(Clone, Debug)]
struct Stretch {
    turn_ms: u64,
    cpu: Option<f64>,
    /// What the newest read in place of it, and how many those are.
    newest: (Option<f64>, usize),
    rate: u32,
    queued: u32,
    /// Requests that each worker ends in a turn.
    requests: u64,
    changes: Vec<Change>,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => Just(Change::Nothing),
        2 => (0_u64..400_000).prop_map(Change::More),
        1 => Just(Change::Fewer),
        1 => prop_oneof![Just(State::Starting), Just(State::Draining)].prop_map(Change::Odd),
    ]
}

fn cpu() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        3 => (0.0..120.0_f64).prop_map(Some),
        3 => prop_oneof![Just(Some(0.0)), Just(Some(100.0)), Just(Some(0.4))],
        1 => prop_oneof![Just(Some(-1.0)), Just(Some(1e9)), Just(Some(f64::NAN)), Just(None)],
    ]
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let changes = prop_oneof![
        2 => proptest::collection::vec(change(), 1..3),
        1 => proptest::collection::vec(change(), 10..30),
    ];
    let traffic = (0_u32..3_000, 0_u32..40, prop_oneof![Just(0_u64), Just(200)]);
    let newest = (cpu(), prop_oneof![2 => Just(0_usize), 3 => 1_usize..4]);
    (1_u64..40_000, (cpu(), newest), traffic, changes).prop_map(
        |(turn_ms, (cpu, newest), (rate, queued, requests), changes)| Stretch {
            turn_ms,
            cpu,
            newest,
            rate,
            queued,
            requests,
            changes,
        },
    )
}

fn moment(at_ms: u64) -> Timestamp {
    let since_ms = i64::try_from(at_ms).expect("a short time");
    Timestamp::from_millisecond(1_767_225_600_000 + since_ms).expect("a time in range")
}

fn worker(slot: u32, run: u32, now_ms: u64, ready_for_ms: u64) -> WorkerSeen {
    let ready_at = moment(now_ms.saturating_sub(ready_for_ms));
    WorkerSeen {
        id: WorkerId { slot, run },
        pid: None,
        address: None,
        state: State::Ready,
        since: ready_at,
        started_at: moment(now_ms.saturating_sub(ready_for_ms + 2_000 * u64::from(slot % 3))),
        ready_at: Some(ready_at),
        first_request_at: None,
        cpu_percent: None,
        memory_bytes: Some(50_000_000),
        in_flight: 1,
        requests: 0,
        restarts: 0,
        version: Version::default(),
        protected: false,
        metrics: Vec::new(),
    }
}

fn window(stretch: &Stretch, turn: usize) -> Window {
    // It swings, so that readings that stand still can be told as stuck.
    let rate = if turn.is_multiple_of(2) { stretch.rate } else { 3 * stretch.rate + 100 };
    Window {
        length: Duration::from_millis(stretch.turn_ms),
        arrivals: u64::from(rate),
        completions: u64::from(rate),
        failures: 0,
        in_flight: rate / 100,
        queued: stretch.queued,
        latency: None,
        queue_wait_max: Duration::ZERO,
    }
}

fn with_defaults(policy: &str) -> PolicyConfig {
    PolicyConfig { name: policy.to_owned(), settings: serde_json::Map::new() }
}

fn following(signal: &str) -> PolicyConfig {
    let settings = [("signal".to_owned(), signal.into())].into_iter().collect();
    PolicyConfig { settings, ..with_defaults("threshold") }
}

fn controller(policy: PolicyConfig) -> Controller {
    let interval = Duration::from_secs(15);
    let config = ControllerConfig { policy, min: 1, max: 12, interval, shadows: Vec::new() };
    Controller::new(config).expect("default settings are allowed")
}

/// The same turn with other latencies and waits.
fn scrambled(seen: &Observation) -> Observation {
    let mut other = seen.clone();
    let wait = |times: i32| Duration::from_millis(seen.at.subsec_millisecond().abs_diff(7 * times).into());
    if let Some(window) = &mut other.traffic {
        window.latency = Some(Latency { p50: wait(1), p95: wait(20), p99: wait(300) });
        window.queue_wait_max = wait(4_000);
    }
    other
}

fn json(decision: &Decision) -> String {
    serde_json::to_string(decision).expect("a decision is JSON")
}

/// Hands each turn to `check` with a list of workers that may know them to be alike; it answers how
/// many are desired then.
fn go(stretches: &[Stretch], mut check: impl FnMut(&Observation) -> u32) {
    let (mut now_ms, mut runs) = (1_000_000, 0);
    let workers = (1..=3).map(|slot| worker(slot, 0, now_ms, u64::from(slot) * 90_000)).collect();
    let mut seen = Observation {
        at: moment(now_ms),
        traffic: None,
        fleet: FleetStatus { desired: 2, ..FleetStatus::default() },
        workers,
        signals: std::collections::BTreeMap::new(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: SlowInputs::default(),
        history: None,
    };
    for stretch in stretches {
        for (turn, change) in stretch.changes.iter().enumerate() {
            now_ms += stretch.turn_ms;
            let count = u32::try_from(seen.workers.len()).expect("few workers");
            match *change {
                Change::More(ready_for_ms) if count < 12 => {
                    runs += 1;
                    let slot = seen.workers.last().map_or(1, |last| last.id.slot + 1);
                    seen.workers.push(worker(slot, runs, now_ms, ready_for_ms));
                }
                Change::Fewer if count > 0 => drop(seen.workers.remove(seen.workers.len() / 2)),
                Change::Odd(state) => {
                    seen.workers.iter_mut().last().into_iter().for_each(|w| w.state = state)
                }
                Change::More(_) | Change::Fewer | Change::Nothing => {}
            }
            if stretch.requests > 0 {
                seen.workers.iter_mut().for_each(|worker| worker.requests += stretch.requests);
            }
            if stretch.newest.1 == 0 {
                seen.workers.read_cpu(stretch.cpu);
            } else {
                let older = seen.workers.len().saturating_sub(stretch.newest.1);
                seen.workers
                    .read_each_cpu(|place| if place < older { stretch.cpu } else { stretch.newest.0 });
            }
            seen.at = moment(now_ms);
            seen.traffic = Some(window(stretch, turn));
            let ready = seen.workers.iter().filter(|worker| worker.state == State::Ready).count();
            seen.fleet.ready = u32::try_from(ready).expect("few workers");
            seen.fleet.desired = check(&seen);
            if matches!(change, Change::Odd(_)) {
                seen.workers.iter_mut().for_each(|worker| worker.state = State::Ready);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_for_all_or_each_by_itself_is_the_same(stretches in proptest::collection::vec(stretch(), 1..12)) {
        for entry in POLICIES {
            let [mut one, mut each, mut bare] = [(); 3].map(|()| controller(with_defaults(entry.name)));
            go(&stretches, |seen| {
                let unknown = Observation { workers: seen.workers.to_vec().into(), ..seen.clone() };
                assert!(unknown.workers.alike().is_none());
                let decision = one.decide(seen);
                assert_eq!(json(&decision), json(&each.decide(&unknown)), "{}", entry.name);
                assert_eq!(decision.desired(), bare.desired(seen), "{} without its reasons", entry.name);
                decision.desired()
            });
        }
    }
    #[test]
    fn who_says_to_read_no_latencies_reads_none(stretches in proptest::collection::vec(stretch(), 1..12)) {
        let all = POLICIES.iter().map(|entry| with_defaults(entry.name)).chain(Signal::names().map(following));
        for policy in all {
            let [mut one, mut other] = [(); 2].map(|()| controller(policy.clone()));
            if one.reads_latency() {
                continue;
            }
            go(&stretches, |seen| {
                let decision = one.decide(seen);
                assert_eq!(json(&decision), json(&other.decide(&scrambled(seen))), "{policy:?}");
                decision.desired()
            });
        }
    }
}

#[test]
fn those_that_follow_the_cpu_read_no_latencies() {
    let reads = |policy| controller(policy).reads_latency();
    assert!(!reads(with_defaults("hpa")) && !reads(following("worker_cpu")) && !reads(following("queued")));
    assert!(reads(following("latency_p95")) && reads(following("queue_wait")), "they follow nothing else");
    assert!(reads(with_defaults("exec")), "who knows what a program reads");
}
