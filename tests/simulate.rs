//! The simulator's commands on a small recorded load.

use std::fmt::Write;

use crate::harness::{Bench, DEADLINE, finish};

/// Three hours of a load that goes up and down, a minute a row; with a folder to work in.
pub(crate) async fn bench_with_trace() -> Bench {
    let bench = Bench::new().await;
    let mut rows = "time_s,value\n".to_owned();
    for minute in 0..180_u32 {
        let value = 600.0 + 500.0 * (f64::from(minute) / 14.0).sin();
        writeln!(rows, "{},{value:.0}", minute * 60).unwrap();
    }
    bench.write("load.csv", &rows);
    bench
}

#[tokio::test]
async fn the_page_holds_everything_that_was_simulated() {
    let bench = bench_with_trace().await;
    let words = ["simulate", "--trace", "load.csv", "--policies", "hpa,threshold", "--html", "page.html"];
    let table = bench.finish(words).await.well();
    assert!(table.contains("threshold"), "{table}");
    let page = bench.read("page.html");
    for part in ["\"hpa\"", "\"threshold\"", "\"optimal\"", "trace_hash", "config_hash", "</html>"] {
        assert!(page.contains(part), "the page has no {part}");
    }
    let printed =
        bench.finish(["simulate", "--trace", "load.csv", "--policies", "hpa,threshold", "-o", "html"]);
    assert_eq!(printed.await.well(), page, "the same command twice, the same page");
}

#[tokio::test]
async fn what_one_policy_has_and_another_has_not_is_an_empty_field() {
    let bench = bench_with_trace().await;
    let words = ["simulate", "--trace", "load.csv", "--policies", "hpa,best_static,optimal", "-o"];
    let csv = bench.finish([&words[..], &["csv"]].concat()).await.well();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|title| *title == name).unwrap();
    let json = bench.finish([&words[..], &["json"]].concat()).await.json();
    for (row, score) in rows[1..].iter().zip(json.as_array().unwrap()) {
        assert_eq!(row.len(), rows[0].len(), "{csv}");
        assert_eq!(row[column("policy")], score["policy"]);
        assert_eq!(row[column("chosen")], score["chosen"].as_str().unwrap_or_default(), "{csv}");
        assert_eq!(row[column("config_hash")], score["config_hash"], "{csv}");
    }
    let table = bench.finish(words[..5].to_vec()).await.well();
    assert!(table.contains("best_static is static:"), "{table}");
}

#[tokio::test]
async fn settings_are_searched_under_an_objective() {
    let bench = bench_with_trace().await;
    let words = ["tune", "--trace", "load.csv", "--slo", "late<2%", "--evaluations", "24", "-o", "json"];
    let found = bench.finish(words).await.json();
    let found = &found[0];
    let spelled = found["spelled"].as_str().unwrap();
    assert!(spelled.starts_with("hpa:"), "{found}");
    assert!(found["objective"][0]["sure"].is_number(), "{found}");
    // What was found can be typed as it is.
    let again =
        bench.finish(["simulate", "--trace", "load.csv", "--policies", spelled, "-o", "json"]).await.json();
    assert_eq!(again[0]["policy"], spelled);
    let several = ["tune", "--trace", "load.csv", "--start-up", "2s,30s"];
    assert_eq!(bench.finish(several).await.code(), Some(2), "the first would have been taken silently");
    let refused = bench.finish(["tune", "--trace", "load.csv", "--slo", "nonsense<1"]).await;
    let (code, complaint) = refused.failure();
    assert_eq!(code, Some(2));
    assert!(complaint.contains("`nonsense`") && complaint.contains("hint: "), "{complaint}");
}

#[tokio::test]
async fn tests_of_policies_pass_or_end_with_99() {
    let bench = bench_with_trace().await;
    let file = |bound: &str| {
        format!(
            "[[test]]\ntrace = \"load.csv\"\npolicy = \"hpa,hpa_tuned\"\nstart_up = \"2s\"\nexpect = [\"{bound}\"]\n"
        )
    };
    bench.write("fine.toml", &file("cost_ratio<3"));
    let fine = bench.finish(["policy", "test", "fine.toml"]).await.well();
    assert_eq!(fine.lines().filter(|line| line.starts_with("ok ")).count(), 2, "{fine}");
    bench.write("broken.toml", &file("cost_ratio<1"));
    let broken = bench.finish(["policy", "test", "broken.toml"]).await;
    assert_eq!(broken.code(), Some(99), "{broken:#?}");
    assert!(broken.stdout.contains("BROKEN"), "{broken:#?}");
    assert!(broken.stdout.ends_with("0 passed, 2 failed\n") && fine.ends_with("2 passed, 0 failed\n"));
    bench.write("empty.toml", &file("").replace("expect = [\"\"]", "expect = []"));
    assert_eq!(bench.finish(["policy", "test", "empty.toml"]).await.code(), Some(2));
    assert_eq!(bench.finish(["policy", "test", "none.toml"]).await.code(), Some(4));
    bench.write("wrong.toml", &file("cost_ratio<1").replace("start_up", "startup"));
    assert_eq!(bench.finish(["policy", "test", "wrong.toml"]).await.code(), Some(2));
}

