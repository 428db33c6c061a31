use proptest::prelude::*;

use super::*;

/// The datapoints as the documents draw them: `0` fine, `X` breaching, `-` missing.
fn states(drawn: &str, needed: usize, missing: TreatMissingData, before: AlarmState) -> AlarmState {
    let rule = Rule { needed, of: 3, missing };
    let mut datapoints = VecDeque::new();
    for point in drawn.chars() {
        rule.keep(
            &mut datapoints,
            match point {
                '0' => Some(10.0),
                'X' => Some(90.0),
                _ => None,
            },
        );
    }
    rule.evaluate(&datapoints, before, |value| value > 50.0).state
}

#[test]
fn the_documented_tables() {
    use TreatMissingData::{Breaching, Ignore, Missing, NotBreaching};
    let (ok, alarm, insufficient) = (AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData);
    let retain = insufficient;
    // datapoints, M of 3, missing, ignore, breaching, notBreaching
    let rows = [
        ("0-X-X", 3, ok, ok, ok, ok),
        ("0----", 3, ok, ok, ok, ok),
        ("-----", 3, insufficient, retain, alarm, ok),
        ("0XX-X", 3, alarm, alarm, alarm, alarm),
        ("--X--", 3, alarm, retain, alarm, ok),
        ("0-X-X", 2, alarm, alarm, alarm, alarm),
        ("00X0X", 2, alarm, alarm, alarm, alarm),
        ("0-X--", 2, ok, ok, alarm, ok),
        ("----0", 2, ok, ok, alarm, ok),
        ("---X-", 2, alarm, retain, alarm, ok),
    ];
    for (drawn, needed, missing, ignore, breaching, not_breaching) in rows {
        for (treat, expected) in
            [(Missing, missing), (Ignore, ignore), (Breaching, breaching), (NotBreaching, not_breaching)]
        {
            assert_eq!(states(drawn, needed, treat, retain), expected, "{drawn} {needed} of 3, {treat:?}");
        }
    }
    assert_eq!(states("-----", 3, Ignore, alarm), alarm, "ignore keeps the state, whichever it is");
    assert_eq!(states("----X", 3, Missing, ok), ok, "a single new breach is no alarm yet");
}

#[test]
fn statistics() {
    let rows = [
        (Statistic::Average, 25.0),
        (Statistic::Maximum, 40.0),
        (Statistic::Minimum, 10.0),
        (Statistic::Sum, 100.0),
        (Statistic::Percentile(50.0), 20.0),
        (Statistic::Percentile(95.0), 40.0),
        (Statistic::Percentile(0.0), 10.0),
    ];
    for (statistic, expected) in rows {
        let mut period = Period::default();
        for value in [30.0, 10.0, 40.0, 20.0] {
            period.take(value, 1, statistic);
        }
        let value = period.close(Timestamp::UNIX_EPOCH, Duration::ZERO, statistic).unwrap().0.unwrap();
        assert!((value - expected).abs() < 1e-9, "{statistic:?}: {value}");
    }
}

#[test]
fn a_period_ends_by_time_and_skipped_ones_are_missing() {
    let mut period = Period::default();
    let minute = Duration::from_secs(60);
    let mut at = |seconds: i64| {
        period.take(1.0, 1, Statistic::Sum);
        period.close(Timestamp::from_second(seconds).unwrap(), minute, Statistic::Sum)
    };
    assert_eq!(at(0), None);
    assert_eq!(at(59), None);
    assert_eq!(at(60), Some((Some(3.0), 0)));
    assert_eq!(at(119), None);
    assert_eq!(at(250), Some((Some(2.0), 2)), "those that ended at 180 and 240 s had no turn");
}

proptest! {
    #[test]
    fn equal_samples_at_once_are_those_one_by_one(
        samples in proptest::collection::vec((0.0..100.0_f64, 0_usize..40), 0..12),
        percent in 0.0..100.0_f64,
    ) {
        let rest = [Statistic::Average, Statistic::Maximum, Statistic::Minimum, Statistic::Sum];
        for statistic in rest.into_iter().chain([Statistic::Percentile(percent)]) {
            let (mut at_once, mut one_by_one) = (Period::default(), Period::default());
            for &(value, times) in samples.iter().filter(|(_, times)| *times > 0) {
                at_once.take(value, times, statistic);
                (0..times).for_each(|_| one_by_one.take(value, 1, statistic));
            }
            let bits = |period: &mut Period| period.value(statistic).map(f64::to_bits);
            prop_assert_eq!(bits(&mut at_once), bits(&mut one_by_one), "{:?}", statistic);
        }
    }
}
