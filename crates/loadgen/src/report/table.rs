//! The report as a table for people, at most 80 columns wide.

use std::fmt;

use super::{Percentiles, Report};

/// Width of what follows the first column, with room for it on 80 columns.
const WIDTH: usize = 66;
/// Most workers, statuses or errors listed; there are more only in a strange run.
const LISTED_MAX: usize = 20;

/// Why there are two rows of latencies.
const EXPLANATION: &str = "Corrected counts from the moment a request was due, so it includes any wait for \
a free connection or for the generator; uncorrected counts from the moment it was really sent.";
const CLOSED: &str = "In a closed loop each request waits for the one before it: what a user arriving \
meanwhile would have waited does not show (use --rate to see it).";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.open_loop { "open loop" } else { "closed loop" };
        row(f, "load", &format!("{}, {kind}, {:.1} s", self.target, self.elapsed_s))?;
        row(
            f,
            "requests",
            &format!(
                "{} sent, {} succeeded, {} failed, {} dropped",
                self.sent, self.succeeded, self.failed, self.dropped
            ),
        )?;
        let asked = self.rate_asked.map(|rate| format!("{rate:.1}/s asked, ")).unwrap_or_default();
        row(f, "rate", &format!("{asked}{:.1}/s achieved", self.rate_achieved))?;
        if let (Some(corrected), Some(uncorrected)) = (&self.latency_ms, &self.uncorrected_latency_ms) {
            let heads = ["p50", "p90", "p95", "p99", "p99.9", "max"];
            row(f, "latency ms", &format!("{:11}{}", "", heads.map(|head| format!("{head:>9}")).concat()))?;
            row(f, "", &format!("{:11}{}", "corrected", cells(corrected)))?;
            row(f, "", &format!("{:11}{}", "uncorrected", cells(uncorrected)))?;
            row(f, "", if self.open_loop { EXPLANATION } else { CLOSED })?;
        }
        let statuses = self.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        row(f, "statuses", &list(statuses))?;
        let answers: u64 = self.statuses.values().sum();
        let workers = self.workers.iter().map(|(worker, count)| {
            let percent = 100.0 * *count as f64 / answers.max(1) as f64;
            format!("{worker}: {percent:.1} %")
        });
        row(f, "workers", &list(workers))?;
        let errors = self.errors.iter().map(|(kind, count)| format!("{}: {count}", kind.replace('_', " ")));
        row(f, "errors", &list(errors))?;
        row(f, "verdict", &self.verdict.to_string())?;
        self.reasons.iter().try_for_each(|reason| row(f, "", reason))
    }
}

fn cells(latency: &Percentiles) -> String {
    let Percentiles { p50, p90, p95, p99, p999, max } = latency;
    [p50, p90, p95, p99, p999, max].map(|value| format!(" {value:>8.1}")).concat()
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<_> = items.collect();
    let more = items.len().saturating_sub(LISTED_MAX);
    items.truncate(LISTED_MAX);
    if more > 0 {
        items.push(format!("and {more} more"));
    }
    items.join(", ")
}

/// One row; what is too long goes on in the next line, and nothing is written for nothing.
fn row(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let mut head = head;
    let mut rest = text;
    while !rest.is_empty() {
        let fits = rest.char_indices().nth(WIDTH).map_or(rest.len(), |(at, _)| at);
        let end = if fits == rest.len() { fits } else { rest[..fits].rfind(' ').map_or(fits, |at| at + 1) };
        writeln!(f, "{}", format!("  {head:<11} {}", rest[..end].trim_end()).trim_end())?;
        head = "";
        rest = &rest[end..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use std::collections::BTreeMap;

    #[test]
    fn the_table_fits_80_columns_and_explains_itself() {
        let latency = |p50, max| Some(Percentiles { p50, p90: 6.0, p95: 7.0, p99: 9.5, p999: 123.0, max });
        let report = Report {
            target: "http://127.0.0.1:8000/".to_owned(),
            open_loop: true,
            elapsed_s: 30.0,
            sent: 6000,
            succeeded: 5998,
            failed: 2,
            rate_asked: Some(200.0),
            rate_achieved: 199.96,
            latency_ms: latency(5.2, 99_999.9),
            uncorrected_latency_ms: latency(5.1, 200.0),
            statuses: BTreeMap::from([(200, 5998), (503, 1)]),
            workers: (1..=30).map(|worker| (format!("worker-number-{worker}"), 200)).collect(),
            errors: BTreeMap::from([("timed_out", 1)]),
            verdict: Verdict::Inconclusive,
            reasons: vec!["a reason".to_owned()],
            ..Report::default()
        };
        let text = report.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for part in [
            "  requests    6000 sent, 5998 succeeded, 2 failed, 0 dropped\n",
            "  rate        200.0/s asked, 200.0/s achieved\n",
            "  latency ms                   p50      p90      p95      p99    p99.9      max\n",
            "              corrected        5.2      6.0      7.0      9.5    123.0  99999.9\n",
            "  statuses    200: 5998, 503: 1\n",
            "worker-number-1: 3.3 %",
            "and 10 more",
            "  errors      timed out: 1\n",
            "  verdict     INCONCLUSIVE\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(EXPLANATION), "{words}");
    }
}