#[tokio::test]
async fn a_simulation_is_recorded_replayed_and_judged_against_others() {
    let bench = bench_with_trace().await;
    let words = [
        "simulate",
        "--trace",
        "load.csv",
        "--policies",
        "hpa",
        "--worker-rate",
        "2",
        "--record",
        "sim.db",
        "-q",
    ];
    bench.finish(words).await.well();
    let said = bench.finish(["replay", "sim.db", "--verify"]).await.well();
    assert!(said.ends_with("0 divergences\n"), "{said}");
    let others = ["replay", "sim.db", "--policy", "threshold:up=60", "--record", "other.db", "-o", "json"];
    let scores = bench.finish(others).await.json();
    let names: Vec<&str> =
        scores.as_array().unwrap().iter().map(|score| score["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["threshold:up=60", "recorded: hpa", "optimal"]);
    let said = bench.finish(["replay", "other.db", "--verify"]).await.well();
    assert!(said.contains("threshold") && said.ends_with("0 divergences\n"), "{said}");
    // Beside a page, on which the optimum is drawn too.
    let words = "simulate --trace load.csv --policies hpa --record drawn.db --html page.html -q";
    bench.finish(words.split(' ')).await.well();
    assert!(bench.read("page.html").contains("\"optimal\""));
    let said = bench.finish(["replay", "drawn.db", "--verify"]).await.well();
    assert!(said.ends_with("0 divergences\n"), "{said}");
    let words = "simulate --trace load.csv --policies optimal --record run.db";
    let refused = bench.finish(words.split(' ')).await;
    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr.starts_with("error: `optimal` is a yardstick: "), "{refused:#?}");
    // A bare time is one of the recorded day.
    let mut command = bench.command(["why", "--run", "sim.db", "--at", "01:00:00", "-o", "json"]);
    command.env("TZ", "UTC");
    let why = finish(command, DEADLINE).await.json();
    assert!(why.to_string().contains("1970-01-01T01:00:00Z"), "{why}");
    assert_eq!(bench.finish(["why", "--run", "none.db"]).await.code(), Some(4));
    // A run file is a trace.
    let again =
        bench.finish(["simulate", "--trace", "sim.db", "--policies", "hpa", "-o", "json"]).await.json();
    assert_eq!(again[0]["trace"], "sim");
}

#[tokio::test]
async fn agents_learn_and_loads_are_named() {
    let bench = bench_with_trace().await;
    let words = ["train-rl", "--trace", "load.csv", "--episodes", "8", "--out", "rl.json", "-o", "json"];
    let learnt = bench.finish(words).await.json();
    assert!(learnt["held_out"]["rl_cost_ratio"].as_f64().unwrap() >= 1.0, "{learnt}");
    let scores =
        bench.finish(["simulate", "--trace", "load.csv", "--policies", "rl.json", "-o", "json"]).await.json();
    assert_eq!(scores[0]["policy"], "rl.json");
    let advice = bench.finish(["advise", "load.csv", "-o", "json"]).await.json();
    assert!(advice["character"]["kind"].is_string() && advice["why"][0].is_string(), "{advice}");
    let survived = bench.finish(["simulate", "--chaos", "--seed", "7"]).await.well();
    assert!(survived.contains("seed 7") && survived.contains("nothing broken"), "{survived}");
}

#[tokio::test]
async fn a_swinging_run_is_played_and_mended() {
    let bench = bench_with_trace().await;
    let policy = "threshold:up=70,down=60,cooldown_up=0s";
    let words = ["simulate", "--trace", "load.csv", "--policies", policy, "--record", "run.db"];
    bench.finish(words).await.well();
    let last = bench.finish(["top", "run.db", "--once"]).await.well();
    assert!(last.contains("workers") && last.contains("w1 "), "{last}");
    let lines = bench.finish(["top", "run.db", "--plain"]).await.well();
    assert!(lines.lines().count() > 100, "{lines}");
    let diagnosis = bench.finish(["diagnose", "flap", "run.db", "-o", "json"]).await.json();
    assert!(diagnosis["findings"]["flaps"].as_u64() > Some(10), "{diagnosis}");
    assert!(diagnosis["findings"]["cause"].is_string(), "{diagnosis}");
    // What ends the swings can be typed as it is.
    let mended = diagnosis["mended"].as_str().unwrap();
    let told = bench.finish(["diagnose", "flap", "run.db"]).await.well();
    assert!(told.contains("cause ") && told.contains(mended), "{told}");
    let before =
        bench.finish(["simulate", "--trace", "load.csv", "--policies", policy, "-o", "json"]).await.json();
    let after =
        bench.finish(["simulate", "--trace", "load.csv", "--policies", mended, "-o", "json"]).await.json();
    let flaps = |scores: &serde_json::Value| scores[0]["flaps_per_hour"].as_f64().unwrap();
    assert!(flaps(&after) < 0.5 * flaps(&before), "{mended}: {} → {}", flaps(&before), flaps(&after));
}

#[tokio::test]
async fn money_is_worker_hours_times_their_price() {
    let bench = bench_with_trace().await;
    bench.write("costs.toml", "worker_hour = 0.0146\nworker_watts = 10\ncarbon_grams_per_kwh = 400\n");
    let words =
        ["simulate", "--trace", "load.csv", "--policies", "static:4", "--costs", "costs.toml", "-o", "json"];
    let money = bench.finish(words).await.json()[0]["money"].clone();
    let close = |name: &str, value: f64| (money[name].as_f64().unwrap() - value).abs() < 1e-6;
    assert!(close("per_month", 42.64) && close("worker_hour", 0.0146), "{money}");
    assert!(close("kg_co2e_per_month", 4.0 * 0.01 * 0.4 * 730.0), "{money}");
    let refused = bench.finish(["simulate", "--trace", "load.csv", "--costs", "none.toml"]).await;
    assert_eq!(refused.failure().0, Some(4));
}
