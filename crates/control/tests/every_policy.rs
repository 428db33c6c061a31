//! What holds for every row of the registry with its default settings.

use std::collections::BTreeMap;
use std::time::Duration;

use control::{
    Controller, ControllerConfig, Decision, FleetStatus, Observation, POLICIES, PolicyConfig, Reading, State,
    WorkerSeen,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use traffic::window::Latency;
use traffic::{Version, Window, WorkerId};

const MIN: u32 = 1;
const MAX: u32 = 9;

fn controller(policy: &str) -> Controller {
    let policy = PolicyConfig { name: policy.to_owned(), settings: serde_json::Map::new() };
    let config = ControllerConfig {
        policy,
        min: MIN,
        max: MAX,
        interval: Duration::from_secs(1),
        shadows: Vec::new(),
    };
    Controller::new(config).expect("default settings are allowed")
}

fn moment(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    start.checked_add(SignedDuration::from_secs_f64(seconds)).expect("a time in range")
}

/// Numbers as bad sources send them.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..150.0,
        1 => prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MAX), Just(f64::MIN_POSITIVE),
            Just(-0.0), Just(-5.0), Just(1e18),
        ],
    ]
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        5 => Just(State::Ready),
        1 => prop_oneof![Just(State::Starting), Just(State::Unhealthy), Just(State::Draining), Just(State::Backoff)],
    ]
}

fn worker() -> impl Strategy<Value = WorkerSeen> {
    let ages = (-10.0_f64..1_000.0, -10.0_f64..1_000.0);
    (state(), ages, proptest::option::of(number()), any::<Option<u64>>(), any::<u32>()).prop_map(
        |(state, (started, since), cpu_percent, memory_bytes, in_flight)| WorkerSeen {
            id: WorkerId { slot: 1, run: 1 },
            pid: None,
            address: None,
            state,
            since: moment(-since),
            started_at: moment(-started),
            ready_at: (state == State::Ready).then(|| moment(-since)),
            first_request_at: None,
            cpu_percent,
            memory_bytes,
            in_flight,
            requests: 0,
            restarts: 0,
            version: Version::default(),
            protected: false,
            metrics: Vec::new(),
        },
    )
}

fn window() -> impl Strategy<Value = Window> {
    (0_u64..3_000, 0_u64..1_000_000, 0_u32..10_000, 0_u32..10_000, any::<bool>()).prop_map(
        |(millis, arrivals, in_flight, queued, timed)| {
            let length = Duration::from_millis(millis);
            Window {
                length,
                arrivals,
                completions: arrivals,
                failures: 0,
                in_flight,
                queued,
                latency: timed.then_some(Latency { p50: length, p95: length, p99: length }),
                queue_wait_max: length,
            }
        },
    )
}

/// Mostly forwards, sometimes not at all, sometimes back.
fn step() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.1..30.0, 1 => Just(0.0), 1 => -60.0..0.0, 1 => 1_000.0..1e6]
}

type Turn = (f64, Vec<WorkerSeen>, Option<Window>, Option<f64>, Option<u32>);

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (
        step(),
        proptest::collection::vec(worker(), 0..8),
        proptest::option::of(window()),
        proptest::option::of(number()),
        proptest::option::weighted(0.2, 0_u32..20),
    );
    proptest::collection::vec(turn, 1..25)
}

