//! Fuzz targets of what users write: configuration, policies, traces, lengths of time, loads.

use std::path::Path;

use clap::Parser;
use control::decide;
use serde_json::Value;
use simulator::Trace;
use simulator::trace::Told;

use crate::args::{Cli, Command};
use crate::config;
use crate::edits::fuzz;

/// What such texts are made of.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"[pool]\n",
    b"[proxy]\n",
    b"[policy]\n",
    b"[health_check]\n",
    b"[admin]\n",
    b" = ",
    b"\"",
    b"\"5s\"",
    b"-1",
    b"0",
    b"1e400",
    b"nan",
    b"inf",
    b"99999999999999999999",
    b"18446744073709551615",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"time_s,value\n",
    b"2026-01-01T00:00:00Z",
    b"h1m",
    b"%",
    b"\xff",
    b"\xc3\xa4",
];

/// All files of a folder of the repository with this ending.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut paths: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
}

fn slices(files: &[Vec<u8>]) -> Vec<&[u8]> {
    files.iter().map(|file| &file[..file.len().min(2_000)]).collect()
}

#[test]
fn configuration_is_resolved_or_refused() {
    let (valid, invalid) = (files("tests/config/valid", ".toml"), files("tests/config/invalid", ".toml"));
    let mut examples = slices(&valid);
    examples.extend(slices(&invalid));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("autoscale.toml");
    fuzz("configuration", &examples, WORDS, |text, knob| {
        fs_err::write(&path, text).unwrap();
        let command = if knob.is_multiple_of(2) { "run" } else { "balance" };
        let typed = ["autoscale", command, "--config", path.to_str().unwrap()];
        match Cli::try_parse_from(typed).unwrap().command {
            Command::Run(args) => drop(config::resolve(&args)),
            Command::Balance(args) => drop(config::resolve_balance(&args)),
            _ => unreachable!("one of the two was typed"),
        }
    });
}

/// Whatever a policy file says, it is refused, or decides within its bounds.
#[test]
fn policy_files_decide_or_are_refused() {
    let schema = files("crates/control/schema/examples", ".json");
    let whole: Vec<&[u8]> = schema.iter().map(Vec::as_slice).collect();
    fuzz("policy files", &whole, WORDS, |text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let Ok(file) = serde_saphyr::from_str::<Value>(text) else { return };
        let policy = file.get("policy").filter(|policy| policy.is_object()).cloned();
        let Ok(config) = decide::policy_file(policy.unwrap_or_else(|| file.clone())) else { return };
        let bounds = config.min..=config.max;
        let Ok(mut decider) = decide::Decider::new(config) else { return };
        for turn in file.get("turns").and_then(Value::as_array).into_iter().flatten().take(50) {
            let observation = turn.get("observation").unwrap_or(turn).to_string();
            if let Ok(shown) = decider.line(&observation) {
                assert!(bounds.contains(&shown.desired), "{} is not in {bounds:?}", shown.desired);
            }
        }
    });
}

#[test]
fn traces_are_read_or_refused() {
    let recorded = files("crates/simulator/tests/traces", ".csv");
    let mut examples = slices(&recorded);
    examples.extend([
        &b"time_s\n0.5\n0.7\n1.2\n"[..],
        b"127.0.0.1 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"\n",
        b"{\"time\":\"2026-11-22T10:00:00Z\",\"status\":200,\"path\":\"/\"}\n",
        b"{\"Label\":\"x\",\"Datapoints\":[{\"Timestamp\":\"2026-01-01T00:00:00Z\",\"Sum\":5.0,\"Unit\":\"Count\"}]}",
        b"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1,\"2\"]]}]}}",
    ]);
    fuzz("traces", &examples, WORDS, |text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let Ok(trace) = Trace::read("fuzz", text, &Told::default()) else { return };
        assert!(trace.values.iter().any(Option::is_some) && !trace.bucket.is_zero());
        let load = |value: &f64| value.is_finite() && *value >= 0.0;
        assert!(trace.values.iter().flatten().all(load), "{:?}", trace.values);
    });
}

#[test]
fn lengths_loads_and_addresses_are_read_or_refused() {
    let examples: &[&[u8]] = &[
        b"500ms",
        b"1h30m",
        b"2.5",
        b"127.0.0.1:5001,weight=3",
        b"unix:/run/a.sock,version=2",
        b"100/s",
        b"10s:0-100,30s:100,5s:0",
        b"p99<200ms,errors<1%",
        b"sine(10,100,60s)",
        b"threshold:up=80,down=20",
    ];
    fuzz("lengths, loads and addresses", examples, WORDS, |text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        if let Ok(length) = control::span::parse(text) {
            let again = control::span::parse(&format!("{}.{:09}", length.as_secs(), length.subsec_nanos()));
            assert!(again.is_ok_and(|again| again.abs_diff(length) * 1_000_000 <= length), "{text}");
        }
        let _ = loadgen::parse_duration(text);
        let _ = text.parse::<loadgen::Rate>();
        let _ = text.parse::<loadgen::Thresholds>();
        let _ = text.parse::<loadgen::plan::Stages>();
        let _ = text.parse::<loadgen::plan::Pattern>();
        let _ = crate::args::balance::backend(text);
        let _ = control::PolicySpec::parse(text);
    });
}
