use serde_json::json;

use super::*;
use crate::made_up::{config, moment, pool};
use crate::policy::build;

fn one_answer(settings: serde_json::Value, seen: &Observation) -> Recommendation {
    let mut policy = build(&config("threshold", settings).policy).unwrap().policy;
    policy.observe(seen);
    policy.recommend(seen)
}

#[test]
fn cases() {
    // name, CPU of each worker, replicas, rule, because
    let rows: &[(&str, &[f64], u32, &str, &str)] = &[
        ("above", &[81.0], 2, "above_up", "cpu 81 % above 35 %"),
        ("just above", &[35.1, 35.1], 3, "above_up", "cpu 35.1 % above 35 %"),
        ("on the upper line", &[35.0], 1, "within", "cpu 35 % between 15 and 35 %"),
        ("on the lower line", &[15.0, 15.0], 2, "within", "cpu 15 % between 15 and 35 %"),
        ("below", &[10.0, 4.0], 1, "below_down", "cpu 7 % below 15 %"),
        ("the mean counts", &[90.0, 0.0, 0.0], 3, "within", "cpu 30 % between 15 and 35 %"),
        ("no number", &[f64::NAN], 1, "no_reading", "no reading of worker_cpu: nothing is changed"),
        ("negative", &[-5.0], 1, "no_reading", "no reading of worker_cpu: nothing is changed"),
        ("one bad reading is left out", &[f64::INFINITY, 80.0], 3, "above_up", "cpu 80 % above 35 %"),
        ("nobody ready", &[], 0, "no_reading", "no reading of worker_cpu: nothing is changed"),
    ];
    for (name, cpu, replicas, rule, because) in rows {
        let said = one_answer(json!({}), &pool(0.0, cpu));
        assert_eq!(
            (said.step.replicas, said.step.rule.as_ref(), said.step.because.to_string().as_str()),
            (*replicas, *rule, *because),
            "{name}"
        );
    }
}

#[test]
fn every_signal_can_act() {
    let rows = [
        ("host_cpu", "host cpu 20 % above 1 %"),
        ("rps", "load 10 requests/s per worker above 1 requests/s per worker"),
        ("in_flight", "in flight 1 requests per worker between 0 and 1 requests per worker"),
        ("latency_p95", "no reading of latency_p95: nothing is changed"),
        ("queue_wait", "queue wait 0 ms between 0 and 1 ms"),
    ];
    for (signal, because) in rows {
        let said = one_answer(json!({"signal": signal, "up": 1, "down": 0}), &pool(0.0, &[50.0, 50.0]));
        assert_eq!(said.step.because.to_string(), because);
    }
}

#[test]
fn a_warming_worker_is_left_out() {
    let mut seen = pool(0.0, &[20.0, 100.0]);
    seen.workers[1].ready_at = Some(moment(-0.5));
    let said = one_answer(json!({}), &seen);
    assert_eq!(said.step.rule, "within");
    assert_eq!(said.excluded.len(), 1);
    assert_eq!(said.excluded[0].because.to_string(), "warming, 1.5 s left");
}

#[test]
fn each_direction_cools_down_by_itself() {
    let mut policy = build(&config("threshold", json!({})).policy).unwrap().policy;
    let mut ask = |at: f64, desired: usize, cpu: f64| {
        let seen = pool(at, &vec![cpu; desired]);
        policy.observe(&seen);
        let said = policy.recommend(&seen);
        (said.step.replicas, said.step.rule.into_owned())
    };
    assert_eq!(ask(0.0, 1, 90.0), (2, "above_up".into()));
    assert_eq!(ask(1.0, 2, 90.0), (2, "cooldown".into()));
    assert_eq!(ask(2.9, 2, 90.0), (2, "cooldown".into()));
    assert_eq!(ask(3.0, 2, 90.0), (3, "above_up".into()), "3 s after it was decided, not seen");
    assert_eq!(ask(5.0, 3, 1.0), (3, "cooldown".into()), "a scale-in waits after a scale-out too");
    assert_eq!(ask(10.0, 3, 1.0), (2, "below_down".into()));
    assert_eq!(ask(11.0, 2, 90.0), (3, "above_up".into()), "a scale-in does not hold up a scale-out");
}

