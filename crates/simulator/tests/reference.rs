//! The engine and the optimum against the independent calculation of `reference.py`.

use std::time::Duration;

use simulator::{Contest, Contestant, ContestantKind, Engine, Scenario};

use crate::public::{policy, traces};

/// What `python3 reference.py` printed.
const REFERENCE: &str = include_str!("reference.csv");
/// How far the two may be apart, as a share of the reference.
const WITHIN: f64 = 0.02;
/// Percentages and shares this small are compared by difference.
const TINY: f64 = 0.02;

#[test]
fn costs_and_elasticity_agree_within_two_percent() {
    let contestants = [
        Contestant { name: "optimal".to_owned(), kind: ContestantKind::Optimal },
        Contestant { name: "best_static".to_owned(), kind: ContestantKind::BestStatic },
        policy("hpa", "hpa", serde_json::json!({})),
        policy("35/15", "threshold", serde_json::json!({"up": 35, "down": 15})),
        policy(
            "80/20",
            "threshold",
            serde_json::json!({
                "up": 80, "down": 20, "period": "5m", "evaluation_periods": 2, "datapoints_to_alarm": 2,
                "cooldown_up": "5m", "cooldown_down": "5m",
            }),
        ),
    ];
    let (traces, scenario) = (traces(), Scenario::default());
    let start_ups = [2, 30, 120].map(Duration::from_secs);
    let contest = Contest {
        traces: &traces,
        contestants: &contestants,
        start_ups: &start_ups,
        scenario: &scenario,
        engine: &Engine::Fluid,
        columns: None,
    };
    let scores = contest.run(2, &|| ()).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in REFERENCE.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |place: usize| fields.get(place).map(|text| text.parse::<f64>().unwrap());
        let score = scores
            .iter()
            .find(|score| {
                score.trace == fields[0] && Some(score.start_up_s) == number(1) && score.policy == fields[2]
            })
            .unwrap();
        let found = [
            score.cost,
            score.optimal_cost,
            score.late_request_share,
            score.theta_under,
            score.theta_over,
            score.tau_under,
            score.tau_over,
        ];
        for (place, found) in (3..).zip(found) {
            let Some(expected) = number(place) else { continue };
            compared += 1;
            if (found - expected).abs() > WITHIN * expected.abs().max(TINY / WITHIN * 1.0) {
                wrong.push(format!("{line}: field {place} is {found}"));
            }
        }
    }
    assert!(compared > 350, "only {compared} numbers were compared");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}
