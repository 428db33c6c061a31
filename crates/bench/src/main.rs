//! Binary `autoscale-bench`: benchmarks side by side with peers; writes `crates/bench/RESULTS.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers prints what it does")]

mod balancer;
mod conformance;
mod cost;
mod forecast;
mod idle;
mod latency;
mod load;
mod peers;
mod report;
mod results;
mod slow_clients;

use std::process::ExitCode;

const USAGE: &str = "usage: autoscale-bench balancer [--rounds N] [--seconds N] [--dry] [--autoscale PATH]
       autoscale-bench slow-clients [--rounds N] [--rate N] [--dry] [--autoscale PATH]
       autoscale-bench conformance [--autoscale PATH]
       autoscale-bench forecast [--traces FOLDER] [--dry]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.split_first() {
        Some((&"balancer", options)) => balancer::run(options),
        Some((&"slow-clients", options)) => slow_clients::run(options),
        Some((&"conformance", options)) => conformance::run(options),
        Some((&"forecast", options)) => self::forecast::run(options),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
