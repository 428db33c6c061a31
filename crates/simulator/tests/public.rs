//! The recorded traces beside this file, and what must hold on every one of them.

use std::time::Duration;

use control::PolicyConfig;
use simulator::trace::{Kind, Told};
use simulator::{Contest, Contestant, ContestantKind, Engine, Scenario, Score, Trace};

/// Name and text of each trace.
const TEXTS: [(&str, &str); 5] = [
    ("cpu_ec2_ac20cd_300s", include_str!("traces/cpu_ec2_ac20cd_300s.csv")),
    ("llm_azure_conversation_1s", include_str!("traces/llm_azure_conversation_1s.csv")),
    ("llm_client_batch_600s", include_str!("traces/llm_client_batch_600s.csv")),
    ("web_elb_requests_300s", include_str!("traces/web_elb_requests_300s.csv")),
    ("web_worldcup98_match_1s", include_str!("traces/web_worldcup98_match_1s.csv")),
];

/// All of them.
pub(crate) fn traces() -> Vec<Trace> {
    TEXTS
        .iter()
        .map(|(name, text)| Trace::read(name, text, &Told::default()).expect("a public trace is readable"))
        .collect()
}

/// A policy by name and settings.
pub(crate) fn policy(name: &str, policy: &str, settings: serde_json::Value) -> Contestant {
    let settings = settings.as_object().expect("settings are an object").clone();
    let config = PolicyConfig { name: policy.to_owned(), settings };
    Contestant { name: name.to_owned(), kind: ContestantKind::Policy(config) }
}

fn yardsticks() -> Vec<Contestant> {
    let named = |name: &str, kind| Contestant { name: name.to_owned(), kind };
    vec![
        named("optimal", ContestantKind::Optimal),
        named("best_static", ContestantKind::BestStatic),
        named("static:20", ContestantKind::Static(20)),
    ]
}

#[test]
fn buckets_are_recognised() {
    let found: Vec<(u64, usize)> =
        traces().iter().map(|trace| (trace.bucket.as_secs(), trace.hygiene.gaps)).collect();
    assert_eq!(found, [(300, 0), (1, 0), (600, 0), (300, 1), (1, 0)]);
    assert!(
        traces().iter().all(|trace| trace.kind == Kind::RequestsPerBucket && trace.hygiene.broken_total == 0)
    );
}

/// Every policy there is, with its defaults, wherever those can be built.
#[test]
fn nobody_beats_the_optimum() {
    let mut traces = traces();
    for trace in &mut traces {
        // A day of each is enough for a property, and quick also where nothing is optimised.
        let day = 86_400 / trace.bucket.as_secs().max(1);
        trace.values.truncate(usize::try_from(day).unwrap());
    }
    let scenario = Scenario::default();
    let mut contestants = yardsticks();
    for entry in control::POLICIES {
        let contestant = policy(entry.name, entry.name, serde_json::json!({}));
        let ContestantKind::Policy(config) = &contestant.kind else { continue };
        if simulator::fluid::controller(config.clone(), &scenario).is_ok() {
            contestants.push(contestant);
        }
    }
    assert!(contestants.len() > yardsticks().len() + 1, "hardly any policy could be built");
    for (kappa, start_up_s) in [(10.0, 30), (100.0, 2), (10.0, 120)] {
        let scenario = Scenario { kappa, ..Scenario::default() };
        let start_ups = [Duration::from_secs(start_up_s)];
        let contest = Contest {
            traces: &traces,
            contestants: &contestants,
            start_ups: &start_ups,
            scenario: &scenario,
            engine: &Engine::Fluid,
            columns: None,
        };
        for score in contest.run(2, &|| ()).unwrap() {
            let what = format!(
                "{} on {} at {} s: {}",
                score.policy, score.trace, score.start_up_s, score.cost_ratio
            );
            assert!(score.cost_ratio >= 1.0 - 1e-9, "{what}");
            assert!(score.policy != "optimal" || score.cost_ratio < 1.0 + 1e-9, "{what}");
            let parts = score.cost_parts;
            let sum = parts.used + parts.waste + parts.lateness + parts.churn;
            assert!((sum - score.cost_ratio).abs() < 1e-6, "{what}: the parts make {sum}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let traces = traces();
    let scenario = Scenario::default();
    let mut contestants = yardsticks();
    contestants.push(policy("hpa", "hpa", serde_json::json!({})));
    let start_ups = [2, 120].map(Duration::from_secs);
    let contest = Contest {
        traces: &traces[1..3],
        contestants: &contestants,
        start_ups: &start_ups,
        scenario: &scenario,
        engine: &Engine::Fluid,
        columns: None,
    };
    let text = |scores: Vec<Score>| serde_json::to_string(&scores).unwrap();
    let one = text(contest.run(1, &|| ()).unwrap());
    assert_eq!(one, text(contest.run(3, &|| ()).unwrap()));
    assert_eq!(one, text(contest.run(1, &|| ()).unwrap()));
}

#[test]
fn seeds_are_averaged_and_recorded_requests_replayed() {
    let mut traces = traces();
    let text = include_str!("traces/llm_azure_conversation_1s.csv");
    let mut recorded = traces.remove(1);
    // A request in the middle of each counted one's second.
    recorded.arrivals = text
        .lines()
        .skip(1)
        .flat_map(|line| {
            let (second, count) = line.split_once(',').expect("two columns");
            let (second, count): (f64, usize) = (second.parse().unwrap_or(0.0), count.parse().unwrap_or(0));
            std::iter::repeat_n(second + 0.5, count)
        })
        .collect();
    let engine = Engine::Des { des: simulator::Des::default(), seeds: 3 };
    let contestants = [policy("hpa", "hpa", serde_json::json!({})), yardsticks().remove(0)];
    let scenario = Scenario::default();
    let start_ups = [Duration::from_secs(30)];
    let traces = [recorded];
    let contest = Contest {
        traces: &traces,
        contestants: &contestants,
        start_ups: &start_ups,
        scenario: &scenario,
        engine: &engine,
        columns: None,
    };
    assert_eq!(contest.size(), 6);
    let scores = contest.run(2, &|| ()).expect("the contest can be held");
    let [hpa, optimal] = scores.as_slice() else { panic!("{scores:?}") };
    assert_eq!((hpa.engine, hpa.seeds.map(|seeds| seeds.count)), ("des", Some(3)));
    assert_eq!(optimal.engine, "fluid");
    let fluid =
        Contest { engine: &Engine::Fluid, ..contest }.run(1, &|| ()).expect("the contest can be held");
    assert!(
        (hpa.cost_ratio / fluid[0].cost_ratio - 1.0).abs() < 0.05,
        "{} {}",
        hpa.cost_ratio,
        fluid[0].cost_ratio
    );
}

/// A constant number that nobody else may have would beat the optimum, which keeps to the bounds.
#[test]
fn a_constant_number_outside_the_bounds_is_refused() {
    let traces = traces();
    let scenario = Scenario { min: 3, max: Some(30), ..Scenario::default() };
    for workers in [1, 31, 30] {
        let contestants =
            [Contestant { name: format!("static:{workers}"), kind: ContestantKind::Static(workers) }];
        let outcome = Contest::of(&traces[..1], &contestants, &scenario).run(1, &|| ());
        assert_eq!(outcome.is_ok(), workers == 30, "{workers}");
    }
}
