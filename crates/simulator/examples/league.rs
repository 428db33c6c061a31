//! Temporary
use control::PolicyConfig;
use simulator::*;
use std::time::Duration;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let names: Vec<String> = std::env::args().nth(2).unwrap().split(',').map(str::to_owned).collect();
    let kappa: f64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let specs: Vec<String> = std::env::args().skip(4).collect();
    let traces: Vec<Trace> = names
        .iter()
        .map(|n| {
            Trace::read(n, &std::fs::read_to_string(format!("{dir}/{n}")).unwrap(), &Default::default())
                .unwrap()
        })
        .collect();
    let contestants: Vec<Contestant> = specs
        .iter()
        .map(|s| {
            let kind = match s.as_str() {
                "optimal" => ContestantKind::Optimal,
                "best_static" => ContestantKind::BestStatic,
                other => {
                    let (name, rest) = other.split_once(':').unwrap_or((other, ""));
                    let mut settings = serde_json::Map::new();
                    for kv in rest.split(',').filter(|x| !x.is_empty()) {
                        let (k, v) = kv.split_once('=').unwrap();
                        settings.insert(
                            k.into(),
                            serde_json::from_str(v).unwrap_or(serde_json::Value::String(v.into())),
                        );
                    }
                    ContestantKind::Policy(PolicyConfig { name: name.into(), settings })
                }
            };
            Contestant { name: s.clone(), kind }
        })
        .collect();
    let scenario = Scenario { kappa, ..Scenario::default() };
    let start_ups = [2, 30, 120].map(Duration::from_secs);
    let contest =
        Contest { traces: &traces, contestants: &contestants, start_ups: &start_ups, scenario: &scenario };
    let begun = std::time::Instant::now();
    let scores = contest.run(1, &|| ()).unwrap();
    eprintln!("{:?}", begun.elapsed());
    for (ci, c) in contestants.iter().enumerate() {
        for (si, s) in start_ups.iter().enumerate() {
            let rows: Vec<&Score> =
                (0..traces.len()).map(|t| &scores[(t * 3 + si) * contestants.len() + ci]).collect();
            let gm = (rows.iter().map(|r| r.cost_ratio.ln()).sum::<f64>() / rows.len() as f64).exp();
            let mean = |f: &dyn Fn(&Score) -> f64| rows.iter().map(|r| f(r)).sum::<f64>() / rows.len() as f64;
            println!(
                "{} d={:?} ratio {:.3} bad% {:.2} over% {:.1} tU {:.2} tO {:.1} sU {:.1} sO {:.1} v {:.1} chg/h {:.1} flaps/h {:.1} p99 {:.2} | {}",
                c.name,
                s,
                gm,
                100.0 * mean(&|r| r.late_request_share),
                100.0 * mean(&|r| r.cost_parts.waste / (r.cost_parts.used + r.cost_parts.lateness / kappa)),
                mean(&|r| r.theta_under),
                mean(&|r| r.theta_over),
                mean(&|r| r.tau_under),
                mean(&|r| r.tau_over),
                mean(&|r| r.instability),
                mean(&|r| (r.scale_ins + r.scale_outs) as f64 * 3600.0 / r.scored_s),
                mean(&|r| r.flaps_per_hour),
                mean(&|r| r.p99_s.unwrap_or(0.0)),
                rows.iter().map(|r| format!("{:.2}", r.cost_ratio)).collect::<Vec<_>>().join(" ")
            );
        }
    }
}