/// The observations of a run in which the pool does what is decided, unless a turn says
/// otherwise; hands each with its decision to `check`.
fn go(policy: &str, turns: &[Turn], mut check: impl FnMut(&Observation, &Decision)) {
    let mut controller = controller(policy);
    let (mut at, mut desired) = (0.0, 2);
    for (passed, workers, traffic, signal, other) in turns {
        at += passed;
        desired = other.unwrap_or(desired);
        let mut workers = workers.clone();
        for (worker, slot) in workers.iter_mut().zip(1..) {
            worker.id.slot = slot;
        }
        let count = |state| u32::try_from(workers.iter().filter(|worker| worker.state == state).count());
        let at = moment(at);
        let seen = Observation {
            at,
            traffic: traffic.clone(),
            fleet: FleetStatus {
                desired,
                ready: count(State::Ready).expect("few workers"),
                starting: count(State::Starting).expect("few workers"),
                draining: count(State::Draining).expect("few workers"),
                ..FleetStatus::default()
            },
            workers: workers.into(),
            signals: signal.map(|value| ("host_cpu".to_owned(), Reading { value, at })).into_iter().collect(),
            transitions: Vec::new(),
            commands: Vec::new(),
            slow: control::SlowInputs::default(),
            history: None,
        };
        let decision = controller.decide(&seen);
        check(&seen, &decision);
        desired = decision.desired();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_never_panics_and_stays_within_its_bounds(turns in turns()) {
        for entry in POLICIES {
            go(entry.name, &turns, |seen, decision| {
                // Kubernetes' maintenance mode: somebody else set the pool to zero.
                let off = decision.recommended.rule == "ScalingDisabled" && seen.fleet.desired == 0;
                let allowed = (MIN..=MAX).contains(&decision.desired()) || (off && decision.desired() == 0);
                assert!(allowed, "{}: {}", entry.name, decision.desired());
                // Every reason can be shown.
                assert!(!decision.deciding().because.to_string().is_empty(), "{}", entry.name);
                let _ = (control::decide::Shown::of(seen, decision), decision.conditions());
            });
        }
    }

    #[test]
    fn equal_observations_give_equal_decisions(turns in turns()) {
        for entry in POLICIES {
            let once = || {
                let mut all = Vec::new();
                go(entry.name, &turns, |_, decision| all.push(serde_json::to_string(decision).expect("JSON")));
                all
            };
            assert_eq!(once(), once(), "{}", entry.name);
        }
    }

    #[test]
    fn without_any_signal_it_holds(desired in MIN..=MAX, seconds in 1_u32..400) {
        for entry in POLICIES.iter().filter(|entry| !["scheduled"].contains(&entry.name)) {
            let mut controller = controller(entry.name);
            for second in 0..seconds {
                let decision = controller.decide(&pool(f64::from(second), desired, None));
                assert_eq!(decision.desired(), desired, "{}: {}", entry.name, decision.deciding().because);
            }
        }
    }

    /// What was there is gone: nothing is taken away on no data, whatever was seen before.
    #[test]
    fn once_its_signal_is_gone_it_takes_nothing_away(before in 1_u32..200, percent in 0_u32..500, seconds in 1_u32..400) {
        let mut wrong = Vec::new();
        for entry in POLICIES.iter().filter(|entry| !["scheduled"].contains(&entry.name)) {
            let mut controller = controller(entry.name);
            let mut desired = 2;
            for second in 0..before {
                desired = controller.decide(&pool(f64::from(second), desired, Some(f64::from(percent)))).desired();
            }
            for second in 0..seconds {
                let decision = controller.decide(&pool(f64::from(before + second), desired, None));
                if decision.desired() < desired {
                    wrong.push(format!("{} {desired} → {}: {}", entry.name, decision.desired(), decision.deciding().because));
                    break;
                }
                desired = decision.desired();
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_steady_load_it_settles(percent in 0_u32..800, start in MIN..=MAX) {
        for entry in POLICIES {
            let mut controller = controller(entry.name);
            let mut desired = start;
            let mut changed_at = 0;
            for second in (0..4_000_u32).step_by(4) {
                let decision = controller.decide(&pool(f64::from(second), desired, Some(f64::from(percent))));
                if decision.change() != 0 {
                    changed_at = second;
                }
                desired = decision.desired();
            }
            assert!(changed_at < 3_000, "{} still changes at {changed_at} s under {percent} %", entry.name);
        }
    }
}

/// A pool of ready workers that share `percent` of one worker's CPU and as many requests.
fn pool(at: f64, desired: u32, percent: Option<f64>) -> Observation {
    let at = moment(at);
    let long_ago = moment(-7_200.0);
    let share = percent.map(|percent| (percent / f64::from(desired.max(1))).min(100.0));
    let workers = (1..=desired).map(|slot| WorkerSeen {
        id: WorkerId { slot, run: 1 },
        pid: None,
        address: None,
        state: State::Ready,
        since: long_ago,
        started_at: long_ago,
        ready_at: Some(long_ago),
        first_request_at: None,
        cpu_percent: share,
        memory_bytes: None,
        in_flight: 0,
        requests: 0,
        restarts: 0,
        version: Version::default(),
        protected: false,
        metrics: Vec::new(),
    });
    Observation {
        at,
        traffic: percent.map(|percent| Window {
            length: Duration::from_secs(1),
            arrivals: 50,
            completions: 50,
            failures: 0,
            in_flight: if percent > 400.0 { 8 } else { 2 },
            queued: 0,
            latency: None,
            queue_wait_max: Duration::ZERO,
        }),
        fleet: FleetStatus { desired, ready: desired, ..FleetStatus::default() },
        workers: workers.collect(),
        signals: BTreeMap::new(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: control::SlowInputs::default(),
        history: None,
    }
}
