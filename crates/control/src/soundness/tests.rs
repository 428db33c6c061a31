//! One test a row of the table of faults, then what a policy makes of it.

use std::time::Duration;

use serde_json::json;
use traffic::Window;

use super::*;
use crate::controller::Controller;
use crate::made_up::{config, moment, pool};
use crate::observation::Reading;

/// Second `at` of a pool under `rate` requests a second.
fn turn(at: f64, cpu: &[f64], rate: u64) -> Observation {
    let mut seen = pool(at, cpu);
    seen.traffic = Some(Window { arrivals: rate, completions: rate, ..crate::made_up::window() });
    seen.signals.clear();
    seen
}

fn with(mut seen: Observation, name: &str, value: f64, taken: f64) -> Observation {
    seen.signals.insert(name.to_owned(), Reading { value, at: moment(taken) });
    seen
}

/// What is told at the last of these turns, and what was left of it.
fn last(turns: impl IntoIterator<Item = Observation>) -> (Observation, Vec<Unsound>) {
    let mut soundness = Soundness::default();
    let mut end = None;
    for seen in turns {
        let doubt = soundness.judge(&seen);
        let believed = Doubt::believed(doubt.as_deref(), &seen).clone();
        end = Some((believed, doubt.map_or(Vec::new(), |doubt| doubt.unsound)));
    }
    end.expect("at least one turn")
}

#[test]
fn what_one_reading_shows() {
    let nan = f64::NAN;
    // signal, value, taken how long ago, fault
    let rows = [
        ("host_cpu", 40.0, 0.0, None),
        ("host_cpu", nan, 0.0, Some(Fault::NoNumber)),
        ("host_cpu", f64::INFINITY, 0.0, Some(Fault::NoNumber)),
        ("host_cpu", -1.0, 0.0, Some(Fault::Negative)),
        ("host_cpu", 100.4, 0.0, None),
        ("host_cpu", 250.0, 0.0, Some(Fault::WrongUnit)),
        ("requests_per_second", -3.0, 0.0, Some(Fault::Negative)),
        ("mine", nan, 0.0, Some(Fault::NoNumber)),
        ("mine", -3.0, 0.0, None),
        ("mine", 1e9, 0.0, None),
        ("mine", 5.0, 14.0, None),
        ("mine", 5.0, 16.0, Some(Fault::Delayed)),
        ("mine", 5.0, -30.0, None),
        ("mine", 5.0, -61.0, Some(Fault::Ahead)),
    ];
    for (signal, value, ago, fault) in rows {
        let (left, told) = last([with(turn(100.0, &[20.0], 20), signal, value, 100.0 - ago)]);
        assert_eq!(told.first().map(|one| one.fault), fault, "{signal} {value} {ago}");
        let stays = fault.is_none_or(|fault| fault == Fault::Delayed);
        assert_eq!(left.signals.contains_key(signal), stays, "{signal} {value} {ago}");
    }
}

#[test]
fn what_one_worker_shows() {
    let rows = [
        (20.0, None),
        (800.0, None),
        (f64::NAN, Some(Fault::NoNumber)),
        (-0.5, Some(Fault::Negative)),
        (2e5, Some(Fault::WrongUnit)),
    ];
    for (cpu, fault) in rows {
        let (left, told) = last([turn(0.0, &[30.0, cpu], 20)]);
        assert_eq!(told.first().map(|one| one.fault), fault, "{cpu}");
        assert_eq!(left.workers[1].cpu_percent.is_none(), fault.is_some(), "{cpu}");
        assert_eq!(left.workers[0].cpu_percent, Some(30.0), "others count");
    }
}

/// Twelve seconds of these readings under a traffic that doubles, and doubles again.
fn twelve(cpu: impl Fn(f64) -> f64, requests: u64) -> Vec<Observation> {
    let seen = |second: u32| {
        let at = f64::from(second);
        let mut seen = turn(at, &[cpu(at)], 20 << (second / 4));
        seen.workers[0].requests = u64::from(second) * requests;
        seen
    };
    (0..12).map(seen).collect()
}

