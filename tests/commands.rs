//! Help, wrong usage and configuration files, each with its expected text beside it.

use std::path::{Path, PathBuf};

use crate::harness::{AUTOSCALE, Bench};

/// Where this file lies.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");
/// Set, the expected texts are written instead of compared.
const OVERWRITE: &str = "TRYCMD";

#[test]
fn help_and_usage_errors() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("autoscale", Path::new(AUTOSCALE));
    cases.case(format!("{HERE}/cli/*.trycmd"));
}

/// The files of a folder, and the text expected of each.
fn files(folder: &str) -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(format!("{HERE}/config/{folder}")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.clone(), path.with_extension("txt")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {folder}");
    files
}

fn compare(expected: &Path, text: &str) {
    if std::env::var(OVERWRITE).is_ok_and(|mode| mode == "overwrite") {
        return std::fs::write(expected, text).unwrap();
    }
    let wanted = std::fs::read_to_string(expected).unwrap_or_default();
    assert_eq!(text, wanted, "{} (TRYCMD=overwrite writes it anew)", expected.display());
}

#[tokio::test]
async fn every_invalid_file_is_refused_with_its_reason_and_a_hint() {
    let bench = Bench::new().await;
    for (file, expected) in files("invalid") {
        let file = file.to_str().unwrap();
        // Whatever reads it says the same, and nothing is started before it is read.
        for command in [["policy", "show"].as_slice(), &["run", "--plain"], &["demo", "--plain"]] {
            let refused = bench.finish(command.iter().copied().chain(["--config", file])).await;
            assert_eq!(refused.code(), Some(2), "{file}: {refused:#?}");
            assert_eq!(refused.stdout, "", "{file}");
            assert!(refused.stderr.contains("\nhint: "), "{file}: {refused:#?}");
            compare(&expected, &refused.stderr.replace(file, "FILE"));
        }
    }
    assert_eq!(bench.processes(), []);
}

#[tokio::test]
async fn every_valid_file_is_shown_as_it_is_meant() {
    let bench = Bench::new().await;
    for (file, expected) in files("valid") {
        let shown = bench.finish(["policy", "show", "--config", file.to_str().unwrap()]).await;
        compare(&expected, &shown.well());
    }
    let example = format!("{HERE}/../examples/quickstart.toml");
    bench.finish(["policy", "show", "--config", &example]).await.well();
}

#[tokio::test]
async fn flags_go_before_the_file_and_the_file_before_the_defaults() {
    let bench = Bench::new().await;
    let file = bench.write("autoscale.toml", "[pool]\nmin_replicas = 2\nmax_replicas = 3\n");
    let words = ["policy", "show", "--config", file.to_str().unwrap(), "--max", "4"];
    let shown = bench.finish(words).await.well();
    let row = |key: &str| -> Vec<&str> {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().skip(1).collect()
    };
    assert_eq!(row("pool.min_replicas"), ["2", "file"]);
    assert_eq!(row("pool.max_replicas"), ["4", "flag"]);
    assert_eq!(row("policy.interval"), ["1s", "default"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let bench = Bench::new().await;
    for path in ["no-such.toml", "."] {
        let refused = bench.finish(["run", "--config", path]).await;
        let (code, complaint) = refused.failure();
        assert_eq!(code, Some(2), "{complaint}");
        assert!(complaint.contains(&format!("`{path}`")) && complaint.contains("\nhint: "), "{complaint}");
    }
}

#[tokio::test]
async fn what_can_be_chosen_is_listed() {
    let bench = Bench::new().await;
    let listed = bench.finish(["policy", "list"]).await.well();
    for entry in control::POLICIES {
        assert!(listed.contains(entry.name) && listed.contains(entry.about), "{}: {listed}", entry.name);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.finish(["completions", shell]).await.well();
        assert!(script.contains("autoscale") && script.contains("worker-port"), "{shell}: {script}");
    }
}
