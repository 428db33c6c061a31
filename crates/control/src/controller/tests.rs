use serde_json::json;

use super::*;
use crate::made_up::{config, moment, pool};

fn controller() -> Controller {
    Controller::new(config("threshold", json!({}))).unwrap()
}

fn order(seen: &mut Observation, command: Command) {
    seen.commands.push(command);
}

fn scale(to: ScaleTo, until: Option<Timestamp>) -> Command {
    Command::Scale { to, until, by: "test".to_owned() }
}

#[test]
fn the_number_is_the_end_of_the_trail() {
    let mut controller = controller();
    let decision = controller.decide(&pool(0.0, &[90.0; 5]));
    assert_eq!(decision.recommended.replicas, 6);
    assert_eq!(decision.desired(), 5);
    assert_eq!(decision.deciding().rule, "max");
    assert_eq!(decision.deciding().because.to_string(), "6 asked for, at most 5 allowed");
    assert_eq!(decision.change(), 0);
}

#[test]
fn an_order_by_hand_holds_until_its_end() {
    let mut controller = controller();
    let mut seen = pool(0.0, &[90.0]);
    order(&mut seen, scale(ScaleTo::Exactly(3), Some(moment(10.0))));
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.deciding().rule.as_ref()), (3, "by_hand"));
    assert_eq!(decision.in_force.held_until, Some(moment(10.0)));
    assert_eq!(controller.decide(&pool(9.0, &[1.0; 3])).desired(), 3);
    let after = controller.decide(&pool(20.0, &[1.0; 3]));
    assert_eq!((after.desired(), after.in_force.held), (2, None));
}

#[test]
fn relative_orders_add_up_within_the_bounds() {
    let mut controller = controller();
    let mut seen = pool(0.0, &[20.0, 20.0]);
    for _ in 0..9 {
        order(&mut seen, scale(ScaleTo::By(1), None));
    }
    order(&mut seen, scale(ScaleTo::By(-1), None));
    assert_eq!(controller.decide(&seen).desired(), 4);
    let mut seen = pool(1.0, &[20.0; 4]);
    order(&mut seen, scale(ScaleTo::Max, None));
    assert_eq!(controller.decide(&seen).desired(), 5);
    let mut seen = pool(2.0, &[20.0; 5]);
    order(&mut seen, scale(ScaleTo::Exactly(0), None));
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.deciding().rule.as_ref()), (1, "min"));
}

#[test]
fn a_pause_changes_nothing_until_resumed() {
    let mut controller = controller();
    let mut seen = pool(0.0, &[90.0]);
    order(&mut seen, Command::Pause { until: None, scale_in_only: false, at: None, by: "test".to_owned() });
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.in_force.paused), (1, true));
    assert_eq!(decision.blocked_by[0].by, "paused");
    let mut seen = pool(100.0, &[90.0]);
    order(&mut seen, Command::Resume { by: "test".to_owned() });
    assert_eq!(controller.decide(&seen).desired(), 2);
}

#[test]
fn between_turns_the_policy_is_not_asked() {
    let mut config = config("threshold", json!({}));
    config.interval = Duration::from_secs(15);
    let mut controller = Controller::new(config).unwrap();
    assert_eq!(controller.decide(&pool(0.0, &[90.0])).desired(), 2);
    let between = controller.decide(&pool(5.0, &[90.0, 90.0]));
    assert_eq!(between.deciding().because.to_string(), "the policy is asked again in 10 s");
    assert!(between.measured.is_some(), "charts go on");
    assert_eq!(controller.decide(&pool(15.0, &[90.0, 90.0])).desired(), 3);
}

