//! The simulator's commands on a small recorded load.

use std::fmt::Write;

use crate::harness::Bench;

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