#[test]
fn a_stuck_reading_is_told_from_one_that_may_stand_still() {
    let stuck = |turns: Vec<Observation>| last(turns).1.first().map(|one| one.fault);
    assert_eq!(stuck(twelve(|_| 12.34, 40)), Some(Fault::Stuck));
    assert_eq!(stuck(twelve(|at| 12.34 + at * 1e-9, 40)), None, "it moves, if little");
    assert_eq!(stuck(twelve(|_| 12.0, 40)), None, "whole numbers may stand still");
    assert_eq!(stuck(twelve(|_| 100.0, 40)), None, "so may what presses against a limit");
    assert_eq!(stuck(twelve(|_| 0.0, 40)), None, "440 small requests may be too little to measure");
    assert_eq!(stuck(twelve(|_| 0.0, 400)), Some(Fault::Stuck), "4,400 are not");
    let mut steady = twelve(|_| 12.34, 40);
    steady.iter_mut().for_each(|seen| seen.traffic = Some(crate::made_up::window()));
    assert_eq!(stuck(steady), None, "nothing else moves either");
    let mut again = twelve(|_| 12.34, 40);
    again.push(turn(12.0, &[50.5], 160));
    assert_eq!(stuck(again), None, "it moves again");
}

#[test]
fn a_named_reading_that_was_only_not_taken_again_is_not_stuck() {
    let named = |taken: fn(f64) -> f64| {
        let turns = twelve(|at| at, 40).into_iter().zip(0_u8..);
        last(turns.map(|(seen, second)| with(seen, "mine", 0.75, taken(f64::from(second))))).1
    };
    assert!(named(|_| 0.0).is_empty());
    assert_eq!(named(|second| second)[0].fault, Fault::Stuck);
}

#[test]
fn a_fraction_where_a_percentage_is_expected() {
    let turns = |in_flight: u32, values: fn(f64) -> f64| {
        (0..40).map(move |second: u32| {
            let at = f64::from(second);
            let mut seen = turn(at, &[values(at), values(at + 0.5)], 20);
            seen.traffic.as_mut().expect("there is traffic").in_flight = in_flight;
            seen
        })
    };
    let fraction = |at: f64| 0.9 + at / 1e3;
    let (left, told) = last(turns(2, fraction));
    assert_eq!(told[0].fault, Fault::WrongUnit, "{}", told[0].because);
    assert!(left.workers.iter().all(|worker| worker.cpu_percent.is_none()));
    assert!(last(turns(1, fraction)).1.is_empty(), "not every worker has work: it may be idle");
    assert!(last(turns(2, |at| at / 30.0)).1.is_empty(), "above 1 % it is a percentage");
    assert!(last(turns(2, fraction).take(29)).1.is_empty(), "not yet");
}

#[test]
fn nothing_is_taken_away_on_what_cannot_be_believed() {
    let mut controller = Controller::new(config("threshold", json!({"warm_up": "0s"}))).unwrap();
    let mut decision = None;
    for (mut seen, second) in twelve(|_| 12.34, 40).into_iter().zip(0_u8..) {
        // Held by hand until the reading is known to be stuck; the policy goes on from there.
        let worker = seen.workers[0].clone();
        seen.workers.push(crate::observation::WorkerSeen { id: WorkerId { slot: 2, run: 1 }, ..worker });
        (seen.fleet.desired, seen.fleet.ready) = (2, 2);
        if second == 0 {
            let until = Some(moment(11.0));
            let to = crate::observation::ScaleTo::Exactly(2);
            seen.commands.push(crate::observation::Command::Scale { to, until, by: "test".to_owned() });
        }
        decision = Some(controller.decide(&seen));
    }
    let decision = decision.expect("there were turns");
    assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (2, "no_reading"));
    assert_eq!(decision.unsound.len(), 2);
    assert_eq!(
        decision.unsound[0].because.to_string(),
        "it has been 12.3 to the last bit while the traffic changed"
    );
    let mut fresh = Controller::new(config("threshold", json!({"warm_up": "0s"}))).unwrap();
    let low = turn(0.0, &[12.34, 12.34], 20);
    assert_eq!(fresh.decide(&low).desired(), 1, "believed, it would have been taken away");
}

#[test]
fn a_window_without_length_has_no_rate() {
    let mut seen = turn(0.0, &[20.0, 20.0], 20);
    seen.traffic.as_mut().expect("there is traffic").length = Duration::ZERO;
    let settings = json!({"signal": "rps", "up": 80, "down": 20});
    let decision = Controller::new(config("threshold", settings)).unwrap().decide(&seen);
    assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (2, "no_reading"));
}