#[test]
fn a_reload_takes_effect_and_a_bad_one_changes_nothing() {
    let mut controller = controller();
    let mut wider = config("threshold", json!({"up": 95}));
    wider.max = 8;
    let mut seen = pool(0.0, &[90.0]);
    order(&mut seen, Command::Reload { config: Box::new(wider), by: "HUP".to_owned() });
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.in_force.max), (1, 8));

    let bad = config("threshold", json!({"up": 1}));
    let mut seen = pool(1.0, &[96.0]);
    order(&mut seen, Command::Reload { config: Box::new(bad), by: "HUP".to_owned() });
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.in_force.max), (2, 8), "the old one stays");
    assert!(decision.blocked_by[0].because.to_string().contains("must be above down"));
}

#[test]
fn waiting_requests_wake_the_first_worker() {
    let mut config = config("threshold", json!({}));
    config.min = 0;
    let mut controller = Controller::new(config).unwrap();
    let mut seen = pool(0.0, &[]);
    assert_eq!(controller.decide(&seen).desired(), 0);
    seen.at = moment(1.0);
    seen.traffic.as_mut().unwrap().queued = 1;
    assert_eq!(controller.decide(&seen).desired(), 1);
}

#[test]
fn a_boost_raises_the_floor_at_once_and_ends() {
    let mut config = config("threshold", json!({}));
    config.interval = Duration::from_secs(60);
    let mut controller = Controller::new(config).unwrap();
    assert_eq!(controller.decide(&pool(0.0, &[20.0])).desired(), 1);
    let mut seen = pool(1.0, &[20.0]);
    order(&mut seen, Command::Boost { min: 4, until: moment(30.0), by: "test".to_owned() });
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.deciding().rule.as_ref()), (4, "boost"));
    assert_eq!(decision.boost.map(|boost| boost.min), Some(4));
    assert_eq!(controller.decide(&pool(60.0, &[1.0; 4])).boost, None);
}

#[test]
fn a_window_says_when_the_change_may_come() {
    let mut controller = Controller::new(config("hpa", json!({}))).unwrap();
    let decision = controller.decide(&pool(0.0, &[5.0; 3]));
    assert_eq!((decision.recommended.replicas, decision.desired()), (1, 3));
    let flip = decision.nearest_flip.unwrap();
    assert_eq!((flip.replicas, flip.because.to_string().as_str()), (1, "in 300 s it may"));
}

#[test]
fn a_budget_of_starts_holds_for_any_policy() {
    let limits = json!({"limits": {"flap_budget": {"starts": 2, "within": "60s"}}, "cooldown_up": 0});
    let mut controller = Controller::new(config("threshold", limits)).unwrap();
    assert_eq!(controller.decide(&pool(0.0, &[90.0; 1])).desired(), 2);
    assert_eq!(controller.decide(&pool(10.0, &[90.0; 2])).desired(), 3);
    let decision = controller.decide(&pool(20.0, &[90.0; 3]));
    assert_eq!((decision.desired(), decision.blocked_by[0].by.as_ref()), (3, "flap_budget"));
    assert_eq!(decision.blocked_by[0].until, Some(moment(60.0)));
    assert_eq!(controller.decide(&pool(60.0, &[90.0; 3])).desired(), 4);
}

#[test]
fn time_standing_still_or_going_back_is_survived() {
    let mut controller = controller();
    for at in [5.0, 5.0, 3.0, -100.0, 6.0] {
        let decision = controller.decide(&pool(at, &[90.0; 2]));
        assert!((1..=5).contains(&decision.desired()));
    }
}

#[test]
fn a_resumed_controller_goes_on_where_the_first_was() {
    let run: Vec<Observation> = vec![
        pool(0.0, &[90.0]),
        pool(1.0, &[90.0, 90.0]),
        pool(2.0, &[90.0, 90.0]),
        pool(3.0, &[90.0, 90.0]),
        pool(4.0, &[90.0, 90.0]),
    ];
    let mut whole = controller();
    let decisions: Vec<Decision> = run.iter().map(|seen| whole.decide(seen)).collect();

    let past: Vec<Cycle> = run[..3]
        .iter()
        .zip(&decisions)
        .map(|(seen, decision)| Cycle::Decided {
            seen: seen.clone(),
            decision: decision.clone(),
            applied: crate::cycle::Applied::Ordered,
            ledger: None,
        })
        .collect();
    let mut second = controller();
    second.resume(&past);
    for (seen, expected) in run[3..].iter().zip(&decisions[3..]) {
        assert_eq!(second.decide(seen), *expected);
    }
}

