//! Forecasts at the command line: scored by one protocol, predicted, trained twice, kept and refused.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Bench, Running, get, until};

/// A day of a wave at 5-minute steps, three times over.
fn wave() -> String {
    let value = |index: u32| {
        let angle = f64::from(index) / 288.0 * std::f64::consts::TAU;
        let ripple = f64::from(index.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
        100.0 + 60.0 * angle.sin() + 8.0 * ripple
    };
    let rows = (0..864).map(|index| format!("{},{:.3}\n", index * 300, value(index)));
    std::iter::once("time_s,value\n".to_owned()).chain(rows).collect()
}

/// Readings whose mean is 5.19 and whose last is 5.97: what a published example showed.
fn example() -> String {
    let count = 121;
    let others = (5.19 * f64::from(count) - 5.97) / f64::from(count - 1);
    let rows = (0..count).map(|index| {
        let swing = if index % 2 == 0 { 0.2 } else { -0.2 };
        let value = if index == count - 1 { 5.97 } else { others + swing };
        format!("{},{value}\n", index * 300)
    });
    std::iter::once("time_s,value\n".to_owned()).chain(rows).collect()
}

#[tokio::test]
async fn every_forecast_is_a_row_and_scores_go_elsewhere() {
    let bench = Bench::new().await;
    let trace = bench.write("wave.csv", &wave());
    let words = ["forecast", "evaluate", trace.to_str().unwrap(), "--model", "autoregressive", "-o", "csv"];
    let done = bench.finish(words).await;
    assert_eq!(done.code(), Some(0), "{done:#?}");
    assert!(done.stderr.contains("relMAE"), "{done:#?}");
    let mut lines = done.stdout.lines();
    assert_eq!(lines.next(), Some("trace,model,origin_s,horizon,q50,q90,actual"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 40 * 3);
    for row in &rows {
        assert_eq!((row.len(), row[0], row[1]), (7, "wave", "autoregressive"));
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        assert!(number(2) >= 0.69 * 864.0 * 300.0 && number(4) <= number(5), "{row:?}");
        assert!((number(4) - number(6)).abs() < 40.0, "a wave can be foreseen: {row:?}");
    }
}

#[tokio::test]
async fn the_published_example_says_scale_down() {
    let bench = Bench::new().await;
    let history = bench.write("history.csv", &example());
    let ask = async |more: &[&str]| -> Value {
        let words = ["forecast", "predict", history.to_str().unwrap(), "--model", "naive", "-o", "json"];
        bench.finish(words.into_iter().chain(more.iter().copied())).await.json()
    };
    let answer = ask(&["--up", "70", "--down", "6"]).await;
    assert!((answer["current_avg"].as_f64().unwrap() - 5.19).abs() < 1e-9, "{answer}");
    assert!((answer["predicted_next"].as_f64().unwrap() - 5.97).abs() < 1e-9, "{answer}");
    assert_eq!(answer["recommendation"], "Scale Down");
    assert_eq!(ask(&["--up", "5", "--down", "1"]).await["recommendation"], "Scale Up");
    assert_eq!(ask(&["--up", "70", "--down", "5"]).await["recommendation"], "No Change");
}

#[tokio::test]
async fn a_model_that_knows_too_little_abstains() {
    let bench = Bench::new().await;
    let history = bench.write("history.csv", "time_s,value\n0,5\n300,6\n600,7\n");
    let answer = bench.finish(["forecast", "predict", history.to_str().unwrap(), "-o", "json"]).await.json();
    assert_eq!(answer["predicted_next"], Value::Null);
    assert_eq!(answer["recommendation"], "No Change");
    assert!(answer["abstained"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_model_trained_twice_is_one_model_and_a_damaged_one_is_refused() {
    let bench = Bench::new().await;
    bench.write("wave.csv", &wave());
    let manifest = bench.write(
        "model.toml",
        "data = \"wave.csv\"\nsubject = \"web\"\nbin = \"10m\"\n[recipe]\nmodel = \"random_forest\"\nseed = 7\n",
    );
    let (first, second) = (bench.file("first"), bench.file("second"));
    let mut files = Vec::new();
    for store in [&first, &second] {
        let words = ["forecast", "train", "--manifest", manifest.to_str().unwrap(), "-o", "json", "--store"];
        let trained = bench.finish(words.into_iter().chain([store.to_str().unwrap()])).await.json();
        let id = trained["id"].as_str().unwrap().to_owned();
        let path = store.join("models").join(format!("{id}.model"));
        files.push((id, std::fs::read(&path).unwrap(), path));
    }
    assert_eq!((&files[0].0, &files[0].1), (&files[1].0, &files[1].1), "the same bytes under the same name");

    let id = files[0].0.as_str();
    let models = async |words: &[&str]| {
        let all = ["forecast", "models", "--store", first.to_str().unwrap()];
        bench.finish(all.into_iter().chain(words.iter().copied())).await
    };
    assert!(models(&["promote", &id[..8]]).await.well().contains("shadow"));
    assert!(models(&["promote", &id[..8]]).await.well().contains("champion"));
    // Another may take its place only with proof.
    let known = bench.file("wave.csv");
    let kept = ["-o", "json", "--store", first.to_str().unwrap()];
    let words = ["forecast", "train", known.to_str().unwrap(), "--model", "naive", "--subject", "web"];
    let words = words.into_iter().chain(["--bin", "10m"]).chain(kept);
    let other = bench.finish(words).await.json()["id"].as_str().unwrap().to_owned();
    assert!(models(&["promote", &other]).await.well().contains("shadow"));
    let refused = models(&["promote", &other]).await;
    assert!(refused.code() == Some(3) && refused.stderr.contains("--force"), "{refused:#?}");
    let refused = models(&["promote", &other, "--on", known.to_str().unwrap()]).await;
    assert!(refused.code() == Some(1) && refused.stderr.contains("0 forecasts"), "{refused:#?}");

    let shown = models(&["show", id, "-o", "json"]).await.json();
    assert_eq!((&shown["stage"], &shown["subject"]), (&"champion".into(), &"web".into()));
    assert!(shown["scores"].as_array().is_some_and(|scores| !scores.is_empty()), "{shown}");

    let trace = bench.file("wave.csv");
    let predict = async || {
        let words = ["forecast", "predict", trace.to_str().unwrap(), "--bin", "10m", "--model-id", id];
        bench.finish(words.into_iter().chain(["--store", first.to_str().unwrap(), "-o", "json"])).await
    };
    assert!(predict().await.json()["predicted_next"].is_f64());
    let mut damaged = files[0].1.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    std::fs::write(&files[0].2, damaged).unwrap();
    let refused = predict().await;
    assert_eq!(refused.code(), Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains("hint: "), "{refused:#?}");
    assert_eq!(models(&["show", "ffff"]).await.code(), Some(4));
}

#[tokio::test]
async fn a_pool_says_what_it_expects_and_what_to_do_about_it() {
    let bench = Bench::new().await;
    let pool = bench.run(&["--interval", "100ms"]).await;
    let answer = until("a prediction", async || {
        let answer = get(&format!("{}/predict", pool.admin)).await?;
        let answer: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        if answer["predicted_next"].is_number() { Ok(answer) } else { Err(answer.to_string()) }
    })
    .await;
    assert!(answer["current_avg"].is_number(), "{answer}");
    assert!(["Scale Up", "Scale Down", "No Change"].contains(&answer["recommendation"].as_str().unwrap()));
    assert_eq!((&answer["trust"], &answer["model"]), (&"learning".into(), &"last_reading".into()), "honest");
}

#[tokio::test]
async fn a_champion_forecasts_for_a_pool_and_a_damaged_one_does_not_stop_it() {
    let bench = Bench::new().await;
    let rows: String = (0..300).map(|second| format!("{second},{}\n", 20 + second % 7)).collect();
    let trace = bench.write("seconds.csv", &format!("time_s,value\n{rows}"));
    let words = ["forecast", "train", trace.to_str().unwrap(), "--model", "naive", "--subject", "web"];
    let id = bench.finish(words.into_iter().chain(["--bin", "1s", "-o", "json"])).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for stage in ["shadow", "champion"] {
        assert!(bench.finish(["forecast", "models", "promote", &id]).await.well().contains(stage));
    }
    let started = ["--interval", "100ms", "--forecast", "champion:web"];
    let speaks = async |pool: &Running, wanted: &str| {
        until(wanted, async || {
            let answer = get(&format!("{}/predict", pool.admin)).await?;
            let answer: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
            let model = answer["model"].as_str().unwrap_or_default();
            if model == wanted && answer["predicted_next"].is_number() {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
    };
    let mut pool = bench.run(&started).await;
    speaks(&pool, &id[..12]).await;
    pool.signal(Signal::TERM);
    assert!(pool.ended().await.success());
    assert!(!pool.complained().contains("champion"), "{}", pool.complained());

    let kept = bench.folder().join("autoscale/models/models").join(format!("{id}.model"));
    std::fs::write(&kept, "somebody else's").unwrap();
    let pool = bench.run(&started).await;
    speaks(&pool, "last_reading").await;
    let said = format!("{}{}", pool.said(), pool.complained());
    assert!(said.contains("not a model file of autoscale") && said.contains("hint: "), "{said}");
}

#[tokio::test]
async fn what_became_of_forecasts_is_told_of_a_run_file_and_it_replays() {
    let bench = Bench::new().await;
    let rows = (0..400).map(|step| {
        let angle = f64::from(step) / 40.0 * std::f64::consts::TAU;
        format!("{},{:.2}\n", step * 15, 3_000.0 + 2_000.0 * angle.sin())
    });
    let trace: String = std::iter::once("time_s,value\n".to_owned()).chain(rows).collect();
    let (trace, run) = (bench.write("wave.csv", &trace), bench.file("run.db"));
    let (trace, run) = (trace.to_str().unwrap(), run.to_str().unwrap());
    let words = ["simulate", "--trace", trace, "--policies", "predictive:season=10m", "--record", run];
    assert_eq!(bench.finish(words).await.code(), Some(0));
    let score = async |more: &[&str]| -> Value {
        let words = ["forecast", "score", "--run", run, "-o", "json"];
        bench.finish(words.into_iter().chain(more.iter().copied())).await.json()
    };
    let all = score(&[]).await;
    let model = &all["forecasts"][0];
    assert_eq!(model["model"], "autoregressive", "{all}");
    assert!(
        model["scored"].as_u64().unwrap() > 300 && model["relative_mae"].as_f64().unwrap() < 0.8,
        "{all}"
    );
    assert!(all["decisions"]["in_time"].as_u64().unwrap() > 10, "{all}");
    let hour = score(&["--last", "1h"]).await;
    assert!(
        hour["over_s"].as_f64().unwrap() <= 3_600.0
            && hour["forecasts"][0]["scored"].as_u64() < model["scored"].as_u64()
    );
    let replayed = bench.finish(["replay", run, "--verify"]).await.well();
    assert!(replayed.ends_with("\n0 divergences\n"), "{replayed}");
}