#[test]
fn m_of_n_datapoints_must_breach() {
    let settings = json!({"evaluation_periods": 3, "datapoints_to_alarm": 2});
    let mut policy = build(&config("threshold", settings).policy).unwrap().policy;
    let mut ask = |at: f64, cpu: f64| {
        let seen = pool(at, &[cpu]);
        policy.observe(&seen);
        policy.recommend(&seen).step.replicas
    };
    let got: Vec<u32> =
        [90.0, 20.0, 90.0, 20.0, 20.0].iter().zip(0u8..).map(|(cpu, at)| ask(at.into(), *cpu)).collect();
    assert_eq!(got, [1, 1, 2, 1, 1], "the third sees two breaches of three, the fourth two too but one old");
}

#[test]
fn a_datapoint_is_the_mean_of_its_turns() {
    let mut policy = build(&config("threshold", json!({})).policy).unwrap().policy;
    for (at, cpu) in [(0.0, 20.0), (1.0, 20.0)] {
        policy.observe(&pool(at, &[cpu]));
    }
    let last = pool(2.0, &[71.0]);
    policy.observe(&last);
    assert_eq!(policy.recommend(&last).step.because.to_string(), "cpu 37 % above 35 %");
}

#[test]
fn the_nearest_flip_names_the_nearer_line_or_the_time_left() {
    let flip = |cpu| one_answer(json!({}), &pool(0.0, &[cpu, cpu])).nearest_flip.unwrap();
    assert_eq!(flip(34.6).because.to_string(), "above 35 % it would have; cpu 34.6 %");
    assert_eq!(flip(34.6).replicas, 3);
    assert_eq!(flip(16.0).replicas, 1);
}

#[test]
fn statistics_custom_signals_and_missing_data() {
    let mut seen = pool(0.0, &[90.0, 10.0, 10.0]);
    seen.signals.insert("jobs".to_owned(), crate::observation::Reading { value: 40.0, at: moment(-10.0) });
    // settings, rule, because
    let rows = [
        (json!({"statistic": "max"}), "above_up", "cpu 90 % above 35 %"),
        (json!({"statistic": "min"}), "below_down", "cpu 10 % below 15 %"),
        (json!({"statistic": "p50"}), "below_down", "cpu 10 % below 15 %"),
        (json!({"metric": "custom:jobs"}), "above_up", "jobs 40 above 35"),
        (
            json!({"signal": "custom:jobs", "stale_after": "5s"}),
            "no_reading",
            "no reading of custom:jobs: nothing is changed",
        ),
        (json!({"signal": "custom:none"}), "no_reading", "no reading of custom:none: nothing is changed"),
        (
            json!({"signal": "custom:none", "treat_missing_data": "breaching"}),
            "above_up",
            "none NaN above 35",
        ),
        (
            json!({"signal": "custom:none", "treat_missing_data": "notBreaching"}),
            "no_reading",
            "no reading of custom:none: nothing is changed",
        ),
    ];
    for (settings, rule, because) in rows {
        let said = one_answer(settings.clone(), &seen);
        let got = (said.step.rule.as_ref(), said.step.because.to_string());
        assert_eq!(got, (rule, because.to_owned()), "{settings}");
    }
    let said = one_answer(json!({}), &seen);
    assert_eq!(said.alarms[0].to_string(), "up ALARM: 1 of the last 1 datapoints breach, 1 needed");
}

#[test]
fn refuses_settings_that_make_no_sense() {
    let rows = [
        (json!({"up": 15, "down": 35}), "up (15) must be above down (35)"),
        (json!({"up": 15, "down": 15}), "up (15) must be above down (15)"),
        (json!({"step": 0}), "step must be at least 1"),
        (json!({"evaluation_periods": 0}), "evaluation_periods must be"),
        (json!({"evaluation_periods": 2, "datapoints_to_alarm": 3}), "datapoints_to_alarm must be 1 to 2"),
        (json!({"upp": 3}), "unknown field `upp`"),
        (json!({"signal": "cpu"}), "unknown variant `cpu`"),
        (json!({"cooldown_up": -1}), "no length of time"),
    ];
    for (settings, expected) in rows {
        let error = build(&config("threshold", settings).policy).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
