//! What is published in `schema/` is what is taken and given: real observations, decisions and
//! settings of every policy are compared with it.

#[path = "../../../tests/described.rs"]
mod described;

use std::collections::BTreeMap;
use std::time::Duration;

use control::decide::{Decider, Shown};
use control::{
    Command, Controller, ControllerConfig, FleetStatus, MetricSeen, Observation, POLICIES, PolicyConfig,
    Reading, ScaleTo, ShadowConfig, State, Transition, WorkerSeen,
};
use described::mismatch;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use traffic::{Latency, Version, Window, WorkerId};

const OBSERVATION: &str = include_str!("../schema/observation.schema.json");
const DECISION: &str = include_str!("../schema/decision.schema.json");
const POLICY: &str = include_str!("../schema/policy.schema.json");

fn schema(text: &str) -> Value {
    serde_json::from_str(text).expect("a schema is JSON")
}

fn fits(schema: &Value, value: &Value, what: &str) {
    assert_eq!(mismatch(schema, schema, value, what), None);
}

fn moment(second: u32) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + i64::from(second)).expect("a time in range")
}

/// A turn of a pool with all that can be told of one, good readings and bad ones.
fn turn(second: u32) -> Observation {
    let at = moment(second);
    let worker = |slot: u32| WorkerSeen {
        id: WorkerId { slot, run: 1 },
        pid: Some(100 + slot),
        address: Some(traffic::Address::Tcp(([127, 0, 0, 1], 5_000).into())),
        state: if slot == 4 { State::Starting } else { State::Ready },
        since: moment(0),
        started_at: moment(0),
        ready_at: (slot != 4).then(|| moment(if slot == 3 { second } else { 0 })),
        first_request_at: None,
        cpu_percent: [Some(60.0), Some(f64::from(second)), None, Some(-1.0)][slot as usize % 4],
        memory_bytes: Some(9_000_000),
        in_flight: slot,
        requests: 600,
        restarts: 0,
        version: Version::default(),
        protected: slot == 1,
        metrics: vec![MetricSeen { name: "cpu".to_owned(), value: Some(0.3), ..MetricSeen::default() }],
    };
    let latency = Latency {
        p50: Duration::from_millis(10),
        p95: Duration::from_millis(20),
        p99: Duration::from_millis(30),
    };
    let transition = Transition {
        at,
        worker: WorkerId { slot: 4, run: 1 },
        pid: None,
        from: None,
        to: Some(State::Starting),
        because: "5 desired".to_owned(),
    };
    let by = || "test".to_owned();
    let commands = match second {
        5 => vec![Command::Scale { to: ScaleTo::By(1), until: Some(moment(7)), by: by() }],
        8 => vec![Command::Pause { until: None, scale_in_only: true, at: None, by: by() }],
        9 => vec![Command::Boost { min: 4, until: moment(10), by: by() }, Command::Resume { by: by() }],
        _ => Vec::new(),
    };
    let reading = |value: f64, ago: u32| Reading { value, at: moment(second.saturating_sub(ago)) };
    Observation {
        at,
        traffic: (second % 4 != 3).then(|| Window {
            length: Duration::from_secs(1),
            arrivals: 50,
            completions: 49,
            failures: 1,
            in_flight: 5,
            queued: 1,
            latency: Some(latency),
            queue_wait_max: Duration::from_millis(5),
        }),
        fleet: FleetStatus { desired: 4, ready: 3, starting: 1, ..FleetStatus::default() },
        workers: (1..=4).map(worker).collect(),
        signals: BTreeMap::from([
            ("host_cpu".to_owned(), reading(250.0, 0)),
            ("mine".to_owned(), reading(3.0, 20)),
        ]),
        transitions: vec![transition],
        commands,
        slow: control::SlowInputs::default(),
        history: None,
    }
}

fn config(policy: &str) -> ControllerConfig {
    let of = |name: &str| PolicyConfig { name: name.to_owned(), settings: Map::new() };
    let shadow = |name: &str| ShadowConfig { label: name.to_owned(), policy: of(name) };
    ControllerConfig {
        policy: of(policy),
        min: 1,
        max: 9,
        interval: Duration::from_secs(1),
        shadows: vec![shadow("hpa"), shadow("kpa")],
    }
}

#[test]
fn decisions_of_every_policy_are_as_described() {
    let described = schema(DECISION);
    let mut unsound = 0;
    for entry in POLICIES {
        let mut controller = Controller::new(config(entry.name)).expect("default settings are allowed");
        for second in 0..30 {
            let seen = turn(second);
            let decision = controller.decide(&seen);
            let shown = serde_json::to_value(Shown::of(&seen, &decision)).expect("JSON");
            fits(&described, &shown, entry.name);
            assert_eq!(shown["shadows"].as_array().map(Vec::len), Some(2));
            unsound += decision.unsound.len();
        }
    }
    assert!(unsound > 0, "the bad readings are told");
}

#[test]
fn observations_of_a_run_are_as_described_and_can_be_fed_to_decide() {
    let described = schema(OBSERVATION);
    let mut live = Controller::new(config("threshold")).expect("default settings are allowed");
    let mut decider = Decider::new(config("threshold")).expect("default settings are allowed");
    for second in 0..30 {
        let mut seen = turn(second);
        // A run file knows no NaN either; what precedes a first line is not known.
        seen.history = (second == 0).then(Box::default);
        let line = serde_json::to_value(&seen).expect("JSON");
        fits(&described, &line, "observation");
        let shown = decider.line(&line.to_string()).expect("what a run writes is taken");
        assert_eq!(shown.desired, live.decide(&seen).desired(), "second {second}");
    }
}

/// Every setting in force of every policy is listed; an unknown one is refused by the policy itself.
#[test]
fn settings_of_every_policy_are_as_described() {
    let described = schema(POLICY);
    let mut missing = Vec::new();
    for entry in POLICIES {
        let of = PolicyConfig { name: entry.name.to_owned(), settings: Map::new() };
        let settings = control::policy::in_force(&of).expect("default settings are allowed");
        let file = json!({"policy": entry.name, "settings": settings, "min": 1, "max": 5, "interval": "15s"});
        fits(&described, &file, entry.name);
        match described["$defs"].get(entry.name) {
            // A key that is null in force is left out of a file.
            Some(own) => {
                let given: Map<String, Value> =
                    settings.into_iter().filter(|(_, value)| !value.is_null()).collect();
                assert_eq!(mismatch(&described, own, &given.into(), entry.name), None);
            }
            None => missing.push(entry.name),
        }
    }
    assert_eq!(missing, Vec::<&str>::new(), "policies without a description of their settings");
}

#[test]
fn the_comparison_can_fail() {
    let described = schema(DECISION);
    let mut controller = Controller::new(config("threshold")).expect("default settings are allowed");
    let seen = turn(0);
    let mut shown = serde_json::to_value(Shown::of(&seen, &controller.decide(&seen))).expect("JSON");
    shown["desired"] = json!("many");
    assert!(mismatch(&described, &described, &shown, "").is_some());
}