#[test]
fn refuses_bad_configurations() {
    let mut rows = Vec::new();
    let good = config("threshold", json!({}));
    rows.push((ControllerConfig { min: 6, ..good.clone() }, "min (6) is above max (5)"));
    rows.push((ControllerConfig { min: 0, max: 0, ..good.clone() }, "max must be at least 1"));
    rows.push((ControllerConfig { interval: Duration::ZERO, ..good }, "interval must be at least 10ms"));
    rows.push((config("treshold", json!({})), "there is no policy `treshold`"));
    for (config, expected) in rows {
        assert_eq!(Controller::new(config).err().unwrap().to_string(), expected);
    }
}

#[test]
fn a_pause_of_scale_in_lets_the_pool_grow() {
    let mut controller = Controller::new(config("threshold", json!({}))).unwrap();
    let mut seen = pool(0.0, &[5.0, 5.0]);
    let pause = |until, scale_in_only, at| Command::Pause {
        until: Some(moment(until)),
        scale_in_only,
        at,
        by: "test".to_owned(),
    };
    order(&mut seen, pause(30.0, true, None));
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.deciding().rule.as_ref()), (2, "scale_in_paused"));
    assert_eq!(decision.blocked_by[0].until, Some(moment(30.0)));
    assert!(decision.in_force.scale_in_paused && !decision.in_force.paused);
    assert_eq!(controller.decide(&pool(1.0, &[90.0, 90.0])).desired(), 3);
    assert_eq!(controller.decide(&pool(30.0, &[5.0, 5.0])).desired(), 1, "it ends by itself");

    let mut seen = pool(31.0, &[5.0, 5.0]);
    order(&mut seen, pause(60.0, false, Some(4)));
    let decision = controller.decide(&seen);
    assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (4, "paused"), "held at a number");
}

#[test]
fn a_change_in_flight_is_waited_for() {
    let settings = json!({"cooldown_up": "0s", "limits": {"in_flight": {"at_most": "10s"}}});
    let mut controller = Controller::new(config("threshold", settings)).unwrap();
    assert_eq!(controller.decide(&pool(0.0, &[90.0])).desired(), 2);
    let starting = |at: f64| {
        let mut seen = pool(at, &[90.0]);
        seen.fleet = crate::fleet::status::FleetStatus { desired: 2, ready: 1, starting: 1, ..seen.fleet };
        seen
    };
    let decision = controller.decide(&starting(1.0));
    assert_eq!((decision.desired(), decision.deciding().rule.as_ref()), (2, "in_flight"));
    assert_eq!(decision.blocked_by.last().unwrap().until, Some(moment(10.0)));
    assert_eq!(controller.decide(&starting(10.0)).desired(), 3, "not for ever");
}

#[test]
fn the_pool_does_not_shrink_below_its_protected_workers() {
    let mut controller = controller();
    let mut seen = pool(0.0, &[5.0, 5.0]);
    seen.workers.iter_mut().for_each(|worker| worker.protected = true);
    let decision = controller.decide(&seen);
    assert_eq!((decision.recommended.replicas, decision.desired()), (1, 2));
    assert_eq!(decision.blocked_by[0].by, "protected");
    assert_eq!(
        decision.deciding().because.to_string(),
        "1 asked for, 2 are protected from scale-in",
        "an order by hand meets it too: a protection is such an order"
    );
    let mut seen = pool(1.0, &[5.0, 5.0]);
    seen.workers[1].protected = true;
    order(&mut seen, scale(ScaleTo::Exactly(1), None));
    assert_eq!(controller.decide(&seen).desired(), 1, "one may go");
}
